//! Without a webhook that answers, only what the user chose to fail fails. Runs after the scenarios that share the
//! product, since it takes the webhook away from everybody, and leaves replicas, values and entries as it found them.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::cluster::Cluster;
use e2e::install::{Helm, NAMESPACE, RELEASE};
use e2e::outage::{Attempts, unanswered};
use e2e::scenario::Stage;
use e2e::wait::{self, Seen};
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(240);
const MUTATING: &str = "kruise-mutating-webhook-configuration";
const VALIDATING: &str = "kruise-validating-webhook-configuration";
/// Label of the namespace and of the Pod that the user leaves out.
const LEFT_OUT: &str = "isolation.kruise.io/left-out";

#[tokio::test] // issue: isolation; IN-15, IN-60, PL-53
async fn without_the_webhook_only_what_the_user_chose_to_fail_fails() -> Result<()> {
    let cluster = Cluster::attach()?;
    let (client, helm) = (cluster.client().await?, Helm::new(cluster.tools(), &cluster.kubeconfig()));
    if revision(&helm).await.is_err() {
        helm.install(&[], LIMIT).await?;
    }
    helm.admission(client.clone(), LIMIT).await?;
    let product = Product::found(client.clone(), helm).await?;
    let stage = Stage::open(client.clone(), cluster.kubectl(), "isolation").await?;
    let left_out = Stage::open(client, cluster.kubectl(), "left-out").await?;
    let scenes = |stage: Stage| async move {
        let played = scenes(&product, &stage, &left_out).await;
        // Whatever happened, the others find what was there before. The scenario's own objects go after that: without
        // a webhook they could not be deleted.
        let restored = product.restore(&stage).await.context("the product is not as it was found");
        let closed = left_out.close().await;
        match (played, restored) {
            (Ok(()), restored) => restored.and(closed),
            (Err(played), Ok(())) => Err(played),
            (Err(played), Err(restored)) => bail!("{played:#}; {restored:#}"),
        }
    };
    stage.play(scenes).await
}

async fn scenes(product: &Product, stage: &Stage, left_out: &Stage) -> Result<()> {
    stage.cloneset("web", "nginx:1.25", json!({"replicas": 1})).await?;
    stage.settled("web", 1, 1).await?;
    let pod = stage.facts("web").await?.into_keys().next().context("the CloneSet has no Pod")?;
    let attempts = product.attempts(stage, &pod);
    product.label(left_out).await?;
    for space in [stage.namespace(), left_out.namespace(), "kube-system", NAMESPACE] {
        let can = || async { attempts.pod(space, json!({})).await.map(|_| Seen::Done(())) };
        wait::until(&format!("Pods can be created in {space}"), LIMIT, can).await?;
    }

    // Fail is the default, for Pods and for our own kinds.
    product.goes(&attempts, stage).await?;
    attempts.everything_else_works().await.context("with Fail")?;
    attempts.pods_are_held().await.context("with Fail")?;
    attempts.clonesets_are_held().await?;

    product.comes_back_with(json!({"failurePolicy": {"pods": "Ignore"}, "timeouts": {"pods": 5}})).await?;
    product.goes(&attempts, stage).await?;
    attempts.everything_else_works().await.context("with Ignore")?;
    attempts.pods_are_free().await.context("with Ignore")?;
    attempts.clonesets_are_held().await?;

    let absent = json!({"matchExpressions": [{"key": LEFT_OUT, "operator": "DoesNotExist"}]});
    let condition = format!(
        "request.operation != 'CREATE' || !has(object.metadata.labels) || !('{LEFT_OUT}' in object.metadata.labels)"
    );
    product
        .comes_back_with(json!({
            "failurePolicy": {"pods": "Fail"},
            "namespaceSelector": {"pods": absent},
            "matchConditions": {"pods": [{"name": "not-left-out", "expression": condition}]},
        }))
        .await?;
    product.goes(&attempts, stage).await?;
    attempts.everything_else_works().await.context("with selectors")?;
    attempts.pod(left_out.namespace(), json!({})).await.context("a Pod in a namespace that is left out")?;
    attempts.pod(stage.namespace(), json!({LEFT_OUT: "yes"})).await.context("a Pod that is left out")?;
    attempts.pods_are_held().await.context("with selectors")?;
    attempts.clonesets_are_held().await?;
    // The namespace is left out for Pods only.
    unanswered("a CloneSet", "mcloneset.kb.io", attempts.cloneset(left_out.namespace()).await)
}

/// The product as it was found.
struct Product {
    client: Client,
    helm: Helm,
    /// Revision of the release.
    revision: u64,
    /// Replicas of the webhook.
    replicas: i32,
    /// Entries of both configurations.
    entries: Value,
}

impl Product {
    async fn found(client: Client, helm: Helm) -> Result<Self> {
        let deployment = Api::<Deployment>::namespaced(client.clone(), NAMESPACE).get("kruise-webhook").await?;
        let replicas = deployment.spec.and_then(|spec| spec.replicas).context("the webhook has no replicas")?;
        ensure!(replicas > 0, "the webhook is scaled down already");
        let (revision, entries) = (revision(&helm).await?, entries(&client).await?);
        let text = entries.to_string();
        for name in ["mpod.kb.io", "mcloneset.kb.io", "vpod.kb.io", "vpodeviction.kb.io", "vcloneset.kb.io"] {
            ensure!(text.contains(&format!("\"{name}\"")), "{name} is not active: {text}");
        }
        Ok(Self { client, helm, revision, replicas, entries })
    }

