//! Which events wake which CloneSet, and which expectations they meet (page 4.11).
//!
//! The first list of a cache wakes in the background: it is the work of a start, and changes go before it. It is not
//! collected for 3 s as the page says: a controller begins once all its caches show their first list, so each CloneSet
//! is in the queue once however many Pods it has.

use api::{
    cloneset::v1beta1::CloneSet,
    k8s::{ControllerRevision, PersistentVolumeClaim, Pod},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use rules::{pod, selector::Selector, write};
use runtime::{
    expectations::{Action, Expectations},
    informer::{Change, ObjectKey, Store},
    queue::Queue,
};

use crate::caches::{BY_NAMESPACE, Caches};

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
        let uid = object.metadata.uid.as_deref().unwrap_or_default();
        match change {
            Change::Deleted { .. } => self.expectations.versions.forget(uid),
            Change::Added { .. } | Change::Updated { .. } => {
                let seen = object.metadata.resource_version.as_deref().unwrap_or_default();
                self.expectations.versions.observe(uid, seen);
            }
        }
        self.queue.add_for(change, ObjectKey::of(object.as_ref()));
    }

    fn pod(&self, change: &Change<Pod>) {
        match change {
            Change::Added { new, .. } => match controller(&new.metadata) {
                Some(owner) => {
                    let name = new.metadata.name.as_deref().unwrap_or_default();
                    self.expectations.scale.observe(&owner, Action::Create, write::POD.plural, name);
                    if new.metadata.deletion_timestamp.is_some() {
                        self.expectations.scale.observe(&owner, Action::Delete, write::POD.plural, name);
                    }
                    self.queue.add_for(change, owner);
                }
                None => self.wake_matching(change, new),
            },
            Change::Updated { old, new } => {
                if let Some(uid) = &new.metadata.uid {
                    let seen = new.metadata.resource_version.as_deref().unwrap_or_default();
                    self.expectations.versions.observe(uid, seen);
                }
                let (before, owner) = (controller(&old.metadata), controller(&new.metadata));
                if let Some(before) = before.filter(|before| Some(before) != owner.as_ref()) {
                    self.queue.add(before);
                }
                match owner {
                    Some(owner) => {
                        if new.metadata.deletion_timestamp.is_some() {
                            let name = new.metadata.name.as_deref().unwrap_or_default();
                            self.expectations.scale.observe(&owner, Action::Delete, write::POD.plural, name);
                        }
                        self.queue.add(owner);
                    }
                    None if old.metadata.labels != new.metadata.labels
                        || old.metadata.owner_references != new.metadata.owner_references =>
                    {
                        self.wake_matching(change, new);
                    }
                    None => {}
                }
            }
            Change::Deleted { last } => {
                if let Some(uid) = &last.metadata.uid {
                    self.expectations.versions.forget(uid);
                }
                if let Some(owner) = controller(&last.metadata) {
                    let name = last.metadata.name.as_deref().unwrap_or_default();
                    self.expectations.scale.observe(&owner, Action::Delete, write::POD.plural, name);
                    self.queue.add(owner);
                }
            }
        }
    }

    fn claim(&self, change: &Change<PersistentVolumeClaim>) {
        let (Change::Added { new: claim, .. } | Change::Updated { new: claim, .. } | Change::Deleted { last: claim }) =
            change;
        let name = claim.metadata.name.as_deref().unwrap_or_default();
        for owner in claim
            .metadata
            .owner_references
            .iter()
            .flatten()
            .filter(|owner| is_cloneset(&owner.api_version, &owner.kind))
        {
            let owner = ObjectKey::new(claim.metadata.namespace.clone().unwrap_or_default(), owner.name.clone());
            let resource = write::PERSISTENT_VOLUME_CLAIM.plural;
            if matches!(change, Change::Added { .. }) {
                self.expectations.scale.observe(&owner, Action::Create, resource, name);
                self.queue.add_for(change, owner.clone());
            }
            if matches!(change, Change::Deleted { .. }) || claim.metadata.deletion_timestamp.is_some() {
                self.expectations.scale.observe(&owner, Action::Delete, resource, name);
                self.queue.add_for(change, owner);
            }
        }
    }

    fn revision(&self, change: &Change<ControllerRevision>) {
        let (Change::Added { new: stored, .. }
        | Change::Updated { new: stored, .. }
        | Change::Deleted { last: stored }) = change;
        let Some(owner) = controller(&stored.metadata) else { return };
        let name = stored.metadata.name.as_deref().unwrap_or_default();
        let resource = write::CONTROLLER_REVISION.plural;
        match change {
            Change::Added { .. } => self.expectations.scale.observe(&owner, Action::Create, resource, name),
            Change::Updated { .. } => {}
            Change::Deleted { .. } => self.expectations.scale.observe(&owner, Action::Delete, resource, name),
        }
        self.queue.add_for(change, owner);
    }

    /// A Pod without a controller wakes each CloneSet that selects it; no adoption follows.
    fn wake_matching(&self, change: &Change<Pod>, pod: &Pod) {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        for cloneset in self.clonesets.by_index(BY_NAMESPACE, namespace) {
            let selects = Selector::compile(&cloneset.spec.selector)
                .is_ok_and(|selector| selector.matches(pod.metadata.labels.as_ref()));
            if selects {
                self.queue.add_for(change, ObjectKey::of(cloneset.as_ref()));
            }
        }
    }
}

