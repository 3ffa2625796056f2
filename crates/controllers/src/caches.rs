//! The caches that all controllers share: one watch per kind in this process, with the indices that somebody reads.

use api::{
    cloneset::CloneSet,
    k8s::{ControllerRevision, Metadata, Node, PersistentVolumeClaim, Pod, Text, share},
};
use kube::Client;
use rules::pod;
use runtime::{
    informer::{Index, Informer, Synced},
    shutdown::Shutdown,
};
use tokio::task::JoinSet;

/// Index of objects by the UID of each owner (PL-35).
pub const BY_OWNER: &str = "owner";
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
    pub pods: Informer<Pod>,
    /// Claims.
    pub claims: Informer<PersistentVolumeClaim>,
    /// Revisions of all workloads.
    pub revisions: Informer<ControllerRevision>,
    /// Nodes, for the spread rank.
    pub nodes: Informer<Node>,
    /// CloneSets.
    pub clonesets: Informer<CloneSet>,
}

fn owners(metadata: &Metadata) -> Vec<Text> {
    metadata.owner_references.iter().map(|owner| owner.uid.clone()).collect()
}

fn controller_or_orphan(revision: &ControllerRevision) -> Vec<Text> {
    let namespace = || share(&orphans_of(&revision.metadata.namespace));
    vec![pod::owner_controller(&revision.metadata).map_or_else(namespace, |owner| owner.uid.clone())]
}

impl Default for Caches {
    fn default() -> Self {
        Self {
            pods: Informer::new(vec![Index { name: BY_OWNER, values: |pod: &Pod| owners(&pod.metadata) }]),
            claims: Informer::new(vec![Index {
                name: BY_OWNER,
                values: |claim: &PersistentVolumeClaim| owners(&claim.metadata),
            }]),
            revisions: Informer::new(vec![Index { name: BY_CONTROLLER, values: controller_or_orphan }]),
            nodes: Informer::new(Vec::new()),
            clonesets: Informer::new(Vec::new()),
        }
    }
}

impl Caches {
    /// What tells when every cache shows its first list.
    #[must_use]
    pub fn synced(&self) -> Vec<Synced> {
        vec![
            self.pods.synced(),
            self.claims.synced(),
            self.revisions.synced(),
            self.nodes.synced(),
            self.clonesets.synced(),
        ]
    }

    /// Starts all watches; `namespace` restricts the namespaced ones (flag `--namespace`), empty means all.
    pub fn start(self, client: &Client, namespace: &str, shutdown: &Shutdown, tasks: &mut JoinSet<()>) {
        let namespace = namespace.to_owned();
        tasks.spawn(self.pods.run(client.clone(), namespace.clone(), shutdown.clone()));
        tasks.spawn(self.claims.run(client.clone(), namespace.clone(), shutdown.clone()));
        tasks.spawn(self.revisions.run(client.clone(), namespace.clone(), shutdown.clone()));
        tasks.spawn(self.clonesets.run(client.clone(), namespace, shutdown.clone()));
        tasks.spawn(self.nodes.run(client.clone(), String::new(), shutdown.clone()));
    }
}
