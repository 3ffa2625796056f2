//! Looking at JSON by pointer (`/spec/containers`), and filling in what is absent. `null` is absence.

use serde_json::{Map, Value, json};

/// What stands where nothing stands.
static NOTHING: Value = Value::Null;

/// The value at a pointer; null where there is none.
pub(super) fn at<'a>(object: &'a Value, pointer: &str) -> &'a Value {
    object.pointer(pointer).unwrap_or(&NOTHING)
}

/// The text at a pointer; empty where there is none.
pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    at(object, pointer).as_str().unwrap_or_default()
}

/// The items of the list at a pointer.
pub(super) fn items<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    at(object, pointer).as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The items of a list that may be changed.
pub(super) fn items_mut<'a>(object: &'a mut Value, pointer: &str) -> impl Iterator<Item = &'a mut Value> {
    object.pointer_mut(pointer).and_then(Value::as_array_mut).into_iter().flatten()
}

/// The entries of the object at a pointer.
pub(super) fn entries<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    at(object, pointer).as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

/// A member that is an object, made where it is absent.
pub(super) fn object_in<'a>(parent: &'a mut Value, member: &str) -> Option<&'a mut Map<String, Value>> {
    default_to(parent, member, || json!({}));
    parent.get_mut(member)?.as_object_mut()
}

/// Sets a member of an object where it is absent.
pub(super) fn default_to(parent: &mut Value, member: &str, value: impl FnOnce() -> Value) {
    let Some(parent) = parent.as_object_mut() else { return };
    if parent.get(member).is_none_or(Value::is_null) {
        parent.insert(member.to_owned(), value());
    }
}

/// Sets a text of an object where it is absent or empty.
pub(super) fn default_text(parent: &mut Value, member: &str, value: &str) {
    if parent.get(member).is_none_or(|found| found.is_null() || found == "") {
        put(parent, member, Value::from(value));
    }
}

/// Sets a member of an object.
pub(super) fn put(parent: &mut Value, member: &str, value: Value) {
    if let Some(parent) = parent.as_object_mut() {
        parent.insert(member.to_owned(), value);
    }
}

/// Takes a member out of an object.
pub(super) fn remove(parent: &mut Value, member: &str) -> Option<Value> {
    parent.as_object_mut()?.remove(member)
}

/// Gives a member the value that it has in another object, or none.
pub(super) fn copy(to: &mut Value, from: &Value, member: &str) {
    match from.get(member) {
        Some(value) => put(to, member, value.clone()),
        None => drop(remove(to, member)),
    }
}
