//! The pipeline as the API server sees it: a Pod in, a patch out.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::admission::{Kind, Privileged, Resource};
use crate::caches::Caches;

fn desk(gates: &str) -> Desk {
    let folder = tempfile::tempdir().unwrap();
    Desk {
        gates: runtime::gates::Gates::parse(gates, None).unwrap(),
        privileged: Privileged::Accepted,
        client: crate::testing::unreachable_client(),
        caches: Caches::default(),
        protection_log: crate::admission::protection::ProtectionLog::open(folder.path()).unwrap(),
    }
}

fn create(pod: Value) -> Request {
    Request {
        uid: "u".into(),
        kind: Kind { group: String::new(), version: "v1".into(), kind: "Pod".into() },
        resource: Resource { group: String::new(), version: "v1".into(), resource: "pods".into() },
        sub_resource: String::new(),
        name: String::new(),
        namespace: "shop".into(),
        operation: Operation::Create,
        username: "jane".into(),
        object: pod,
        old_object: Value::Null,
        deadline: tokio::time::Instant::now(),
    }
}

fn owned_by(api_version: &str) -> Value {
    let owner = json!({ "apiVersion": api_version, "kind": "CloneSet", "name": "web", "uid": "1", "controller": true });
    json!({ "metadata": { "generateName": "web-", "ownerReferences": [owner] }, "spec": { "containers": [] } })
}

/// The patch as JSON; empty where there is none.
async fn patch(pod: Value, gates: &str) -> Value {
    match mutate(&create(pod), &desk(gates)).await {
        Verdict::Allow => json!([]),
        Verdict::Change(patch) => serde_json::to_value(patch).unwrap(),
        Verdict::Refuse(refusal) => panic!("refused: {}", refusal.message),
    }
}

fn gate() -> Value {
    json!({ "conditionType": "KruisePodReady" })
}

#[tokio::test] // PR-1, PW-8
async fn pods_of_the_suite_get_the_readiness_gate_whatever_the_version() {
    for version in ["apps.kruise.io/v1alpha1", "apps.kruise.io/v1beta1", "apps.kruise.io/v2"] {
        let want = json!([{ "op": "add", "path": "/spec/readinessGates", "value": [gate()] }]);
        assert_eq!(patch(owned_by(version), "").await, want, "{version}");
    }
}

#[tokio::test] // PR-1
async fn other_pods_get_it_only_with_the_gate() {
    let mut not_controlled = owned_by("apps.kruise.io/v1beta1");
    not_controlled["metadata"]["ownerReferences"][0]["controller"] = false.into();
    for pod in [json!({ "metadata": {}, "spec": {} }), owned_by("apps/v1"), not_controlled] {
        assert_eq!(patch(pod.clone(), "").await, json!([]), "{pod}");
        assert_ne!(patch(pod.clone(), "KruisePodReadinessGate=true").await, json!([]), "{pod}");
    }
}

#[tokio::test] // PL-80
async fn the_gate_is_added_beside_others_and_never_twice() {
    let mut pod = owned_by("apps.kruise.io/v1beta1");
    pod["spec"]["readinessGates"] = json!([{ "conditionType": "lb" }]);
    assert_eq!(
        patch(pod.clone(), "").await,
        json!([{ "op": "add", "path": "/spec/readinessGates/1", "value": gate() }])
    );
    pod["spec"]["readinessGates"] = json!([gate()]);
    assert_eq!(patch(pod, "").await, json!([]));
}

#[tokio::test] // PW-4
async fn an_unreadable_pod_is_refused_with_400() {
    for pod in [Value::Null, json!("x"), json!({ "metadata": {} }), json!({ "metadata": [], "spec": {} })] {
        let Verdict::Refuse(refusal) = mutate(&create(pod.clone()), &desk("")).await else { panic!("{pod}") };
        assert_eq!(refusal.code, 400, "{pod}");
    }
}

#[tokio::test] // pod-webhook page, edge case 5
async fn anything_but_the_creation_of_a_pod_passes_untouched() {
    let mut update = create(owned_by("apps.kruise.io/v1beta1"));
    update.operation = Operation::Update;
    let mut eviction = create(json!({ "kind": "Eviction" }));
    eviction.sub_resource = "eviction".into();
    for request in [update, eviction] {
        assert_eq!(mutate(&request, &desk("")).await, Verdict::Allow);
    }
}

proptest! {
    #[test] // PW-6
    fn members_that_nobody_here_knows_survive(unknown in crate::testing::object()) {
        let mut pod = owned_by("apps.kruise.io/v1beta1");
        pod["spec"]["someday"] = unknown.clone();
        pod["metadata"]["someday"] = unknown.clone();
        pod["someday"] = unknown;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let patch: json_patch::Patch = serde_json::from_value(runtime.block_on(patch(pod.clone(), ""))).unwrap();
        let mut after = pod.clone();
        json_patch::patch(&mut after, &patch).unwrap();
        prop_assert_eq!(&after["spec"]["readinessGates"], &json!([gate()]));
        after["spec"].as_object_mut().unwrap().remove("readinessGates");
        prop_assert_eq!(after, pod);
    }
}
