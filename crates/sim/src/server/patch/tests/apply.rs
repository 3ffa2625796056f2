//! Server-side apply of native kinds: who owns what, conflicts, removal.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::server::failure::{Failure, Result};
use crate::server::patch::{Types, apply};

const NOON: &str = "2026-01-01T12:00:00Z";
const LATER: &str = "2026-01-01T13:00:00Z";

fn map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": data})
}

fn pod(spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec})
}

fn applied(live: Option<&Value>, body: &Value, manager: &str, force: bool, at: &str) -> Result<Value> {
    let at: Timestamp = at.parse().unwrap();
    apply::apply(&Types::native("v1", body["kind"].as_str().unwrap())?, live, body, manager, "", force, at)
}

#[track_caller]
fn ok(live: Option<&Value>, body: &Value, manager: &str) -> Value {
    applied(live, body, manager, false, NOON).unwrap()
}

#[track_caller]
fn refused(live: Option<&Value>, body: &Value, manager: &str) -> Failure {
    applied(live, body, manager, false, NOON).unwrap_err()
}

#[track_caller]
fn owned(object: &Value, manager: &str) -> Value {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    entries.iter().find(|entry| entry["manager"] == manager).map_or(Value::Null, |entry| entry["fieldsV1"].clone())
}

#[test]
fn the_first_apply_creates_and_owns_what_it_says() {
    let created = ok(None, &map(json!({"a": "1"})), "one");
    assert_eq!(created["data"], json!({"a": "1"}));
    assert_eq!(
        created["metadata"]["managedFields"],
        json!([{"manager": "one", "operation": "Apply", "apiVersion": "v1", "time": NOON, "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {"f:a": {}}}}])
    );
}

#[test]
fn items_are_owned_by_their_keys_and_some_lists_whole() {
    let spec = json!({"tolerations": [{"key": "x"}], "nodeSelector": {"a": "b"}, "containers": [{"name": "a", "image": "1",
        "args": ["x"], "ports": [{"containerPort": 80}], "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]}]});
    let fields = owned(&ok(None, &pod(spec), "one"), "one");
    let container = json!({".": {}, "f:name": {}, "f:image": {}, "f:args": {},
        "f:env": {"k:{\"name\":\"A\"}": {".": {}, "f:name": {}, "f:valueFrom": {"f:fieldRef": {}}}},
        "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}});
    let spec = json!({"f:tolerations": {}, "f:nodeSelector": {}, "f:containers": {"k:{\"name\":\"a\"}": container}});
    assert_eq!(fields, json!({"f:spec": spec}));
}

#[test]
fn finalizers_are_owned_by_value_and_owner_references_whole_by_uid() {
    let mut body = map(json!({}));
    body["metadata"]["finalizers"] = json!(["a/b"]);
    body["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "1"}]);
    let fields = owned(&ok(None, &body, "one"), "one");
    assert_eq!(fields["f:metadata"]["f:finalizers"], json!({"v:\"a/b\"": {}}));
    assert_eq!(fields["f:metadata"]["f:ownerReferences"], json!({"k:{\"uid\":\"1\"}": {}}));
}

#[test]
fn another_managers_field_is_a_conflict() {
    let live = ok(None, &map(json!({"a": "1", "b": "1"})), "one");
    let conflict = refused(Some(&live), &map(json!({"a": "2"})), "two");
    assert_eq!((conflict.code, conflict.reason), (409, "Conflict"));
    assert_eq!(conflict.message, "Apply failed with 1 conflict: conflict with \"one\": .data.a");
    let cause = json!({"reason": "FieldManagerConflict", "message": "conflict with \"one\"", "field": ".data.a"});
    assert_eq!(conflict.details, json!({"causes": [cause]}));
}

#[test]
fn several_conflicts_are_told_by_manager() {
    let live = ok(None, &map(json!({"a": "1", "b": "1"})), "one");
    let live = ok(Some(&live), &map(json!({"a": "1"})), "a-two");
    let conflict = refused(Some(&live), &map(json!({"a": "2", "b": "2"})), "three");
    let text = "Apply failed with 3 conflicts: conflicts with \"a-two\":\n- .data.a\nconflicts with \"one\":\n- .data.a\n- .data.b";
    assert_eq!(conflict.message, text);
}

#[test]
fn force_takes_the_field_over() {
    let live = ok(None, &map(json!({"a": "1", "b": "1"})), "one");
    let after = applied(Some(&live), &map(json!({"a": "2"})), "two", true, LATER).unwrap();
    assert_eq!(after["data"], json!({"a": "2", "b": "1"}));
    assert_eq!(owned(&after, "one"), json!({"f:data": {"f:b": {}}}));
    assert_eq!(owned(&after, "two"), json!({"f:data": {"f:a": {}}}));
}

#[test]
fn the_same_value_is_owned_by_both_and_goes_with_the_last() {
    let live = ok(None, &map(json!({"a": "1"})), "one");
    let live = ok(Some(&live), &map(json!({"a": "1"})), "two");
    let live = ok(Some(&live), &map(json!({})), "one");
    assert_eq!(live["data"], json!({"a": "1"}));
    let live = ok(Some(&live), &map(json!({})), "two");
    assert_eq!(live.get("data"), None);
}

#[test]
fn what_is_applied_no_longer_goes_and_the_rest_of_the_item_stays() {
    let live = ok(None, &pod(json!({"containers": [{"name": "a", "image": "1", "tty": true}, {"name": "b"}]})), "one");
    let live = ok(Some(&live), &pod(json!({"containers": [{"name": "a", "workingDir": "/"}]})), "two");
    let after = ok(Some(&live), &pod(json!({"containers": [{"name": "a", "image": "1"}]})), "one");
    assert_eq!(after["spec"]["containers"], json!([{"name": "a", "image": "1", "workingDir": "/"}]));
    let after = ok(Some(&after), &json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}}), "one");
    assert_eq!(after["spec"]["containers"], json!([{"name": "a", "workingDir": "/"}]));
}

#[test]
fn new_items_come_after_the_live_ones() {
    let live = ok(None, &pod(json!({"containers": [{"name": "a"}, {"name": "b"}]})), "one");
    let after = ok(Some(&live), &pod(json!({"containers": [{"name": "c"}]})), "two");
    assert_eq!(after["spec"]["containers"], json!([{"name": "a"}, {"name": "b"}, {"name": "c"}]));
    let after = ok(Some(&live), &pod(json!({"containers": [{"name": "b"}, {"name": "x"}, {"name": "a"}]})), "one");
    assert_eq!(after["spec"]["containers"], json!([{"name": "b"}, {"name": "x"}, {"name": "a"}]));
}

#[test]
fn an_apply_that_changes_nothing_changes_no_time() {
    let body = map(json!({"a": "1"}));
    let live = ok(None, &body, "one");
    assert_eq!(applied(Some(&live), &body, "one", false, LATER).unwrap(), live);
    let shared = applied(Some(&live), &body, "two", false, LATER).unwrap();
    assert_eq!(owned(&shared, "two"), json!({"f:data": {"f:a": {}}}));
    let times = shared["metadata"]["managedFields"].as_array().unwrap().iter().map(|entry| entry.get("time"));
    assert_eq!(times.collect::<Vec<_>>(), [None, Some(&json!(NOON))]);
}

#[test]
fn fields_without_a_manager_belong_to_nobody_in_particular() {
    let live = map(json!({"a": "1"}));
    let conflict = refused(Some(&live), &map(json!({"a": "2"})), "one");
    assert_eq!(
        conflict.message,
        "Apply failed with 1 conflict: conflict with \"before-first-apply\" using v1: .data.a"
    );
    let after = ok(Some(&live), &map(json!({"b": "1"})), "one");
    assert_eq!(owned(&after, "before-first-apply"), json!({"f:data": {".": {}, "f:a": {}}}));
}

#[test]
fn what_may_not_be_applied_is_refused() {
    let mut body = map(json!({}));
    body["metadata"]["managedFields"] = json!([]);
    let failure = refused(None, &body, "one");
    assert_eq!((failure.code, failure.message.as_str()), (400, "metadata.managedFields must be nil"));
    let mut body = map(json!({}));
    body.as_object_mut().unwrap().remove("apiVersion");
    assert_eq!(refused(None, &body, "one").message, "invalid object type: /, Kind=ConfigMap");
    let twice = refused(None, &pod(json!({"containers": [{"name": "a"}, {"name": "a"}]})), "one");
    assert_eq!(twice.code, 500);
    let text = "failed to create typed patch object (/web; /v1, Kind=Pod): .spec.containers: duplicate entries for key [name=\"a\"]";
    assert_eq!(twice.message, text);
}

#[test]
fn a_subresource_owns_its_own_part() {
    let types = Types::native("v1", "Pod").unwrap();
    let now = NOON.parse().unwrap();
    let live = ok(None, &pod(json!({"containers": [{"name": "a"}]})), "one");
    let mut body = pod(json!({}));
    body["status"] = json!({"conditions": [{"type": "Ready", "status": "True"}]});
    let after = apply::apply(&types, Some(&live), &body, "two", "status", false, now).unwrap();
    let condition = json!({".": {}, "f:type": {}, "f:status": {}});
    assert_eq!(owned(&after, "two"), json!({"f:status": {"f:conditions": {"k:{\"type\":\"Ready\"}": condition}}}));
    assert_eq!(apply::apply(&types, Some(&live), &body, "two", "scale", false, now).unwrap_err().code, 501);
}
