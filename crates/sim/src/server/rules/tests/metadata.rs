//! Tests of `metadata`.

use serde_json::json;

use super::*;

fn kind(group: &str, name: &str) -> Kind {
    let plural = format!("{}s", name.to_lowercase());
    Kind { group: group.into(), version: "v1".into(), kind: name.into(), plural, namespaced: true }
}

fn lines(causes: &[Cause]) -> Vec<String> {
    causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
}

/// The fields that are refused of a new ConfigMap.
fn fields(metadata: Value) -> Vec<String> {
    let causes = on_create(&kind("", "ConfigMap"), &json!({"metadata": metadata}));
    causes.into_iter().map(|cause| cause.field).collect()
}

#[test]
fn names_labels_and_finalizers_have_a_form() {
    let good = json!({"name": "a.b", "namespace": "n", "labels": {"a/b": ""}, "annotations": {"X": "é"},
        "finalizers": ["a/b", "kubernetes"]});
    assert_eq!(fields(good), Vec::<String>::new());
    for (bad, field) in [
        (json!({"namespace": "n"}), "metadata.name"),
        (json!({"name": "A", "namespace": "n"}), "metadata.name"),
        (json!({"generateName": "A-", "namespace": "n"}), "metadata.generateName"),
        (json!({"name": "a"}), "metadata.namespace"),
        (json!({"name": "a", "namespace": "n", "labels": {"a": "b c"}}), "metadata.labels"),
        (json!({"name": "a", "namespace": "n", "annotations": {"a": "x".repeat(300_000)}}), "metadata.annotations"),
        (json!({"name": "a", "namespace": "n", "finalizers": ["plain"]}), "metadata.finalizers[0]"),
    ] {
        assert_eq!(fields(bad.clone()), [field], "{bad}");
    }
    assert_eq!(fields(json!({"generateName": "web-", "namespace": "n"})), Vec::<String>::new());
    let plain = json!({"metadata": {"name": "a", "namespace": "n", "finalizers": ["plain"]}});
    assert_eq!(on_create(&kind("example.com", "Foo"), &plain), []);
}

#[test]
fn owners_are_complete_and_one_is_the_controller() {
    let owner = |name: &str| json!({"apiVersion": "v1", "kind": "A", "name": name, "uid": "u", "controller": true});
    let of = |owners: Value| {
        let object = json!({"metadata": {"name": "a", "namespace": "n", "ownerReferences": owners}});
        lines(&on_create(&kind("", "ConfigMap"), &object))
    };
    assert_eq!(of(json!([owner("x")])), Vec::<String>::new());
    assert_eq!(
        of(json!([{"apiVersion": "v1", "kind": "A", "name": "x"}])),
        [r#"metadata.ownerReferences.uid: Invalid value: "": must not be empty"#]
    );
    let two = of(json!([owner("x"), owner("y")]));
    assert!(two[0].ends_with(r#"set to true. Found "true" in references for A/x and A/y"#), "{two:?}");
}

#[test]
fn a_terminating_object_gets_no_new_finalizers() {
    let object = |finalizers: Value, ends: Value| json!({"metadata": {"name": "a", "namespace": "n", "deletionTimestamp": ends, "finalizers": finalizers}});
    let update = |old: Value, new: Value, ends: Value| {
        lines(&on_update(&kind("", "Pod"), &object(new, ends.clone()), &object(old, ends)))
    };
    let time = json!("2026-01-01T00:00:00Z");
    assert_eq!(
        update(json!(["q/z"]), json!(["q/z", "q/y"]), time.clone()),
        ["metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new \
         finalizers []string{\"q/y\"}"]
    );
    assert!(update(json!(["q/z"]), json!([]), time).is_empty());
    assert!(update(json!([]), json!(["q/y"]), Value::Null).is_empty());
}

#[test]
fn what_clients_leave_out_or_may_not_change_comes_from_the_stored_object() {
    let old = json!({"metadata": {"name": "a", "namespace": "n", "uid": "u", "generation": 3,
        "creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-01-02T00:00:00Z",
        "deletionGracePeriodSeconds": 0}});
    let mut new = json!({"metadata": {"name": "a", "namespace": "n", "generation": 9, "creationTimestamp": null,
        "deletionTimestamp": "2020-01-01T00:00:00Z", "selfLink": "x"}});
    restore(&mut new, &old);
    assert_eq!(new, old);
    let mut other = json!({"metadata": {"name": "a", "namespace": "n", "uid": "v", "deletionGracePeriodSeconds": 5}});
    restore(&mut other, &old);
    assert_eq!(
        lines(&on_update(&kind("", "Pod"), &other, &old)),
        [
            r#"metadata.uid: Invalid value: "v": field is immutable"#,
            "metadata.deletionGracePeriodSeconds: Invalid value: 5: field is immutable",
        ]
    );
}
