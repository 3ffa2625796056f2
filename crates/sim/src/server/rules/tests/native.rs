//! Tests of `native`: the small kinds.

use serde_json::json;

use super::*;

fn kind(group: &str, name: &str) -> Kind {
    Kind { group: group.into(), version: "v1".into(), kind: name.into(), plural: String::new(), namespaced: true }
}

/// A new object as it is stored, or the refused fields with their messages.
fn create(kind: &Kind, mut object: Value) -> std::result::Result<Value, Vec<String>> {
    default(kind, &mut object);
    admit(kind, &mut object, None).map_err(|failure| vec![failure.message])?;
    prepare_create(kind, &mut object);
    let causes = on_create(kind, &object);
    if causes.is_empty() { Ok(object) } else { Err(lines(causes)) }
}

fn lines(causes: Vec<Cause>) -> Vec<String> {
    causes.into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
}

fn workload(spec: Value) -> Value {
    let mut object = json!({"metadata": {}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {
        "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "b:1"}]}}}});
    for (name, value) in spec.as_object().unwrap() {
        object["spec"][name] = value.clone();
    }
    object
}

#[test]
fn revisions_never_change_their_data() {
    let kind = kind("apps", "ControllerRevision");
    let old = create(&kind, json!({"data": {"a": 1}, "revision": 1})).unwrap();
    let new = json!({"data": {"a": 2}, "revision": 2});
    assert_eq!(lines(on_update(&kind, &new, &old)), ["data: Invalid value: {\"a\":2}: field is immutable"]);
    assert!(on_update(&kind, &json!({"data": {"a": 1}, "revision": 2}), &old).is_empty());
    assert_eq!(create(&kind, json!({"revision": 1})), Err(vec!["data: Required value: data is mandatory".into()]));
}

#[test]
fn claims_are_protected_and_fixed() {
    let kind = kind("", "PersistentVolumeClaim");
    let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}});
    let old = create(&kind, json!({"metadata": {"name": "d"}, "spec": spec})).unwrap();
    assert_eq!(
        old,
        json!({"metadata": {"name": "d", "finalizers": ["kubernetes.io/pvc-protection"]}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "volumeMode": "Filesystem"},
        "status": {"phase": "Pending"}})
    );
    let mut new = old.clone();
    new["spec"]["volumeName"] = json!("v");
    assert!(on_update(&kind, &new, &old).is_empty());
    new["spec"]["resources"]["requests"]["storage"] = json!("2Gi");
    let refused = lines(on_update(&kind, &new, &old));
    assert!(refused[0].starts_with("spec: Forbidden: spec is immutable after creation except"), "{refused:?}");
    let mut bound = old;
    bound["status"]["phase"] = json!("Bound");
    assert_eq!(admit(&kind, &mut new, Some(&bound)).unwrap_err().code, 403);
    assert_eq!(
        create(&kind, json!({"metadata": {}, "spec": {}})).unwrap_err(),
        [
            "spec.accessModes: Required value: at least 1 access mode is required",
            "spec.resources[storage]: Required value",
        ]
    );
}

