//! What kubelets report: what of a Pod a status write may touch, and which reports are refused.

use std::net::IpAddr;

use api::{
    field::{Denial, FieldPath},
    names,
};
use serde_json::{Value, json};

use crate::server::{
    failure::Cause,
    rules::{
        causes,
        look::{at, copy, default_to, items, items_mut, put, text},
    },
};

const NOT_AN_ADDRESS: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

/// Members that the API always shows, and the address that stands in two places.
pub(super) fn default(pod: &mut Value) {
    let Some(status) = pod.get_mut("status") else { return };
    let address = text(status, "/podIP").to_owned();
    if !address.is_empty() {
        if text(status, "/podIPs/0/ip") != address {
            put(status, "podIPs", json!([{"ip": address}]));
        }
    } else if let Some(first) = status.pointer("/podIPs/0/ip").cloned() {
        put(status, "podIP", first);
    }
    for condition in items_mut(status, "/conditions") {
        for member in ["lastProbeTime", "lastTransitionTime"] {
            default_to(condition, member, || Value::Null);
        }
    }
    for list in ["/containerStatuses", "/initContainerStatuses"] {
        for container in items_mut(status, list) {
            for member in ["state", "lastState"] {
                default_to(container, member, || json!({}));
            }
        }
    }
}

/// A status write leaves spec and owners alone; labels, annotations and finalizers it may change.
pub fn prepare_status(new: &mut Value, old: &Value) {
    copy(new, old, "spec");
    if let Some(metadata) = new.get_mut("metadata") {
        copy(metadata, at(old, "/metadata"), "ownerReferences");
    }
    // The class is fixed; who leaves it out means no change.
    if let Some(status) = new.get_mut("status")
        && let class @ Value::String(_) = at(old, "/status/qosClass")
    {
        default_to(status, "qosClass", || class.clone());
    }
}

/// What is wrong with a report.
#[must_use]
pub fn on_status(new: &Value, old: &Value) -> Vec<Cause> {
    let path = FieldPath::new("status");
    let mut out = Vec::new();
    for (index, condition) in items(new, "/status/conditions").iter().enumerate() {
        let name = text(condition, "/type");
        if let Err(detail) = names::qualified_name(name) {
            out.push(path.child("conditions").index(index).child("Type").invalid(name, detail));
        }
    }
    let node = text(new, "/status/nominatedNodeName");
    if !node.is_empty()
        && let Err(detail) = names::dns_subdomain(node)
    {
        out.push(path.child("nominatedNodeName").invalid(node, detail));
    }
    if let Some(generation) = at(new, "/status/observedGeneration").as_i64().filter(|generation| *generation < 0) {
        out.push(path.child("observedGeneration").invalid(generation, "must be a non-negative integer"));
    }
    let class = at(new, "/status/qosClass");
    if !at(old, "/status/qosClass").is_null() && class != at(old, "/status/qosClass") {
        out.push(path.child("qosClass").invalid(class.clone(), "field is immutable"));
    }
    restarts(new, old, &path, &mut out);
    addresses(new, &path, &mut out);
    causes(out)
}

/// A container that ended for good does not run again.
fn restarts(new: &Value, old: &Value, path: &FieldPath, out: &mut Vec<Denial>) {
    let policy = text(new, "/spec/restartPolicy");
    for (list, specs) in [("containerStatuses", "/spec/containers"), ("initContainerStatuses", "/spec/initContainers")]
    {
        let of_init = specs == "/spec/initContainers";
        for (index, status) in items(new, &format!("/status/{list}")).iter().enumerate() {
            let name = text(status, "/name");
            let named = |item: &&Value| text(item, "/name") == name;
            let own = items(new, specs).iter().find(named).map_or("", |container| text(container, "/restartPolicy"));
            let Some(before) = items(old, &format!("/status/{list}")).iter().find(named) else { continue };
            let ended = at(before, "/state/terminated");
            let may_restart = match (if own.is_empty() { policy } else { own }, of_init) {
                ("Always", _) | ("OnFailure", true) => true,
                ("OnFailure", _) => at(ended, "/exitCode") != &json!(0),
                // Init containers of a Pod whose sandbox is gone run again.
                (_, true) => at(ended, "/exitCode") == &json!(0),
                (_, false) => false,
            };
            if !ended.is_null() && !may_restart && at(status, "/state/terminated").is_null() {
                out.push(
                    path.child(list)
                        .index(index)
                        .child("state")
                        .forbidden("may not be transitioned to non-terminated state"),
                );
            }
        }
    }
}

fn addresses(new: &Value, path: &FieldPath, out: &mut Vec<Denial>) {
    for (list, single) in [("podIPs", "podIP"), ("hostIPs", "hostIP")] {
        for (index, item) in items(new, &format!("/status/{list}")).iter().enumerate() {
            let (address, path) = (text(item, "/ip"), path.child(list).index(index));
            if index == 0 && list == "hostIPs" && address != text(new, &format!("/status/{single}")) {
                out.push(path.child("ip").invalid(address, "must be equal to `hostIP`"));
            }
            if address.parse::<IpAddr>().is_err() {
                out.push(path.invalid(address, NOT_AN_ADDRESS));
            }
        }
    }
}
