//! JSON merge patches (RFC 7386).

use serde_json::Value;

/// The object with the patch.
#[must_use]
pub fn apply(object: &Value, patch: &Value) -> Value {
    let mut object = object.clone();
    json_patch::merge(&mut object, patch);
    object
}
