//! CloneSet admission as the API server sees it. The rules themselves are tested in `api`.

use serde_json::json;

use super::*;
use crate::admission::protection::ProtectionLog;
use crate::admission::{Kind, Resource};
use crate::caches::Caches;

fn desk(gates: &str, privileged: Privileged) -> Desk {
    let folder = tempfile::tempdir().unwrap();
    Desk {
        gates: Gates::parse(gates, None).unwrap(),
        privileged,
        client: crate::testing::unreachable_client(),
        caches: Caches::default(),
        protection_log: ProtectionLog::open(folder.path()).unwrap(),
    }
}

fn clone_set(version: &str) -> Value {
    json!({
        "apiVersion": format!("apps.kruise.io/{version}"), "kind": "CloneSet",
        "metadata": { "name": "web", "namespace": "shop", "uid": "1", "resourceVersion": "1" },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "main", "image": "web:1" }] },
            },
        },
    })
}

fn request(operation: Operation, object: Value, old_object: Value) -> Request {
    let shown = if object.is_null() { &old_object } else { &object };
    let version = shown["apiVersion"].as_str().unwrap_or_default().rsplit('/').next().unwrap().to_owned();
    let group = "apps.kruise.io".to_owned();
    Request {
        uid: "u".into(),
        kind: Kind { group: group.clone(), version: version.clone(), kind: "CloneSet".into() },
        resource: Resource { group, version, resource: "clonesets".into() },
        sub_resource: String::new(),
        name: "web".into(),
        namespace: "shop".into(),
        operation,
        username: "jane".into(),
        object,
        old_object,
        deadline: tokio::time::Instant::now(),
    }
}

/// The object after defaulting.
fn defaulted(version: &str, gates: &str) -> Value {
    let mut object = clone_set(version);
    let request = request(Operation::Create, object.clone(), Value::Null);
    match mutate(&request, &Gates::parse(gates, None).unwrap()) {
        Verdict::Change(patch) => json_patch::patch(&mut object, &patch).unwrap(),
        other => panic!("{other:?}"),
    }
    object
}

async fn refusal(request: Request, desk: &Desk) -> Refusal {
    match validate(&request, desk).await {
        Verdict::Refuse(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test] // CS-100..102
fn defaults_are_those_of_the_version_asked_in() {
    let beta = defaulted("v1beta1", "");
    assert_eq!(beta["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"], "20%");
    let alpha = defaulted("v1alpha1", "");
    assert_eq!(alpha["spec"]["updateStrategy"]["type"], "ReCreate");
    assert_eq!(alpha["spec"]["revisionHistoryLimit"], 10);
}

#[test] // CS-103
fn the_gate_leaves_templates_as_sent() {
    let template = |gates| defaulted("v1beta1", gates)["spec"]["template"].clone();
    assert_eq!(template("TemplateNoDefaults=true"), clone_set("v1beta1")["spec"]["template"]);
    assert_eq!(template("")["spec"]["containers"][0]["imagePullPolicy"], "Always");
}

#[tokio::test] // section 5
async fn what_was_defaulted_is_valid() {
    for version in ["v1alpha1", "v1beta1"] {
        let object = defaulted(version, "");
        let create = request(Operation::Create, object.clone(), Value::Null);
        assert_eq!(validate(&create, &desk("", Privileged::Accepted)).await, Verdict::Allow, "{version}");
        let update = request(Operation::Update, object.clone(), object);
        assert_eq!(validate(&update, &desk("", Privileged::Accepted)).await, Verdict::Allow, "{version}");
    }
}

#[tokio::test] // PL-54
async fn an_invalid_clone_set_is_refused_with_422_and_its_fields() {
    let mut object = defaulted("v1beta1", "");
    object["spec"]["replicas"] = (-1).into();
    let refusal = refusal(request(Operation::Create, object, Value::Null), &desk("", Privileged::Accepted)).await;
    assert_eq!(refusal.code, 422);
    assert!(refusal.message.contains("spec.replicas: Invalid value: -1"), "{}", refusal.message);
    let causes = refusal.status()["details"]["causes"].as_array().unwrap();
    assert!(causes.iter().any(|cause| cause["field"] == "spec.replicas"));
}

#[tokio::test] // PL-54
async fn an_unreadable_object_or_version_is_refused_with_400() {
    let mut odd = clone_set("v1beta1");
    odd["spec"]["replicas"] = "many".into();
    for object in [odd, clone_set("v2"), json!("x")] {
        let create = request(Operation::Create, object.clone(), Value::Null);
        assert_eq!(refusal(create.clone(), &desk("", Privileged::Accepted)).await.code, 400, "{object}");
        let Verdict::Refuse(mutation) = mutate(&create, &Gates::parse("", None).unwrap()) else { panic!("{object}") };
        assert_eq!(mutation.code, 400, "{object}");
    }
}

#[tokio::test] // CS-110
async fn deletion_of_a_protected_clone_set_is_refused_with_403() {
    let mut object = clone_set("v1beta1");
    object["metadata"]["labels"] = json!({ "policy.kruise.io/delete-protection": "Cascading" });
    let delete = request(Operation::Delete, Value::Null, object);
    let refusal = refusal(delete.clone(), &desk("ResourcesDeletionProtection=true", Privileged::Accepted)).await;
    assert_eq!(refusal.code, 403);
    assert!(refusal.message.ends_with("=Cascading and replicas 2>0"), "{}", refusal.message);
    assert_eq!(validate(&delete, &desk("", Privileged::Accepted)).await, Verdict::Allow);
}

#[tokio::test] // platform page, section 2, step 5
async fn privileged_templates_depend_on_the_flag() {
    let mut object = defaulted("v1beta1", "");
    object["spec"]["template"]["spec"]["containers"][0]["securityContext"] = json!({ "privileged": true });
    let create = request(Operation::Create, object, Value::Null);
    assert_eq!(validate(&create, &desk("", Privileged::Accepted)).await, Verdict::Allow);
    assert_eq!(refusal(create, &desk("", Privileged::Refused)).await.code, 422);
}

#[tokio::test]
async fn subresources_are_not_judged() {
    let mut status = request(Operation::Update, json!({}), json!({}));
    status.sub_resource = "status".into();
    assert_eq!(validate(&status, &desk("", Privileged::Accepted)).await, Verdict::Allow);
    assert_eq!(mutate(&status, &Gates::parse("", None).unwrap()), Verdict::Allow);
}
