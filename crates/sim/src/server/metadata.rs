//! Metadata that the server itself writes: identity, times, versions, generations; and how to read it.

use fastrand::Rng;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::failure::{Failure, Result};
use super::rules;

/// Letters of generated names: no vowels, nothing that looks like another.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// A generated name has this many letters after its prefix.
const GENERATED: usize = 5;
/// The prefix of a generated name is cut to this length.
const LONGEST_PREFIX: usize = 58;

/// A member of an object's metadata.
#[must_use]
pub(super) fn meta<'a>(object: &'a Value, member: &str) -> &'a Value {
    object.get("metadata").and_then(|metadata| metadata.get(member)).unwrap_or(&Value::Null)
}

/// A text in an object's metadata; empty where there is none.
#[must_use]
pub(super) fn meta_text<'a>(object: &'a Value, member: &str) -> &'a str {
    meta(object, member).as_str().unwrap_or_default()
}

/// The value at a path of members; null where there is none.
#[must_use]
pub(super) fn at<'a>(object: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().try_fold(object, |value, member| value.get(member)).unwrap_or(&Value::Null)
}

/// The text at a path of members; empty where there is none.
#[must_use]
pub(super) fn text_at<'a>(object: &'a Value, path: &[&str]) -> &'a str {
    at(object, path).as_str().unwrap_or_default()
}

/// Puts a value at a path of members, which are made where they are not there.
pub(super) fn put_at(object: &mut Value, path: &[&str], value: Value) {
    let mut place = object;
    for member in path {
        if !place.is_object() {
            *place = json!({});
        }
        let Some(members) = place.as_object_mut() else { return };
        place = members.entry(*member).or_insert(Value::Null);
    }
    *place = value;
}

/// Metadata to write to; made where there is none.
///
/// # Errors
/// Fails where the object or its metadata is no JSON object.
pub(super) fn metadata(object: &mut Value) -> Result<&mut Map<String, Value>> {
    let unreadable = || Failure::bad_request("the object provided is unrecognized (must be of type object)");
    let members = object.as_object_mut().ok_or_else(unreadable)?;
    let metadata = members.entry("metadata").or_insert_with(|| json!({}));
    if metadata.is_null() {
        *metadata = json!({});
    }
    metadata.as_object_mut().ok_or_else(unreadable)
}

/// Whether an object is being deleted.
#[must_use]
pub(super) fn is_deleting(object: &Value) -> bool {
    !meta(object, "deletionTimestamp").is_null()
}

/// Finalizers of an object.
pub(super) fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    meta(object, "finalizers").as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Writes the version.
pub(super) fn set_version(object: &mut Value, version: u64) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("resourceVersion".to_owned(), Value::String(version.to_string()));
    }
}

/// A time as Kubernetes writes it: whole seconds.
#[must_use]
pub(super) fn seconds(at: Timestamp) -> Value {
    Value::String(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// A new uid.
pub(super) fn uid(rng: &mut Rng) -> String {
    let (high, low) = (rng.u64(..), rng.u64(..));
    let (a, b, c) = (high >> 32, (high >> 16) & 0xffff, high & 0xfff);
    let (d, e) = (0x8000 | (low >> 48) & 0x3fff, low & 0xffff_ffff_ffff);
    format!("{a:08x}-{b:04x}-4{c:03x}-{d:04x}-{e:012x}")
}

/// A name that begins so.
pub(super) fn generated_name(prefix: &str, rng: &mut Rng) -> String {
    let mut name: String = prefix.chars().take(LONGEST_PREFIX).collect();
    for _ in 0..GENERATED {
        name.push(LETTERS.get(rng.usize(..LETTERS.len())).copied().map_or('x', char::from));
    }
    name
}

/// What the server alone says of a new object.
///
/// # Errors
/// Fails where the object has no readable metadata.
pub(super) fn stamp_new(object: &mut Value, now: Timestamp, rng: &mut Rng) -> Result<()> {
    rules::metadata::reset(object);
    let metadata = metadata(object)?;
    metadata.insert("creationTimestamp".to_owned(), seconds(now));
    metadata.insert("uid".to_owned(), Value::String(uid(rng)));
    Ok(())
}

/// What a client may leave out of a changed object, or cannot change.
///
/// # Errors
/// Fails where the object has no readable metadata.
pub(super) fn restore(object: &mut Value, old: &Value) -> Result<()> {
    rules::metadata::restore(object, old);
    let metadata = metadata(object)?;
    for member in ["name", "namespace"] {
        if metadata.get(member).and_then(Value::as_str).is_none_or(str::is_empty) && !meta(old, member).is_null() {
            metadata.insert(member.to_owned(), meta(old, member).clone());
        }
    }
    metadata.insert("resourceVersion".to_owned(), meta(old, "resourceVersion").clone());
    Ok(())
}

/// A deletion that begins counts as a change, where changes are counted.
pub(super) fn next_generation(object: &mut Value) {
    if meta(object, "generation").as_i64().is_some_and(|generation| generation > 0) {
        rules::metadata::next_generation(object);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_and_names_come_from_the_seed() {
        let mut rng = Rng::with_seed(7);
        let first = (uid(&mut rng), generated_name("web-", &mut rng));
        let mut again = Rng::with_seed(7);
        assert_eq!(first, (uid(&mut again), generated_name("web-", &mut again)));
        assert_eq!(first.0.len(), 36);
        assert!(first.1.starts_with("web-") && first.1.len() == 9);
        assert_eq!(generated_name(&"x".repeat(80), &mut rng).len(), 63);
    }
}
