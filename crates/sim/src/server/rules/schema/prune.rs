//! Dropping what a schema does not know.

use serde_json::{Map, Value, json};

use super::Schema;
use crate::server::rules::{form, look::at};

/// Members that every object has, whatever its schema says.
const OF_OBJECTS: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Drops unknown members, wherever the schema does not preserve them.
pub fn prune(schema: &Schema, object: &mut Value) {
    one(&schema.root, object, true);
}

fn one(schema: &Value, value: &mut Value, is_object: bool) {
    let preserves = at(schema, "/x-kubernetes-preserve-unknown-fields") == &json!(true);
    match value {
        Value::Object(members) => {
            if embedded(schema)
                && let Some(metadata) = members.get_mut("metadata")
            {
                form::inner_metadata(metadata);
            }
            if !preserves {
                members.retain(|name, _| {
                    known(schema, name).is_some() || (is_object && OF_OBJECTS.contains(&name.as_str()))
                });
            }
            object(schema, members, is_object);
        }
        // Without a schema of their items, lists are dropped item by item nowhere: such a schema is not structural.
        Value::Array(items) => {
            let inner = at(schema, "/items");
            if !inner.is_null() {
                items.iter_mut().for_each(|item| one(inner, item, embedded(inner)));
            }
        }
        _ => {}
    }
}

fn object(schema: &Value, members: &mut Map<String, Value>, is_object: bool) {
    for (name, member) in members {
        if is_object && OF_OBJECTS.contains(&name.as_str()) {
            continue;
        }
        if let Some(inner) = known(schema, name) {
            one(inner, member, embedded(inner));
        }
    }
}

/// The schema of a member.
pub(super) fn known<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    schema.get("properties").and_then(|properties| properties.get(name)).or_else(|| schema.get("additionalProperties"))
}

/// Whether an object inside of another has metadata of its own.
pub(super) fn embedded(schema: &Value) -> bool {
    at(schema, "/x-kubernetes-embedded-resource") == &json!(true)
}