/// The CloneSet that controls an object, by group, kind and name, in any version.
fn controller(metadata: &ObjectMeta) -> Option<ObjectKey> {
    let owner = pod::owner_controller(metadata).filter(|owner| is_cloneset(&owner.api_version, &owner.kind))?;
    Some(ObjectKey::new(metadata.namespace.clone().unwrap_or_default(), owner.name.clone()))
}

fn is_cloneset(api_version: &str, kind: &str) -> bool {
    kind == write::CLONE_SET.kind
        && api_version.split_once('/').is_some_and(|(group, _)| group == write::CLONE_SET.group)
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use runtime::queue::RateLimit;
    use serde_json::json;

    use super::*;

    fn wake() -> Wake {
        Wake {
            queue: Queue::new("cloneset-controller", RateLimit::default()),
            expectations: Expectations::new(Duration::from_secs(300)),
            clonesets: Caches::default().clonesets.store(),
        }
    }

    fn added<T: serde::de::DeserializeOwned>(metadata: serde_json::Value, initial: bool) -> Change<T> {
        let object = json!({"metadata": metadata, "spec": {"selector": {}, "template": {}}});
        Change::Added { new: Arc::new(serde_json::from_value(object).unwrap()), initial }
    }

    fn owned_by(cloneset: &str) -> serde_json::Value {
        json!({"name": format!("of-{cloneset}"), "namespace": "shop", "uid": "u", "ownerReferences": [{
            "apiVersion": "apps.kruise.io/v1beta1", "kind": "CloneSet", "name": cloneset, "uid": "c", "controller": true}]})
    }

    /// The CloneSets that are ready to be looked at now, in turn.
    async fn turns(queue: &Queue) -> Vec<String> {
        let mut names = Vec::new();
        while let Ok(Some(item)) = tokio::time::timeout(Duration::ZERO, queue.next()).await {
            names.push(item.key().name.clone());
        }
        names
    }

    // Page 4.11
    #[tokio::test(start_paused = true)]
    async fn what_the_first_lists_show_comes_once_and_after_changes() {
        let wake = wake();
        for name in ["a", "b"] {
            wake.cloneset(&added(json!({"name": name, "namespace": "shop", "uid": name}), true));
            wake.pod(&added(owned_by(name), true));
            wake.claim(&added(owned_by(name), true));
            wake.revision(&added(owned_by(name), true));
        }
        wake.pod(&added(owned_by("changed"), false));
        assert_eq!(turns(&wake.queue).await, ["changed", "a", "b"]);
    }

    // Page 4.11
    #[tokio::test(start_paused = true)]
    async fn a_change_of_each_kind_goes_before_the_first_list() {
        let wake = wake();
        wake.cloneset(&added(json!({"name": "old", "namespace": "shop", "uid": "old"}), true));
        wake.cloneset(&added(json!({"name": "a", "namespace": "shop", "uid": "a"}), false));
        wake.pod(&added(owned_by("b"), false));
        wake.claim(&added(owned_by("c"), false));
        wake.revision(&added(owned_by("d"), false));
        assert_eq!(turns(&wake.queue).await, ["a", "b", "c", "d", "old"]);
    }
}
