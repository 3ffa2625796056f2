//! Tests of `schema`.

use serde_json::json;

use super::*;

fn crd(spec: Value) -> CustomResourceDefinition {
    let schema = json!({"type": "object", "required": ["spec"], "properties": {"spec": spec,
        "status": {"type": "object", "properties": {"replicas": {"type": "integer"}}}}});
    let version = json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}}});
    serde_json::from_value(json!({"metadata": {"name": "foos.t.io"}, "spec": {"group": "t.io", "scope": "Namespaced",
        "names": {"plural": "foos", "kind": "Foo"}, "versions": [version]}}))
    .unwrap()
}

fn schema(properties: Value) -> Schema {
    let crd = crd(json!({"type": "object", "properties": properties}));
    check(&crd).unwrap();
    of(&crd, "v1").unwrap()
}

fn lines(causes: Vec<crate::server::failure::Cause>) -> Vec<String> {
    causes.into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
}

/// What is refused of a spec with one member.
fn refused(property: Value, value: Value) -> Vec<String> {
    lines(validate(&schema(json!({"x": property})), &json!({"spec": {"x": value}})))
}

#[test]
fn our_own_crds_can_be_played() {
    for crd in api::crds() {
        assert_eq!(check(&crd), Ok(()));
        assert!(
            crd.spec.versions.iter().all(|version| of(&crd, &version.name).is_some_and(|schema| schema.has_status))
        );
    }
}

#[test]
fn keywords_that_are_not_played_are_refused() {
    for property in [
        json!({"type": "string", "pattern": "a"}),
        json!({"type": "object", "x-kubernetes-validations": [{"rule": "true"}]}),
        json!({"anyOf": [{"type": "integer"}]}),
        json!({"type": "string", "format": "byte"}),
    ] {
        let failure = check(&crd(json!({"type": "object", "properties": {"x": property}}))).unwrap_err();
        assert_eq!(failure.code, 501, "{property}");
    }
}

#[test]
fn what_the_schema_does_not_know_is_dropped() {
    let schema = schema(json!({
        "list": {"type": "array", "items": {"type": "object", "properties": {"k": {"type": "string"}}}},
        "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
            "properties": {"in": {"type": "object", "properties": {"a": {"type": "string"}}}}},
        "map": {"type": "object", "additionalProperties": {"type": "object"}},
        "pod": {"type": "object", "x-kubernetes-embedded-resource": true},
    }));
    let mut object = json!({"apiVersion": "t.io/v1", "kind": "Foo", "metadata": {"name": "a"}, "zz": 1, "spec": {"zz": 1,
        "list": [{"k": "a", "zz": 1}], "open": {"zz": {"y": 1}, "in": {"zz": 1}}, "map": {"a": {"zz": 1}},
        "pod": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "zz": 1}, "spec": {}}}});
    prune(&schema, &mut object);
    assert_eq!(
        object,
        json!({"apiVersion": "t.io/v1", "kind": "Foo", "metadata": {"name": "a"}, "spec": {
        "list": [{"k": "a"}], "open": {"zz": {"y": 1}, "in": {}}, "map": {"a": {}},
        "pod": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}}})
    );
}

