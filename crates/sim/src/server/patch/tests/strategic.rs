//! Strategic merge patch, format by format of the list.

use serde_json::{Value, json};

use crate::server::patch::strategic::apply;

fn pod(spec: Value) -> Value {
    json!({"metadata": {"name": "web-0"}, "spec": spec})
}

#[track_caller]
fn spec_after(spec: Value, patch: Value) -> Value {
    apply("Pod", &pod(spec), &json!({"spec": patch})).unwrap()["spec"].clone()
}

#[track_caller]
fn refused(kind: &str, object: Value, patch: Value) -> (u16, String) {
    let failure = apply(kind, &object, &patch).unwrap_err();
    (failure.code, failure.message)
}

#[test]
fn containers_merge_by_name_and_new_ones_come_first() {
    let spec = json!({"containers": [{"name": "a", "image": "a:1", "tty": true}, {"name": "b", "image": "b:1"}]});
    let patch = json!({"containers": [{"name": "c", "image": "c:1"}, {"name": "a", "image": "a:2", "tty": null}]});
    let after = spec_after(spec, patch);
    assert_eq!(
        after,
        json!({"containers": [
            {"name": "c", "image": "c:1"}, {"name": "a", "image": "a:2"}, {"name": "b", "image": "b:1"}]})
    );
}

#[test]
fn lists_inside_containers_have_their_own_keys() {
    let container = |body: Value| {
        let mut body = body;
        body["name"] = json!("a");
        json!({"containers": [body]})
    };
    let spec = container(json!({"env": [{"name": "A", "value": "1"}], "ports": [{"containerPort": 80}],
        "volumeMounts": [{"mountPath": "/a", "name": "x"}], "envFrom": [{"prefix": "old"}], "args": ["1"]}));
    let patch =
        container(json!({"env": [{"name": "A", "value": "2"}], "ports": [{"containerPort": 80, "name": "http"}],
        "volumeMounts": [{"mountPath": "/a", "readOnly": true}], "envFrom": [{"prefix": "new"}], "args": ["2"]}));
    let after =
        container(json!({"env": [{"name": "A", "value": "2"}], "ports": [{"containerPort": 80, "name": "http"}],
        "volumeMounts": [{"mountPath": "/a", "name": "x", "readOnly": true}], "envFrom": [{"prefix": "new"}],
        "args": ["2"]}));
    assert_eq!(spec_after(spec, patch), after);
}

#[test]
fn lists_without_a_merge_key_are_replaced() {
    for name in ["tolerations", "readinessGates"] {
        let (old, new) = (json!([{"key": "a"}, {"key": "b"}]), json!([{"key": "c"}]));
        assert_eq!(spec_after(json!({name: old}), json!({name: new})), json!({name: new}));
    }
    let taints = |key: &str| json!({"spec": {"taints": [{"key": key, "effect": "NoSchedule"}]}});
    assert_eq!(apply("Node", &taints("a"), &taints("b")).unwrap(), taints("b"));
}

#[test]
fn conditions_merge_by_type_and_host_ips_by_ip() {
    let status = json!({"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "Old"}],
        "hostIPs": [{"ip": "10.0.0.1"}], "containerStatuses": [{"name": "a"}]}});
    let patch = json!({"status": {"conditions": [{"type": "Ready", "status": "False"}, {"type": "New", "status": "True"}],
        "hostIPs": [{"ip": "10.0.0.2"}], "containerStatuses": [{"name": "b"}]}});
    let after = json!({"status": {
        "conditions": [{"type": "Ready", "status": "False", "reason": "Old"}, {"type": "New", "status": "True"}],
        "hostIPs": [{"ip": "10.0.0.2"}, {"ip": "10.0.0.1"}], "containerStatuses": [{"name": "b"}]}});
    assert_eq!(apply("Pod", &status, &patch).unwrap(), after);
}

#[test]
fn finalizers_are_a_set_that_only_a_directive_takes_from() {
    let object = json!({"metadata": {"finalizers": ["a", "b"]}});
    let patch = json!({"metadata": {"finalizers": ["b", "c"]}});
    assert_eq!(apply("Pod", &object, &patch).unwrap()["metadata"]["finalizers"], json!(["a", "b", "c"]));
    let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a", "x"]}});
    assert_eq!(apply("ConfigMap", &object, &patch).unwrap()["metadata"]["finalizers"], json!(["b"]));
    assert_eq!(apply("Pod", &json!({"metadata": {}}), &patch).unwrap(), json!({"metadata": {}}));
}

#[test]
fn owner_references_merge_by_uid() {
    let object = json!({"metadata": {"ownerReferences": [{"uid": "1", "controller": true, "name": "web"}]}});
    let patch = json!({"metadata": {"ownerReferences": [{"uid": "1", "controller": false}]}});
    let after = apply("Pod", &object, &patch).unwrap();
    assert_eq!(after["metadata"]["ownerReferences"], json!([{"uid": "1", "controller": false, "name": "web"}]));
    let patch = json!({"metadata": {"ownerReferences": [{"$patch": "delete", "uid": "1"}]}});
    assert_eq!(apply("Pod", &object, &patch).unwrap()["metadata"]["ownerReferences"], json!([]));
}

