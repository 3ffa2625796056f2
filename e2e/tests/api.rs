//! The webhook and the definitions in front of a real kube-apiserver, without nodes: what is stored, shown in the other
//! version, defaulted and refused.

#![allow(clippy::indexing_slicing, reason = "an answer of another form is a failure of the test")]

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::apiserver::ApiServer;
use e2e::command::Run;
use e2e::scenario::Stage;
use e2e::wait::{self, Seen};
use e2e::{manifests, paths};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

/// An API server with the definitions, the webhook configurations, and a webhook that it reaches on this host.
struct Served {
    api: ApiServer,
    webhook: Child,
}

impl Drop for Served {
    fn drop(&mut self) {
        // Our own child, ended by its handle.
        let _ = self.webhook.kill();
        let _ = self.webhook.wait();
    }
}

/// The debug build of the webhook.
async fn webhook_binary() -> Result<PathBuf> {
    let build = Run::cargo().args(["build", "--locked", "--package", "kruise-webhook", "--message-format=json"]);
    let built = build.dir(paths::workspace()?).output().await.context("build the webhook")?;
    built
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == json!("kruise-webhook"))
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo names no executable")
}

async fn served() -> Result<Served> {
    let api = ApiServer::start().await?;
    let kubectl = api.kubectl();
    kubectl
        .apply(&manifests::of_kinds(&[
            "Namespace",
            "CustomResourceDefinition",
            "MutatingWebhookConfiguration",
            "ValidatingWebhookConfiguration",
        ])?)
        .await?;
    let port = || anyhow::Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port());
    let (tls, health, metrics) = (port()?, port()?, port()?);
    let log = std::fs::File::create(api.dir().join("webhook.log"))?;
    let webhook = Command::new(webhook_binary().await?)
        .args([format!("--kubeconfig={}", api.kubeconfig().display())])
        .args([format!("--health-probe-addr=127.0.0.1:{health}"), format!("--metrics-addr=127.0.0.1:{metrics}")])
        .arg(format!("--protection-log-path={}", api.dir().display()))
        .env("WEBHOOK_HOST", "127.0.0.1")
        .env("WEBHOOK_PORT", tls.to_string())
        .env("WEBHOOK_CERT_DIR", api.dir().join("certs"))
        .env("POD_NAMESPACE", "kruise-system")
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .context("start the webhook")?;
    let served = Served { api, webhook };
    let ready = wait::until("the webhook is ready", Duration::from_secs(90), || async {
        let answer = e2e::http::ask("GET", &format!("127.0.0.1:{health}"), "/readyz", "*/*").await?;
        Ok(if answer.status == 200 {
            Seen::Done(())
        } else {
            Seen::NotYet(String::from_utf8_lossy(&answer.body).into_owned())
        })
    })
    .await;
    ready.with_context(|| std::fs::read_to_string(served.api.dir().join("webhook.log")).unwrap_or_default())?;
    Ok(served)
}

async fn stage(served: &Served) -> Result<Stage> {
    Stage::open(served.api.client().await?, served.api.kubectl(), "api").await
}

#[tokio::test]
async fn the_webhook_defaults_validates_and_converts() -> Result<()> {
    let served = served().await?;
    let stage = stage(&served).await?;
    defaults(&stage).await?;
    unknown_members(&stage).await?;
    conversion(&stage).await?;
    refusals(&stage).await?;
    immutable_selector(&stage).await?;
    healing(&served).await
}

/// CS-100, CS-101, CS-103
async fn defaults(stage: &Stage) -> Result<()> {
    let made = stage
        .cloneset(
            "defaults",
            "nginx:1.25",
            json!({"updateStrategy": {"rollingUpdate": {"podUpdatePolicy": "InPlaceOnly"}}}),
        )
        .await?;
    let spec = serde_json::to_value(&made.spec)?;
    let rolling = &spec["updateStrategy"]["rollingUpdate"];
    ensure!(spec["replicas"] == json!(1) && spec["revisionHistoryLimit"] == json!(10), "{spec}");
    ensure!(
        (&rolling["partition"], &rolling["maxUnavailable"], &rolling["maxSurge"])
            == (&json!(0), &json!("20%"), &json!(0)),
        "{rolling}"
    );
    let container = &spec["template"]["spec"]["containers"][0];
    ensure!(container["terminationMessagePath"] == json!("/dev/termination-log"), "{container}");
    ensure!(spec["template"]["spec"]["dnsPolicy"] == json!("ClusterFirst"), "{spec}");
    Ok(())
}

/// Design rule 3: nothing of a template is pruned on its way into storage.
async fn unknown_members(stage: &Stage) -> Result<()> {
    let future = json!({"template": {"spec": {"fromTheFuture": {"a": [1, 2]}, "containers": [{"name": "main", "image": "nginx:1.25", "alsoNew": true}]}}});
    stage.cloneset("future", "nginx:1.25", future).await?;
    let stored = stage.clonesets().get("future").await?;
    ensure!(stored.spec.template["spec"]["fromTheFuture"] == json!({"a": [1, 2]}), "{}", stored.spec.template);
    ensure!(stored.spec.template["spec"]["containers"][0]["alsoNew"] == json!(true), "{}", stored.spec.template);
    Ok(())
}

