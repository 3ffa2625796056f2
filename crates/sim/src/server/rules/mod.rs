//! What the API server demands of objects: names and metadata, the native kinds' own rules, schemas of CRDs.
//!
//! Pure functions on JSON; what order they are called in is `core`'s. A kind whose rules are not written here is
//! refused when one is created (`native::is_known`), so that no test runs on guesses. The same mistake is reported
//! once, where kube-apiserver often lists it twice among the causes because two layers look.

pub mod form;
pub mod metadata;
pub mod native;
pub mod pod;
pub mod schema;

mod budget;
mod claim;
mod cluster;
mod config;
mod event;
mod lease;
mod look;
mod revision;
mod service;
mod workload;

use api::field::Denial;
use serde_json::{Value, json};

use super::{
    failure::{Cause, Failure},
    kind::Kind,
};

/// The refusal of an object that breaks rules: 422 with all causes.
#[must_use]
pub fn invalid(kind: &Kind, name: &str, causes: Vec<Cause>) -> Failure {
    // Both groups that serve Events refuse them under the name of the older one.
    let group = if kind.kind == "Event" { "" } else { kind.group.as_str() };
    let subject = if group.is_empty() { kind.kind.clone() } else { format!("{}.{group}", kind.kind) };
    let mut lines: Vec<String> = Vec::new();
    for cause in &causes {
        let line = format!("{}: {}", cause.field, cause.message);
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    let text = match lines.as_slice() {
        [only] => only.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    let mut details = json!({"kind": kind.kind});
    for (member, value) in [("name", name), ("group", group)] {
        if !value.is_empty() {
            look::put(&mut details, member, Value::from(value));
        }
    }
    let causes: Value = causes
        .into_iter()
        .map(|Cause { reason, message, field }| json!({"reason": reason, "message": message, "field": field}))
        .collect();
    look::put(&mut details, "causes", causes);
    Failure { details, ..Failure::new(422, "Invalid", format!("{subject} {name:?} is invalid: {text}")) }
}

impl From<Denial> for Cause {
    fn from(denial: Denial) -> Self {
        Self { reason: denial.kind.reason(), message: denial.message(), field: denial.field.to_string() }
    }
}

/// Refusals as causes.
fn causes(denials: Vec<Denial>) -> Vec<Cause> {
    denials.into_iter().map(Cause::from).collect()
}

#[cfg(test)]
mod tests {
    use api::field::FieldPath;

    use super::*;

    #[test]
    fn a_refusal_names_the_object_and_each_cause_once() {
        let kind = Kind {
            group: "apps".into(),
            version: "v1".into(),
            kind: "ReplicaSet".into(),
            plural: "replicasets".into(),
            namespaced: true,
        };
        let spec = FieldPath::new("spec");
        let twice = vec![spec.required(""), spec.child("replicas").invalid(-1, "no"), spec.required("")];
        let failure = invalid(&kind, "web", causes(twice));
        assert_eq!(failure.code, 422);
        assert_eq!(
            failure.message,
            r#"ReplicaSet.apps "web" is invalid: [spec: Required value, spec.replicas: Invalid value: -1: no]"#
        );
        assert_eq!(failure.details["causes"][1]["reason"], "FieldValueInvalid");
        assert_eq!(failure.details["causes"].as_array().map(Vec::len), Some(3));
        let one = invalid(&kind, "", causes(vec![spec.required("")]));
        assert_eq!(one.message, r#"ReplicaSet.apps "" is invalid: spec: Required value"#);
        assert_eq!(one.details["name"], Value::Null);
    }
}
