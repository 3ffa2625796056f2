//! Rules of the native kinds.

use serde_json::Value;

use crate::server::failure::Cause;
use crate::server::kind::Kind;

/// Fills in defaults.
pub fn default(_kind: &Kind, _object: &mut Value) {}

/// What the server resets in a new object.
pub fn prepare_create(kind: &Kind, object: &mut Value) {
    if kind.kind == "Pod" {
        object["status"] = serde_json::json!({"phase": "Pending"});
    }
}

/// What the server keeps of the old object.
pub fn prepare_update(_kind: &Kind, new: &mut Value, old: &Value) {
    if let Some(status) = old.get("status") {
        new["status"] = status.clone();
    }
}

/// What the server keeps of the old object when the status is written.
pub fn prepare_status(_kind: &Kind, new: &mut Value, old: &Value) {
    if let Some(spec) = old.get("spec") {
        new["spec"] = spec.clone();
    }
}

/// What is wrong with a new object.
#[must_use]
pub fn on_create(_kind: &Kind, _object: &Value) -> Vec<Cause> {
    Vec::new()
}

/// What is wrong with a changed object.
#[must_use]
pub fn on_update(_kind: &Kind, _new: &Value, _old: &Value) -> Vec<Cause> {
    Vec::new()
}

/// What is wrong with a changed status.
#[must_use]
pub fn on_status(_kind: &Kind, _new: &Value, _old: &Value) -> Vec<Cause> {
    Vec::new()
}
