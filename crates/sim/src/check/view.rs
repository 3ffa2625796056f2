//! Reading JSON objects: fields by path, absent ones as nothing.

use jiff::Timestamp;
use serde_json::{Map, Value};

/// Text at a path, empty where there is none.
pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Integer at a path.
pub(super) fn integer(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Value::as_i64)
}

/// Truth at a path, false where there is none.
pub(super) fn truth(object: &Value, pointer: &str) -> bool {
    object.pointer(pointer).and_then(Value::as_bool).unwrap_or(false)
}

/// Value at a path, null where there is none.
pub(super) fn value<'a>(object: &'a Value, pointer: &str) -> &'a Value {
    object.pointer(pointer).unwrap_or(&Value::Null)
}

/// List at a path, empty where there is none.
pub(super) fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Object at a path.
pub(super) fn map<'a>(object: &'a Value, pointer: &str) -> Option<&'a Map<String, Value>> {
    object.pointer(pointer).and_then(Value::as_object)
}

/// Value of a label.
pub(super) fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    map(object, "/metadata/labels")?.get(key)?.as_str()
}

/// Value of an annotation.
pub(super) fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    map(object, "/metadata/annotations")?.get(key)?.as_str()
}

/// A condition of the status.
pub(super) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    list(object, "/status/conditions").iter().find(|condition| text(condition, "/type") == kind)
}

/// A time in RFC 3339.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// Whether a deletion is under way.
pub(super) fn terminating(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null())
}

/// uid of the controller, if the object has one.
pub(super) fn controller(object: &Value) -> Option<&str> {
    let references = list(object, "/metadata/ownerReferences");
    references.iter().find(|reference| truth(reference, "/controller")).map(|reference| text(reference, "/uid"))
}

/// uids of all owners.
pub(super) fn owners(object: &Value) -> impl Iterator<Item = &str> {
    list(object, "/metadata/ownerReferences").iter().map(|reference| text(reference, "/uid"))
}

/// Whether a label selector matches the labels of an object. An empty one matches nothing here: none is valid.
pub(super) fn selects(selector: &Value, object: &Value) -> bool {
    let exact = map(selector, "/matchLabels");
    let expressions = list(selector, "/matchExpressions");
    if exact.is_none_or(Map::is_empty) && expressions.is_empty() {
        return false;
    }
    exact.is_none_or(|exact| exact.iter().all(|(key, want)| label(object, key) == want.as_str()))
        && expressions.iter().all(|expression| {
            let have = label(object, text(expression, "/key"));
            let listed = |have: &str| list(expression, "/values").iter().any(|value| value.as_str() == Some(have));
            match text(expression, "/operator") {
                "In" => have.is_some_and(listed),
                "NotIn" => !have.is_some_and(listed),
                "Exists" => have.is_some(),
                "DoesNotExist" => have.is_none(),
                _ => false,
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_match_as_in_kubernetes() {
        let object = json!({"metadata": {"labels": {"app": "web", "tier": "front"}}});
        for (selector, want) in [
            (json!({"matchLabels": {"app": "web"}}), true),
            (json!({"matchLabels": {"app": "db"}}), false),
            (json!({}), false),
            (json!({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["front", "back"]}]}), true),
            (json!({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["front"]}]}), false),
            (json!({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}), true),
            (json!({"matchExpressions": [{"key": "zone", "operator": "Exists"}]}), false),
            (json!({"matchExpressions": [{"key": "zone", "operator": "DoesNotExist"}]}), true),
        ] {
            assert_eq!(selects(&selector, &object), want, "{selector}");
        }
    }
}
