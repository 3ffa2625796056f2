//! Which events wake which CloneSet, and which expectations they meet (page 4.11).

use std::time::Duration;

use api::{
    cloneset::CloneSet,
    k8s::{ControllerRevision, Metadata, PersistentVolumeClaim, Pod},
};
use rules::{pod, selector::Selector, write};
use runtime::{
    expectations::{Action, Expectations},
    informer::{Change, ObjectKey, Store},
    queue::Queue,
};

use crate::caches::{BY_NAMESPACE, Caches};

/// How long the events of the first list are collected before their CloneSets are looked at.
const INITIAL_DELAY: Duration = Duration::from_secs(3);

/// Adds the handlers of this kind to the caches.
pub fn register(caches: &mut Caches, queue: &Queue, expectations: &Expectations) {
    let clonesets = caches.clonesets.store();
    let wake = Wake { queue: queue.clone(), expectations: expectations.clone(), clonesets };
    caches.clonesets.on_change({
        let wake = wake.clone();
        move |change| wake.cloneset(change)
    });
    caches.pods.on_change({
        let wake = wake.clone();
        move |change| wake.pod(change)
    });
    caches.claims.on_change({
        let wake = wake.clone();
        move |change| wake.claim(change)
    });
    caches.revisions.on_change(move |change| wake.revision(change));
}

#[derive(Clone)]
struct Wake {
    queue: Queue,
    expectations: Expectations,
    clonesets: Store<CloneSet>,
}

impl Wake {
    fn cloneset(&self, change: &Change<CloneSet>) {
        let (Change::Added { new: object, .. }
        | Change::Updated { new: object, .. }
        | Change::Deleted { last: object }) = change;
        let uid = object.metadata.uid.as_str();
        match change {
            Change::Deleted { .. } => self.expectations.versions.forget(uid),
            Change::Added { .. } | Change::Updated { .. } => {
                let seen = object.metadata.resource_version.as_str();
                self.expectations.versions.observe(uid, seen);
            }
        }
        self.queue.add(ObjectKey::of(object.as_ref()));
    }

    fn pod(&self, change: &Change<Pod>) {
        match change {
            Change::Added { new, initial } => match controller(&new.metadata) {
                Some(owner) => {
                    let name = new.metadata.name.as_str();
                    self.expectations.scale.observe(&owner, Action::Create, write::POD.plural, name);
                    if new.metadata.deletion_timestamp.is_some() {
                        self.expectations.scale.observe(&owner, Action::Delete, write::POD.plural, name);
                    }
                    self.enqueue(owner, *initial);
                }
                None => self.wake_matching(new, *initial),
            },
            Change::Updated { old, new } => {
                {
                    let uid = &new.metadata.uid;
                    let seen = new.metadata.resource_version.as_str();
                    self.expectations.versions.observe(uid, seen);
                }
                let (before, owner) = (controller(&old.metadata), controller(&new.metadata));
                if let Some(before) = before.filter(|before| Some(before) != owner.as_ref()) {
                    self.queue.add(before);
                }
                match owner {
                    Some(owner) => {
                        if new.metadata.deletion_timestamp.is_some() {
                            let name = new.metadata.name.as_str();
                            self.expectations.scale.observe(&owner, Action::Delete, write::POD.plural, name);
                        }
                        self.queue.add(owner);
                    }
                    None if old.metadata.labels != new.metadata.labels
                        || old.metadata.owner_references != new.metadata.owner_references =>
                    {
                        self.wake_matching(new, false);
                    }
                    None => {}
                }
            }
            Change::Deleted { last } => {
                self.expectations.versions.forget(&last.metadata.uid);
                if let Some(owner) = controller(&last.metadata) {
                    let name = last.metadata.name.as_str();
                    self.expectations.scale.observe(&owner, Action::Delete, write::POD.plural, name);
                    self.queue.add(owner);
                }
            }
        }
    }

    fn claim(&self, change: &Change<PersistentVolumeClaim>) {
        let (Change::Added { new: claim, .. } | Change::Updated { new: claim, .. } | Change::Deleted { last: claim }) =
            change;
        let name = claim.metadata.name.as_str();
        for owner in claim.metadata.owner_references.iter().filter(|owner| is_cloneset(&owner.api_version, &owner.kind))
        {
            let owner = ObjectKey::new(claim.metadata.namespace.to_string(), owner.name.clone());
            let resource = write::PERSISTENT_VOLUME_CLAIM.plural;
            if matches!(change, Change::Added { .. }) {
                self.expectations.scale.observe(&owner, Action::Create, resource, name);
                self.queue.add(owner.clone());
            }
            if matches!(change, Change::Deleted { .. }) || claim.metadata.deletion_timestamp.is_some() {
                self.expectations.scale.observe(&owner, Action::Delete, resource, name);
                self.queue.add(owner);
            }
        }
    }

    fn revision(&self, change: &Change<ControllerRevision>) {
        let (Change::Added { new: stored, .. }
        | Change::Updated { new: stored, .. }
        | Change::Deleted { last: stored }) = change;
        let Some(owner) = controller(&stored.metadata) else { return };
        let name = stored.metadata.name.as_str();
        let resource = write::CONTROLLER_REVISION.plural;
        match change {
            Change::Added { .. } => self.expectations.scale.observe(&owner, Action::Create, resource, name),
            Change::Updated { .. } => {}
            Change::Deleted { .. } => self.expectations.scale.observe(&owner, Action::Delete, resource, name),
        }
        self.queue.add(owner);
    }

    /// At the first list each CloneSet comes once, after its Pods, not once for each of them.
    fn enqueue(&self, owner: ObjectKey, initial: bool) {
        if initial { self.queue.add_after(owner, INITIAL_DELAY) } else { self.queue.add(owner) }
    }

    /// A Pod without a controller wakes each CloneSet that selects it; no adoption follows.
    fn wake_matching(&self, pod: &Pod, initial: bool) {
        let namespace = pod.metadata.namespace.as_str();
        for cloneset in self.clonesets.by_index(BY_NAMESPACE, namespace) {
            let selects =
                Selector::compile(&cloneset.spec.selector).is_ok_and(|selector| selector.matches(&pod.metadata.labels));
            if selects {
                self.enqueue(ObjectKey::of(cloneset.as_ref()), initial);
            }
        }
    }
}

/// The CloneSet that controls an object, by group, kind and name, in any version.
fn controller(metadata: &Metadata) -> Option<ObjectKey> {
    let owner = pod::owner_controller(metadata).filter(|owner| is_cloneset(&owner.api_version, &owner.kind))?;
    Some(ObjectKey::new(metadata.namespace.to_string(), owner.name.clone()))
}

fn is_cloneset(api_version: &str, kind: &str) -> bool {
    kind == write::CLONE_SET.kind
        && api_version.split_once('/').is_some_and(|(group, _)| group == write::CLONE_SET.group)
}
