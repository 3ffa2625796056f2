//! What admission refuses in a CloneSet (page sections 5.2, 5.3, CS-111), on JSON in the version that the client sent.
//!
//! Here what both versions share; `strategy` has the update strategies, which differ. Not decided here: whether the
//! Pods named by `podsToDelete` exist (the webhook asks for [`newly_deleted`] ones), and deletion (CS-110).
//! Every rule adds its own refusal, so that a user sees all of them at once.

mod strategy;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::Version;
use crate::{
    field::{Denial, FieldPath},
    keys, labels,
    look::{EMPTY, Node},
    metadata,
    template::validation::{self as template, ClaimVolume},
};

/// The members of `spec` that an update may change (page section 5.2).
const MUTABLE: [&str; 9] = [
    "replicas",
    "template",
    "lifecycle",
    "scaleStrategy",
    "updateStrategy",
    "minReadySeconds",
    "progressDeadlineSeconds",
    "volumeClaimTemplates",
    "revisionHistoryLimit",
];
const IMMUTABLE_DETAIL: &str = "updates to cloneset spec for fields other than 'replicas', 'template', 'lifecycle', \
     'scaleStrategy', 'updateStrategy', 'minReadySeconds', 'progressDeadlineSeconds', 'volumeClaimTemplates' and \
     'revisionHistoryLimit' are forbidden";

/// Judges a CloneSet that is to be created.
#[must_use]
pub fn on_create(object: &Value, version: Version) -> Vec<Denial> {
    let mut out = Vec::new();
    metadata::validate(object, &mut out);
    validate_spec(object, version, &mut out);
    out
}

/// Judges a CloneSet that is to replace `old`, given in the same version.
#[must_use]
pub fn on_update(new: &Value, old: &Value, version: Version) -> Vec<Denial> {
    let mut out = on_create(new, version);
    metadata::validate_update(new, old, &mut out);
    let spec = FieldPath::new("spec");
    if fixed_part(new) != fixed_part(old) {
        out.push(spec.forbidden(IMMUTABLE_DETAIL));
    }
    if version == Version::V1alpha1 {
        strategy::in_place_only(new, old, &spec, &mut out);
    }
    out
}

/// The names that an update adds to `podsToDelete`, in order; with no `old`, all of them (page section 5.3).
#[must_use]
pub fn newly_deleted(new: &Value, old: Option<&Value>) -> Vec<String> {
    let known: BTreeSet<&str> = old.into_iter().flat_map(pods_to_delete).collect();
    let mut seen = BTreeSet::new();
    pods_to_delete(new).filter(|name| !known.contains(name) && seen.insert(*name)).map(str::to_owned).collect()
}

fn pods_to_delete(object: &Value) -> impl Iterator<Item = &str> {
    let names = object.pointer("/spec/scaleStrategy/podsToDelete").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str)
}

fn validate_spec(object: &Value, version: Version, out: &mut Vec<Denial>) {
    let spec = Node::new(FieldPath::new("spec"), object.get("spec").unwrap_or(&EMPTY));
    if !spec.value.is_object() {
        out.push(spec.path.wrong_type(spec.value, "an object"));
        return;
    }
    let replicas = spec.not_negative("replicas", out);
    selector(&spec, out);
    pod_template(&spec, out);
    if let Some(scale) = spec.object("scaleStrategy", out) {
        scale_strategy(&scale, out);
    }
    match version {
        Version::V1alpha1 => strategy::flat(&spec, replicas.unwrap_or(0), out),
        Version::V1beta1 => strategy::nested(&spec, replicas.unwrap_or(0), out),
    }
    if version == Version::V1alpha1 {
        progress_deadline(&spec, out);
    }
}

