//! Which changes of an object can change the plan of its CloneSet. Everything else wakes nobody (CS-95 goes less far).
//!
//! What orders Pods when some have to go (node, restarts, when a condition began) is read when a plan is made, but a
//! change of it alone calls for none. Structs are taken apart without `..`: who adds a field decides here.

use api::{
    cloneset::CloneSet,
    k8s::{ControllerRevision, Metadata, PersistentVolumeClaim, Pod, PodCondition, PodSpec, PodStatus},
    keys,
};
use rules::{inplace, pod};

/// Conditions of a Pod that a plan reads.
const CONDITIONS: [&str; 4] = ["Ready", "ContainersReady", keys::POD_READY_CONDITION, keys::INPLACE_READY_CONDITION];

/// Metadata but for the version.
pub(super) fn of_metadata(old: &Metadata, new: &Metadata) -> bool {
    let Metadata {
        // Part of the identity: an object with another one is told as deleted and added.
        name: _,
        namespace: _,
        uid: _,
        creation_timestamp: _,
        resource_version: _,
        generation,
        deletion_timestamp,
        labels,
        annotations,
        owner_references,
        finalizers,
    } = new;
    old.generation != *generation
        || old.deletion_timestamp != *deletion_timestamp
        || old.labels != *labels
        || old.annotations != *annotations
        || old.owner_references != *owner_references
        || old.finalizers != *finalizers
}

/// A CloneSet but for its status.
pub(super) fn of_cloneset(old: &CloneSet, new: &CloneSet) -> bool {
    let CloneSet { metadata, spec, status: _ } = new;
    of_metadata(&old.metadata, metadata) || old.spec != *spec
}

/// A Pod but for what only orders it among others.
pub(super) fn of_pod(old: &Pod, new: &Pod) -> bool {
    let Pod { metadata, spec, status } = new;
    of_metadata(&old.metadata, metadata) || of_spec(&old.spec, spec) || of_status(old, &old.status, new, status)
}

/// A claim: a plan reads whose it is, not what has become of its volume.
pub(super) fn of_claim(old: &PersistentVolumeClaim, new: &PersistentVolumeClaim) -> bool {
    let PersistentVolumeClaim { metadata } = new;
    of_metadata(&old.metadata, metadata)
}

/// A revision.
pub(super) fn of_revision(old: &ControllerRevision, new: &ControllerRevision) -> bool {
    let ControllerRevision { metadata, data, revision } = new;
    of_metadata(&old.metadata, metadata) || old.revision != *revision || old.data != *data
}

fn of_spec(old: &PodSpec, new: &PodSpec) -> bool {
    let PodSpec { readiness_gates, containers, node_name: _, sidecars: _, claims: _ } = new;
    old.readiness_gates != *readiness_gates || old.containers != *containers
}

fn of_status(old_pod: &Pod, old: &PodStatus, new_pod: &Pod, new: &PodStatus) -> bool {
    let PodStatus { phase, conditions: _, container_statuses, init_container_statuses: _ } = new;
    old.phase != *phase
        || CONDITIONS.iter().any(|kind| of_condition(pod::condition(old_pod, kind), pod::condition(new_pod, kind)))
        // What runs is compared only where an update in place may wait for it.
        || (inplace::has_state(new_pod) && old.container_statuses != *container_statuses)
}

fn of_condition(old: Option<&PodCondition>, new: Option<&PodCondition>) -> bool {
    let (Some(old), Some(new)) = (old, new) else { return old.is_some() != new.is_some() };
    let PodCondition { type_: _, status, last_transition_time, reason: _, message } = new;
    old.status != *status || old.last_transition_time != *last_transition_time || old.message != *message
}
