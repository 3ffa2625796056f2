//! The numbers of the scale subresource: not negative, and no larger than an int32.

use serde_json::Value;

use super::{Schema, at_path};
use crate::server::failure::Cause;

/// Which of the two numbers is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Wanted,
    Actual,
}

pub(super) fn check(schema: &Schema, object: &Value, side: Side, out: &mut Vec<Cause>) {
    let Some((wanted, actual)) = &schema.scale else { return };
    let path = if side == Side::Wanted { wanted } else { actual };
    let value = at_path(object, path);
    let parent = path.rsplit_once('.').map_or(&Value::Null, |(parent, _)| at_path(object, parent));
    let no_map = |value: &Value| !value.is_null() && !value.is_object();
    let refusal = match (value, value.as_i64()) {
        (Value::Null, _) if no_map(parent) => {
            let wrong = wrong_type(parent).replace("int64", "map[string]interface{}");
            Some(("0".to_owned(), format!("{path} accessor error: {wrong}")))
        }
        (Value::Null, _) => None,
        (_, Some(number)) if number < 0 => Some((value.to_string(), "should be a non-negative integer".to_owned())),
        (_, Some(number)) if number > i64::from(i32::MAX) => {
            Some((value.to_string(), "should be less than or equal to 2147483647".to_owned()))
        }
        (_, Some(_)) => None,
        (_, None) => Some(("0".to_owned(), format!("{path} accessor error: {}", wrong_type(value)))),
    };
    if let Some((shown, detail)) = refusal {
        out.push(Cause {
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {shown}: {detail}"),
            field: path.clone(),
        });
    }
}

/// As the server's decoder names it.
fn wrong_type(value: &Value) -> String {
    let name = match value {
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        Value::Number(_) => "float64",
        Value::Array(_) => "[]interface {}",
        Value::Null | Value::Object(_) => "map[string]interface {}",
    };
    let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    format!("{shown} is of the type {name}, expected int64")
}
