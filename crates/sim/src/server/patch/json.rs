//! JSON patch (RFC 6902), with kube-apiserver's answers to patches that do not fit.
//!
//! A body that is no list of operations is a 400. An operation that does not apply, or that nobody knows, is a 422 that
//! does not say why: the server keeps the reason for itself.

use json_patch::PatchOperation;
use serde_json::{Value, json};

use crate::server::failure::{Failure, Result};

/// Most operations that the server takes in one patch.
const MOST: usize = 10_000;

/// The object after the patch.
///
/// # Errors
/// 400 for a malformed body, 413 for too many operations, 422 for one that does not apply, 501 for a negative index.
pub fn apply(object: &Value, patch: &Value) -> Result<Value> {
    let mut patched = object.clone();
    for operation in operations(patch)? {
        if absent_is_null(&patched, operation) {
            continue;
        }
        let mut operation = operation.clone();
        if replaces_nothing(&patched, &operation)
            && let Some(members) = operation.as_object_mut()
        {
            members.insert("op".to_owned(), json!("add"));
        }
        let Ok(known) = serde_json::from_value::<PatchOperation>(operation) else {
            return Err(rejected());
        };
        json_patch::patch_unsafe(&mut patched, &[known]).map_err(|_| rejected())?;
    }
    Ok(patched)
}

/// The operations, where the body is a list of maps whose `op`, `path` and `from` are texts.
fn operations(patch: &Value) -> Result<&[Value]> {
    let operations = match patch {
        Value::Array(operations) => operations.as_slice(),
        Value::Null => &[],
        other => return Err(malformed(go_kind(other), "[]handlers.jsonPatchOp")),
    };
    if operations.len() > MOST {
        let text = format!("The allowed maximum operations in a JSON patch is {MOST}, got {}", operations.len());
        return Err(Failure::new(413, "RequestEntityTooLarge", text));
    }
    for operation in operations {
        let Value::Object(members) = operation else {
            return Err(malformed(go_kind(operation), "handlers.jsonPatchOp"));
        };
        for name in ["op", "path", "from"] {
            match members.get(name) {
                Some(Value::String(text)) if name != "op" && counts_from_the_end(text) => {
                    return Err(Failure::not_simulated(format_args!("JSON patch with a negative index: {text}")));
                }
                None | Some(Value::String(_)) => {}
                Some(other) => return Err(malformed(go_kind(other), "string")),
            }
        }
    }
    Ok(operations)
}

/// Whether this tests for null what is not there: the server lets that pass.
fn absent_is_null(object: &Value, operation: &Value) -> bool {
    operation.get("value").is_none_or(Value::is_null) && is_for_absent(object, operation, "test")
}

/// Whether this replaces a member that a map does not have: the server adds it.
fn replaces_nothing(object: &Value, operation: &Value) -> bool {
    is_for_absent(object, operation, "replace")
}

/// Whether an operation of this name is for an absent member of a map that is there.
fn is_for_absent(object: &Value, operation: &Value, name: &str) -> bool {
    let path = operation.get("path").and_then(Value::as_str).unwrap_or_default();
    let Some((parent, _)) = path.rsplit_once('/') else { return false };
    operation.get("op").and_then(Value::as_str) == Some(name)
        && object.pointer(parent).is_some_and(Value::is_object)
        && object.pointer(path).is_none()
}

fn counts_from_the_end(path: &str) -> bool {
    let digits = path.rsplit('/').next().and_then(|token| token.strip_prefix('-'));
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The word of Go's JSON decoder for a value that it did not expect.
pub(super) fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn malformed(what: &str, wanted: &str) -> Failure {
    let text = format!("error decoding patch: json: cannot unmarshal {what} into Go value of type {wanted}");
    Failure::new(400, "BadRequest", text)
}

/// What the server says to every operation that does not apply.
fn rejected() -> Failure {
    let text = "the server rejected our request due to an error in our request";
    Failure { details: json!({}), ..Failure::new(422, "Invalid", text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> Value {
        json!({"metadata": {"name": "web-0", "labels": {"app": "web"}}, "spec": {"containers": [{"name": "a"}]}})
    }

    #[track_caller]
    fn code_of(patch: &Value) -> u16 {
        apply(&pod(), patch).unwrap_err().code
    }

    #[test]
    fn operations_are_applied_in_order() {
        let patch = json!([
            {"op": "test", "path": "/metadata/labels/app", "value": "web"},
            {"op": "add", "path": "/metadata/labels/a~1b", "value": "1"},
            {"op": "add", "path": "/spec/containers/-", "value": {"name": "b"}},
            {"op": "remove", "path": "/spec/containers/0"},
            {"op": "copy", "from": "/metadata/name", "path": "/metadata/labels/copy"},
        ]);
        let patched = apply(&pod(), &patch).unwrap();
        assert_eq!(patched["metadata"]["labels"], json!({"app": "web", "a/b": "1", "copy": "web-0"}));
        assert_eq!(patched["spec"]["containers"], json!([{"name": "b"}]));
    }

    #[test]
    fn what_does_not_apply_is_refused_without_a_reason() {
        for operation in [
            json!({"op": "test", "path": "/metadata/name", "value": "web-1"}),
            json!({"op": "remove", "path": "/metadata/annotations"}),
            json!({"op": "replace", "path": "/metadata/annotations/a", "value": {}}),
            json!({"op": "add", "path": "/metadata/annotations/a", "value": "b"}),
            json!({"op": "frobnicate", "path": "/metadata"}),
            json!({"op": "add", "path": "/spec/containers/7", "value": {}}),
        ] {
            let refused = apply(&pod(), &json!([operation])).unwrap_err();
            assert_eq!((refused.code, refused.reason), (422, "Invalid"), "{operation}");
            assert_eq!(refused.message, "the server rejected our request due to an error in our request");
        }
    }

    #[test]
    fn a_body_that_is_no_list_of_operations_is_a_bad_request() {
        assert_eq!(code_of(&json!({"op": "remove", "path": "/spec"})), 400);
        assert_eq!(code_of(&json!(["remove"])), 400);
        assert_eq!(code_of(&json!([{"op": 1, "path": "/spec"}])), 400);
        assert_eq!(apply(&pod(), &json!([])).unwrap(), pod());
    }

    #[test]
    fn testing_for_null_what_is_not_there_passes() {
        let test = |path: &str| json!([{"op": "test", "path": path, "value": null}]);
        assert_eq!(apply(&pod(), &test("/metadata/annotations")).unwrap(), pod());
        assert_eq!(code_of(&test("/metadata/annotations/a")), 422);
        assert_eq!(code_of(&test("/metadata/name")), 422);
    }

    #[test]
    fn replacing_a_member_that_is_not_there_adds_it() {
        let patched =
            apply(&pod(), &json!([{"op": "replace", "path": "/metadata/labels/tier", "value": "x"}])).unwrap();
        assert_eq!(patched["metadata"]["labels"], json!({"app": "web", "tier": "x"}));
    }

    #[test]
    fn too_many_operations_and_negative_indices_are_refused() {
        let many: Vec<Value> = (0..=MOST).map(|_| json!({"op": "test", "path": "/spec"})).collect();
        assert_eq!(code_of(&Value::Array(many)), 413);
        assert_eq!(code_of(&json!([{"op": "remove", "path": "/spec/containers/-1"}])), 501);
    }
}
