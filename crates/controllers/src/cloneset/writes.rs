//! The writes that scaling and updating share: moving a Pod to a lifecycle state, deleting it with its claims.

use api::{
    k8s::{PersistentVolumeClaim, Pod},
    keys,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use rules::{
    lifecycle::{self, State, Transition},
    pod,
    write::{Event, Group, PERSISTENT_VOLUME_CLAIM, POD, Patch, PatchFormat, Resource, Subresource, Verb, Write},
};
use serde_json::{Value, json};

use super::snapshot::Snapshot;

/// A write to an owned object, without events.
pub(super) fn write(resource: Resource, metadata: &ObjectMeta, reason: &'static str, verb: Verb) -> Write {
    Write {
        resource,
        namespace: metadata.namespace.clone(),
        name: metadata.name.clone().unwrap_or_default(),
        verb,
        reason,
        revision: None,
        on_success: None,
        on_failure: None,
    }
}

/// A strategic merge patch.
pub(super) fn strategic(subresource: Subresource, body: Value) -> Patch {
    Patch { subresource, format: PatchFormat::Strategic, body }
}

/// Patches of one Pod that apply to the version that was judged, and to no other.
pub(super) fn patch_judged(pod: &Pod, reason: &'static str, patches: Vec<Patch>) -> Write {
    let verb =
        Verb::Patch { uid: pod.metadata.uid.clone(), resource_version: pod.metadata.resource_version.clone(), patches };
    write(POD, &pod.metadata, reason, verb)
}

/// A patch of one Pod's labels that any version may take (PA-2).
pub(super) fn patch_labels(pod: &Pod, reason: &'static str, labels: Value) -> Write {
    let patches = vec![strategic(Subresource::None, json!({"metadata": {"labels": labels}}))];
    write(POD, &pod.metadata, reason, Verb::Patch { uid: pod.metadata.uid.clone(), resource_version: None, patches })
}

/// The patches of a transition: one on the status where conditions change too, as labels and annotations may travel with
/// it (ruling 18); finalizers can not.
pub(super) fn transition_patches(transition: Transition, extra_conditions: Vec<Value>) -> Vec<Patch> {
    let Transition { mut metadata, mut conditions } = transition;
    conditions.extend(extra_conditions);
    if conditions.is_empty() {
        return vec![strategic(Subresource::None, json!({"metadata": metadata}))];
    }
    let mut patches = Vec::new();
    if let Some(finalizers) = metadata.remove("finalizers") {
        patches.push(strategic(Subresource::None, json!({"metadata": {"finalizers": finalizers}})));
    }
    patches.push(strategic(Subresource::Status, json!({"metadata": metadata, "status": {"conditions": conditions}})));
    patches
}

/// Moves a Pod to a lifecycle state; `None` where there is nothing to write.
pub(super) fn to_state(world: &Snapshot, pod: &Pod, to: State, reason: &'static str, now: Timestamp) -> Option<Write> {
    let transition = lifecycle::transition(pod, to, world.lifecycle(), now)?;
    Some(patch_judged(pod, reason, transition_patches(transition, Vec::new())))
}

/// Deletes a Pod with its claims, or lets it prepare for that where its hook holds it (CS-47). Empty where it is
/// preparing already.
pub(super) fn delete(world: &Snapshot, pod: &Pod, reason: &'static str, now: Timestamp) -> Group {
    let hook = world.lifecycle().and_then(|hooks| hooks.pre_delete.as_ref());
    if lifecycle::is_hooked(pod, hook) {
        return to_state(world, pod, State::PreparingDelete, "prepare for deletion", now).into_iter().collect();
    }
    let name = pod.metadata.name.clone().unwrap_or_default();
    let mut group = vec![Write {
        on_success: Some(Event::normal("SuccessfulDelete", format!("succeed to delete pod {name}"))),
        on_failure: Some(failed_delete(&format!("pod {name}"))),
        ..write(POD, &pod.metadata, reason, Verb::Delete { uid: pod.metadata.uid.clone().unwrap_or_default() })
    }];
    let id = pod::instance_id(pod);
    let of_pod = |claim: &&std::sync::Arc<PersistentVolumeClaim>| {
        id.is_some()
            && claim.metadata.labels.as_ref().and_then(|all| all.get(keys::INSTANCE_ID_LABEL)).map(String::as_str) == id
    };
    group.extend(world.claims.iter().filter(of_pod).map(|claim| delete_claim(claim, "pvc")));
    group
}

/// Deletes a claim; `what` is the noun of its event.
pub(super) fn delete_claim(claim: &PersistentVolumeClaim, what: &str) -> Write {
    let name = claim.metadata.name.clone().unwrap_or_default();
    let uid = claim.metadata.uid.clone().unwrap_or_default();
    Write {
        on_failure: Some(failed_delete(&format!("{what} {name}"))),
        ..write(PERSISTENT_VOLUME_CLAIM, &claim.metadata, "delete claim", Verb::Delete { uid })
    }
}

fn failed_delete(what: &str) -> Event {
    Event::warning("FailedDelete", format!("failed to delete {what}: {{err}}"))
}
