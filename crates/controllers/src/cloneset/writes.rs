//! The writes that scaling and updating share: moving a Pod to a lifecycle state, deleting it with its claims.

use api::{
    k8s::{Metadata, PersistentVolumeClaim, Pod, Text},
    keys,
};
use jiff::Timestamp;
use rules::{
    lifecycle::{self, State, Transition},
    pod,
    write::{Event, Group, PERSISTENT_VOLUME_CLAIM, POD, Patch, PatchFormat, Resource, Subresource, Verb, Write},
};
use serde_json::{Value, json};

use super::snapshot::Snapshot;

/// A write to an owned object, without events.
pub(super) fn write(resource: Resource, metadata: &Metadata, reason: &'static str, verb: Verb) -> Write {
    Write {
        resource,
        namespace: Some(metadata.namespace.to_string()),
        name: metadata.name.to_string(),
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
    let verb = Verb::Patch {
        uid: Some(pod.metadata.uid.to_string()),
        resource_version: Some(pod.metadata.resource_version.to_string()),
        patches,
    };
    write(POD, &pod.metadata, reason, verb)
}

/// A patch of one Pod's labels that any version may take (PA-2).
pub(super) fn patch_labels(pod: &Pod, reason: &'static str, labels: Value) -> Write {
    let patches = vec![strategic(Subresource::None, json!({"metadata": {"labels": labels}}))];
    write(
        POD,
        &pod.metadata,
        reason,
        Verb::Patch { uid: Some(pod.metadata.uid.to_string()), resource_version: None, patches },
    )
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
    let name = pod.metadata.name.to_string();
    let mut group = vec![Write {
        on_success: Some(Event::normal("SuccessfulDelete", format!("succeed to delete pod {name}"))),
        on_failure: Some(failed_delete(&format!("pod {name}"))),
        ..write(POD, &pod.metadata, reason, Verb::Delete { uid: pod.metadata.uid.to_string() })
    }];
    let id = pod::instance_id(pod);
    let of_pod = |claim: &&std::sync::Arc<PersistentVolumeClaim>| {
        id.is_some() && claim.metadata.labels.get(keys::INSTANCE_ID_LABEL).map(Text::as_str) == id
    };
    group.extend(world.claims.iter().filter(of_pod).map(|claim| delete_claim(claim, "pvc")));
    group
}

/// Deletes a claim; `what` is the noun of its event.
pub(super) fn delete_claim(claim: &PersistentVolumeClaim, what: &str) -> Write {
    let name = claim.metadata.name.to_string();
    let uid = claim.metadata.uid.to_string();
    Write {
        on_failure: Some(failed_delete(&format!("{what} {name}"))),
        ..write(PERSISTENT_VOLUME_CLAIM, &claim.metadata, "delete claim", Verb::Delete { uid })
    }
}

fn failed_delete(what: &str) -> Event {
    Event::warning("FailedDelete", format!("failed to delete {what}: {{err}}"))
}
