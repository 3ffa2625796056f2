//! Pods: what is filled in, what the server keeps for itself, and the QoS class.
//!
//! `create` checks new Pods, `update` says what may change, `status` the reports of kubelets, `binding` and `resize`
//! are the subresources, `admission` are the plugins that a cluster has by default. Order of a write: `default`,
//! admission, `prepare_*`, the check.

pub mod admission;
mod binding;
mod container;
mod create;
mod resize;
mod status;
mod update;

use api::{
    quantity::Quantity,
    template::defaults::{self, HostPorts},
};
pub use binding::bind;
pub use create::{on_create, simulated};
pub use resize::resize;
use serde_json::{Map, Value, json};
pub use status::{on_status, prepare_status};
pub use update::on_update;

use super::{
    look::{at, copy, default_text, default_to, entries, items, items_mut, put, remove, text},
    metadata,
};

/// Lists of containers that a Pod's user writes.
const CONTAINERS: [&str; 2] = ["/spec/containers", "/spec/initContainers"];

/// What is filled into a Pod. Doing it twice is the same as once.
pub fn default(pod: &mut Value) {
    container::default(pod);
    let host_ports = at(pod, "/spec/hostNetwork") == &json!(true);
    defaults::apply(pod, if host_ports { HostPorts::CopyContainerPorts } else { HostPorts::Leave });
    for list in CONTAINERS {
        for container in items_mut(pod, list) {
            requests_from_limits(container);
        }
    }
    if let Some(spec) = pod.get_mut("spec") {
        default_to(spec, "enableServiceLinks", || json!(true));
        // The old name of the same field.
        for (new, old) in [("serviceAccountName", "serviceAccount"), ("serviceAccount", "serviceAccountName")] {
            let name = spec.get(old).and_then(Value::as_str).unwrap_or_default().to_owned();
            if !name.is_empty() {
                default_text(spec, new, &name);
            }
        }
    }
    status::default(pod);
}

/// What is filled into a Pod template, at the object that holds `spec`.
pub(super) fn default_template(template: &mut Value) {
    container::default(template);
    defaults::apply(template, HostPorts::Leave);
    default_to(template, "metadata", || json!({}));
}

fn requests_from_limits(container: &mut Value) {
    let limits = at(container, "/resources/limits").as_object().cloned().unwrap_or_default();
    if limits.is_empty() {
        return;
    }
    let Some(resources) = container.get_mut("resources") else { return };
    default_to(resources, "requests", || json!({}));
    let Some(requests) = resources.get_mut("requests") else { return };
    for (name, amount) in limits {
        default_to(requests, &name, || amount);
    }
}

/// What the server decides about a new Pod.
pub fn prepare_create(pod: &mut Value) {
    let mut status = json!({"phase": "Pending", "qosClass": qos(pod)});
    if !items(pod, "/spec/schedulingGates").is_empty() {
        let gated = json!([{
            "type": "PodScheduled", "status": "False", "lastProbeTime": null,
            "lastTransitionTime": at(pod, "/metadata/creationTimestamp"), "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
        }]);
        put(&mut status, "conditions", gated);
    }
    put(pod, "status", status);
    if at(pod, "/spec/terminationGracePeriodSeconds").as_i64().is_some_and(|seconds| seconds < 0)
        && let Some(spec) = pod.get_mut("spec")
    {
        put(spec, "terminationGracePeriodSeconds", json!(1));
    }
    metadata::next_generation(pod);
}

/// A plain write does not touch the status; a change of the spec is counted.
pub fn prepare_update(new: &mut Value, old: &Value) {
    copy(new, old, "status");
    if new.get("spec") != old.get("spec") {
        metadata::next_generation(new);
    }
}

/// The QoS class that requests and limits of cpu and memory amount to.
#[must_use]
pub fn qos(pod: &Value) -> &'static str {
    let (mut any, mut guaranteed) = (false, true);
    for container in CONTAINERS.iter().flat_map(|list| items(pod, list)) {
        let amount = |list: &str, name: &str| nanos(at(container, &format!("/resources/{list}/{name}")));
        for name in ["cpu", "memory"] {
            let (request, limit) = (amount("requests", name), amount("limits", name));
            any |= request > 0 || limit > 0;
            guaranteed &= limit > 0 && request == limit;
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// An amount in billionths; 0 where there is none.
fn nanos(amount: &Value) -> i128 {
    amount.as_str().and_then(Quantity::parse).map_or(0, |amount| amount.nanos())
}

/// Whether all entries of one resource list are in another.
fn has_all(list: &Value, wanted: &Value) -> bool {
    entries(wanted, "").all(|(name, _)| list.get(name).is_some())
}

fn name_of(pod: &Value) -> &str {
    text(pod, "/metadata/name")
}

fn take(pod: &mut Value, member: &str) -> Option<Value> {
    pod.get_mut("spec").and_then(|spec| remove(spec, member))
}

fn spec_mut(pod: &mut Value) -> Option<&mut Map<String, Value>> {
    pod.get_mut("spec")?.as_object_mut()
}

#[cfg(test)]
#[path = "../tests/pod.rs"]
mod tests;
