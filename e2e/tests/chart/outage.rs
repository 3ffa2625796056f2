//! The entries of the chart in a real API server, and nobody who answers: who is turned away, by each choice of the user.
//! With a webhook that comes and goes this is the scenario `isolation` of the cluster.

use std::time::Duration;

use anyhow::Result;
use e2e::apiserver::ApiServer;
use e2e::outage::{Attempts, unanswered};
use e2e::wait::{self, Seen};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::rendered::Rendered;
use crate::stored;

const LIMIT: Duration = Duration::from_secs(60);

/// A Pod and a CloneSet from before, the chart's definitions and namespaces, a Node; no webhook.
async fn before(api: &ApiServer) -> Result<Attempts> {
    let (client, kubectl) = (api.client().await?, api.kubectl());
    let rendered = Rendered::with(&json!({})).await?;
    let of = |kind: &'static str| rendered.of_kind(kind).map(Value::to_string).collect::<Vec<_>>();
    for manifest in [of("Namespace"), of("CustomResourceDefinition")].concat() {
        kubectl.apply(&manifest).await?;
    }
    let node: Node = serde_json::from_value(json!({"metadata": {"name": "node"}}))?;
    Api::all(client.clone()).create(&PostParams::default(), &node).await?;
    for (name, labels) in [("shop", json!({})), ("left-out", json!({"left-out": "yes"}))] {
        let space: Namespace = serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}}))?;
        Api::all(client.clone()).create(&PostParams::default(), &space).await?;
    }
    let spec = json!({"nodeName": "node", "containers": [{"name": "c", "image": "nginx:1.25"}]});
    let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "web"}, "spec": spec}))?;
    Api::namespaced(client.clone(), "shop").create(&PostParams::default(), &pod).await?;
    let set = json!({"apiVersion": "apps.kruise.io/v1beta1", "kind": "CloneSet", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}}, "spec": spec}}});
    wait::until("the CloneSet is stored", LIMIT, || async { kubectl.apply(&set.to_string()).await.map(Seen::Done) })
        .await?;
    Ok(Attempts::new(client, "shop", "web", "web"))
}

/// Publishes the entries as these values of `webhookConfiguration` have them, and waits until all of it holds: the API
/// server goes by new entries with a delay.
async fn with<F: Future<Output = Result<()>>>(
    client: &Client,
    configuration: Value,
    holds: impl Fn() -> F,
) -> Result<()> {
    let rendered = Rendered::with(&json!({"webhookConfiguration": configuration})).await?;
    stored::publish(client, &rendered).await?;
    let what = format!("it holds with {configuration}");
    wait::until(&what, LIMIT, || async { holds().await.map(Seen::Done) }).await?;
    stored::withdraw(client).await
}

#[tokio::test] // issue: isolation; IN-15, IN-60, PL-53
async fn without_a_webhook_only_what_the_user_chose_to_fail_fails() -> Result<()> {
    let api = ApiServer::start().await?;
    let (client, attempts) = (api.client().await?, before(&api).await?);

    with(&client, json!({}), || async {
        attempts.pods_are_held().await?;
        attempts.clonesets_are_held().await?;
        attempts.everything_else_works().await
    })
    .await?;

    with(&client, json!({"failurePolicy": {"pods": "Ignore"}}), || async {
        attempts.clonesets_are_held().await?;
        attempts.pods_are_free().await?;
        attempts.everything_else_works().await
    })
    .await?;

    with(&client, json!({"failurePolicy": {"kinds": "Ignore"}}), || async {
        attempts.pods_are_held().await?;
        attempts.cloneset("shop").await?;
        attempts.everything_else_works().await
    })
    .await?;

    let absent = json!({"matchExpressions": [{"key": "left-out", "operator": "DoesNotExist"}]});
    with(&client, json!({"namespaceSelector": {"pods": absent}}), || async {
        attempts.pods_are_held().await?;
        attempts.pod("left-out", json!({})).await?;
        unanswered("a CloneSet", "mcloneset.kb.io", attempts.cloneset("left-out").await)
    })
    .await?;

    // An Eviction has no labels: were it compared with the selector, no budget would be asked.
    let guarded = json!({"matchLabels": {"guarded": "yes"}});
    with(&client, json!({"objectSelector": {"pods": guarded}}), || async {
        attempts.pod("shop", json!({})).await?;
        unanswered("a Pod", "mpod.kb.io", attempts.pod("shop", json!({"guarded": "yes"})).await)?;
        unanswered("an eviction", "vpodeviction.kb.io", attempts.evict().await)
    })
    .await?;

    let expression =
        "request.operation != 'CREATE' || !has(object.metadata.labels) || !('left-out' in object.metadata.labels)";
    let conditions = json!([{"name": "not-left-out", "expression": expression}]);
    with(&client, json!({"matchConditions": {"pods": conditions}}), || async {
        attempts.pods_are_held().await?;
        attempts.pod("shop", json!({"left-out": "yes"})).await?;
        attempts.everything_else_works().await
    })
    .await
}
