//! Which events wake which CloneSet, and which expectations they meet (page 4.11).
//!
//! An event that cannot change a plan wakes nobody: a CloneSet reads only what `matters.rs` compares. It wakes all the
//! same where a pass was found waiting for it. A Pod that no CloneSet owns wakes none, as it is never adopted (CS-13).
//!
//! The first list of a cache wakes in the background: it is the work of a start, and changes go before it. It is not
//! collected for 3 s as the page says: a controller begins once all its caches show their first list, so each CloneSet
//! is in the queue once however many Pods it has.

use api::{
    cloneset::CloneSet,
    k8s::{ControllerRevision, Metadata, OwnerReference, PersistentVolumeClaim, Pod},
};
use rules::{pod, write};
use runtime::{
    expectations::{Action, Expectations, Observed},
    informer::{Change, ObjectKey},
    queue::Queue,
};

use super::matters;
use crate::caches::Caches;

/// Adds the handlers of this kind to the caches.
pub fn register(caches: &mut Caches, queue: &Queue, expectations: &Expectations) {
    let wake = Wake { queue: queue.clone(), expectations: expectations.clone() };
    caches.clonesets.wanted().on_change({
        let wake = wake.clone();
        move |change| wake.cloneset(change)
    });
    caches.pods.wanted().on_change({
        let wake = wake.clone();
        move |change| wake.pod(change)
    });
    caches.claims.wanted().on_change({
        let wake = wake.clone();
        move |change| wake.claim(change)
    });
    caches.revisions.wanted().on_change(move |change| wake.revision(change));
}

#[derive(Clone)]
struct Wake {
    queue: Queue,
    expectations: Expectations,
}

impl Wake {
    fn cloneset(&self, change: &Change<CloneSet>) {
        match change {
            Change::Added { new, .. } => {
                self.see(&new.metadata);
                self.queue.add_for(change, ObjectKey::of(new.as_ref()));
            }
            Change::Updated { old, new } => {
                let wakes = match self.see(&new.metadata) {
                    Observed::Awaited => true,
                    // Our own status came back: it says what the last pass knew.
                    Observed::Met => matters::of_cloneset(old, new),
                    Observed::Nothing => matters::of_cloneset(old, new) || old.status != new.status,
                };
                if wakes {
                    self.queue.add(ObjectKey::of(new.as_ref()));
                }
            }
            Change::Deleted { last } => {
                self.expectations.versions.forget(&last.metadata.uid);
                self.queue.add(ObjectKey::of(last.as_ref()));
            }
        }
    }

    fn pod(&self, change: &Change<Pod>) {
        match change {
            Change::Added { new, .. } => {
                self.observe(&new.metadata, Action::Create, write::POD);
                if new.metadata.deletion_timestamp.is_some() {
                    self.observe(&new.metadata, Action::Delete, write::POD);
                }
                owners(&new.metadata).for_each(|owner| self.queue.add_for(change, owner));
            }
            Change::Updated { old, new } => {
                let awaited = self.see(&new.metadata) == Observed::Awaited;
                if new.metadata.deletion_timestamp.is_some() {
                    self.observe(&new.metadata, Action::Delete, write::POD);
                }
                if awaited || matters::of_pod(old, new) {
                    owners(&new.metadata).for_each(|owner| self.queue.add(owner));
                }
                if old.metadata.owner_references != new.metadata.owner_references {
                    owners(&old.metadata).for_each(|owner| self.queue.add(owner));
                }
            }
            Change::Deleted { last } => {
                self.expectations.versions.forget(&last.metadata.uid);
                self.observe(&last.metadata, Action::Delete, write::POD);
                owners(&last.metadata).for_each(|owner| self.queue.add(owner));
            }
        }
    }

    fn claim(&self, change: &Change<PersistentVolumeClaim>) {
        let resource = write::PERSISTENT_VOLUME_CLAIM;
        let claim = match change {
            Change::Added { new, .. } => {
                self.observe(&new.metadata, Action::Create, resource);
                new
            }
            Change::Updated { old, new } if !matters::of_metadata(&old.metadata, &new.metadata) => return,
            Change::Updated { new, .. } => new,
            Change::Deleted { last } => {
                self.observe(&last.metadata, Action::Delete, resource);
                last
            }
        };
        if claim.metadata.deletion_timestamp.is_some() {
            self.observe(&claim.metadata, Action::Delete, resource);
        }
        owners(&claim.metadata).for_each(|owner| self.queue.add_for(change, owner));
    }

    fn revision(&self, change: &Change<ControllerRevision>) {
        let stored = match change {
            Change::Added { new, .. } => {
                self.observe(&new.metadata, Action::Create, write::CONTROLLER_REVISION);
                new
            }
            Change::Updated { old, new } if !matters::of_revision(old, new) => return,
            Change::Updated { new, .. } => new,
            Change::Deleted { last } => {
                self.observe(&last.metadata, Action::Delete, write::CONTROLLER_REVISION);
                last
            }
        };
        owners(&stored.metadata).for_each(|owner| self.queue.add_for(change, owner));
    }

    /// Meets the expectation of a version.
    fn see(&self, metadata: &Metadata) -> Observed {
        self.expectations.versions.observe(&metadata.uid, &metadata.resource_version)
    }

    /// Meets the expectation that the owner of an object has of it: the controller, or any owner of a claim.
    fn observe(&self, metadata: &Metadata, action: Action, resource: write::Resource) {
        let controller = pod::owner_controller(metadata).filter(|owner| is_cloneset(owner));
        let key = |owner: &OwnerReference| ObjectKey::new(metadata.namespace.clone(), owner.name.clone());
        let expecting: Vec<_> = match resource {
            write::PERSISTENT_VOLUME_CLAIM => owners(metadata).collect(),
            _ => controller.map(key).into_iter().collect(),
        };
        for owner in expecting {
            self.expectations.scale.observe(&owner, action, resource.plural, &metadata.name);
        }
    }
}

/// The CloneSets that own an object, by group, kind and name, in any version.
fn owners(metadata: &Metadata) -> impl Iterator<Item = ObjectKey> {
    let owners = metadata.owner_references.iter().filter(|owner| is_cloneset(owner));
    owners.map(|owner| ObjectKey::new(metadata.namespace.clone(), owner.name.clone()))
}

fn is_cloneset(owner: &OwnerReference) -> bool {
    owner.kind == write::CLONE_SET.kind
        && owner.api_version.split_once('/').is_some_and(|(group, _)| group == write::CLONE_SET.group)
}
