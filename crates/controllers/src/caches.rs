//! The caches that all controllers share: one watch per kind in this process, with the indices that somebody reads.
//!
//! A kind is watched only if a controller that runs asks for its cache: a gate that is off, or a definition that is not
//! installed, costs nothing.

use api::{
    cloneset::CloneSet,
    k8s::{ControllerRevision, Node, PersistentVolumeClaim, Pod, Text, share},
};
use kube::Client;
use rules::pod;
use runtime::{
    informer::{Cached, Index, Informer, Synced, by_owner},
    shutdown::Shutdown,
};
use tokio::task::JoinSet;

/// Index of ControllerRevisions by controller UID; those without a controller under [`orphans_of`] (RV-4).
pub const BY_CONTROLLER: &str = "controller";

/// The value of [`BY_CONTROLLER`] for revisions of a namespace without a controller.
#[must_use]
pub fn orphans_of(namespace: &str) -> String {
    format!("orphan/{namespace}")
}

/// All watches of the manager, before they start.
pub struct Caches {
    /// Pods.
    pub pods: OnDemand<Pod>,
    /// Claims.
    pub claims: OnDemand<PersistentVolumeClaim>,
    /// Revisions of all workloads.
    pub revisions: OnDemand<ControllerRevision>,
    /// Nodes, for the spread rank.
    pub nodes: OnDemand<Node>,
    /// CloneSets.
    pub clonesets: OnDemand<CloneSet>,
}

/// A cache that is filled only if somebody asks for it.
pub struct OnDemand<T: Cached> {
    informer: Informer<T>,
    demand: Demand,
}

/// Who asked for a cache.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Demand {
    /// Nobody.
    None,
    /// The controller that registers now.
    Fresh,
    /// One that has registered.
    Noted,
}

impl<T: Cached> OnDemand<T> {
    fn new(indices: Vec<Index<T>>) -> Self {
        Self { informer: Informer::new(indices), demand: Demand::None }
    }

    /// The cache, which will be filled.
    pub fn wanted(&mut self) -> &mut Informer<T> {
        self.demand = Demand::Fresh;
        &mut self.informer
    }

    /// What tells when it shows its first list, if it was asked for since the last call.
    fn note(&mut self) -> Option<Synced> {
        if self.demand != Demand::Fresh {
            return None;
        }
        self.demand = Demand::Noted;
        Some(self.informer.synced())
    }

    fn start(self, client: &Client, namespace: &str, shutdown: &Shutdown, watches: &mut JoinSet<()>) {
        if self.demand != Demand::None {
            watches.spawn(self.informer.run(client.clone(), namespace.to_owned(), shutdown.clone()));
        }
    }
}

fn controller_or_orphan(revision: &ControllerRevision) -> Vec<Text> {
    let namespace = || share(&orphans_of(&revision.metadata.namespace));
    vec![pod::owner_controller(&revision.metadata).map_or_else(namespace, |owner| owner.uid.clone())]
}

impl Default for Caches {
    fn default() -> Self {
        Self {
            pods: OnDemand::new(vec![by_owner()]),
            claims: OnDemand::new(vec![by_owner()]),
            revisions: OnDemand::new(vec![Index { name: BY_CONTROLLER, values: controller_or_orphan }]),
            nodes: OnDemand::new(Vec::new()),
            clonesets: OnDemand::new(Vec::new()),
        }
    }
}

impl Caches {
    /// What tells when the caches show their first list that were asked for since the last call: those of the controller
    /// that has just registered.
    pub fn just_wanted(&mut self) -> Vec<Synced> {
        let Self { pods, claims, revisions, nodes, clonesets } = self;
        let caches = [pods.note(), claims.note(), revisions.note(), nodes.note(), clonesets.note()];
        caches.into_iter().flatten().collect()
    }

    /// Starts the watches that somebody asked for; `namespace` restricts those of namespaced kinds (flag `--namespace`),
    /// empty means all.
    #[must_use = "the watches end when this is dropped"]
    pub fn start(self, client: &Client, namespace: &str, shutdown: &Shutdown) -> JoinSet<()> {
        let Self { pods, claims, revisions, nodes, clonesets } = self;
        let mut watches = JoinSet::new();
        pods.start(client, namespace, shutdown, &mut watches);
        claims.start(client, namespace, shutdown, &mut watches);
        revisions.start(client, namespace, shutdown, &mut watches);
        clonesets.start(client, namespace, shutdown, &mut watches);
        nodes.start(client, "", shutdown, &mut watches);
        watches
    }
}
