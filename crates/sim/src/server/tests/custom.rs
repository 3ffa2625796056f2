//! Kinds of CRDs, with the product's own CloneSets and webhooks.

use std::sync::Arc;

use futures::future::BoxFuture;
use webhook::admission::{Operation, Request as Review};
use webhook::caches::Caches;

use super::*;
use crate::server::admission::Admission;
use crate::server::failure::{Failure, Result};

const BETA: &str = "/apis/apps.kruise.io/v1beta1/namespaces/default/clonesets";
const ALPHA: &str = "/apis/apps.kruise.io/v1alpha1/namespaces/default/clonesets";

/// Notes who was made, refuses a name, converts as the product does.
struct Hook;

impl Admission for Hook {
    fn concerns(&self, resource: &str, subresource: &str, _: Operation) -> bool {
        resource == "clonesets.apps.kruise.io" && subresource.is_empty()
    }

    fn mutate<'a>(&'a self, review: &'a Review) -> BoxFuture<'a, Result<Option<json_patch::Patch>>> {
        let before = review.object.read().unwrap();
        let mut after = before.clone();
        if review.operation == Operation::Create {
            after["metadata"]["annotations"] = json!({"made-in": review.resource.version});
        }
        Box::pin(async move { Ok(Some(json_patch::diff(before, &after))) })
    }

    fn validate<'a>(&'a self, review: &'a Review) -> BoxFuture<'a, Result<()>> {
        let refused = review.name == "bad";
        Box::pin(async move { if refused { Err(Failure::new(403, "Forbidden", "bad")) } else { Ok(()) } })
    }

    fn convert(&self, object: Value, desired_api_version: &str) -> Result<Value> {
        api::cloneset::conversion::convert(&object, desired_api_version)
            .map_err(|err| Failure::new(500, "InternalError", err.to_string()))
    }
}

fn with_clone_sets() -> Server {
    let server = server();
    for crd in api::crds() {
        server.install(&crd).unwrap();
    }
    server.set_admission(Arc::new(Hook));
    server
}

fn clone_set(name: &str, version: &str) -> Value {
    json!({"apiVersion": format!("apps.kruise.io/{version}"), "kind": "CloneSet", "metadata": {"name": name}, "spec": {
        "replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {
        "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": "nginx"}]}}}})
}

fn status(replicas: u32) -> Value {
    json!({"replicas": replicas, "readyReplicas": 0, "availableReplicas": 0, "updatedReplicas": 0,
        "updatedReadyReplicas": 0, "labelSelector": "app=web"})
}

#[tokio::test(start_paused = true)]
async fn a_kind_is_served_in_all_versions_and_stored_in_one() {
    let server = with_clone_sets();
    let mut object = clone_set("web", "v1alpha1");
    object["spec"]["updateStrategy"] = json!({"type": "InPlaceIfPossible"});
    let made = ok(ask(&server, &format!("POST {ALPHA}"), object).await);
    assert_eq!(made["spec"]["updateStrategy"]["type"], "InPlaceIfPossible");
    assert_eq!(made["metadata"]["annotations"]["made-in"], "v1alpha1");
    let stored = server.get("clonesets.apps.kruise.io", "default", "web").unwrap();
    assert_eq!(stored["apiVersion"], "apps.kruise.io/v1beta1");
    let read = ok(ask(&server, &format!("GET {BETA}/web"), Value::Null).await);
    assert_eq!(read["spec"]["updateStrategy"]["rollingUpdate"]["podUpdatePolicy"], "InPlaceIfPossible");
    let list = ok(ask(&server, &format!("GET {ALPHA}"), Value::Null).await);
    assert_eq!((&list["kind"], &list["items"][0]), (&json!("CloneSetList"), &made));
}

