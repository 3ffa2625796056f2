//! CloneSet between `v1alpha1` and `v1beta1` (page section 2.1), on JSON: what we don't know is carried along.
//!
//! Never fails for a stored object (IN-44): a part that has not the form of its version is carried through unchanged.
//! Metadata and status stay as they are, but for the three image pre-download annotations, which are the `v1alpha1`
//! form of fields.

use serde_json::{Map, Value, json};

use super::{IN_PLACE_IF_POSSIBLE, IN_PLACE_ONLY, ON_DELETE, RE_CREATE, ROLLING_UPDATE, Version};
use crate::{fill::object_in, keys};

/// Why an object was not converted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConversionError {
    /// The object, or the version asked for, is none of ours.
    #[error("CloneSet has no version {0:?}")]
    UnknownVersion(String),
    /// What was sent is no JSON object.
    #[error("not an object")]
    NotAnObject,
}

/// The three annotations and the fields that they stand for.
const ANNOTATED: [(&str, &str); 3] = [
    (keys::IMAGE_PREDOWNLOAD_PARALLELISM_ANNOTATION, PARALLELISM),
    (keys::IMAGE_PREDOWNLOAD_TIMEOUT_ANNOTATION, "imagePreDownloadTimeoutSeconds"),
    (keys::IMAGE_PREDOWNLOAD_MIN_READY_ANNOTATION, "imagePreDownloadMinUpdatedReadyPods"),
];
const PARALLELISM: &str = "imagePreDownloadParallelism";

/// Converts a CloneSet to another version, given as `v1beta1` or `apps.kruise.io/v1beta1`. An object that has it
/// already is returned unchanged (PL-55).
///
/// # Errors
/// Fails where either version is unknown, or where this is no object; never for what the API server has stored.
pub fn convert(mut object: Value, to_version: &str) -> Result<Value, ConversionError> {
    let members = object.as_object_mut().ok_or(ConversionError::NotAnObject)?;
    let known = |name: &str| Version::parse(name).ok_or_else(|| ConversionError::UnknownVersion(name.to_owned()));
    let from = known(members.get("apiVersion").and_then(Value::as_str).unwrap_or_default())?;
    let to = known(to_version)?;
    match (from, to) {
        (Version::V1alpha1, Version::V1beta1) => to_v1beta1(members),
        (Version::V1beta1, Version::V1alpha1) => to_v1alpha1(members),
        (Version::V1alpha1, Version::V1alpha1) | (Version::V1beta1, Version::V1beta1) => {}
    }
    members.insert("apiVersion".to_owned(), json!(to.api_version()));
    Ok(object)
}

fn to_v1beta1(object: &mut Map<String, Value>) {
    let annotated = annotated_fields(object);
    let excludes = metadata_text(object, "labels", keys::EXCLUDE_PREPARING_DELETE_LABEL) == Some("true");
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };

    if let Some(scale) = object_in(spec, "scaleStrategy") {
        let reuse = !is_true(scale.remove("disablePVCReuse").as_ref());
        scale.insert("enablePVCReuse".to_owned(), json!(reuse));
        if excludes {
            scale.insert("excludePreparingDelete".to_owned(), json!(true));
        }
    }
    if let Some(update) = object_in(spec, "updateStrategy") {
        *update = nested_strategy(std::mem::take(update), annotated);
    }
}

/// `v1alpha1`'s flat strategy in the form of `v1beta1`. `OnDelete` keeps nothing else, as in 1.9.
fn nested_strategy(mut flat: Map<String, Value>, annotated: Option<Map<String, Value>>) -> Map<String, Value> {
    let type_ = flat.remove("type");
    let policy = match type_.as_ref().and_then(Value::as_str) {
        Some(ON_DELETE) => return Map::from_iter([("type".to_owned(), json!(ON_DELETE))]),
        Some(policy @ (IN_PLACE_IF_POSSIBLE | IN_PLACE_ONLY)) => policy,
        _ => RE_CREATE,
    };
    flat.insert("podUpdatePolicy".to_owned(), json!(policy));
    // The schema of v1alpha1 lists the fields too, but only the annotations count there.
    let in_place = match flat.remove("inPlaceUpdateStrategy") {
        Some(Value::Object(mut fields)) => {
            ANNOTATED.iter().for_each(|(_, field)| drop(fields.remove(*field)));
            fields.extend(annotated.unwrap_or_default());
            Some(Value::Object(fields))
        }
        None | Some(Value::Null) => annotated.map(Value::Object),
        odd => odd,
    };
    if let Some(in_place) = in_place {
        flat.insert("inPlaceUpdateStrategy".to_owned(), in_place);
    }
    Map::from_iter([("type".to_owned(), json!(ROLLING_UPDATE)), ("rollingUpdate".to_owned(), Value::Object(flat))])
}