    fn attempts(&self, stage: &Stage, pod: &str) -> Attempts {
        Attempts::new(self.client.clone(), stage.namespace(), pod, "web")
    }

    /// Gives a namespace the label that the user leaves out.
    async fn label(&self, stage: &Stage) -> Result<()> {
        let spaces: Api<Namespace> = Api::all(self.client.clone());
        let patch = json!({"metadata": {"labels": {LEFT_OUT: "yes"}}});
        spaces.patch(stage.namespace(), &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    /// Takes the webhook away, and waits until the API server feels it.
    async fn goes(&self, attempts: &Attempts, stage: &Stage) -> Result<()> {
        self.scale(0).await?;
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), NAMESPACE);
        let which =
            ListParams::default().labels("control-plane=controller-manager,app.kubernetes.io/component=webhook");
        wait::until("the webhook is gone", LIMIT, || async {
            let left = pods.list(&which).await?.items.len();
            Ok(if left == 0 { Seen::Done(()) } else { Seen::NotYet(format!("{left} Pods")) })
        })
        .await?;
        wait::until("the API server calls in vain", LIMIT, || async {
            let tried = attempts.cloneset(stage.namespace()).await;
            unanswered("a CloneSet", "mcloneset.kb.io", tried).map(Seen::Done)
        })
        .await
    }

    /// Brings the webhook back with other values of `webhookConfiguration`, and waits until they hold.
    async fn comes_back_with(&self, configuration: Value) -> Result<()> {
        self.scale(self.replicas).await?;
        let chart = e2e::paths::workspace()?.join("charts/kruise");
        let values = json!({"webhookConfiguration": configuration}).to_string();
        let upgrade = self.helm.command("upgrade --reuse-values --wait --timeout 240s --values -").input(values);
        upgrade.arg(RELEASE).arg(chart).run().await?;
        wait::until("the entries are those of the values", LIMIT, || async {
            Ok(differences(&entries(&self.client).await?, &templates(&self.client).await?))
        })
        .await
    }

    /// Puts everything back, and waits until admission works as before.
    async fn restore(&self, stage: &Stage) -> Result<()> {
        self.scale(self.replicas).await?;
        let back = format!("rollback {RELEASE} {} --wait --timeout 240s", self.revision);
        self.helm.command(&back).run().await?;
        wait::until("the entries are those that were found", LIMIT, || async {
            Ok(differences(&entries(&self.client).await?, &self.entries))
        })
        .await?;
        let attempts = self.attempts(stage, "");
        wait::until("admission works again", LIMIT, || async {
            attempts.pod(stage.namespace(), json!({})).await?;
            let set = attempts.cloneset(stage.namespace()).await?;
            let limit = serde_json::to_value(&set.spec)?.get("revisionHistoryLimit").cloned();
            Ok(if limit == Some(json!(10)) { Seen::Done(()) } else { Seen::NotYet("no defaults".to_owned()) })
        })
        .await
    }

    async fn scale(&self, replicas: i32) -> Result<()> {
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), NAMESPACE);
        let patch = json!({"spec": {"replicas": replicas}});
        api.patch_scale("kruise-webhook", &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }
}

/// The active entries of both configurations.
async fn entries(client: &Client) -> Result<Value> {
    let mutating = Api::<MutatingWebhookConfiguration>::all(client.clone()).get(MUTATING).await?.webhooks;
    let validating = Api::<ValidatingWebhookConfiguration>::all(client.clone()).get(VALIDATING).await?.webhooks;
    let both = [serde_json::to_value(mutating)?, serde_json::to_value(validating)?];
    Ok(both.iter().filter_map(Value::as_array).flatten().cloned().collect())
}

/// The entries that wait in the annotations of both configurations (PL-48).
async fn templates(client: &Client) -> Result<Value> {
    let mutating = Api::<MutatingWebhookConfiguration>::all(client.clone()).get(MUTATING).await?.metadata;
    let validating = Api::<ValidatingWebhookConfiguration>::all(client.clone()).get(VALIDATING).await?.metadata;
    let mut all = Vec::new();
    for metadata in [mutating, validating] {
        let template = metadata.annotations.unwrap_or_default().remove("template").context("no template")?;
        all.extend(serde_json::from_str::<Vec<Value>>(&template)?);
    }
    Ok(all.into())
}

/// Whether two lists of entries say the same, but for the certificates of the moment.
fn differences(is: &Value, want: &Value) -> Seen<()> {
    let bare = |list: &Value| -> Value {
        let mut list = list.as_array().cloned().unwrap_or_default();
        for config in list.iter_mut().filter_map(|entry| entry.get_mut("clientConfig")?.as_object_mut()) {
            config.remove("caBundle");
        }
        list.into()
    };
    let (is, want) = (bare(is), bare(want));
    if is == want { Seen::Done(()) } else { Seen::NotYet(format!("{is}\ninstead of {want}")) }
}

/// The revision of the release; an error where it is not installed.
async fn revision(helm: &Helm) -> Result<u64> {
    let status = helm.command(&format!("status {RELEASE} --output json")).output().await?;
    let status: Value = serde_json::from_str(&status)?;
    status.get("version").and_then(Value::as_u64).context("the release has no revision")
}
