//! Taking the product out: refused while workloads need it, and nobody else's Pod is turned away. Runs after the
//! scenarios of `cluster`, since it removes what they stand on.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use e2e::cluster::Cluster;
use e2e::install::Helm;
use e2e::scenario::{Stage, Visitors};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(240);
/// Pods that come by after everything is gone: some seconds of them.
const AFTERWARDS: u64 = 150;

#[tokio::test] // IN-72..78
async fn removal_is_refused_while_clonesets_exist_and_then_hurts_nobody() -> Result<()> {
    let cluster = Cluster::attach()?;
    let kubectl = cluster.kubectl();
    let helm = Helm::new(cluster.tools(), &cluster.kubeconfig());
    helm.install(&[], LIMIT).await?;
    helm.admission(cluster.client().await?, LIMIT).await?;
    let stage = Stage::open(cluster.client().await?, kubectl.clone(), "removal").await?;
    stage.cloneset("web", "nginx:1.25", json!({"replicas": 1})).await?;
    stage.settled("web", 1, 1).await?;
    let before = stage.facts("web").await?;

    let Err(refusal) = helm.uninstall(LIMIT).await else { bail!("the release was removed under a CloneSet") };
    ensure!(format!("{refusal:#}").contains("kruise-finalizer"), "{refusal:#}");
    ensure!(stage.facts("web").await? == before, "the refused removal touched a Pod");
    // Helm leaves a refused removal in a state of its own; a rollback to the same revision ends that.
    helm.command("rollback kruise --wait --timeout 120s").run().await?;

    kubectl.run("delete clonesets --all --all-namespaces --wait=true --timeout=120s").await?;
    let visitors = Visitors::start(&cluster.client().await?, "default");
    helm.uninstall(LIMIT).await?;
    let after = visitors.so_far().came;
    visitors.until(after + AFTERWARDS).await?;
    visitors.stop().clean("removal", AFTERWARDS)?;
    // The definition stays and can be read in both versions without us.
    for version in ["v1alpha1", "v1beta1"] {
        kubectl.run(&format!("get clonesets.{version}.apps.kruise.io -A")).await?;
    }
    stage.close().await
}
