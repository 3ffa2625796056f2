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
    k8s::{Metadata, OwnerReference},
};
use rules::write::{self, Resource};
use runtime::{
    expectations::{Expectations, Freed, Observed},
    informer::{Cached, Change, ObjectKey},
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
        move |change| wake.owned(write::POD, change, matters::of_pod)
    });
    caches.claims.wanted().on_change({
        let wake = wake.clone();
        move |change| wake.owned(write::PERSISTENT_VOLUME_CLAIM, change, matters::of_claim)
    });
    let of_revision = move |change: &Change<_>| wake.owned(write::CONTROLLER_REVISION, change, matters::of_revision);
    caches.revisions.wanted().on_change(of_revision);
}

#[derive(Clone)]
struct Wake {
    queue: Queue,
    expectations: Expectations,
}

impl Wake {
    fn cloneset(&self, change: &Change<CloneSet>) {
        let observed = self.meet(write::CLONE_SET, change);
        match change {
            Change::Added { new, .. } => self.queue.add_for(change, ObjectKey::of(new.as_ref())),
            Change::Updated { old, new } => {
                let wakes = match observed {
                    Observed::Awaited => true,
                    // Our own status came back: it says what the last pass knew.
                    Observed::Met => matters::of_cloneset(old, new),
                    Observed::Nothing => matters::of_cloneset(old, new) || old.status != new.status,
                };
                if wakes {
                    self.queue.add(ObjectKey::of(new.as_ref()));
                }
            }
            Change::Deleted { last } => self.queue.add(ObjectKey::of(last.as_ref())),
        }
    }

    /// Something that CloneSets own: those that own it now or did before.
    fn owned<T: Cached>(&self, resource: Resource, change: &Change<T>, matters: fn(&T, &T) -> bool) {
        let observed = self.meet(resource, change);
        match change {
            Change::Added { new, .. } => owners(new.metadata()).for_each(|owner| self.queue.add_for(change, owner)),
            Change::Updated { old, new } => {
                let (before, now) = (old.metadata(), new.metadata());
                if observed == Observed::Awaited || matters(old, new) {
                    owners(now).for_each(|owner| self.queue.add(owner));
                }
                if before.owner_references != now.owner_references {
                    owners(before).for_each(|owner| self.queue.add(owner));
                }
            }
            Change::Deleted { last } => owners(last.metadata()).for_each(|owner| self.queue.add(owner)),
        }
    }

    /// Meets the expectations that a change fulfils, and wakes the CloneSet that was found waiting for it even if the
    /// object is not its own any more. Returns what it meant for the version of the object.
    fn meet<T: Cached>(&self, resource: Resource, change: &Change<T>) -> Observed {
        let Freed { owner, object } = self.expectations.observe(resource, change);
        if let Some(owner) = owner {
            self.queue.add(owner);
        }
        object
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
