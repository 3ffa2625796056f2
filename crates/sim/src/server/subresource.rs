//! Subresources that are no part of the object: `scale` shows any workload in one form.

use std::sync::Arc;

use serde_json::{Value, json};

use super::call::{PatchFormat, Verb};
use super::core::{Answer, Core};
use super::draft::{Draft, Reply, typed};
use super::failure::{Cause, Failure, Result};
use super::kind::{Kind, Resource, Traits};
use super::metadata::{at, meta, meta_text, put_at, text_at};
use super::{patch, rules};

impl Core {
    /// A change of the Scale as a change of the object.
    pub(super) fn begin_scale<'a>(&self, mut draft: Draft<'a>) -> Result<Draft<'a>> {
        self.load(&mut draft)?;
        let Some(old) = draft.old.clone() else { return Err(super::draft::not_found(&draft)) };
        let scale = scale_of(&draft.resource, &draft.kind, &old)?;
        let body = &draft.call.body;
        let wanted = match draft.call.verb {
            Verb::Patch(PatchFormat::Json) => patch::json::apply(&scale, body)?,
            Verb::Patch(PatchFormat::Merge | PatchFormat::Strategic) => patch::merge::apply(&scale, body),
            Verb::Patch(PatchFormat::Apply) => return Err(Failure::not_simulated("apply of a Scale")),
            _ => body.clone(),
        };
        let (named, kind) = (named("scale.autoscaling"), scale_kind());
        let wanted = typed(&named, &kind, wanted)?;
        let replicas = match at(&wanted, &["spec", "replicas"]) {
            Value::Null => 0,
            value => value.as_i64().ok_or_else(|| Failure::bad_request("json: cannot unmarshal spec.replicas"))?,
        };
        if replicas < 0 && draft.resource.custom.is_none() {
            let message = format!("Invalid value: {replicas}: must be greater than or equal to 0");
            let cause = Cause { reason: "FieldValueInvalid", message, field: "spec.replicas".to_owned() };
            return Err(rules::invalid(&kind, &draft.key.name, vec![cause]));
        }
        for member in ["uid", "resourceVersion"] {
            let asked = meta_text(&wanted, member);
            if !asked.is_empty() && asked != meta_text(&old, member) {
                let why = "the object has been modified; please apply your changes to the latest version and try again";
                return Err(Failure::conflict(&draft.resource, &draft.key.name, why));
            }
        }
        let mut object = (*old).clone();
        let path = spec_path(&draft.resource, &draft.kind).split('/').filter(|member| !member.is_empty());
        put_at(&mut object, &path.collect::<Vec<_>>(), json!(replicas));
        (draft.object, draft.reply) = (object, Reply::Scale);
        Ok(draft)
    }
}

/// An object as its Scale.
pub(super) fn scale_of(resource: &Resource, kind: &Kind, object: &Value) -> Result<Value> {
    let (replicas, selector) = match resource.custom.as_ref().map(|custom| custom.scale(&kind.version)) {
        Some(Some(scale)) => {
            let text = object.pointer(&scale.selector).and_then(Value::as_str).unwrap_or_default();
            (object.pointer(&scale.status_replicas), text.to_owned())
        }
        Some(None) => return Err(Failure::no_such_resource()),
        None => (object.pointer("/status/replicas"), selector_text(at(object, &["spec", "selector"]))),
    };
    let number = |value: Option<&Value>| value.and_then(Value::as_i64).unwrap_or_default();
    let wanted = number(object.pointer(spec_path(resource, kind)));
    let mut scale = json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {}, "spec": {},
        "status": {"replicas": number(replicas)}});
    for member in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if !meta(object, member).is_null() {
            put_at(&mut scale, &["metadata", member], meta(object, member).clone());
        }
    }
    if wanted != 0 {
        put_at(&mut scale, &["spec", "replicas"], json!(wanted));
    }
    if !selector.is_empty() {
        put_at(&mut scale, &["status", "selector"], json!(selector));
    }
    Ok(scale)
}

fn spec_path<'a>(resource: &'a Resource, kind: &Kind) -> &'a str {
    let scale = resource.custom.as_ref().and_then(|custom| custom.scale(&kind.version));
    scale.map_or("/spec/replicas", |scale| &scale.spec_replicas)
}

/// A label selector as `kubectl` writes it.
fn selector_text(selector: &Value) -> String {
    let labels = selector.get("matchLabels").and_then(Value::as_object);
    let equal =
        labels.into_iter().flatten().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    let sets = expressions.into_iter().flatten().map(|expression| {
        let values = at(expression, &["values"]).as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut values: Vec<&str> = values.collect();
        values.sort_unstable();
        let (key, values) = (text_at(expression, &["key"]), values.join(","));
        match text_at(expression, &["operator"]) {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        }
    });
    let mut parts: Vec<String> = equal.chain(sets).collect();
    parts.sort_unstable();
    parts.join(",")
}

fn scale_kind() -> Kind {
    Kind {
        group: "autoscaling".to_owned(),
        version: "v1".to_owned(),
        kind: "Scale".to_owned(),
        plural: "scale".to_owned(),
        namespaced: true,
    }
}

/// A name for messages about what is no resource of its own.
pub(super) fn named(id: &str) -> Resource {
    let (plural, group) = id.split_once('.').unwrap_or((id, ""));
    let kind = Kind { group: group.to_owned(), plural: plural.to_owned(), ..scale_kind() };
    let traits = Traits::default();
    Resource { id: id.to_owned(), kinds: vec![kind], singular: String::new(), traits, custom: None }
}

/// `Status: Success` with 201.
pub(super) fn success() -> Answer {
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Answer { code: 201, body: Arc::new(body) }
}

/// Whether the content of a namespace is not gone yet.
pub(super) fn namespace_is_held(namespace: &Value) -> bool {
    at(namespace, &["spec", "finalizers"]).as_array().is_some_and(|list| !list.is_empty())
}
