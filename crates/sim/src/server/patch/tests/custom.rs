//! Server-side apply of custom resources: list types come from the schema.

use serde_json::{Value, json};

use crate::server::failure::Result;
use crate::server::patch::{Types, apply};

fn schema() -> Value {
    let condition = json!({"type": "object", "properties": {"type": {"type": "string"}, "status": {"type": "string"}}});
    json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {
            "replicas": {"type": "integer"},
            "names": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "plain": {"type": "array", "items": {"type": "string"}},
            "fixed": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
            "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}},
        "status": {"type": "object", "properties": {
            "conditions": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
                "items": condition}}}}})
}

fn widget(spec: Value) -> Value {
    json!({"apiVersion": "x.io/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "sim"}, "spec": spec})
}

fn applied(live: Option<&Value>, body: &Value, manager: &str, subresource: &str) -> Result<Value> {
    let schema = schema();
    let types = Types::custom("x.io/v1", "Widget", &schema, true);
    apply::apply(&types, live, body, manager, subresource, false, "2026-01-01T12:00:00Z".parse().unwrap())
}

fn fields(object: &Value) -> &Value {
    &object["metadata"]["managedFields"][0]["fieldsV1"]
}

#[test]
fn lists_and_maps_are_owned_as_the_schema_says() {
    let spec = json!({"replicas": 1, "names": ["a"], "plain": ["a"], "fixed": {"a": "b"}, "open": {"x": {"y": [1]}}});
    let created = applied(None, &widget(spec), "one", "").unwrap();
    let spec = json!({"f:replicas": {}, "f:names": {"v:\"a\"": {}}, "f:plain": {}, "f:fixed": {},
        "f:open": {"f:x": {".": {}, "f:y": {}}}});
    assert_eq!(fields(&created), &json!({"f:spec": spec}));
}

#[test]
fn sets_are_merged_and_plain_lists_are_a_conflict() {
    let live = applied(None, &widget(json!({"names": ["a"], "plain": ["a"]})), "one", "").unwrap();
    let after = applied(Some(&live), &widget(json!({"names": ["b"]})), "two", "").unwrap();
    assert_eq!(after["spec"]["names"], json!(["a", "b"]));
    let conflict = applied(Some(&live), &widget(json!({"plain": ["b"]})), "two", "").unwrap_err();
    assert_eq!(conflict.message, "Apply failed with 1 conflict: conflict with \"one\": .spec.plain");
}

#[test]
fn the_status_is_owned_only_through_its_subresource() {
    let mut body = widget(json!({"replicas": 1}));
    body["status"] = json!({"conditions": [{"type": "Ready", "status": "True"}]});
    assert_eq!(fields(&applied(None, &body, "one", "").unwrap()), &json!({"f:spec": {"f:replicas": {}}}));
    let live = applied(None, &widget(json!({"replicas": 1})), "one", "").unwrap();
    let after = applied(Some(&live), &body, "one", "status").unwrap();
    let entry = &after["metadata"]["managedFields"][1];
    assert_eq!(entry["subresource"], "status");
    assert_eq!(entry["fieldsV1"]["f:status"]["f:conditions"]["k:{\"type\":\"Ready\"}"][".".to_owned()], json!({}));
    assert_eq!(entry["fieldsV1"].get("f:spec"), None);
}

#[test]
fn fields_outside_the_schema_are_refused() {
    let failure = applied(None, &widget(json!({"colour": "red"})), "one", "").unwrap_err();
    let text =
        "failed to create typed patch object (sim/w; x.io/v1, Kind=Widget): .spec.colour: field not declared in schema";
    assert_eq!((failure.code, failure.message.as_str()), (500, text));
    let mut body = widget(json!({}));
    body["status"] = json!({"conditions": [{"status": "True"}]});
    assert!(applied(None, &body, "one", "status").unwrap_err().message.contains("omits all key fields [\"type\"]"));
}

#[test]
fn owners_in_another_version_are_not_simulated() {
    let mut live = widget(json!({"replicas": 1}));
    live["metadata"]["managedFields"] = json!([{"manager": "old", "operation": "Update", "apiVersion": "x.io/v1alpha1",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]);
    assert_eq!(applied(Some(&live), &widget(json!({"replicas": 2})), "one", "").unwrap_err().code, 501);
}