#[test]
fn workloads_are_filled_in_and_keep_their_selector() {
    let kind = kind("apps", "Deployment");
    let old = create(&kind, workload(json!({}))).unwrap();
    assert_eq!(
        old["spec"]["strategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}})
    );
    assert_eq!(old["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"], "IfNotPresent");
    let mut new = old.clone();
    new["spec"]["replicas"] = json!(3);
    new["status"] = json!({"replicas": 9});
    prepare_update(&kind, &mut new, &old);
    assert_eq!((&new["metadata"]["generation"], &new["status"]), (&json!(2), &json!({})));
    new["spec"]["selector"] = json!({"matchLabels": {"a": "c"}});
    new["spec"]["template"]["metadata"]["labels"] = json!({"a": "c"});
    assert_eq!(
        lines(on_update(&kind, &new, &old)),
        [r#"spec.selector: Invalid value: {"matchLabels":{"a":"c"}}: field is immutable"#]
    );
    for (spec, refusal) in [
        (json!({"replicas": -1}), "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        (
            json!({"selector": {"matchLabels": {"x": "y"}}}),
            "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`",
        ),
        (
            json!({"strategy": {"type": "Recreate", "rollingUpdate": {}}}),
            "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
        ),
    ] {
        assert_eq!(create(&kind, workload(spec)).unwrap_err(), [refusal]);
    }
    let status = json!({"status": {"replicas": 4, "readyReplicas": 5}});
    assert_eq!(
        lines(on_status(&kind, &status, &old)),
        ["status.readyReplicas: Invalid value: 5: cannot be greater than status.replicas"]
    );
}

#[test]
fn what_is_immutable_says_so() {
    let old = json!({"immutable": true, "data": {"a": "1"}, "type": "Opaque"});
    let new = json!({"data": {"a": "2"}, "type": "Opaque"});
    for name in ["ConfigMap", "Secret"] {
        assert_eq!(
            lines(on_update(&kind("", name), &new, &old)),
            [
                "immutable: Forbidden: field is immutable when `immutable` is set",
                "data: Forbidden: field is immutable when `immutable` is set",
            ]
        );
    }
    let secret = create(&kind("", "Secret"), json!({"stringData": {"a": "1"}})).unwrap();
    assert_eq!(secret, json!({"type": "Opaque", "data": {"a": "MQ=="}}));
}

#[test]
fn namespaces_nodes_and_leases() {
    let namespace = create(&kind("", "Namespace"), json!({"metadata": {"name": "x"}})).unwrap();
    assert_eq!(
        namespace,
        json!({"metadata": {"name": "x", "labels": {"kubernetes.io/metadata.name": "x"}},
        "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}})
    );
    let node = create(&kind("", "Node"), json!({"metadata": {"name": "n"}})).unwrap();
    assert_eq!(node["spec"]["taints"], json!([{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]));
    let lease = kind("coordination.k8s.io", "Lease");
    assert_eq!(
        create(&lease, json!({"spec": {"leaseDurationSeconds": 0, "leaseTransitions": -1}})).unwrap_err(),
        [
            "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
            "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
        ]
    );
}

#[test]
fn services_need_no_allocation_or_are_refused() {
    let service = kind("", "Service");
    let spec = json!({"clusterIP": "None", "ports": [{"port": 80}], "selector": {"a": "b"}});
    let headless = create(&service, json!({"spec": spec})).unwrap();
    assert_eq!(headless["spec"]["ports"], json!([{"port": 80, "protocol": "TCP", "targetPort": 80}]));
    assert_eq!(headless["spec"]["clusterIPs"], json!(["None"]));
    let refused = create(&service, json!({"spec": {"ports": [{"port": 80}]}})).unwrap_err();
    assert!(refused[0].starts_with("simulator: "), "{refused:?}");
    let mut moved = headless.clone();
    moved["spec"]["clusterIPs"] = json!(["10.0.0.1"]);
    assert_eq!(
        lines(on_update(&service, &moved, &headless)),
        [r#"spec.clusterIPs[0]: Invalid value: ["10.0.0.1"]: may not change once set"#]
    );
}

#[test]
fn events_stand_beside_what_they_tell_of() {
    let event = |about: &str| json!({"metadata": {"namespace": "n"}, "involvedObject": {"namespace": about}});
    assert!(create(&kind("", "Event"), event("n")).is_ok());
    assert_eq!(
        create(&kind("", "Event"), event("m")).unwrap_err(),
        [r#"involvedObject.namespace: Invalid value: "m": does not match event.namespace"#]
    );
    let new = json!({"metadata": {"namespace": "n"}, "regarding": {"namespace": "n"}, "type": "Normal"});
    assert_eq!(create(&kind("events.k8s.io", "Event"), new).unwrap_err(), ["eventTime: Required value"]);
}

#[test]
fn budgets_have_one_number() {
    let kind = kind("policy", "PodDisruptionBudget");
    let good = create(&kind, json!({"metadata": {}, "spec": {"maxUnavailable": "50%"}})).unwrap();
    assert_eq!(good["status"]["disruptionsAllowed"], 0);
    for (spec, field) in [
        (json!({"minAvailable": -1}), "spec.minAvailable: Invalid value: -1"),
        (json!({"maxUnavailable": "101%"}), "spec.maxUnavailable: Invalid value: \"101%\""),
        (json!({"minAvailable": 1, "maxUnavailable": 1}), "spec: Invalid value: {"),
    ] {
        let refused = create(&kind, json!({"metadata": {}, "spec": spec})).unwrap_err();
        assert!(refused.len() == 1 && refused[0].starts_with(field), "{refused:?}");
    }
}

#[test]
fn kinds_without_rules_are_unknown() {
    assert!(is_known(&kind("", "Pod")) && has_generation(&kind("", "Pod")));
    assert!(!is_known(&kind("batch", "Job")) && !is_known(&kind("apps.kruise.io", "CloneSet")));
    assert!(!has_generation(&kind("", "Node")));
}
