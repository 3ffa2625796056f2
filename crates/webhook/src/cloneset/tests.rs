//! CloneSet admission as the API server sees it. The rules themselves are tested in `api`.

use serde_json::json;

use super::*;
use crate::admission::{Kind, Resource};
use crate::testing::desk;

fn refusing_privileged() -> Desk {
    Desk { privileged: Privileged::Refused, ..desk("") }
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
        kind: Kind { group: group.clone(), version: version.clone(), kind: "CloneSet".into() },
        resource: Resource { group, version, resource: "clonesets".into() },
        name: "web".into(),
        operation,
        object: object.into(),
        old_object: old_object.into(),
        ..crate::testing::request()
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
        assert_eq!(validate(&create, &desk("")).await, Verdict::Allow, "{version}");
        let update = request(Operation::Update, object.clone(), object);
        assert_eq!(validate(&update, &desk("")).await, Verdict::Allow, "{version}");
    }
}

#[tokio::test] // PL-54
async fn an_invalid_clone_set_is_refused_with_422_and_its_fields() {
    let mut object = defaulted("v1beta1", "");
    object["spec"]["replicas"] = (-1).into();
    let refusal = refusal(request(Operation::Create, object, Value::Null), &desk("")).await;
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
        assert_eq!(refusal(create.clone(), &desk("")).await.code, 400, "{object}");
        let Verdict::Refuse(mutation) = mutate(&create, &Gates::parse("", None).unwrap()) else { panic!("{object}") };
        assert_eq!(mutation.code, 400, "{object}");
    }
}

#[tokio::test] // CS-110
async fn deletion_of_a_protected_clone_set_is_refused_with_403() {
    let mut object = clone_set("v1beta1");
    object["metadata"]["labels"] = json!({ "policy.kruise.io/delete-protection": "Cascading" });
    let delete = request(Operation::Delete, Value::Null, object);
    let refusal = refusal(delete.clone(), &desk("ResourcesDeletionProtection=true")).await;
    assert_eq!(refusal.code, 403);
    assert!(refusal.message.ends_with("=Cascading and replicas 2>0"), "{}", refusal.message);
    assert_eq!(validate(&delete, &desk("")).await, Verdict::Allow);
}

#[tokio::test] // platform page, section 2, step 5
async fn privileged_templates_depend_on_the_flag() {
    let mut object = defaulted("v1beta1", "");
    object["spec"]["template"]["spec"]["containers"][0]["securityContext"] = json!({ "privileged": true });
    let create = request(Operation::Create, object, Value::Null);
    assert_eq!(validate(&create, &desk("")).await, Verdict::Allow);
    assert_eq!(refusal(create, &refusing_privileged()).await.code, 422);
}

#[tokio::test]
async fn subresources_are_not_judged() {
    let mut status = request(Operation::Update, json!({}), json!({}));
    status.sub_resource = "status".into();
    assert_eq!(validate(&status, &desk("")).await, Verdict::Allow);
    assert_eq!(mutate(&status, &Gates::parse("", None).unwrap()), Verdict::Allow);
}

#[tokio::test] // PL-54
async fn a_clone_set_that_is_too_deep_is_refused_with_400_wherever_it_is() {
    let deep = crate::testing::deep(100_000);
    let fine = clone_set("v1beta1").to_string();
    let odd = fine.replacen("\"containers\":", &format!("\"someday\":{deep},\"containers\":"), 1);
    for (object, old, what) in [(&odd, &fine, "CloneSet"), (&fine, &odd, "stored CloneSet")] {
        let request = sent("UPDATE", object, old);
        let refusal = refusal(request.clone(), &desk("")).await;
        let want = format!("decode {what}: nested deeper than 127 levels at line 1 column ");
        assert!(refusal.message.starts_with(&want), "{}", refusal.message);
        assert_eq!((refusal.code, refusal.rule), (400, "decode"));
        assert!(matches!(mutate(&request, &Gates::parse("", None).unwrap()), Verdict::Refuse(_)));
    }
    // Whatever it is, its user can get rid of it.
    let request = sent("DELETE", "null", &odd);
    assert_eq!(validate(&request, &desk("ResourcesDeletionProtection=true")).await, Verdict::Allow);
}

#[tokio::test]
async fn what_only_the_parser_takes_for_a_tree_is_refused() {
    // Each level is a text in the one above: as a tree it would be deeper than any limit.
    let mut odd = "1".to_owned();
    for _ in 0..12 {
        let deep = format!("{}{odd}{}", "[".repeat(120), "]".repeat(120));
        odd = json!({ "$serde_json::private::RawValue": deep }).to_string();
    }
    let fine = clone_set("v1beta1").to_string();
    let odd = fine.replacen("\"containers\":", &format!("\"someday\":{odd},\"containers\":"), 1);
    assert_eq!(refusal(sent("UPDATE", &odd, &fine), &desk("")).await.code, 400);
}

/// A request as it comes from the API server.
fn sent(operation: &str, object: &str, old: &str) -> Request {
    let gvk = r#""group":"apps.kruise.io","version":"v1beta1""#;
    let body = format!(
        r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"1",
            "operation":"{operation}","kind":{{{gvk},"kind":"CloneSet"}},"resource":{{{gvk},"resource":"clonesets"}},
            "namespace":"shop","name":"web","object":{object},"oldObject":{old}}}}}"#
    );
    let deadline = crate::testing::request().deadline;
    crate::admission::review::Question::read(body.as_bytes(), deadline).unwrap().request
}
