//! Tests of `pod`.

use jiff::Timestamp;

use super::*;
use crate::server::failure::Cause;

/// A Pod as it is stored, with changes to its spec.
fn stored(spec: Value) -> Value {
    let mut pod = json!({"metadata": {"name": "web-1", "namespace": "n", "uid": "u"}, "spec": {"containers": [
        {"name": "main", "image": "nginx:1", "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}}]}});
    for (name, value) in entries(&spec, "") {
        pod["spec"][name] = value.clone();
    }
    default(&mut pod);
    admission::admission_defaults(&mut pod, None).unwrap();
    prepare_create(&mut pod);
    pod
}

fn changed(pod: &Value, pointer: &str, value: Value) -> Value {
    let mut pod = pod.clone();
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    put(pod.pointer_mut(parent).unwrap(), member, value);
    pod
}

fn lines(causes: &[Cause]) -> Vec<String> {
    causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
}

#[test]
fn a_new_pod_is_filled_in_once_and_for_all() {
    let pod = stored(json!({"hostNetwork": true, "volumes": [{"name": "v"}], "serviceAccountName": "sa"}));
    for (pointer, want) in [
        ("/spec/restartPolicy", json!("Always")),
        ("/spec/enableServiceLinks", json!(true)),
        ("/spec/serviceAccount", json!("sa")),
        ("/spec/volumes/0/emptyDir", json!({})),
        ("/spec/containers/0/imagePullPolicy", json!("IfNotPresent")),
        ("/spec/priority", json!(0)),
        ("/spec/tolerations/1/key", json!("node.kubernetes.io/unreachable")),
        ("/status", json!({"phase": "Pending", "qosClass": "Burstable"})),
        ("/metadata/generation", json!(1)),
    ] {
        assert_eq!(at(&pod, pointer), &want, "{pointer}");
    }
    let mut again = pod.clone();
    default(&mut again);
    assert_eq!(again, pod);
    assert!(on_create(&pod).is_empty());
}

#[test]
fn the_qos_class_follows_from_requests_and_limits() {
    for (resources, want) in [
        (json!({}), "BestEffort"),
        (json!({"limits": {"cpu": "1", "memory": "1Gi"}}), "Guaranteed"),
        (json!({"limits": {"cpu": "1"}}), "Burstable"),
        (json!({"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "1Gi"}}), "Burstable"),
    ] {
        let pod = stored(json!({"containers": [{"name": "a", "image": "b", "resources": resources}]}));
        assert_eq!(text(&pod, "/status/qosClass"), want, "{resources}");
    }
}

#[test]
fn a_pod_without_what_it_needs_is_refused() {
    let bad = stored(json!({"restartPolicy": "X", "activeDeadlineSeconds": 0, "containers": [
        {"name": "a", "image": " b", "resources": {"requests": {"cpu": "-1", "foo": "1"}}}, {"name": "a"}]}));
    let fields: Vec<String> = on_create(&bad).into_iter().map(|cause| cause.field).collect();
    for field in [
        "spec.restartPolicy",
        "spec.activeDeadlineSeconds",
        "spec.containers[0].image",
        "spec.containers[0].resources.requests[cpu]",
        "spec.containers[0].resources.requests[foo]",
        "spec.containers[1].image",
        "spec.containers[1].name",
    ] {
        assert!(fields.iter().any(|found| found == field), "{field} of {fields:?}");
    }
    assert_eq!(simulated(&changed(&bad, "/spec/overhead", json!({}))).unwrap_err().code, 501);
}

#[test]
fn little_may_change_of_a_pod() {
    let pod =
        stored(json!({"activeDeadlineSeconds": 50, "schedulingGates": [{"name": "a/b"}], "nodeSelector": {"a": "b"}}));
    let toleration = json!({"key": "x", "operator": "Exists"});
    let mut more = items(&pod, "/spec/tolerations").to_vec();
    more.push(toleration.clone());
    for (pointer, value, refusal) in [
        ("/spec/containers/0/image", json!("nginx:2"), ""),
        ("/spec/tolerations", Value::Array(more), ""),
        ("/spec/activeDeadlineSeconds", json!(40), ""),
        ("/spec/schedulingGates", json!([]), ""),
        ("/spec/nodeSelector", json!({"a": "b", "c": "d"}), ""),
        ("/spec/tolerations", json!([toleration]), "spec.tolerations: Forbidden: existing toleration can not be"),
        ("/spec/activeDeadlineSeconds", json!(60), "spec.activeDeadlineSeconds: Invalid value: 60: must be less"),
        ("/spec/activeDeadlineSeconds", Value::Null, "spec.activeDeadlineSeconds: Invalid value: null: must not"),
        ("/spec/schedulingGates", json!([{"name": "c"}]), "spec.schedulingGates[0].name: Forbidden: only deletion"),
        ("/spec/nodeSelector", json!({"a": "c"}), "spec.nodeSelector: Invalid value: {\"a\":\"c\"}: only additions"),
        ("/spec/containers/0/image", json!(""), "spec.containers[0].image: Required value"),
        ("/spec/containers", json!([]), "spec.containers: Required value"),
        ("/spec/containers/0/name", json!("x"), "spec: Forbidden: pod updates may not change fields other than `spec."),
        ("/spec/nodeName", json!("x"), "spec: Forbidden: pod updates may not change fields other than `spec."),
        ("/spec/terminationGracePeriodSeconds", json!(1), "spec: Forbidden: pod updates may not change fields other"),
    ] {
        let refused = lines(&on_update(&changed(&pod, pointer, value.clone()), &pod));
        assert_eq!(refused.is_empty(), refusal.is_empty(), "{pointer} {value}: {refused:?}");
        assert!(refused.first().is_none_or(|line| line.starts_with(refusal)), "{refused:?}");
    }
    let two = changed(&pod, "/spec/initContainers", json!([{"name": "i", "image": "x"}]));
    assert!(
        lines(&on_update(&two, &pod))
            .contains(&"spec.initContainers: Forbidden: pod updates may not add or remove containers".to_owned())
    );
}

#[test]
fn a_plain_write_keeps_the_status_and_a_status_write_the_spec() {
    let old = stored(json!({}));
    let mut new = changed(&changed(&old, "/status/phase", json!("Running")), "/spec/containers/0/image", json!("x:2"));
    let mut status = new.clone();
    prepare_update(&mut new, &old);
    assert_eq!((&new["status"], &new["metadata"]["generation"]), (&old["status"], &json!(2)));
    status["metadata"]["labels"] = json!({"a": "b"});
    status["status"]["qosClass"] = Value::Null;
    prepare_status(&mut status, &old);
    assert_eq!(status["spec"], old["spec"]);
    assert_eq!(status["status"], json!({"phase": "Running", "qosClass": "Burstable"}));
    assert_eq!(status["metadata"]["labels"], json!({"a": "b"}));
    let other = changed(&old, "/status/qosClass", json!("Guaranteed"));
    assert_eq!(
        lines(&on_status(&other, &old)),
        [r#"status.qosClass: Invalid value: "Guaranteed": field is immutable"#]
    );
}

#[test]
fn a_container_that_ended_for_good_stays_ended() {
    let with = |policy: &str, state: Value| {
        let pod = stored(json!({"restartPolicy": policy}));
        changed(&pod, "/status/containerStatuses", json!([{"name": "main", "state": state}]))
    };
    for (policy, code, refused) in
        [("Never", 1, true), ("OnFailure", 0, true), ("OnFailure", 1, false), ("Always", 0, false)]
    {
        let old = with(policy, json!({"terminated": {"exitCode": code}}));
        let causes = on_status(&with(policy, json!({"running": {}})), &old);
        assert_eq!(!causes.is_empty(), refused, "{policy} {code}");
    }
}

#[test]
fn a_pod_is_bound_once() {
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let to = |node: &str| json!({"metadata": {"annotations": {"a": "b"}}, "target": {"kind": "Node", "name": node}});
    let mut pod = stored(json!({}));
    bind(&mut pod, &to("n1"), now).unwrap();
    assert_eq!((text(&pod, "/spec/nodeName"), text(&pod, "/metadata/annotations/a")), ("n1", "b"));
    assert_eq!(
        at(&pod, "/status/conditions/0"),
        &json!({"type": "PodScheduled", "status": "True",
        "lastProbeTime": null, "lastTransitionTime": "2026-01-01T00:00:00Z"})
    );
    let again = bind(&mut pod, &to("n2"), now).unwrap_err();
    assert_eq!(
        (again.code, again.message.as_str()),
        (409, r#"Operation cannot be fulfilled on pods/binding "web-1": pod web-1 is already assigned to node "n1""#)
    );
    let mut other = to("n1");
    other["metadata"]["uid"] = json!("v");
    assert_eq!(bind(&mut stored(json!({})), &other, now).unwrap_err().code, 409);
    let mut gated = stored(json!({"schedulingGates": [{"name": "a/b"}]}));
    assert_eq!(text(&gated, "/status/conditions/0/reason"), "SchedulingGated");
    assert_eq!(bind(&mut gated, &to("n1"), now).unwrap_err().code, 409);
}

#[test]
fn a_resize_changes_cpu_and_memory_and_drops_the_rest() {
    let old = stored(json!({"initContainers": [{"name": "i", "image": "x"}]}));
    let mut new = changed(&old, "/spec/containers/0/resources/requests/cpu", json!("500m"));
    new["spec"]["containers"][0]["image"] = json!("other");
    new["metadata"]["labels"] = json!({"a": "b"});
    resize(&mut new, &old).unwrap();
    let mut want = changed(&old, "/spec/containers/0/resources/requests/cpu", json!("500m"));
    want["metadata"]["generation"] = json!(2);
    assert_eq!(new, want);
    for (pointer, value, refusal) in [
        ("/spec/containers/0/resources/requests/cpu", json!("5"), "must be less than or equal to cpu limit of 2"),
        (
            "/spec/containers/0/resources/requests/ephemeral-storage",
            json!("1Gi"),
            "only cpu and memory resources are mutable",
        ),
        ("/spec/containers/0/resizePolicy", json!([]), "only cpu and memory resources are mutable"),
        ("/spec/containers/0/resources/limits", json!({}), "resource limits cannot be removed"),
        ("/spec/containers/0/name", json!("x"), "containers may not be renamed or reordered on resize"),
        ("/spec/containers", json!([]), "containers may not be added or removed on resize"),
        (
            "/spec/initContainers/0/resources",
            json!({"requests": {"cpu": "1"}}),
            "non-sidecar init containers are immutable",
        ),
    ] {
        let failure = resize(&mut changed(&old, pointer, value), &old).unwrap_err();
        assert!(failure.code == 422 && failure.message.contains(refusal), "{pointer}: {}", failure.message);
    }
    let plain = stored(json!({"containers": [{"name": "a", "image": "b"}]}));
    let mut wanted = changed(&plain, "/spec/containers/0/resources", json!({"requests": {"cpu": "1"}}));
    let failure = resize(&mut wanted, &plain).unwrap_err();
    assert!(
        failure
            .message
            .ends_with(r#"spec: Invalid value: "BestEffort": Pod QOS Class may not change as a result of resizing"#)
    );
}
