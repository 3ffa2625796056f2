//! From the caches to a snapshot: the only file of this kind that sees a cache (CS-12, CS-13, CS-15).

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use api::{
    cloneset::CloneSet,
    k8s::{ControllerRevision, Metadata, Node, Pairs, PersistentVolumeClaim, Pod, Text},
};
use rules::{
    ordering::topology_keys,
    pod, revision,
    selector::Selector,
    write::{
        CLONE_SET, CONTROLLER_REVISION, PERSISTENT_VOLUME_CLAIM, POD, Patch, PatchFormat, Resource, Step, Subresource,
        Verb,
    },
};
use runtime::{
    expectations::{ObjectId, Sight, VersionExpectations, VersionWait},
    informer::{ObjectKey, Store},
};
use serde_json::json;

use super::{scale::concurrent, snapshot::owner_reference, writes};
use crate::caches::{BY_CONTROLLER, orphans_of};

/// The caches that this kind reads.
#[derive(Clone, Debug)]
pub struct Stores {
    /// CloneSets.
    pub clonesets: Store<CloneSet>,
    /// Pods.
    pub pods: Store<Pod>,
    /// Claims.
    pub claims: Store<PersistentVolumeClaim>,
    /// Revisions.
    pub revisions: Store<ControllerRevision>,
    /// Nodes.
    pub nodes: Store<Node>,
}

/// The owned Pods of one CloneSet, sorted by what they are to it.
#[derive(Clone, Debug, Default)]
pub struct Owned {
    /// Active, matching, controlled: the Pods (CS-3).
    pub pods: Vec<Arc<Pod>>,
    /// Not active (CS-2).
    pub inactive: Vec<Arc<Pod>>,
    /// References to write: given up, or made a controller's (CS-13).
    pub references: Option<Step>,
}

impl Stores {
    /// Owned Pods, and the owner references that must be put right (CS-12, CS-13).
    #[must_use]
    pub fn owned_pods(&self, cloneset: &CloneSet, selector: &Selector) -> Owned {
        let uid = cloneset.metadata.uid.as_str();
        let mut owned = Owned::default();
        let mut writes = Vec::new();
        for pod in self.pods.owned_by(uid) {
            if !pod::is_active(&pod) {
                owned.inactive.push(pod);
                continue;
            }
            let matches = selector.matches(&pod.metadata.labels);
            let controller = pod::owner_controller(&pod.metadata).map(|owner| owner.uid.as_str());
            let ours = controller == Some(uid);
            if matches && ours {
                owned.pods.push(pod);
            } else if cloneset.metadata.deletion_timestamp.is_none() && (!matches || controller.is_none()) {
                writes.push(vec![reference_write(cloneset, &pod, matches)]);
            }
        }
        owned.references = concurrent(writes);
        owned
    }

    /// What the caches show under a name that this kind creates and deletes (CS-11).
    #[must_use]
    pub fn sight(&self, object: &ObjectId) -> Option<Sight> {
        match object.resource {
            POD => self.pods.get(&object.key).map(|pod| Sight::of(pod.as_ref())),
            PERSISTENT_VOLUME_CLAIM => self.claims.get(&object.key).map(|claim| Sight::of(claim.as_ref())),
            CONTROLLER_REVISION => self.revisions.get(&object.key).map(|revision| Sight::of(revision.as_ref())),
            _ => None,
        }
    }

    /// Owned claims that are not terminating (CS-12, CS-63).
    #[must_use]
    pub fn owned_claims(&self, cloneset: &CloneSet) -> Vec<Arc<PersistentVolumeClaim>> {
        let uid = cloneset.metadata.uid.as_str();
        let mut claims = self.claims.owned_by(uid);
        claims.retain(|claim| claim.metadata.deletion_timestamp.is_none());
        claims
    }

