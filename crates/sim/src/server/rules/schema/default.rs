//! Filling in defaults, from the outside in, and dropping nulls that mean nothing.

use serde_json::{Value, json};

use super::{
    Schema,
    prune::{embedded, known},
};
use crate::server::rules::look::at;

/// Fills in what the schema has defaults for. A null where none may be counts as absent; so does one without a default.
pub fn default(schema: &Schema, object: &mut Value) {
    one(&schema.root, object, true);
}

fn one(schema: &Value, value: &mut Value, is_object: bool) {
    match value {
        Value::Object(members) => {
            let kept = |name: &str| is_object && ["apiVersion", "kind", "metadata"].contains(&name);
            members.retain(|name, member| {
                let schema = known(schema, name).filter(|_| !kept(name));
                schema.is_none_or(|schema| !member.is_null() || may_be_null(schema))
            });
            for (name, inner) in at(schema, "/properties").as_object().into_iter().flatten() {
                if let Some(value) = inner.get("default").filter(|value| !value.is_null())
                    && !kept(name)
                    && !members.contains_key(name)
                {
                    members.insert(name.clone(), value.clone());
                }
            }
            for (name, member) in members {
                if let Some(inner) = known(schema, name).filter(|_| !kept(name)) {
                    one(inner, member, embedded(inner));
                }
            }
        }
        Value::Array(items) => {
            let inner = at(schema, "/items");
            for item in items {
                // A null item has no place to vanish to, but a default may replace it.
                if item.is_null()
                    && !may_be_null(inner)
                    && let Some(value) = inner.get("default").filter(|value| !value.is_null())
                {
                    *item = value.clone();
                }
                one(inner, item, embedded(inner));
            }
        }
        _ => {}
    }
}

fn may_be_null(schema: &Value) -> bool {
    at(schema, "/nullable") == &json!(true)
}
