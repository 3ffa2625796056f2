//! The entries in a real API server: it takes them, and what it stores is what `kruise-webhook` computes again from the
//! template, so nothing is written twice.

use anyhow::{Context, Result, ensure};
use e2e::apiserver::ApiServer;
use e2e::install::Helm;
use e2e::progress::Progress;
use e2e::tools::Tools;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use webhook::configuration::webhooks::{Flavour, Standing, plan};
use webhook::configuration::{Address, Target};

use crate::rendered::{Rendered, ci_files};

/// What the replicas put into the entries; the API server wants to see a certificate.
fn target() -> Result<Target> {
    let bundle = std::fs::read(e2e::paths::workspace()?.join("crates/webhook/testdata/ca-cert.pem"))?;
    let address = Address::Service { namespace: "kruise-system".into(), name: "kruise-webhook-service".into() };
    Ok(Target { address, bundle, pod_failure_policy: None })
}

/// The API of a configuration.
fn api(client: &Client, flavour: Flavour) -> Api<DynamicObject> {
    let resource = match flavour {
        Flavour::Mutating => ApiResource::erase::<MutatingWebhookConfiguration>(&()),
        Flavour::Validating => ApiResource::erase::<ValidatingWebhookConfiguration>(&()),
    };
    Api::all_with(client.clone(), &resource)
}

/// Installs both configurations and publishes their entries as a replica would; gives the objects as stored.
pub(crate) async fn publish(client: &Client, rendered: &Rendered) -> Result<Vec<(Flavour, Value)>> {
    let target = target()?;
    let mut all = Vec::new();
    for flavour in [Flavour::Mutating, Flavour::Validating] {
        let api = api(client, flavour);
        let manifest = rendered.get(flavour.kind(), flavour.object())?.clone();
        let made = api.create(&PostParams::default(), &serde_json::from_value(manifest)?).await?;
        let first = plan(flavour, &serde_json::to_value(made)?, &target, |_| Standing::Served)?;
        let patch = first.patch.context("nothing to publish")?;
        let stored = api.patch(flavour.object(), &PatchParams::default(), &Patch::Merge(&patch)).await?;
        let stored = serde_json::to_value(stored)?;
        ensure!(stored["webhooks"] == patch["webhooks"], "stored {}\nwanted {}", stored["webhooks"], patch["webhooks"]);
        all.push((flavour, stored));
    }
    Ok(all)
}

/// Removes both configurations.
pub(crate) async fn withdraw(client: &Client) -> Result<()> {
    for flavour in [Flavour::Mutating, Flavour::Validating] {
        api(client, flavour).delete(flavour.object(), &DeleteParams::default()).await?;
    }
    Ok(())
}

/// The values file that the chart's README shows.
fn example() -> Result<Value> {
    let readme = std::fs::read_to_string(e2e::paths::workspace()?.join("charts/kruise/README.md"))?;
    let (_, after) = readme.split_once("```yaml\n").context("no example")?;
    let (example, _) = after.split_once("```").context("the example does not end")?;
    Ok(serde_saphyr::from_str(example)?)
}

#[tokio::test] // IN-33, PL-48
async fn the_api_server_stores_the_entries_as_they_are_computed() -> Result<()> {
    let example = example()?;
    ensure!(example["webhookConfiguration"]["matchConditions"].is_object(), "{example}");
    let mut renderings = vec![("the example of the README".to_owned(), Rendered::with(&example).await?)];
    for file in ci_files()? {
        renderings.push((file.clone(), Rendered::with_file(&file).await?));
    }
    // With external certificates the entries are the manifest's, and nothing is published.
    renderings.retain(|(_, rendered)| rendered.entries().is_ok());
    let client = ApiServer::shared().await?.client().await?;
    for (values, rendered) in renderings {
        for (flavour, stored) in publish(&client, &rendered).await.with_context(|| values.clone())? {
            let again = plan(flavour, &stored, &target()?, |_| Standing::Served)?;
            ensure!(again.patch.is_none(), "{values}: {:?}", again.patch);
        }
        withdraw(&client).await?;
    }
    Ok(())
}

#[tokio::test] // IN-47
async fn entries_of_another_chart_keep_their_bundle_and_ours_are_not_rendered_beside_them() -> Result<()> {
    let api = ApiServer::start().await?;
    let live = self::api(&api.client().await?, Flavour::Mutating);
    let rendered = Rendered::with(&json!({})).await?;
    let mut other = rendered.get(Flavour::Mutating.kind(), Flavour::Mutating.object())?.clone();
    let patch =
        plan(Flavour::Mutating, &other, &target()?, |_| Standing::Served)?.patch.context("nothing to publish")?;
    other["webhooks"] = patch["webhooks"].clone();
    other["metadata"]["annotations"] = json!({"template": ""});
    live.create(&PostParams::default(), &serde_json::from_value(other)?).await?;

    let helm = Helm::new(&Tools::ensure(&Progress::start()).await?, api.kubeconfig());
    let upgrade = Rendered::read(&helm.template(&["--dry-run=server"], "{}").await?)?;

    let carried = upgrade.get(Flavour::Mutating.kind(), Flavour::Mutating.object())?;
    ensure!(carried["webhooks"] == patch["webhooks"], "{}", carried["webhooks"]);
    ensure!(carried["metadata"]["annotations"].get("kruise.io/left-to-webhook").is_none(), "{carried}");
    let left = upgrade.get(Flavour::Validating.kind(), Flavour::Validating.object())?;
    ensure!(
        left.get("webhooks").is_none() && left["metadata"]["annotations"]["kruise.io/left-to-webhook"] == "true",
        "{left}"
    );
    Ok(())
}

#[tokio::test] // IN-15
async fn the_notes_say_what_fails_without_the_webhook() -> Result<()> {
    let api = ApiServer::shared().await?;
    let helm = Helm::new(&Tools::ensure(&Progress::start()).await?, api.kubeconfig());
    let chart = e2e::paths::workspace()?.join("charts/kruise");
    for (values, says) in [
        (json!({}), ["Pods outside kube-system and kruise-system cannot be created", "CloneSets cannot be written"]),
        (
            json!({"webhookConfiguration": {"failurePolicy": {"pods": "Ignore", "kinds": "Ignore"}}}),
            ["Pods pass without admission", "CloneSets are stored without defaults"],
        ),
    ] {
        let install = helm.command("install --dry-run=client --values -").input(values.to_string());
        let text = install.arg("kruise").arg(&chart).output().await?;
        let (_, notes) = text.split_once("NOTES:").context("no notes")?;
        for words in says {
            ensure!(notes.contains(words), "{values}: {notes}");
        }
    }
    Ok(())
}
