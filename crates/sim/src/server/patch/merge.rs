//! JSON merge patch (RFC 7386): maps merge, null deletes, everything else replaces.
//!
//! That the patch is a map is for `check` to say: RFC 7386 itself takes any JSON.

use serde_json::Value;

use crate::server::failure::{Failure, Result};

/// The object after the patch.
#[must_use]
pub fn apply(object: &Value, patch: &Value) -> Value {
    let mut patched = object.clone();
    json_patch::merge(&mut patched, patch);
    patched
}

/// Refuses a body that is not a map, as the server does before it patches.
///
/// # Errors
/// 400 for anything but a map.
pub fn check(patch: &Value) -> Result<()> {
    if patch.is_object() {
        return Ok(());
    }
    let what = super::json::go_kind(patch);
    let text =
        format!("error decoding patch: json: cannot unmarshal {what} into Go value of type map[string]interface {{}}");
    Err(Failure::new(400, "BadRequest", text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn maps_merge_null_deletes_and_lists_are_replaced() {
        let object = json!({"a": {"b": 1, "c": 2}, "list": [1, 2], "gone": true});
        let patched = apply(&object, &json!({"a": {"c": null, "d": {"e": 3}}, "list": [3], "gone": null}));
        assert_eq!(patched, json!({"a": {"b": 1, "d": {"e": 3}}, "list": [3]}));
    }

    #[test]
    fn nulls_below_a_new_map_are_dropped() {
        assert_eq!(apply(&json!({}), &json!({"a": {"b": null, "c": {"d": null}}})), json!({"a": {"c": {}}}));
    }

    #[test]
    fn a_scalar_in_the_way_of_a_map_is_replaced() {
        assert_eq!(apply(&json!({"a": "text"}), &json!({"a": {"b": 1}})), json!({"a": {"b": 1}}));
    }

    #[test]
    fn a_patch_that_is_a_list_is_refused() {
        let refused = check(&json!([])).unwrap_err();
        assert_eq!((refused.code, refused.reason), (400, "BadRequest"));
        assert!(refused.message.contains("cannot unmarshal array"), "{}", refused.message);
        assert!(check(&json!({})).is_ok());
    }
}