#[tokio::test(start_paused = true)]
async fn status_is_apart_and_only_the_spec_counts() {
    let server = with_clone_sets();
    let mut object = clone_set("web", "v1beta1");
    object["status"] = json!({"replicas": 7});
    let made = ok(ask(&server, &format!("POST {BETA}"), object).await);
    assert_eq!((made.get("status"), &made["metadata"]["generation"]), (None, &json!(1)));
    let both = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"replicas": 9}, "status": status(2)});
    let object = ok(ask(&server, &format!("PATCH merge {BETA}/web/status"), both).await);
    assert_eq!((&object["spec"]["replicas"], &object["status"]["replicas"]), (&json!(2), &json!(2)));
    assert_eq!((&object["metadata"]["generation"], &object["metadata"]["labels"]), (&json!(1), &Value::Null));
    let object = ok(ask(&server, &format!("PATCH merge {BETA}/web"), json!({"spec": {"replicas": 3}})).await);
    assert_eq!((&object["metadata"]["generation"], &object["status"]["replicas"]), (&json!(2), &json!(2)));
}

#[tokio::test(start_paused = true)]
async fn custom_resources_are_scaled() {
    let server = with_clone_sets();
    ok(ask(&server, &format!("POST {BETA}"), clone_set("web", "v1beta1")).await);
    ok(ask(&server, &format!("PATCH merge {BETA}/web/status"), json!({"status": status(1)})).await);
    let scale = ok(ask(&server, &format!("PATCH merge {BETA}/web/scale"), json!({"spec": {"replicas": 4}})).await);
    assert_eq!(
        (&scale["spec"]["replicas"], &scale["status"]),
        (&json!(4), &json!({"replicas": 1, "selector": "app=web"}))
    );
    assert_eq!(server.get("clonesets.apps.kruise.io", "default", "web").unwrap()["spec"]["replicas"], 4);
}

#[tokio::test(start_paused = true)]
async fn a_custom_resource_is_refused_by_schema_by_webhook_and_by_format() {
    let server = with_clone_sets();
    let mut object = clone_set("web", "v1beta1");
    object["spec"]["replicas"] = json!("two");
    assert_eq!(refused(ask(&server, &format!("POST {BETA}"), object).await).0, 422);
    assert_eq!(refused(ask(&server, &format!("POST {BETA}"), clone_set("bad", "v1beta1")).await).0, 403);
    ok(ask(&server, &format!("POST {BETA}"), clone_set("web", "v1beta1")).await);
    assert_eq!(refused(ask(&server, &format!("PATCH strategic {BETA}/web"), json!({})).await).0, 415);
    let (code, _, message) = refused(ask(&server, &format!("PUT {BETA}/web"), clone_set("web", "v1beta1")).await);
    assert!(code == 422 && message.contains("metadata.resourceVersion: Invalid value: 0:"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn the_products_own_webhooks_fill_in_and_refuse() {
    use crate::server::admission::Webhook;
    use webhook::admission::{Desk, Privileged, protection::ProtectionLog};
    let server = with_clone_sets();
    let protection_log = ProtectionLog::to(std::io::sink());
    let gates = runtime::gates::Gates::parse("", None).unwrap();
    let client = server.client("webhook");
    let desk = Desk { gates, privileged: Privileged::Accepted, client, caches: Caches::default(), protection_log };
    server.set_admission(Arc::new(Webhook::new(Arc::new(desk))));
    let made = ok(ask(&server, &format!("POST {BETA}"), clone_set("web", "v1beta1")).await);
    assert_eq!(made["spec"]["template"]["spec"]["restartPolicy"], "Always");
    let patch = json!({"spec": {"selector": {"matchLabels": {"app": "other"}}}});
    let (code, body) = ask(&server, &format!("PATCH merge {BETA}/web"), patch).await;
    assert_eq!(code, 422, "{body}");
    assert!(
        body["message"].as_str().unwrap().starts_with("admission webhook \"vcloneset.kb.io\" denied the request: ")
    );
    assert!(body["details"]["causes"].is_array());
}

#[tokio::test(start_paused = true)]
async fn actors_are_not_asked_by_webhooks() {
    use crate::server::call::{Call, Verb};
    let server = with_clone_sets();
    let call = Call::new(Verb::Create, "clonesets.apps.kruise.io").at("default", "").with(clone_set("bad", "v1beta1"));
    assert_eq!(server.ask("user", call).unwrap()["metadata"]["annotations"], Value::Null);
}