#[test]
fn items_are_deleted_and_whole_lists_replaced_by_directive() {
    let spec = json!({"containers": [{"name": "a", "tty": true}, {"name": "b"}]});
    let after = spec_after(spec.clone(), json!({"containers": [{"name": "a", "$patch": "delete"}, {"name": "c"}]}));
    assert_eq!(after, json!({"containers": [{"name": "c"}, {"name": "b"}]}));
    let after = spec_after(spec, json!({"containers": [{"name": "a"}, {"$patch": "replace"}]}));
    assert_eq!(after, json!({"containers": [{"name": "a"}]}));
}

#[test]
fn maps_are_replaced_and_emptied_by_directive() {
    let object = json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"nodeSelector": {"a": "1"}}});
    let patch = json!({"metadata": {"labels": {"$patch": "replace", "c": "3"}}, "spec": {"nodeSelector": {"$patch": "delete"}}});
    let after = json!({"metadata": {"labels": {"c": "3"}}, "spec": {"nodeSelector": {}}});
    assert_eq!(apply("Pod", &object, &patch).unwrap(), after);
    assert_eq!(apply("Pod", &json!({"metadata": {}}), &patch).unwrap(), json!({"metadata": {}, "spec": {}}));
}

#[test]
fn set_element_order_orders_what_it_names() {
    let spec = json!({"containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}]});
    let order = json!([{"name": "c"}, {"name": "d"}, {"name": "a"}]);
    let patch = json!({"$setElementOrder/containers": order, "containers": [{"name": "d", "image": "d:1"}]});
    let after = json!({"containers": [{"name": "b"}, {"name": "c"}, {"name": "d", "image": "d:1"}, {"name": "a"}]});
    assert_eq!(spec_after(spec, patch), after);
}

#[test]
fn retain_keys_clears_the_union_members_that_it_does_not_list() {
    let spec = json!({"volumes": [{"name": "v", "emptyDir": {}}]});
    let volume = json!({"name": "v", "$retainKeys": ["name", "configMap"], "configMap": {"name": "c"}});
    let after = spec_after(spec.clone(), json!({"volumes": [volume]}));
    assert_eq!(after, json!({"volumes": [{"name": "v", "configMap": {"name": "c"}}]}));
    let volume = json!({"name": "v", "$retainKeys": ["name"], "configMap": {"name": "c"}});
    let (code, text) = refused("Pod", pod(spec), json!({"spec": {"volumes": [volume]}}));
    assert_eq!((code, text.as_str()), (400, "invalid patch format of retainKeys"));
}

#[test]
fn an_item_without_its_merge_key_is_an_error_of_the_server() {
    let object = pod(json!({"containers": [{"name": "a"}]}));
    let (code, text) = refused("Pod", object, json!({"spec": {"containers": [{"image": "b:1"}]}}));
    assert_eq!((code, text.as_str()), (500, "map: map[image:b:1] does not contain declared merge key: name"));
}

#[test]
fn unknown_directives_are_errors_of_the_server() {
    let object = pod(json!({"containers": [{"name": "a"}]}));
    let patch = |directive: &str| json!({"spec": {"containers": [{"name": "a", "$patch": directive}]}});
    let (code, text) = refused("Pod", object.clone(), patch("merge"));
    assert_eq!((code, text.as_str()), (500, "merging lists cannot yet be specified in the patch"));
    let (_, text) = refused("Pod", object.clone(), patch("drop"));
    assert_eq!(text, "unknown patch type: drop in map: map[$patch:drop name:a]");
    let (code, _) = refused("Pod", object, json!({"metadata": {"$patch": "merge"}}));
    assert_eq!(code, 500);
}

#[test]
fn templates_and_other_kinds_have_the_same_keys() {
    let object = json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "image": "1"}]}}}});
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "tty": true}]}}}});
    let after = json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "image": "1", "tty": true}]}}}});
    for kind in ["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job"] {
        assert_eq!(apply(kind, &object, &patch).unwrap(), after, "{kind}");
    }
    let ports = |port: Value| json!({"spec": {"ports": [port]}});
    let after = apply("Service", &ports(json!({"port": 80, "name": "a"})), &ports(json!({"port": 80, "nodePort": 1})));
    assert_eq!(after.unwrap(), ports(json!({"port": 80, "name": "a", "nodePort": 1})));
}

#[test]
fn a_budgets_selector_is_replaced_a_deployments_is_merged() {
    let selector = |labels: Value| json!({"spec": {"selector": {"matchLabels": labels}}});
    let (old, new) = (selector(json!({"a": "1"})), selector(json!({"b": "2"})));
    assert_eq!(apply("PodDisruptionBudget", &old, &new).unwrap(), new);
    assert_eq!(apply("Deployment", &old, &new).unwrap(), selector(json!({"a": "1", "b": "2"})));
}

#[test]
fn an_unknown_kind_is_not_simulated() {
    let (code, text) = refused("Widget", json!({}), json!({}));
    assert_eq!(code, 501);
    assert!(text.contains("strategic merge patch of Widget"), "{text}");
}
