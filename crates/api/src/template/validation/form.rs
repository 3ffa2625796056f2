//! Members of the wrong JSON type, which the API server could not even read.
//!
//! The checks beside this one name those that they come across; this one finds the rest by reading the template into
//! the API's own types. What Kubernetes reads leniently is put right before: null items, and amounts as bare numbers.

use k8s_openapi::api::core::v1::PodTemplateSpec;
use serde_json::Value;

use crate::field::{Denial, FieldPath};

/// Members that hold one amount.
const AMOUNTS: [&str; 2] = ["sizeLimit", "divisor"];
/// Members that hold a list of amounts by resource.
const RESOURCE_LISTS: [&str; 3] = ["limits", "requests", "overhead"];

/// The first member that has another type than the API gives it.
pub(super) fn unreadable(template: &Value, path: &FieldPath) -> Option<Denial> {
    let mut template = template.clone();
    put_right(&mut template);
    let error = serde_path_to_error::deserialize::<_, PodTemplateSpec>(&template).err()?;
    let member = FieldPath::new(&format!("{path}.{}", error.path()));
    let found = found_at(&template, error.path()).unwrap_or(Value::Null);
    Some(member.type_invalid(found, error.inner().to_string()))
}

fn put_right(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.retain(|item| !item.is_null());
            items.iter_mut().for_each(put_right);
        }
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            for (name, member) in members {
                if AMOUNTS.contains(&name.as_str()) {
                    number_to_text(member);
                } else if RESOURCE_LISTS.contains(&name.as_str()) {
                    member.as_object_mut().into_iter().flat_map(|list| list.values_mut()).for_each(number_to_text);
                }
                put_right(member);
            }
        }
        _ => {}
    }
}

fn number_to_text(value: &mut Value) {
    if value.is_number() {
        *value = Value::String(value.to_string());
    }
}

fn found_at(value: &Value, path: &serde_path_to_error::Path) -> Option<Value> {
    use serde_path_to_error::Segment;
    let mut place = value;
    for segment in path {
        place = match segment {
            Segment::Map { key } => place.get(key)?,
            Segment::Seq { index } => place.get(index)?,
            Segment::Enum { .. } | Segment::Unknown => return None,
        };
    }
    Some(place.clone())
}