    /// Revisions that match the selector and are controlled by the CloneSet or by nobody, in order (RV-4).
    #[must_use]
    pub fn revisions_of(&self, cloneset: &CloneSet, selector: &Selector) -> Vec<Arc<ControllerRevision>> {
        let uid = cloneset.metadata.uid.as_str();
        let namespace = cloneset.metadata.namespace.as_str();
        let mut revisions = self.revisions.by_index(BY_CONTROLLER, uid);
        revisions.extend(self.revisions.by_index(BY_CONTROLLER, &orphans_of(namespace)));
        revisions.retain(|stored| selector.matches(&stored.metadata.labels));
        revisions.sort_by(|left, right| revision::order(left, right));
        revisions
    }

    /// Labels of the Pods' nodes, where the template spreads by topology; empty otherwise.
    #[must_use]
    pub fn node_labels(&self, cloneset: &CloneSet, pods: &[Arc<Pod>]) -> BTreeMap<Text, Pairs> {
        if topology_keys(&cloneset.spec.template).is_empty() {
            return BTreeMap::new();
        }
        pods.iter()
            .map(|pod| &pod.spec.node_name)
            .filter_map(|name| {
                let node = self.nodes.get(&ObjectKey::new("", name.clone()))?;
                Some((name.clone(), node.metadata.labels.clone()))
            })
            .collect()
    }
}

/// Gives the reference up where the selector no longer matches, else makes it the controller's (CS-13, CS-133).
fn reference_write(cloneset: &CloneSet, pod: &Pod, matches: bool) -> rules::write::Write {
    let uid = cloneset.metadata.uid.as_str();
    let mut owners = pod.metadata.owner_references.to_vec();
    owners.retain(|owner| owner.uid != uid);
    if matches {
        owners.push(owner_reference(cloneset));
    }
    let patch = Patch {
        subresource: Subresource::None,
        format: PatchFormat::Merge,
        body: json!({"metadata": {"ownerReferences": owners}}),
    };
    let verb = Verb::Patch {
        uid: Some(pod.metadata.uid.to_string()),
        resource_version: Some(pod.metadata.resource_version.to_string()),
        patches: vec![patch],
    };
    let reason = if matches { "take control of Pod" } else { "release Pod" };
    writes::write(POD, &pod.metadata, reason, verb)
}

/// An object that must not be judged yet.
#[derive(Clone, Debug)]
pub struct Behind {
    /// The object.
    pub object: ObjectId,
    /// Its UID.
    pub uid: Text,
    /// What it waits for.
    pub wait: VersionWait,
}

/// The first object that the cache shows older than our own last write: the CloneSet, one of its Pods, claims or revisions
/// (CS-15, CS-91).
///
/// The CloneSet counts too: a status that is already written must not be written again from a stale copy. So do claims,
/// as one that was handed over is not ours to delete (CS-63), and revisions, as the number of a new one is chosen by
/// those that are there (RV-4).
#[must_use]
pub fn behind(
    versions: &VersionExpectations,
    cloneset: &CloneSet,
    pods: &[Arc<Pod>],
    claims: &[Arc<PersistentVolumeClaim>],
    revisions: &[Arc<ControllerRevision>],
    now: Instant,
) -> Option<Behind> {
    let waiting = |resource: Resource, metadata: &Metadata| {
        let wait = versions.waiting(&metadata.uid, &metadata.resource_version, now)?;
        let key = ObjectKey::new(metadata.namespace.clone(), metadata.name.clone());
        Some(Behind { object: ObjectId { resource, key }, uid: metadata.uid.clone(), wait })
    };
    waiting(CLONE_SET, &cloneset.metadata)
        .or_else(|| pods.iter().find_map(|pod| waiting(POD, &pod.metadata)))
        .or_else(|| claims.iter().find_map(|claim| waiting(PERSISTENT_VOLUME_CLAIM, &claim.metadata)))
        .or_else(|| revisions.iter().find_map(|stored| waiting(CONTROLLER_REVISION, &stored.metadata)))
}