fn selector(spec: &Node<'_>, out: &mut Vec<Denial>) {
    let Some(selector) = spec.get("selector") else {
        out.push(spec.at("selector").required(""));
        return;
    };
    if !selector.value.is_object() {
        out.push(selector.path.wrong_type(selector.value, "an object"));
        return;
    }
    let before = out.len();
    labels::validate_selector(&selector, out);
    if labels::is_empty(selector.value) {
        out.push(selector.path.invalid(selector.value.clone(), "empty selector is invalid for cloneset"));
    }
    if out.len() > before {
        return;
    }
    let found = template_labels(spec.value);
    if labels::matches(selector.value, &found) == Some(false) {
        let path = spec.at("template").child("metadata").child("labels");
        let shown: Map<String, Value> = found.into_iter().map(|(key, value)| (key, Value::String(value))).collect();
        out.push(path.invalid(shown, "`selector` does not match template `labels`"));
    }
}

fn template_labels(spec: &Value) -> BTreeMap<String, String> {
    let labels = spec.pointer("/template/metadata/labels").and_then(Value::as_object);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    labels.into_iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect()
}

fn pod_template(spec: &Node<'_>, out: &mut Vec<Denial>) {
    let claims = claim_volumes(spec, out);
    let path = spec.at("template");
    let Some(template) = spec.get("template") else {
        out.push(path.required(""));
        return;
    };
    out.extend(template::validate(template.value, &path, &claims));
    let Some(pod) = template.get("spec") else { return };
    let policy = pod.text("restartPolicy", &mut Vec::new());
    if !policy.is_empty() && policy != "Always" {
        out.retain(|denial| denial.field != pod.at("restartPolicy"));
        out.push(pod.at("restartPolicy").not_supported(policy, &["Always"]));
    }
    if pod.get("activeDeadlineSeconds").is_some() {
        out.push(pod.at("activeDeadlineSeconds").forbidden("activeDeadlineSeconds in cloneset is not Supported"));
    }
}

/// Each claim template is a volume of its name in the Pods (CS-68).
fn claim_volumes(spec: &Node<'_>, out: &mut Vec<Denial>) -> Vec<ClaimVolume> {
    let claims = spec.objects("volumeClaimTemplates", out);
    claims
        .iter()
        .map(|claim| {
            let name = claim.object("metadata", out).map_or("", |metadata| metadata.text("name", out));
            ClaimVolume { path: claim.at("metadata").child("name"), name: name.to_owned() }
        })
        .collect()
}

fn scale_strategy(scale: &Node<'_>, out: &mut Vec<Denial>) {
    let (mut seen, mut twice) = (BTreeSet::new(), BTreeSet::new());
    let names = scale.texts("podsToDelete", out);
    for (_, name) in &names {
        if !seen.insert(*name) {
            twice.insert(*name);
        }
    }
    if !twice.is_empty() {
        let all: Vec<&str> = names.into_iter().map(|(_, name)| name).collect();
        let twice: Vec<&str> = twice.into_iter().collect();
        let detail = format!("duplicated items [{}]", twice.join(" "));
        out.push(scale.at("podsToDelete").invalid(all, detail));
    }
}

/// `v1alpha1` only (page section 5.3).
fn progress_deadline(spec: &Node<'_>, out: &mut Vec<Denial>) {
    let Some(deadline) = spec.not_negative("progressDeadlineSeconds", out) else { return };
    let ready = spec.integer("minReadySeconds", out).unwrap_or(0);
    if deadline != i64::from(keys::NO_PROGRESS_DEADLINE) && deadline <= ready {
        out.push(spec.at("progressDeadlineSeconds").invalid(deadline, "must be greater than minReadySeconds"));
    }
}

/// What an update may not change. Empty and absent parts of the selector are the same.
fn fixed_part(object: &Value) -> Value {
    let mut spec = object.get("spec").and_then(Value::as_object).cloned().unwrap_or_default();
    for member in MUTABLE {
        spec.remove(member);
    }
    let mut spec = Value::Object(spec);
    drop_empty(&mut spec);
    spec
}

fn drop_empty(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.values_mut().for_each(drop_empty);
            members.retain(|_, member| match member {
                Value::Null => false,
                Value::Object(inner) => !inner.is_empty(),
                Value::Array(items) => !items.is_empty(),
                _ => true,
            });
        }
        Value::Array(items) => items.iter_mut().for_each(drop_empty),
        _ => {}
    }
}

#[cfg(test)]
#[path = "../tests/validation.rs"]
mod tests;
