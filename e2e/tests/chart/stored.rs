//! The entries in a real API server: it takes them, and what it stores is what `kruise-webhook` computes again from the
//! template, so nothing is written twice.

use anyhow::{Context, Result, ensure};
use e2e::apiserver::ApiServer;
use e2e::install::Helm;
use e2e::progress::Progress;
use e2e::tools::Tools;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
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

/// Installs both configurations and publishes their entries, as a replica would; what is stored must need no write.
async fn published_once(rendered: &Rendered) -> Result<()> {
    let client = ApiServer::shared().await?.client().await?;
    let target = target()?;
    for flavour in [Flavour::Mutating, Flavour::Validating] {
        let resource = match flavour {
            Flavour::Mutating => ApiResource::erase::<MutatingWebhookConfiguration>(&()),
            Flavour::Validating => ApiResource::erase::<ValidatingWebhookConfiguration>(&()),
        };
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        let manifest = rendered.get(flavour.kind(), flavour.object())?.clone();
        let made = api.create(&PostParams::default(), &serde_json::from_value(manifest)?).await?;
        let outcome = async {
            let first = plan(flavour, &serde_json::to_value(made)?, &target, |_| Standing::Served)?;
            let patch = first.patch.context("nothing to publish")?;
            let wanted = patch["webhooks"].clone();
            let stored = api.patch(flavour.object(), &PatchParams::default(), &Patch::Merge(patch)).await?;
            let stored = serde_json::to_value(stored)?;
            ensure!(stored["webhooks"] == wanted, "stored {}\nwanted {wanted}", stored["webhooks"]);
            let again = plan(flavour, &stored, &target, |_| Standing::Served)?;
            ensure!(again.patch.is_none(), "{:?}", again.patch);
            Ok(())
        }
        .await;
        api.delete(flavour.object(), &DeleteParams::default()).await?;
        outcome?;
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
    for file in ci_files()? {
        let rendered = Rendered::with_file(&file).await?;
        // With external certificates the entries are the manifest's, and nothing is published.
        if rendered.entries().is_ok() {
            published_once(&rendered).await.context(file)?;
        }
    }
    let example = example()?;
    ensure!(example["webhookConfiguration"]["matchConditions"].is_object(), "{example}");
    published_once(&Rendered::with(&example).await?).await.context("the example of the README")
}

#[tokio::test] // IN-47
async fn entries_of_another_chart_keep_their_bundle_and_ours_are_not_rendered_beside_them() -> Result<()> {
    let api = ApiServer::start().await?;
    let resource = ApiResource::erase::<MutatingWebhookConfiguration>(&());
    let live: Api<DynamicObject> = Api::all_with(api.client().await?, &resource);
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
