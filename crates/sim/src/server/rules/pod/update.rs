//! What may change of a Pod's spec: images, a shorter deadline, more tolerations, fewer scheduling gates.
//!
//! Of what else a gated Pod may change, further node selectors are allowed; narrowing node affinity is refused like
//! any other change.

use std::collections::BTreeSet;

use api::field::{Denial, FieldPath};
use serde_json::Value;

use super::{CONTAINERS, create, take};
use crate::server::{
    failure::Cause,
    rules::{
        causes,
        look::{at, entries, items, items_mut, put, text},
    },
};

const MAY_CHANGE: &str = "pod updates may not change fields other than \
     `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only \
     additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was \
     previously negative)";

/// What is wrong with a changed Pod; its metadata is checked elsewhere.
#[must_use]
pub fn on_update(new: &Value, old: &Value) -> Vec<Cause> {
    if new.get("spec") == old.get("spec") {
        return Vec::new();
    }
    let path = FieldPath::new("spec");
    let mut out = create::spec(new);
    for (pointer, list) in CONTAINERS.iter().zip(["containers", "initContainers"]) {
        if items(new, pointer).len() != items(old, pointer).len() {
            out.push(path.child(list).forbidden("pod updates may not add or remove containers"));
            return causes(out);
        }
    }
    deadline(new, old, &path, &mut out);
    gates(new, old, &path, &mut out);
    tolerations(new, old, &path, &mut out);
    let gated = !items(old, "/spec/schedulingGates").is_empty();
    if gated {
        node_selector(new, old, &path, &mut out);
    }
    if out.is_empty()
        && let Some(difference) = forbidden_change(new, old, gated)
    {
        out.push(path.forbidden(format!("{MAY_CHANGE}\n{difference}")));
    }
    causes(out)
}

fn deadline(new: &Value, old: &Value, path: &FieldPath, out: &mut Vec<Denial>) {
    const MEMBER: &str = "activeDeadlineSeconds";
    let Some(before) = at(old, "/spec/activeDeadlineSeconds").as_i64() else { return };
    match at(new, "/spec/activeDeadlineSeconds").as_i64() {
        None => {
            out.push(path.child(MEMBER).invalid(Value::Null, "must not update from a positive integer to nil value"))
        }
        Some(after) if after > before => {
            out.push(path.child(MEMBER).invalid(after, "must be less than or equal to previous value"));
        }
        Some(_) => {}
    }
}

fn gates(new: &Value, old: &Value, path: &FieldPath, out: &mut Vec<Denial>) {
    let name = |gate: &Value| text(gate, "/name").to_owned();
    let had: BTreeSet<String> = items(old, "/spec/schedulingGates").iter().map(name).collect();
    for (index, gate) in items(new, "/spec/schedulingGates").iter().map(name).enumerate() {
        if !had.contains(&gate) {
            out.push(
                path.child("schedulingGates")
                    .index(index)
                    .child("name")
                    .forbidden(format!("only deletion is allowed, but found new scheduling gate '{gate}'")),
            );
        }
    }
}

/// Each toleration that was there still is, for another time at most.
fn tolerations(new: &Value, old: &Value, path: &FieldPath, out: &mut Vec<Denial>) {
    let what =
        |toleration: &Value| ["/key", "/operator", "/value", "/effect"].map(|part| text(toleration, part).to_owned());
    let now: BTreeSet<_> = items(new, "/spec/tolerations").iter().map(what).collect();
    if items(old, "/spec/tolerations").iter().any(|toleration| !now.contains(&what(toleration))) {
        out.push(
            path.child("tolerations").forbidden("existing toleration can not be modified except its tolerationSeconds"),
        );
    }
}

fn node_selector(new: &Value, old: &Value, path: &FieldPath, out: &mut Vec<Denial>) {
    let selector = at(new, "/spec/nodeSelector");
    if entries(old, "/spec/nodeSelector").any(|(name, value)| selector.get(name) != Some(value)) {
        out.push(
            path.child("nodeSelector").invalid(
                selector.clone(),
                "only additions to spec.nodeSelector are allowed (no mutations or deletions)",
            ),
        );
    }
}

/// The members of the spec that changed although they may not, each with its old and its new value.
fn forbidden_change(new: &Value, old: &Value, gated: bool) -> Option<String> {
    let mut allowed = new.clone();
    for list in CONTAINERS {
        for (container, before) in items_mut(&mut allowed, list).zip(items(old, list)) {
            put(container, "image", at(before, "/image").clone());
        }
    }
    let mut members = vec!["activeDeadlineSeconds", "tolerations", "schedulingGates"];
    if gated {
        members.push("nodeSelector");
    }
    if at(old, "/spec/terminationGracePeriodSeconds").as_i64().is_some_and(|before| before < 0)
        && at(new, "/spec/terminationGracePeriodSeconds") == 1
    {
        members.push("terminationGracePeriodSeconds");
    }
    for member in members {
        take(&mut allowed, member);
        if let (Some(before), Some(spec)) = (at(old, "/spec").get(member), super::spec_mut(&mut allowed)) {
            spec.insert(member.to_owned(), before.clone());
        }
    }
    let (allowed, old) = (at(&allowed, "/spec"), at(old, "/spec"));
    let names: BTreeSet<&str> = entries(allowed, "").chain(entries(old, "")).map(|(name, _)| name).collect();
    let lines: Vec<String> = names
        .into_iter()
        .map(|name| (name, old.get(name).unwrap_or(&Value::Null), allowed.get(name).unwrap_or(&Value::Null)))
        .filter(|(_, before, after)| before != after)
        .map(|(name, before, after)| format!("- {name:?}: {before}\n+ {name:?}: {after}\n"))
        .collect();
    (!lines.is_empty()).then(|| lines.concat())
}