/// What the three annotations say: `None` where all are empty, else the fields, of which there may be none. A text
/// that is no number counts for the parallelism only, where it is kept; CS-71 reads a percentage from the annotation.
fn annotated_fields(object: &Map<String, Value>) -> Option<Map<String, Value>> {
    let mut fields = None;
    for (annotation, field) in ANNOTATED {
        let text = metadata_text(object, "annotations", annotation).unwrap_or_default();
        if text.is_empty() {
            continue;
        }
        let fields = fields.get_or_insert_with(Map::new);
        match text.parse::<i32>() {
            Ok(number) => drop(fields.insert(field.to_owned(), json!(number))),
            Err(_) if field == PARALLELISM => drop(fields.insert(field.to_owned(), json!(text))),
            Err(_) => {}
        }
    }
    fields
}

fn to_v1alpha1(object: &mut Map<String, Value>) {
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    if let Some(scale) = object_in(spec, "scaleStrategy") {
        let reuse = is_true(scale.remove("enablePVCReuse").as_ref());
        scale.insert("disablePVCReuse".to_owned(), json!(!reuse));
        // Not written back as a label: page section 2.1.
        scale.remove("excludePreparingDelete");
    }
    let Some(update) = object_in(spec, "updateStrategy") else { return };
    let (flat, annotations) = flat_strategy(std::mem::take(update));
    *update = flat;
    write_annotations(object, annotations);
}

/// `v1beta1`'s strategy in the flat form, and the annotations that go with it.
fn flat_strategy(mut nested: Map<String, Value>) -> (Map<String, Value>, Vec<(&'static str, String)>) {
    let type_ = nested.remove("type");
    let mut flat = match nested.remove("rollingUpdate") {
        Some(Value::Object(rolling)) => rolling,
        _ => Map::new(),
    };
    // What else stood beside `rollingUpdate` is kept.
    for (name, value) in nested {
        flat.entry(name).or_insert(value);
    }
    let policy = flat.remove("podUpdatePolicy");
    let type_ = match (type_.as_ref().and_then(Value::as_str), policy.as_ref().and_then(Value::as_str)) {
        (Some(ON_DELETE), _) => ON_DELETE,
        (_, Some(policy @ (IN_PLACE_IF_POSSIBLE | IN_PLACE_ONLY))) => policy,
        _ => RE_CREATE,
    };
    flat.insert("type".to_owned(), json!(type_));

    let mut annotations = Vec::new();
    if let Some(Value::Object(mut in_place)) = flat.remove("inPlaceUpdateStrategy")
        && !in_place.values().all(is_zero)
    {
        for (annotation, field) in ANNOTATED {
            match in_place.remove(field) {
                Some(Value::Number(number)) => annotations.push((annotation, number.to_string())),
                Some(Value::String(text)) => annotations.push((annotation, text)),
                _ => {}
            }
        }
        flat.insert("inPlaceUpdateStrategy".to_owned(), Value::Object(in_place));
    }
    (flat, annotations)
}

fn write_annotations(object: &mut Map<String, Value>, annotations: Vec<(&'static str, String)>) {
    if annotations.is_empty() {
        return;
    }
    if let Some(metadata) = object_in(object, "metadata")
        && let Some(existing) = object_in(metadata, "annotations")
    {
        existing.extend(annotations.into_iter().map(|(name, text)| (name.to_owned(), json!(text))));
    }
}

fn metadata_text<'a>(object: &'a Map<String, Value>, map: &str, key: &str) -> Option<&'a str> {
    object.get("metadata")?.get(map)?.get(key)?.as_str()
}

fn is_true(value: Option<&Value>) -> bool {
    value.and_then(Value::as_bool).unwrap_or(false)
}

fn is_zero(value: &Value) -> bool {
    value.is_null() || value.as_i64() == Some(0)
}

#[cfg(test)]
#[path = "tests/conversion.rs"]
mod tests;