#[test]
fn defaults_are_filled_in_and_idle_nulls_vanish() {
    let text = |more: Value| {
        let mut schema = json!({"type": "string"});
        for (name, value) in more.as_object().unwrap() {
            schema[name] = value.clone();
        }
        schema
    };
    let schema = schema(json!({
        "plain": text(json!({})), "may": text(json!({"nullable": true})), "said": text(json!({"default": "q"})),
        "both": text(json!({"default": "q", "nullable": true})),
        "made": {"type": "object", "default": {}, "properties": {"x": {"type": "integer", "default": 3}}},
        "inner": {"type": "object", "properties": {"x": {"type": "integer", "default": 3}}},
        "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    }));
    let mut object =
        json!({"spec": {"plain": null, "may": null, "said": null, "both": null, "made": null, "open": {"a": null}}});
    default(&schema, &mut object);
    assert_eq!(object["spec"], json!({"may": null, "said": "q", "both": null, "made": {"x": 3}, "open": {"a": null}}));
    let mut object = json!({"spec": {"inner": {}}});
    default(&schema, &mut object);
    assert_eq!(object["spec"], json!({"both": "q", "said": "q", "made": {"x": 3}, "inner": {"x": 3}}));
}

#[test]
fn values_are_refused_in_the_words_of_the_server() {
    let wrong = |expected: &str, found: &str| {
        format!("Invalid value: \"{found}\": spec.x in body must be of type {expected}: \"{found}\"")
    };
    for (property, value, message) in [
        (json!({"type": "integer"}), json!("a"), wrong("integer", "string")),
        (json!({"type": "integer"}), json!(1.5), wrong("integer", "number")),
        (json!({"type": "string"}), json!(null), wrong("string", "null")),
        (json!({"type": "boolean"}), json!([]), wrong("boolean", "array")),
        (json!({"x-kubernetes-int-or-string": true}), json!(true), wrong("integer,string", "boolean")),
        (json!({"type": "string", "format": "date-time"}), json!("nope"), wrong("date-time", "nope")),
        (
            json!({"type": "string", "enum": ["x", "y"]}),
            json!("z"),
            r#"Unsupported value: "z": supported values: "x", "y""#.into(),
        ),
        (
            json!({"type": "integer", "minimum": 1}),
            json!(0),
            "Invalid value: 0: spec.x in body should be greater than or equal to 1".into(),
        ),
        (
            json!({"type": "integer", "maximum": 5}),
            json!(9),
            "Invalid value: 9: spec.x in body should be less than or equal to 5".into(),
        ),
        (
            json!({"type": "string", "minLength": 2}),
            json!("a"),
            r#"Invalid value: "a": spec.x in body should be at least 2 chars long"#.into(),
        ),
        (json!({"type": "string", "maxLength": 1}), json!("ab"), "Too long: may not be more than 1 bytes".into()),
        (
            json!({"type": "array", "minItems": 1}),
            json!([]),
            "Invalid value: 0: spec.x in body should have at least 1 items".into(),
        ),
        (json!({"type": "array", "maxItems": 1}), json!([1, 2]), "Too many: 2: must have at most 1 item".into()),
    ] {
        assert_eq!(refused(property.clone(), value), [format!("spec.x: {message}")], "{property}");
    }
    let set = json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}});
    assert_eq!(refused(set, json!(["a", "b", "a"])), [r#"spec.x[2]: Duplicate value: "a""#]);
    let map = json!({"type": "object", "additionalProperties": {"type": "object", "required": ["k"]}});
    assert_eq!(refused(map, json!({"m": {}})), ["spec.x.m.k: Required value"]);
    assert!(refused(json!({"type": "number"}), json!(2)).is_empty());
}

#[test]
fn replicas_are_counted() {
    let schema = schema(json!({"replicas": {"type": "integer"}}));
    let of = |replicas: Value| lines(validate(&schema, &json!({"spec": {"replicas": replicas}})));
    assert_eq!(of(json!(-1)), [".spec.replicas: Invalid value: -1: should be a non-negative integer"]);
    assert_eq!(
        of(json!(3_000_000_000_u32)),
        [".spec.replicas: Invalid value: 3000000000: should be less than or equal to 2147483647"]
    );
    let status = json!({"spec": {}, "status": {"replicas": "x"}});
    assert_eq!(
        lines(validate_status(&schema, &status)),
        [
            r#"status.replicas: Invalid value: "string": replicas in body must be of type integer: "string""#,
            ".status.replicas: Invalid value: 0: .status.replicas accessor error: x is of the type string, expected int64",
        ]
    );
}

#[test]
fn a_plain_write_keeps_the_status_and_a_status_write_all_else() {
    let schema = schema(json!({"replicas": {"type": "integer"}}));
    let mut old = json!({"metadata": {"name": "a"}, "spec": {"replicas": 1}, "status": {"replicas": 9}});
    prepare_create(&schema, &mut old);
    assert_eq!(old, json!({"metadata": {"name": "a", "generation": 1}, "spec": {"replicas": 1}}));
    old["status"] = json!({"replicas": 1});
    let mut new = old.clone();
    new["metadata"]["labels"] = json!({"a": "b"});
    new["status"] = json!({"replicas": 2});
    let mut status = new.clone();
    prepare_update(&schema, &mut new, &old);
    assert_eq!((&new["status"], &new["metadata"]["generation"]), (&old["status"], &json!(1)));
    new["spec"]["replicas"] = json!(2);
    prepare_update(&schema, &mut new, &old);
    assert_eq!(new["metadata"]["generation"], 2);
    prepare_status(&mut status, &old);
    assert_eq!(status, json!({"metadata": old["metadata"], "spec": old["spec"], "status": {"replicas": 2}}));
}
