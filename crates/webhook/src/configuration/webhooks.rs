//! What a webhook configuration must look like (PL-48, IN-32, IN-33, PL-E1, PL-E8).
//!
//! The wanted list is computed from the template that the object itself carries, so entries that were dropped come back
//! when their path is served again, and an older replica never shortens what a newer one needs: the template is written
//! only where it is empty.

use serde_json::{Map, Value, json};

use super::{Published, Target, bundle_of, path_of};

/// Annotation with the list of all entries, as JSON.
pub const TEMPLATE_ANNOTATION: &str = "template";
/// The entry whose failure policy the environment may override (IN-15).
const POD_MUTATION: &str = "mpod.kb.io";

/// The two kinds of configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// MutatingWebhookConfiguration.
    Mutating,
    /// ValidatingWebhookConfiguration.
    Validating,
}

impl Flavour {
    /// The kind.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Mutating => "MutatingWebhookConfiguration",
            Self::Validating => "ValidatingWebhookConfiguration",
        }
    }

    /// Name of the product's object (PL-47).
    pub fn object(self) -> &'static str {
        match self {
            Self::Mutating => "kruise-mutating-webhook-configuration",
            Self::Validating => "kruise-validating-webhook-configuration",
        }
    }
}

/// Whether an entry is to be active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is served.
    Served,
    /// It is served here, but must not be switched on yet: nobody answers at the Service, or a replica that may not
    /// serve it does.
    Waiting,
    /// Its path is not served here.
    Unserved,
}

/// What follows for one configuration.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "without the write the configuration stays as it is"]
pub struct Plan {
    /// A merge patch; `None` where nothing has to change.
    pub patch: Option<Value>,
    /// Names of entries that were left out because their path is not served.
    pub dropped: Vec<String>,
    /// Names of entries that wait.
    pub held: Vec<String>,
}

/// The template can't be read: somebody edited it.
#[derive(Debug, thiserror::Error)]
#[error("annotation template of {kind} {name} is not a list of webhooks")]
pub struct TemplateError {
    kind: &'static str,
    name: &'static str,
    #[source]
    source: serde_json::Error,
}

/// Computes what has to change in a configuration.
///
/// # Errors
/// Fails where the template is not a JSON list.
pub fn plan(
    flavour: Flavour,
    live: &Value,
    target: &Target,
    standing: impl Fn(&str) -> Standing,
) -> Result<Plan, TemplateError> {
    let present = entries(live);
    let adopted;
    let (template, annotations) = match template(flavour, live)? {
        Some(template) => (template, None),
        None => {
            adopted = present.to_vec();
            let text = Value::from(adopted.clone()).to_string();
            (adopted, Some(json!({ TEMPLATE_ANNOTATION: text })))
        }
    };
    let mut plan = Plan::default();
    let mut wanted = Vec::new();
    for entry in &template {
        let client_config = entry.get("clientConfig").unwrap_or(&Value::Null);
        let path = path_of(client_config).unwrap_or_default();
        let name = entry.get("name").and_then(Value::as_str).unwrap_or_default();
        let is_active = present.iter().any(|other| other.get("name") == entry.get("name"));
        match standing(path) {
            Standing::Unserved => plan.dropped.push(name.to_owned()),
            Standing::Waiting if !is_active => plan.held.push(name.to_owned()),
            Standing::Served | Standing::Waiting => {
                let mut entry = entry.clone();
                if let Some(members) = entry.as_object_mut() {
                    members.insert("clientConfig".to_owned(), target.client_config(path, client_config.as_object()));
                    if let Some(policy) = target.pod_failure_policy.filter(|_| name == POD_MUTATION) {
                        members.insert("failurePolicy".to_owned(), policy.as_str().into());
                    }
                }
                wanted.push(as_stored(flavour, entry));
            }
        }
    }
    let is_settled = present.iter().map(|entry| as_stored(flavour, entry.clone())).eq(wanted.iter().cloned());
    if (annotations.is_some() && !template.is_empty()) || !is_settled {
        let mut metadata = Map::new();
        // The patch is for the version that was judged; another writer makes it fail, and the next pass judges again.
        if let Some(version) = live.pointer("/metadata/resourceVersion") {
            metadata.insert("resourceVersion".to_owned(), version.clone());
        }
        if let Some(annotations) = annotations {
            metadata.insert("annotations".to_owned(), annotations);
        }
        plan.patch = Some(json!({ "metadata": metadata, "webhooks": wanted }));
    }
    Ok(plan)
}

