//! Deployments and ReplicaSets: defaults, selectors that never change, templates like those of CloneSets.

use api::{
    field::{Denial, FieldPath},
    template::validation,
};
use serde_json::{Value, json};

use super::{
    causes,
    look::{at, copy, default_text, default_to, entries, items, object_in, put, text},
    metadata, pod,
};
use crate::server::failure::Cause;

const NOT_NEGATIVE: &str = "must be greater than or equal to 0";

pub(super) fn default_replica_set(object: &mut Value) {
    common(object);
}

pub(super) fn default_deployment(object: &mut Value) {
    common(object);
    let Some(spec) = object.get_mut("spec") else { return };
    default_to(spec, "strategy", || json!({}));
    if let Some(strategy) = spec.get_mut("strategy") {
        default_text(strategy, "type", "RollingUpdate");
        if text(strategy, "/type") == "RollingUpdate" {
            default_to(strategy, "rollingUpdate", || json!({}));
            for member in ["maxUnavailable", "maxSurge"] {
                if let Some(rolling) = strategy.get_mut("rollingUpdate") {
                    default_to(rolling, member, || json!("25%"));
                }
            }
        }
    }
    default_to(spec, "revisionHistoryLimit", || json!(10));
    default_to(spec, "progressDeadlineSeconds", || json!(600));
}

fn common(object: &mut Value) {
    object_in(object, "spec");
    let Some(spec) = object.get_mut("spec") else { return };
    default_to(spec, "replicas", || json!(1));
    default_to(spec, "template", || json!({}));
    if let Some(template) = spec.get_mut("template") {
        default_to(template, "spec", || json!({}));
        pod::default_template(template);
    }
}

/// A new workload has reported nothing, or one number that the API always shows.
pub(super) fn prepare_create(object: &mut Value, shown: Option<&str>) {
    let status = shown.map(|member| (member.to_owned(), json!(0))).into_iter().collect();
    put(object, "status", status);
    metadata::next_generation(object);
}

/// A plain write does not touch the status; a change of the spec is counted.
pub(super) fn prepare_update(new: &mut Value, old: &Value) {
    copy(new, old, "status");
    if new.get("spec") != old.get("spec") {
        metadata::next_generation(new);
    }
}

/// A Deployment hands its annotations on to ReplicaSets, so that they are counted as well.
pub(super) fn prepare_deployment_update(new: &mut Value, old: &Value) {
    prepare_update(new, old);
    if new.get("spec") == old.get("spec") && at(new, "/metadata/annotations") != at(old, "/metadata/annotations") {
        metadata::next_generation(new);
    }
}

pub(super) fn replica_set(object: &Value) -> Vec<Cause> {
    let mut out = Vec::new();
    not_negative(object, &["replicas", "minReadySeconds"], &mut out);
    selector_and_template(object, &mut out);
    causes(out)
}

pub(super) fn deployment(object: &Value) -> Vec<Cause> {
    let mut out = Vec::new();
    not_negative(object, &["replicas"], &mut out);
    selector_and_template(object, &mut out);
    strategy(object, &mut out);
    not_negative(object, &["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"], &mut out);
    if let (Some(deadline), ready) = (
        at(object, "/spec/progressDeadlineSeconds").as_i64(),
        at(object, "/spec/minReadySeconds").as_i64().unwrap_or(0),
    ) && deadline >= 0
        && deadline <= ready
    {
        out.push(
            FieldPath::new("spec")
                .child("progressDeadlineSeconds")
                .invalid(deadline, "must be greater than minReadySeconds"),
        );
    }
    causes(out)
}

fn strategy(object: &Value, out: &mut Vec<Denial>) {
    let path = FieldPath::new("spec").child("strategy");
    match text(object, "/spec/strategy/type") {
        "Recreate" => {
            if !at(object, "/spec/strategy/rollingUpdate").is_null() {
                out.push(
                    path.child("rollingUpdate").forbidden("may not be specified when strategy `type` is 'Recreate'"),
                );
            }
        }
        "RollingUpdate" => {
            let none = |member: &str| {
                let value = at(object, &format!("/spec/strategy/rollingUpdate/{member}"));
                value == &json!(0) || value == &json!("0%")
            };
            if none("maxSurge") && none("maxUnavailable") {
                out.push(
                    path.child("rollingUpdate").child("maxUnavailable").invalid(0, "may not be 0 when `maxSurge` is 0"),
                );
            }
        }
        other => out.push(path.child("type").not_supported(other, &["Recreate", "RollingUpdate"])),
    }
}

