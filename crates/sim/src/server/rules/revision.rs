//! ControllerRevisions: numbered data that never changes.

use api::field::FieldPath;
use serde_json::Value;

use super::{causes, look::at};
use crate::server::failure::Cause;

const NOT_NEGATIVE: &str = "must be greater than or equal to 0";

pub(super) fn on_create(object: &Value) -> Vec<Cause> {
    let data = FieldPath::new("data");
    let mut out = number(object);
    match at(object, "/data") {
        Value::Null => out.push(data.required("data is mandatory").into()),
        Value::Object(_) => {}
        _ => out.push(data.required("data must be a valid JSON object").into()),
    }
    out
}

pub(super) fn on_update(new: &Value, old: &Value) -> Vec<Cause> {
    let mut out = number(new);
    let data = at(new, "/data");
    if data != at(old, "/data") {
        out.push(FieldPath::new("data").invalid(data.clone(), "field is immutable").into());
    }
    out
}

fn number(object: &Value) -> Vec<Cause> {
    let revision = at(object, "/revision").as_i64().filter(|revision| *revision < 0);
    causes(revision.map(|revision| FieldPath::new("revision").invalid(revision, NOT_NEGATIVE)).into_iter().collect())
}
