//! The stages as the API server sees them: a Pod in, a patch out.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::admission::object::Object;
use crate::admission::review::Question;
use crate::admission::{Kind, Resource};
use crate::testing::desk;

/// The creation of a Pod.
pub(super) fn create(pod: impl Into<Object>) -> Request {
    Request {
        kind: Kind { group: String::new(), version: "v1".into(), kind: "Pod".into() },
        resource: Resource { group: String::new(), version: "v1".into(), resource: "pods".into() },
        object: pod.into(),
        ..crate::testing::request()
    }
}

/// The same as it comes from the API server.
pub(super) fn sent(pod: &str) -> Request {
    let body = format!(
        r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"u-1","operation":"CREATE",
            "kind":{{"version":"v1","kind":"Pod"}},"resource":{{"version":"v1","resource":"pods"}},
            "namespace":"shop","userInfo":{{"username":"jane"}},"object":{pod}}}}}"#
    );
    Question::read(body.as_bytes(), crate::testing::request().deadline).unwrap().request
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
    for (pod, want) in [
        (Value::Null, "invalid type: null, expected an object"),
        (json!("x"), "invalid type: string \"x\", expected an object"),
        (json!({ "metadata": {} }), "missing field `spec`"),
        (json!({ "metadata": [], "spec": {} }), "invalid type: sequence, expected an object"),
        (json!({ "metadata": { "labels": { "a": 1 } }, "spec": {} }), "invalid type: integer `1`, expected a string"),
        (json!({ "metadata": {}, "spec": null }), "invalid type: null, expected an object"),
    ] {
        for request in [create(pod.clone()), sent(&pod.to_string())] {
            let Verdict::Refuse(refusal) = mutate(&request, &desk("")).await else { panic!("{pod}") };
            assert_eq!((refusal.code, refusal.rule), (400, "decode"), "{pod}");
            assert!(refusal.message.starts_with(&format!("decode Pod: {want}")), "{}", refusal.message);
        }
    }
}

#[tokio::test] // pod-webhook page, edge case 5
async fn anything_but_the_creation_of_a_pod_passes_untouched() {
    let mut update = create(owned_by("apps.kruise.io/v1beta1"));
    update.operation = Operation::Update;
    let mut eviction = create(json!({ "kind": "Eviction" }));
    eviction.sub_resource = "eviction".into();
    let mut foreign = create(owned_by("apps.kruise.io/v1beta1"));
    foreign.resource.group = "example.com".into();
    for request in [update, eviction, foreign] {
        assert_eq!(mutate(&request, &desk("")).await, Verdict::Allow);
    }
}

/// A Pod that no tree is deep enough for.
fn deep(owner: &str) -> String {
    let deep = crate::testing::deep(100_000);
    let pod = owned_by(owner).to_string();
    pod.replacen("\"containers\":", &format!("\"someday\":{deep},\"containers\":"), 1)
}

#[tokio::test] // PW-4: a clear answer
async fn a_pod_of_the_suite_that_is_too_deep_to_be_changed_is_refused_with_400() {
    let request = sent(&deep("apps.kruise.io/v1beta1"));
    let Verdict::Refuse(refusal) = mutate(&request, &desk("")).await else { panic!("not refused") };
    assert_eq!((refusal.code, refusal.rule), (400, "decode"));
    let want = "decode Pod: nested deeper than 127 levels at line 1 column ";
    assert!(refusal.message.starts_with(want), "{}", refusal.message);
}

#[tokio::test]
async fn a_pod_of_others_is_never_parsed_into_a_tree() {
    // If it were, it would be refused as that of the suite is.
    assert_eq!(mutate(&sent(&deep("apps/v1")), &desk("")).await, Verdict::Allow);
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