fn selector_and_template(object: &Value, out: &mut Vec<Denial>) {
    let spec = FieldPath::new("spec");
    let selector = at(object, "/spec/selector");
    let labels = at(object, "/spec/template/metadata/labels");
    if selector.is_null() {
        out.push(spec.child("selector").required(""));
    } else if entries(selector, "/matchLabels").next().is_none() && items(selector, "/matchExpressions").is_empty() {
        // The server says so of ReplicaSets too.
        out.push(spec.child("selector").invalid(selector.clone(), "empty selector is invalid for deployment"));
    } else {
        super::metadata::labels(selector, "/matchLabels", &spec.child("selector").child("matchLabels"), out);
    }
    let template = spec.child("template");
    if selector.is_null() || !selects(selector, labels) {
        out.push(
            template
                .child("metadata")
                .child("labels")
                .invalid(labels.clone(), "`selector` does not match template `labels`"),
        );
    }
    out.extend(validation::validate(at(object, "/spec/template"), &template, &[]));
    let policy = text(object, "/spec/template/spec/restartPolicy");
    if ["OnFailure", "Never"].contains(&policy) {
        out.push(template.child("spec").child("restartPolicy").not_supported(policy, &["Always"]));
    }
}

/// Whether a label selector with requirements selects labels.
fn selects(selector: &Value, labels: &Value) -> bool {
    let label = |name: &str| labels.get(name).and_then(Value::as_str);
    entries(selector, "/matchLabels").all(|(name, value)| label(name) == value.as_str())
        && items(selector, "/matchExpressions").iter().all(|requirement| {
            let found = label(text(requirement, "/key"));
            let listed = || items(requirement, "/values").iter().any(|value| value.as_str() == found);
            match text(requirement, "/operator") {
                "In" => found.is_some() && listed(),
                "NotIn" => found.is_none() || !listed(),
                "Exists" => found.is_some(),
                _ => found.is_none(),
            }
        })
}

/// What is wrong with a changed workload.
pub(super) fn update(check: fn(&Value) -> Vec<Cause>, new: &Value, old: &Value) -> Vec<Cause> {
    if new.get("spec") == old.get("spec") {
        return Vec::new();
    }
    let selector = at(new, "/spec/selector");
    let mut out = check(new);
    if selector != at(old, "/spec/selector") {
        out.push(FieldPath::new("spec").child("selector").invalid(selector.clone(), "field is immutable").into());
    }
    out
}

/// Numbers of a status that contradict each other.
pub(super) fn status(object: &Value) -> Vec<Cause> {
    let path = FieldPath::new("status");
    let number = |member: &str| at(object, &format!("/status/{member}")).as_i64().unwrap_or(0);
    let mut out = Vec::new();
    for member in [
        "replicas",
        "fullyLabeledReplicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "observedGeneration",
    ] {
        if number(member) < 0 {
            out.push(path.child(member).invalid(number(member), NOT_NEGATIVE));
        }
    }
    for member in ["fullyLabeledReplicas", "updatedReplicas", "readyReplicas", "availableReplicas"] {
        if number(member) > number("replicas") {
            out.push(path.child(member).invalid(number(member), "cannot be greater than status.replicas"));
        }
    }
    if number("availableReplicas") > number("readyReplicas") {
        out.push(
            path.child("availableReplicas")
                .invalid(number("availableReplicas"), "cannot be greater than readyReplicas"),
        );
    }
    causes(out)
}

fn not_negative(object: &Value, members: &[&str], out: &mut Vec<Denial>) {
    for member in members {
        if let Some(number) = at(object, &format!("/spec/{member}")).as_i64().filter(|number| *number < 0) {
            out.push(FieldPath::new("spec").child(member).invalid(number, NOT_NEGATIVE));
        }
    }
}
