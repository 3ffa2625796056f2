//! Filling in members of JSON objects that a client left out. `null` and, for texts, `""` count as left out.

use serde_json::{Map, Value};

/// Sets a member that is absent.
pub(crate) fn default_to(object: &mut Map<String, Value>, member: &str, value: Value) {
    if object.get(member).is_none_or(Value::is_null) {
        object.insert(member.to_owned(), value);
    }
}

/// Sets a text that is absent or empty.
pub(crate) fn default_text(object: &mut Map<String, Value>, member: &str, value: &str) {
    if object.get(member).is_none_or(|found| found.is_null() || found == "") {
        object.insert(member.to_owned(), Value::String(value.to_owned()));
    }
}

/// Sets a number that is absent or 0.
pub(crate) fn default_number(object: &mut Map<String, Value>, member: &str, value: i64) {
    if object.get(member).is_none_or(|found| found.is_null() || found.as_i64() == Some(0)) {
        object.insert(member.to_owned(), Value::from(value));
    }
}

/// A member that is an object, made where it is absent; `None` where it is something else.
pub(crate) fn object_in<'a>(parent: &'a mut Map<String, Value>, member: &str) -> Option<&'a mut Map<String, Value>> {
    default_to(parent, member, Value::Object(Map::new()));
    parent.get_mut(member)?.as_object_mut()
}

/// The objects in a member that is a list; none where it is anything else.
pub(crate) fn objects_in<'a>(
    parent: &'a mut Map<String, Value>,
    member: &str,
) -> impl Iterator<Item = &'a mut Map<String, Value>> + use<'a> {
    parent.get_mut(member).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}

/// A member that is an object and is there.
pub(crate) fn existing<'a>(parent: &'a mut Map<String, Value>, member: &str) -> Option<&'a mut Map<String, Value>> {
    parent.get_mut(member)?.as_object_mut()
}
