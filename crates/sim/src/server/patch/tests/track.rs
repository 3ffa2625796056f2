//! Owners over writes that do not apply.

use serde_json::{Value, json};

use crate::server::patch::{Types, apply};

fn map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": data})
}

fn written(before: &Value, mut after: Value, manager: &str, at: &str) -> Value {
    let types = Types::native("v1", "ConfigMap").unwrap();
    apply::track(&types, before, &mut after, manager, "", at.parse().unwrap());
    after
}

fn entries(object: &Value) -> Vec<(String, Value)> {
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let shown =
        |entry: &Value| format!("{} {}", entry["manager"].as_str().unwrap(), entry["operation"].as_str().unwrap());
    entries.iter().map(|entry| (shown(entry), entry["fieldsV1"].clone())).collect()
}

const NOON: &str = "2026-01-01T12:00:00Z";

#[test]
fn who_creates_owns_all_of_it() {
    let created = written(&Value::Null, map(json!({"a": "1"})), "one", NOON);
    assert_eq!(entries(&created), [("one Update".to_owned(), json!({"f:data": {".": {}, "f:a": {}}}))]);
}

#[test]
fn an_object_without_owners_stays_without() {
    let after = written(&map(json!({"a": "1"})), map(json!({"a": "2"})), "one", NOON);
    assert_eq!(after, map(json!({"a": "2"})));
}

#[test]
fn changed_fields_move_to_the_writer_and_removed_ones_to_nobody() {
    let types = Types::native("v1", "ConfigMap").unwrap();
    let body = map(json!({"a": "1", "b": "1", "c": "1"}));
    let live = apply::apply(&types, None, &body, "one", "", false, NOON.parse().unwrap()).unwrap();
    let after = written(&live, map(json!({"a": "2", "c": "1", "d": "1"})), "two", NOON);
    let expected = [
        ("one Apply".to_owned(), json!({"f:data": {"f:c": {}}})),
        ("two Update".to_owned(), json!({"f:data": {"f:a": {}, "f:d": {}}})),
    ];
    assert_eq!(entries(&after), expected);
    let unchanged = written(&after, map(json!({"a": "2", "c": "1", "d": "1"})), "three", "2026-01-02T00:00:00Z");
    assert_eq!(unchanged, after);
}

#[test]
fn the_applier_gets_a_conflict_with_the_writer() {
    let types = Types::native("v1", "ConfigMap").unwrap();
    let now = NOON.parse().unwrap();
    let live = apply::apply(&types, None, &map(json!({"a": "1"})), "one", "", false, now).unwrap();
    let live = written(&live, map(json!({"a": "2"})), "two", NOON);
    let conflict = apply::apply(&types, Some(&live), &map(json!({"a": "1"})), "one", "", false, now).unwrap_err();
    assert_eq!(conflict.message, "Apply failed with 1 conflict: conflict with \"two\" using v1: .data.a");
}

#[test]
fn one_empty_entry_forgets_all_owners() {
    let live = written(&Value::Null, map(json!({"a": "1"})), "one", NOON);
    let mut after = map(json!({"a": "1"}));
    after["metadata"]["managedFields"] = json!([{}]);
    assert_eq!(written(&live, after, "two", NOON), map(json!({"a": "1"})));
}

#[test]
fn the_oldest_of_too_many_writers_are_put_together() {
    let mut live = written(&Value::Null, map(json!({"a": "0"})), "writer-00", NOON);
    for index in 1..=11 {
        let mut after = live.clone();
        after["data"][format!("k{index}")] = json!("1");
        live = written(&live, after, &format!("writer-{index:02}"), &format!("2026-01-01T12:00:{index:02}Z"));
    }
    let names: Vec<String> = entries(&live).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), 10);
    assert_eq!(names.first().map(String::as_str), Some("ancient-changes Update"));
}