/// Page 2.1
async fn conversion(stage: &Stage) -> Result<()> {
    let namespace = stage.namespace();
    let alpha = json!({"apiVersion": "apps.kruise.io/v1alpha1", "kind": "CloneSet",
        "metadata": {"name": "alpha", "namespace": namespace, "annotations": {"apps.kruise.io/image-predownload-parallelism": "3"}},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "alpha"}},
            "scaleStrategy": {"disablePVCReuse": true},
            "updateStrategy": {"type": "InPlaceOnly", "maxUnavailable": "30%"},
            "template": {"metadata": {"labels": {"app": "alpha"}}, "spec": {"containers": [{"name": "main", "image": "nginx:1.25"}]}}}});
    stage.kubectl().apply(&alpha.to_string()).await?;
    let beta = serde_json::to_value(stage.clonesets().get("alpha").await?.spec)?;
    let rolling = &beta["updateStrategy"]["rollingUpdate"];
    ensure!(rolling["podUpdatePolicy"] == json!("InPlaceOnly") && rolling["maxUnavailable"] == json!("30%"), "{beta}");
    ensure!(rolling["inPlaceUpdateStrategy"]["imagePreDownloadParallelism"] == json!(3), "{beta}");
    ensure!(beta["scaleStrategy"]["enablePVCReuse"] == json!(false), "{beta}");
    let line = format!("-n {namespace} get clonesets.v1alpha1.apps.kruise.io alpha -o json");
    let back: Value = serde_json::from_str(&stage.kubectl().run(&line).await?)?;
    ensure!(back["spec"]["updateStrategy"]["type"] == json!("InPlaceOnly"), "{back}");
    ensure!(back["spec"]["scaleStrategy"]["disablePVCReuse"] == json!(true), "{back}");
    Ok(())
}

/// Page 5.2, CS-111
async fn refusals(stage: &Stage) -> Result<()> {
    for (spec, path, words) in [
        // The scale subresource makes the API server itself refuse this, before it asks us.
        (json!({"replicas": -1}), "spec.replicas", "Invalid value: -1"),
        (
            json!({"selector": {"matchLabels": {"app": "x"}}}),
            "spec.template.metadata.labels",
            "`selector` does not match template `labels`",
        ),
        (
            json!({"template": {"spec": {"restartPolicy": "Never"}}}),
            "spec.template.spec.restartPolicy",
            "Unsupported value",
        ),
        (
            json!({"updateStrategy": {"rollingUpdate": {"partition": "5"}}}),
            "spec.updateStrategy.rollingUpdate.partition",
            "invalid type: string is not a percentage",
        ),
        (json!({"scaleStrategy": {"podsToDelete": ["a", "a"]}}), "spec.scaleStrategy.podsToDelete", "duplicated items"),
    ] {
        let Err(error) = stage.cloneset("bad", "nginx:1.25", spec).await else { bail!("{path} was accepted") };
        let text = format!("{error:#}");
        ensure!(text.contains(path) && text.contains(words), "{path}, {words}: {text}");
        let Some(kube::Error::Api(status)) = error.downcast_ref::<kube::Error>() else { bail!("{text}") };
        ensure!(status.code == 422 && status.reason == "Invalid", "{status:?}");
    }
    Ok(())
}

/// Page 5.2, UPDATE
async fn immutable_selector(stage: &Stage) -> Result<()> {
    stage.cloneset("fixed", "nginx:1.25", json!({})).await?;
    let patch = json!({"spec": {"selector": {"matchLabels": {"app": "fixed", "more": "x"}},
        "template": {"metadata": {"labels": {"more": "x"}}}}});
    let Err(error) = stage.patch("fixed", patch).await else { bail!("the selector was changed") };
    ensure!(format!("{error:#}").contains("updates to cloneset spec for fields other than"), "{error:#}");
    Ok(())
}

/// PL-48, IN-32: a foreign change is healed within seconds.
async fn healing(served: &Served) -> Result<()> {
    let api: Api<ValidatingWebhookConfiguration> = Api::all(served.api.client().await?);
    let name = "kruise-validating-webhook-configuration";
    let entries = |of: &ValidatingWebhookConfiguration| {
        of.webhooks.iter().flatten().filter(|entry| entry.client_config.ca_bundle.is_some()).count()
    };
    let served_entries = entries(&api.get(name).await?);
    ensure!(served_entries > 0, "no entry is served");
    let wiped = json!({"webhooks": null});
    api.patch(name, &kube::api::PatchParams::default(), &kube::api::Patch::Merge(wiped)).await?;
    wait::object(
        "the entries come back",
        &api,
        name,
        Duration::from_secs(30),
        |found: Option<&ValidatingWebhookConfiguration>| match found {
            Some(found) if entries(found) == served_entries => Seen::Done(()),
            Some(found) => Seen::NotYet(format!("{} has {} entries", found.name_any(), entries(found))),
            None => Seen::NotYet("it is gone".to_owned()),
        },
    )
    .await
}
