//! The binder of claims, and who keeps claims from going while Pods use them.
//!
//! Every claim gets a volume at once, as with a dynamic provisioner and binding mode Immediate. The volume itself is
//! no object here: nobody reads it.

use serde_json::{Value, json};

use super::agenda::{Agenda, Task};
use super::deletion_began;
use super::fields::{at, list, text};
use super::scene::{Millis, Scene, claims_of, drawn};
use crate::server::call::{Call, Verb, Written};

const BINDER: &str = "system:serviceaccount:kube-system:persistent-volume-binder";
const PROTECTOR: &str = "system:serviceaccount:kube-system:pvc-protection-controller";
const MANAGER: &str = "kube-controller-manager";
const FINALIZER: &str = "kubernetes.io/pvc-protection";

/// From a new claim to its volume.
const BIND: Millis = 50..500;
/// From a deletion to the look at who uses the claim.
const RELEASE: Millis = 10..200;

pub(super) fn saw(written: &Written, agenda: &mut Agenda, chance: &mut fastrand::Rng) {
    let (namespace, name) = (written.namespace.clone(), written.name.clone());
    if written.before.is_none() {
        agenda.add(drawn(written.at, BIND, chance), Task::BindClaim { namespace, name });
    } else if deletion_began(written) {
        agenda.add(drawn(written.at, RELEASE, chance), Task::ReleaseClaim { namespace, name });
    }
}

/// A Pod is gone: its claims may go too.
pub(super) fn released(pod: &Value, now: jiff::Timestamp, agenda: &mut Agenda, chance: &mut fastrand::Rng) {
    for claim in claims_of(pod) {
        let (namespace, name) = (text(at(pod, "metadata.namespace")).to_owned(), claim.to_owned());
        agenda.add(drawn(now, RELEASE, chance), Task::ReleaseClaim { namespace, name });
    }
}

pub(super) fn bind(namespace: &str, name: &str, scene: &mut Scene<'_>) {
    let target = || Call::new(Verb::Get, "persistentvolumeclaims").at(namespace, name);
    let Some(claim) = scene.cluster.get("persistentvolumeclaims", namespace, name) else { return };
    if !at(&claim, "metadata.deletionTimestamp").is_null() || at(&claim, "status.phase") == "Bound" {
        return;
    }
    if text(at(&claim, "spec.volumeName")).is_empty() {
        let volume = format!("pvc-{}", text(at(&claim, "metadata.uid")));
        let body = json!({"metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes",
            "pv.kubernetes.io/bound-by-controller": "yes"}}, "spec": {"volumeName": volume}});
        if scene.patch(BINDER, MANAGER, target(), body).is_none() {
            return;
        }
    }
    let status = json!({"phase": "Bound", "accessModes": at(&claim, "spec.accessModes"),
        "capacity": {"storage": at(&claim, "spec.resources.requests.storage")}});
    scene.patch(BINDER, MANAGER, target().sub("status"), json!({"status": status}));
}

/// Lets a deleted claim go unless a Pod with a node mounts it. A Pod without a node does not count: no kubelet would
/// start it with a claim that is being deleted.
pub(super) fn unprotect(namespace: &str, name: &str, scene: &mut Scene<'_>) {
    let Some(claim) = scene.cluster.get("persistentvolumeclaims", namespace, name) else { return };
    let finalizers = list(at(&claim, "metadata.finalizers"));
    if at(&claim, "metadata.deletionTimestamp").is_null() || !finalizers.iter().any(|f| f == FINALIZER) {
        return;
    }
    let uses = |pod: &Value| {
        at(pod, "metadata.namespace") == namespace
            && !text(at(pod, "spec.nodeName")).is_empty()
            && claims_of(pod).any(|claim| claim == name)
    };
    if scene.cluster.objects("pods").iter().any(|pod| uses(pod)) {
        return;
    }
    let others: Vec<_> = finalizers.iter().filter(|finalizer| *finalizer != FINALIZER).cloned().collect();
    let body = json!({"metadata": {"uid": at(&claim, "metadata.uid"), "finalizers": others}});
    scene.patch(PROTECTOR, MANAGER, Call::new(Verb::Get, "persistentvolumeclaims").at(namespace, name), body);
}
