//! The resize subresource: other cpu and memory for containers in place. Whatever else a client sends is dropped.

use api::field::FieldPath;
use serde_json::{Value, json};

use super::{CONTAINERS, create, has_all, name_of, qos, requests_from_limits};
use crate::server::{
    failure::{Cause, Result},
    kind::Kind,
    rules::{
        causes, invalid,
        look::{at, copy, items, items_mut, put, text},
        metadata,
    },
};

const CHANGEABLE: [&str; 2] = ["cpu", "memory"];

/// Turns what a client sent into the stored Pod with new resources, and counts the change.
///
/// # Errors
/// 422: other containers, other resources than cpu and memory, another QoS class, limits that vanish.
pub fn resize(new: &mut Value, old: &Value) -> Result<()> {
    let mut causes = other_containers(new, old);
    if causes.is_empty() {
        let mut resized = old.clone();
        for list in CONTAINERS {
            for (container, sent) in items_mut(&mut resized, list).zip(items(new, list)) {
                for member in ["resources", "resizePolicy"] {
                    copy(container, sent, member);
                }
                requests_from_limits(container);
            }
        }
        causes = what_changes(&resized, old);
        *new = resized;
    }
    if !causes.is_empty() {
        let kind = Kind {
            group: String::new(),
            version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            plural: "pods".to_owned(),
            namespaced: true,
        };
        return Err(invalid(&kind, name_of(old), causes));
    }
    if at(new, "/spec") != at(old, "/spec") {
        metadata::next_generation(new);
    }
    Ok(())
}

fn other_containers(new: &Value, old: &Value) -> Vec<Cause> {
    let path = FieldPath::new("spec");
    let mut out = Vec::new();
    for (list, pointer) in ["containers", "initContainers"].into_iter().zip(CONTAINERS) {
        let (now, before) = (items(new, pointer), items(old, pointer));
        if now.len() != before.len() {
            out.push(path.child(list).forbidden("containers may not be added or removed on resize"));
            continue;
        }
        for (index, (now, before)) in now.iter().zip(before).enumerate() {
            if text(now, "/name") != text(before, "/name") {
                out.push(
                    path.child(list)
                        .index(index)
                        .child("name")
                        .forbidden("containers may not be renamed or reordered on resize"),
                );
            }
        }
    }
    causes(out)
}

fn what_changes(new: &Value, old: &Value) -> Vec<Cause> {
    if at(new, "/spec") == at(old, "/spec") {
        return Vec::new();
    }
    let path = FieldPath::new("spec");
    let mut out = create::spec(new);
    if !out.is_empty() {
        return causes(out);
    }
    let supported = items(old, "/status/containerStatuses")
        .iter()
        .all(|status| at(status, "/state/running").is_null() || !at(status, "/resources").is_null());
    if !supported {
        out.push(path.forbidden("Pod running on node without support for resize"));
        return causes(out);
    }
    if qos(new) != qos(old) {
        out.push(path.invalid(qos(old), "Pod QOS Class may not change as a result of resizing"));
    }
    for (list, pointer) in ["containers", "initContainers"].into_iter().zip(CONTAINERS) {
        for (index, (now, before)) in items(new, pointer).iter().zip(items(old, pointer)).enumerate() {
            let resources = path.child(list).index(index).child("resources");
            for amounts in ["limits", "requests"] {
                let pointer = format!("/resources/{amounts}");
                if !has_all(at(now, &pointer), &only_changeable(at(before, &pointer))) {
                    out.push(resources.child(amounts).forbidden(format!("resource {amounts} cannot be removed")));
                }
            }
            if list == "initContainers" && now != before && text(before, "/restartPolicy") != "Always" {
                out.push(path.forbidden("resources for non-sidecar init containers are immutable"));
            }
        }
    }
    if out.is_empty() && without_changeable(new) != without_changeable(old) {
        out.push(path.forbidden("only cpu and memory resources are mutable"));
    }
    causes(out)
}

fn only_changeable(amounts: &Value) -> Value {
    CHANGEABLE.iter().filter_map(|name| Some(((*name).to_owned(), amounts.get(name)?.clone()))).collect()
}

/// The spec without what a resize may change.
fn without_changeable(pod: &Value) -> Value {
    let mut pod = json!({"spec": at(pod, "/spec")});
    for list in CONTAINERS {
        for container in items_mut(&mut pod, list) {
            for amounts in ["limits", "requests"] {
                let kept: Value = at(container, &format!("/resources/{amounts}"))
                    .as_object()
                    .into_iter()
                    .flatten()
                    .filter(|(name, _)| !CHANGEABLE.contains(&name.as_str()))
                    .map(|(name, amount)| (name.clone(), amount.clone()))
                    .collect();
                if let Some(resources) = container.get_mut("resources") {
                    put(resources, amounts, kept);
                }
            }
        }
    }
    pod
}
