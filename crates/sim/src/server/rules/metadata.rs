//! Metadata of objects.

use serde_json::Value;

use crate::server::failure::Cause;
use crate::server::kind::Kind;

/// What is wrong with the metadata of a new object.
#[must_use]
pub fn on_create(_kind: &Kind, object: &Value) -> Vec<Cause> {
    if object.pointer("/metadata/name").is_some() {
        return Vec::new();
    }
    let message = "Required value: name or generateName is required".to_owned();
    vec![Cause { reason: "FieldValueRequired", message, field: "metadata.name".to_owned() }]
}

/// What is wrong with the metadata of a changed object.
#[must_use]
pub fn on_update(_kind: &Kind, new: &Value, old: &Value) -> Vec<Cause> {
    let of = |object: &Value, member: &str| object["metadata"][member].clone();
    let changed = ["uid", "name"].into_iter().filter(|member| of(new, member) != of(old, member));
    let cause = |member: &str| Cause {
        reason: "FieldValueInvalid",
        message: format!("Invalid value: {}: field is immutable", of(new, member)),
        field: format!("metadata.{member}"),
    };
    changed.map(cause).collect()
}