/// Whether an entry that is served here is not on.
pub fn is_dormant(flavour: Flavour, live: &Value, is_served: impl Fn(&str) -> bool) -> bool {
    let present = entries(live);
    let is_off = |entry: &Value| present.iter().all(|other| other.get("name") != entry.get("name"));
    let path = |entry: &Value| path_of(entry.get("clientConfig")?).map(str::to_owned);
    let template = template(flavour, live).ok().flatten().unwrap_or_default();
    template.iter().any(|entry| is_off(entry) && path(entry).is_some_and(|path| is_served(&path)))
}

/// The `caBundle`s of the entries that are served here.
pub fn published(live: &Value, is_served: impl Fn(&str) -> bool, into: &mut Published) {
    for config in served(live, is_served) {
        into.push(bundle_of(config));
    }
}

/// The client configurations of the active entries that are served here.
pub fn served(live: &Value, is_served: impl Fn(&str) -> bool) -> impl Iterator<Item = &Value> {
    entries(live)
        .iter()
        .filter_map(|entry| entry.get("clientConfig"))
        .filter(move |config| path_of(config).is_some_and(&is_served))
}

fn entries(live: &Value) -> &[Value] {
    live.get("webhooks").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn template(flavour: Flavour, live: &Value) -> Result<Option<Vec<Value>>, TemplateError> {
    let text = live.pointer("/metadata/annotations/template").and_then(Value::as_str).unwrap_or_default();
    if text.trim().is_empty() {
        return Ok(None);
    }
    serde_json::from_str(text).map(Some).map_err(|source| TemplateError {
        kind: flavour.kind(),
        name: flavour.object(),
        source,
    })
}

/// An entry as the API server stores it (admissionregistration.k8s.io/v1): what it fills in is there, what it leaves out
/// because it is empty is not. So a template in other words and the stored entry compare equal; without this, each pass
/// would write.
fn as_stored(flavour: Flavour, mut entry: Value) -> Value {
    let Some(members) = entry.as_object_mut() else { return entry };
    let mut default = |name: &str, value: Value| {
        let member = members.entry(name).or_insert(Value::Null);
        if member.is_null() {
            *member = value;
        }
    };
    default("failurePolicy", "Fail".into());
    default("matchPolicy", "Equivalent".into());
    default("namespaceSelector", json!({}));
    default("objectSelector", json!({}));
    default("timeoutSeconds", 10.into());
    if flavour == Flavour::Mutating {
        default("reinvocationPolicy", "Never".into());
    }
    for rule in members.get_mut("rules").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(rule) = rule.as_object_mut() {
            rule.entry("scope").or_insert_with(|| "*".into());
        }
    }
    leave_out_empty(members, "matchConditions");
    for selector in ["namespaceSelector", "objectSelector"] {
        let Some(selector) = members.get_mut(selector).and_then(Value::as_object_mut) else { continue };
        leave_out_empty(selector, "matchLabels");
        leave_out_empty(selector, "matchExpressions");
        let expressions = selector.get_mut("matchExpressions").and_then(Value::as_array_mut);
        for expression in expressions.into_iter().flatten().filter_map(Value::as_object_mut) {
            leave_out_empty(expression, "values");
        }
    }
    entry
}

fn leave_out_empty(members: &mut Map<String, Value>, name: &str) {
    let is_empty = members.get(name).is_some_and(|member| match member {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    });
    if is_empty {
        members.remove(name);
    }
}

#[cfg(test)]
#[path = "webhooks_tests.rs"]
mod tests;
