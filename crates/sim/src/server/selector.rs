//! Selectors of lists and watches: by labels, and by the few fields that kube-apiserver indexes.

use serde_json::Value;

use super::failure::{Failure, Result};
use super::kind::Resource;
use super::metadata::{at, meta, meta_text};

/// Which objects are meant.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Selector {
    labels: Vec<Requirement>,
    /// Paths of members, the text that is wanted, and whether it must be equal.
    fields: Vec<(Vec<String>, String, bool)>,
}

/// What a label must be.
#[derive(Clone, Debug, PartialEq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    DoesNotExist(String),
}

impl Selector {
    /// From the query.
    ///
    /// # Errors
    /// Fails where a selector can't be read, or a field is not indexed.
    pub(super) fn parse(resource: &Resource, labels: &str, fields: &str) -> Result<Self> {
        let mut selector = Self::default();
        for part in split(labels) {
            selector.labels.push(requirement(part)?);
        }
        for part in fields.split(',').filter(|part| !part.is_empty()) {
            let (field, value, equal) = field(part)?;
            if !is_indexed(resource, field) {
                return Err(Failure::bad_request(format!("field label not supported: {field}")));
            }
            let path = field.split('.').map(str::to_owned).collect();
            selector.fields.push((path, value.to_owned(), equal));
        }
        Ok(selector)
    }

    /// Whether all objects are meant.
    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether an object is meant.
    pub(super) fn fits(&self, object: &Value) -> bool {
        let labels = meta(object, "labels");
        self.labels.iter().all(|requirement| requirement.fits(labels))
            && self.fields.iter().all(|(path, wanted, equal)| (text(object, path) == *wanted) == *equal)
    }

    /// The one name that is meant, if the selector says so.
    pub(super) fn name(&self) -> Option<&str> {
        let named = |path: &[String]| path.iter().map(String::as_str).eq(["metadata", "name"]);
        let (_, name, _) = self.fields.iter().find(|(path, _, equal)| *equal && named(path))?;
        Some(name)
    }
}

impl Requirement {
    fn fits(&self, labels: &Value) -> bool {
        let value = |key: &str| labels.get(key).and_then(Value::as_str);
        match self {
            Self::In(key, values) => value(key).is_some_and(|value| values.iter().any(|wanted| wanted == value)),
            Self::NotIn(key, values) => value(key).is_none_or(|value| values.iter().all(|wanted| wanted != value)),
            Self::Exists(key) => value(key).is_some(),
            Self::DoesNotExist(key) => value(key).is_none(),
        }
    }
}

/// A field's value as text; booleans are spelt out.
fn text(object: &Value, path: &[String]) -> String {
    if let [metadata, member] = path
        && metadata == "metadata"
    {
        return meta_text(object, member).to_owned();
    }
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match at(object, &path) {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn is_indexed(resource: &Resource, field: &str) -> bool {
    let fields: &[&str] = match resource.id.as_str() {
        "pods" => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        "events" => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "type",
        ],
        "namespaces" => &["status.phase"],
        "nodes" => &["spec.unschedulable"],
        "secrets" => &["type"],
        "replicasets.apps" => &["status.replicas"],
        _ => &[],
    };
    field == "metadata.name" || (field == "metadata.namespace" && resource.namespaced()) || fields.contains(&field)
}

fn field(part: &str) -> Result<(&str, &str, bool)> {
    let cut = |separator: &str| part.split_once(separator);
    if let Some((field, value)) = cut("!=") {
        return Ok((field, value, false));
    }
    cut("==")
        .or_else(|| cut("="))
        .map(|(field, value)| (field, value, true))
        .ok_or_else(|| Failure::bad_request(format!("invalid selector: {part:?}; can't understand {part:?}")))
}

/// Parts of a label selector: commas inside of brackets do not part.
fn split(labels: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_u32;
    let parts = labels.split(move |letter| {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

fn requirement(part: &str) -> Result<Requirement> {
    let list = |text: &str| -> Option<Vec<String>> {
        let inner = text.trim().strip_prefix('(')?.strip_suffix(')')?;
        Some(inner.split(',').map(|value| value.trim().to_owned()).collect())
    };
    let unreadable = || Failure::bad_request(format!("unable to parse requirement: {part:?}"));
    let key = |text: &str| text.trim().to_owned();
    if part.starts_with('=') {
        return Err(Failure::bad_request("found '=', expected: identifier after ','"));
    }
    if let Some((name, values)) = part.split_once(" notin") {
        return Ok(Requirement::NotIn(key(name), list(values).ok_or_else(unreadable)?));
    }
    if let Some((name, values)) = part.split_once(" in") {
        return Ok(Requirement::In(key(name), list(values).ok_or_else(unreadable)?));
    }
    if let Some((name, value)) = part.split_once("!=") {
        return Ok(Requirement::NotIn(key(name), vec![key(value)]));
    }
    if let Some((name, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Ok(Requirement::In(key(name), vec![key(value)]));
    }
    if part.is_empty() {
        return Err(unreadable());
    }
    let name = part.strip_prefix('!');
    if name.unwrap_or(part).contains([' ', '(', ')', '!', '<', '>']) {
        return Err(unreadable());
    }
    Ok(name.map_or_else(|| Requirement::Exists(key(part)), |name| Requirement::DoesNotExist(key(name))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::server::kind::Kinds;

    fn pods(labels: &str, fields: &str) -> Result<Selector> {
        let kinds = Kinds::native();
        let pods = kinds.get("pods").unwrap();
        Selector::parse(pods, labels, fields)
    }

    #[test]
    fn labels_are_selected_by_equality_and_by_sets() {
        let pod = json!({"metadata": {"name": "a", "labels": {"app": "web", "tier": "front"}}});
        for (selector, fits) in [
            ("app=web,tier==front", true),
            ("app in (web, api),tier", true),
            ("app notin (web,api)", false),
            ("other notin (web,api)", true),
            ("app!=web", false),
            ("!app", false),
            ("!other,app", true),
        ] {
            assert_eq!(pods(selector, "").unwrap().fits(&pod), fits, "{selector}");
        }
        assert_eq!(pods("a b", "").unwrap_err().code, 400);
    }

    #[test]
    fn fields_are_selected_where_they_are_indexed() {
        let pod = json!({"metadata": {"name": "a", "namespace": "n"}, "spec": {"nodeName": "node-1"}});
        for (selector, fits) in
            [("spec.nodeName=node-1", true), ("metadata.name!=a", false), ("status.phase=,metadata.namespace=n", true)]
        {
            assert_eq!(pods("", selector).unwrap().fits(&pod), fits, "{selector}");
        }
        let refused = pods("", "spec.foo=bar").unwrap_err();
        assert!(refused.message.ends_with("field label not supported: spec.foo"), "{}", refused.message);
    }
}
