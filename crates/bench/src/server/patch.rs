//! Patch formats: merge patches as RFC 7386 has them, strategic ones as far as somebody sends them here.

use serde_json::{Map, Value};

use super::reply::Refusal;

/// Applies a patch of a content type.
pub(super) fn apply(object: &mut Value, patch: &Value, content_type: &str) -> Result<(), Refusal> {
    match content_type {
        "application/merge-patch+json" => json_patch::merge(object, patch),
        "application/strategic-merge-patch+json" => strategic(object, patch),
        other => return Err(Refusal::unsupported_patch(other)),
    }
    Ok(())
}

/// A merge in which lists of conditions are merged by type; all other lists are replaced, which differs from the real
/// thing for containers, volumes and the like.
fn strategic(object: &mut Value, patch: &Value) {
    let Value::Object(members) = patch else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let Some(object) = object.as_object_mut() else { return };
    for (name, member) in members {
        match (member, object.get_mut(name)) {
            // Directives to a fuller implementation, such as `$setElementOrder/conditions`.
            _ if name.starts_with('$') => {}
            (Value::Null, _) => {
                object.remove(name);
            }
            (Value::Array(new), Some(Value::Array(old))) if name == "conditions" => merge_by_type(old, new),
            (member, Some(old)) => strategic(old, member),
            (member, None) => {
                let mut fresh = Value::Null;
                strategic(&mut fresh, member);
                object.insert(name.clone(), fresh);
            }
        }
    }
}

fn merge_by_type(old: &mut Vec<Value>, new: &[Value]) {
    for item in new {
        match old.iter_mut().find(|present| present.get("type") == item.get("type")) {
            Some(present) => strategic(present, item),
            None => old.push(item.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_are_merged_by_type() {
        let mut pod = json!({"status": {"phase": "Running", "conditions": [
            {"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}]}});
        let patch = json!({"status": {"$setElementOrder/conditions": [], "phase": null, "conditions": [
            {"type": "Ready", "status": "False"}, {"type": "InPlaceUpdateReady", "status": "False"}]}});
        apply(&mut pod, &patch, "application/strategic-merge-patch+json").unwrap();
        assert_eq!(
            pod,
            json!({"status": {"conditions": [
                {"type": "Ready", "status": "False"}, {"type": "PodScheduled", "status": "True"},
                {"type": "InPlaceUpdateReady", "status": "False"}]}})
        );
    }

    #[test]
    fn other_formats_are_refused() {
        assert!(apply(&mut json!({}), &json!([]), "application/json-patch+json").is_err());
    }
}
