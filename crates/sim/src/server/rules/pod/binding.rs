//! The binding of a Pod to a node: once, and never of a Pod that ends.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::name_of;
use crate::server::{
    failure::{Failure, Result},
    rules::look::{at, entries, items, object_in, put, text},
};

/// Binds a Pod to the node of a Binding.
///
/// # Errors
/// 409: the Pod is another one, is bound, gated or ends; 500 in the words of the server for a malformed Binding.
pub fn bind(pod: &mut Value, binding: &Value, now: Timestamp) -> Result<()> {
    let node = text(binding, "/target/name");
    let kind = text(binding, "/target/kind");
    if !["", "Node"].contains(&kind) {
        let detail = format!(r#"target.kind: Unsupported value: {kind:?}: supported values: "Node", "<empty>""#);
        return Err(Failure::new(500, "", detail));
    }
    if node.is_empty() {
        return Err(Failure::new(500, "", "target.name: Required value"));
    }
    let name = name_of(pod).to_owned();
    let uid = text(binding, "/metadata/uid");
    if !uid.is_empty() && uid != text(pod, "/metadata/uid") {
        let namespace = text(pod, "/metadata/namespace");
        let found = text(pod, "/metadata/uid");
        return Err(conflict(
            "pods",
            &name,
            &format!(
                "StorageError: invalid object, Code: 4, Key: /registry/pods/{namespace}/{name}, ResourceVersion: 0, \
                 AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: {found}"
            ),
        ));
    }
    let bound = text(pod, "/spec/nodeName");
    let refusal = if !at(pod, "/metadata/deletionTimestamp").is_null() {
        Some(format!("pod {name} is being deleted, cannot be assigned to a host"))
    } else if !bound.is_empty() {
        Some(format!("pod {name} is already assigned to node {bound:?}"))
    } else if !items(pod, "/spec/schedulingGates").is_empty() {
        Some(format!("pod {name} has non-empty .spec.schedulingGates"))
    } else {
        None
    };
    if let Some(refusal) = refusal {
        return Err(conflict("pods/binding", &name, &refusal));
    }
    if let Some(spec) = pod.get_mut("spec") {
        put(spec, "nodeName", json!(node));
    }
    let annotations: Vec<_> = entries(binding, "/metadata/annotations").collect();
    if let Some(metadata) = pod.get_mut("metadata").filter(|_| !annotations.is_empty())
        && let Some(own) = object_in(metadata, "annotations")
    {
        own.extend(annotations.into_iter().map(|(key, value)| (key.to_owned(), value.clone())));
    }
    scheduled(pod, now);
    Ok(())
}

/// The condition that tells of it.
fn scheduled(pod: &mut Value, now: Timestamp) {
    let condition = json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null,
        "lastTransitionTime": format!("{now:.0}")});
    let Some(status) = object_in(pod, "status") else { return };
    let list = status.entry("conditions").or_insert_with(|| json!([]));
    if list.is_null() {
        *list = json!([]);
    }
    let Some(list) = list.as_array_mut() else { return };
    match list.iter_mut().find(|known| text(known, "/type") == "PodScheduled") {
        Some(known) => *known = condition,
        None => list.push(condition),
    }
}

fn conflict(resource: &str, name: &str, detail: &str) -> Failure {
    Failure {
        details: json!({"name": name, "kind": resource}),
        ..Failure::new(409, "Conflict", format!("Operation cannot be fulfilled on {resource} {name:?}: {detail}"))
    }
}
