//! Nodes and Namespaces.

use std::collections::BTreeSet;

use api::{
    field::{Denial, FieldPath},
    names,
};
use serde_json::{Value, json};

use super::{
    causes,
    look::{at, copy, default_to, items, items_mut, object_in, put, text},
};
use crate::server::failure::Cause;

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
/// A node that has not reported yet takes no Pods.
const NOT_READY: &str = "node.kubernetes.io/not-ready";
/// What the API always shows of a node, empty until its kubelet says.
const INFO: [&str; 10] = [
    "architecture",
    "bootID",
    "containerRuntimeVersion",
    "kernelVersion",
    "kubeProxyVersion",
    "kubeletVersion",
    "machineID",
    "operatingSystem",
    "osImage",
    "systemUUID",
];

pub(super) fn default_namespace(namespace: &mut Value) {
    let name = text(namespace, "/metadata/name").to_owned();
    let Some(metadata) = namespace.get_mut("metadata").filter(|_| !name.is_empty()) else { return };
    object_in(metadata, "labels");
    if let Some(labels) = metadata.get_mut("labels") {
        put(labels, "kubernetes.io/metadata.name", json!(name));
    }
}

pub(super) fn prepare_namespace(namespace: &mut Value) {
    let mut finalizers = items(namespace, "/spec/finalizers").to_vec();
    if !finalizers.iter().any(|name| name == "kubernetes") {
        finalizers.push(json!("kubernetes"));
    }
    put(namespace, "spec", json!({"finalizers": finalizers}));
    put(namespace, "status", json!({"phase": "Active"}));
}

pub(super) fn prepare_namespace_update(new: &mut Value, old: &Value) {
    for member in ["spec", "status"] {
        copy(new, old, member);
    }
}

pub(super) fn default_node(node: &mut Value) {
    for member in ["spec", "status"] {
        default_to(node, member, || json!({}));
    }
    let Some(spec) = node.get_mut("spec") else { return };
    if let Some(cidr) = spec.get("podCIDR").and_then(Value::as_str).map(str::to_owned)
        && text(spec, "/podCIDRs/0") != cidr
    {
        put(spec, "podCIDRs", json!([cidr]));
    }
    let Some(status) = node.get_mut("status") else { return };
    default_to(status, "daemonEndpoints", || json!({"kubeletEndpoint": {"Port": 0}}));
    default_to(status, "nodeInfo", || json!({}));
    if let Some(info) = status.get_mut("nodeInfo") {
        for member in INFO {
            default_to(info, member, || json!(""));
        }
    }
    let capacity = at(status, "/capacity").clone();
    if !capacity.is_null() {
        default_to(status, "allocatable", || capacity);
    }
    for condition in items_mut(status, "/conditions") {
        for member in ["lastHeartbeatTime", "lastTransitionTime"] {
            default_to(condition, member, || Value::Null);
        }
    }
}

/// The admission plugin that keeps Pods off a node until it is ready.
pub(super) fn admit_node(node: &mut Value) {
    object_in(node, "spec");
    let Some(spec) = node.get_mut("spec") else { return };
    default_to(spec, "taints", || json!([]));
    if items(spec, "/taints").iter().any(|taint| text(taint, "/key") == NOT_READY) {
        return;
    }
    if let Some(taints) = spec.get_mut("taints").and_then(Value::as_array_mut) {
        taints.push(json!({"key": NOT_READY, "effect": "NoSchedule"}));
    }
}

pub(super) fn node(node: &Value) -> Vec<Cause> {
    let mut out: Vec<Denial> = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, taint) in items(node, "/spec/taints").iter().enumerate() {
        // The server gives this path.
        let path = FieldPath::new("metadata").child("taints").index(index);
        let (key, value, effect) = (text(taint, "/key"), text(taint, "/value"), text(taint, "/effect"));
        if let Err(detail) = names::qualified_name(key) {
            out.push(path.child("key").invalid(key, detail));
        }
        if let Err(detail) = names::label_value(value) {
            out.push(path.child("value").invalid(value, detail));
        }
        if !EFFECTS.contains(&effect) {
            out.push(path.child("effect").not_supported(effect, &EFFECTS));
        }
        if !seen.insert((key, effect)) {
            let shown = json!({"Key": key, "Value": value, "Effect": effect, "TimeAdded": at(taint, "/timeAdded")});
            out.push(Denial {
                detail: "taints must be unique by key and effect pair".to_owned(),
                ..path.duplicate(shown)
            });
        }
    }
    causes(out)
}

pub(super) fn node_update(new: &Value, old: &Value) -> Vec<Cause> {
    let path = FieldPath::new("spec");
    let mut out = node(new);
    for (member, shown) in [("podCIDRs", "podCIDR"), ("providerID", "providerID")] {
        let (now, before) = (at(new, "/spec").get(member), at(old, "/spec").get(member));
        if before.is_some_and(|before| !before.is_null() && before != "") && now != before {
            let detail = format!("node updates may not change {shown} except from \"\" to valid");
            out.push(path.child(member).forbidden(detail).into());
        }
    }
    if at(new, "/spec/externalID") != at(old, "/spec/externalID") {
        out.push(path.child("externalID").forbidden("may not be updated").into());
    }
    out
}
