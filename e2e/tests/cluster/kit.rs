//! The cluster that all scenarios share, with the product in it.

use std::time::Duration;

use anyhow::{Context, Result};
use e2e::cluster::Cluster;
use e2e::install::{Helm, NAMESPACE};
use e2e::scenario::{Stage, Tally, Visitors};
use e2e::wait::{self, Seen};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

/// How long the installation may take on a machine that is busy.
pub(crate) const INSTALL: Duration = Duration::from_secs(240);
/// The values that it is installed with.
pub(crate) const VALUES: [&str; 1] = ["manager.log.level=5"];

/// What became of other people's Pods while the chart was installed.
static INSTALLED: OnceCell<Tally> = OnceCell::const_new();

/// Held by scenarios that take parts of the product away.
static ALONE: Mutex<()> = Mutex::const_new(());

/// The cluster of this machine.
pub(crate) fn cluster() -> Result<Cluster> {
    Cluster::attach().context("no cluster is up: `cargo xtask test --only cluster` brings it up")
}

/// Installs the chart once for all scenarios, while visitors come.
pub(crate) async fn installed() -> Result<Tally> {
    let made = INSTALLED
        .get_or_try_init(|| async {
            let cluster = cluster()?;
            // An earlier run may have left a release; this one is to start from nothing.
            let helm = Helm::new(cluster.tools(), &cluster.kubeconfig());
            clear(&cluster).await?;
            helm.uninstall(INSTALL).await?;
            let visitors = Visitors::start(&cluster.client().await?, "default");
            helm.install(&VALUES, INSTALL).await?;
            helm.admission(cluster.client().await?, INSTALL).await?;
            anyhow::Ok(visitors.stop())
        })
        .await?;
    Ok(made.clone())
}

/// The cluster with the product, for a scenario that takes parts of the product away: one at a time.
pub(crate) async fn alone() -> Result<(Cluster, MutexGuard<'static, ()>)> {
    installed().await?;
    Ok((cluster()?, ALONE.lock().await))
}

/// A namespace of its own on the cluster with the product.
pub(crate) async fn stage(name: &str) -> Result<Stage> {
    installed().await?;
    let cluster = cluster()?;
    Stage::open(cluster.client().await?, cluster.kubectl(), name).await
}

/// Waits until exactly one manager says that it leads.
pub(crate) async fn led(cluster: &Cluster) -> Result<()> {
    let client = cluster.client().await?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    wait::until("exactly one manager leads", Duration::from_secs(60), || async {
        let managers = pods.list(&ListParams::default().labels("control-plane=controller-manager")).await?;
        let mut leaders = 0;
        for pod in &managers.items {
            let name = pod.metadata.name.clone().unwrap_or_default();
            if !name.starts_with("kruise-controller-manager-") || pod.metadata.deletion_timestamp.is_some() {
                continue;
            }
            let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{name}:8080/proxy/metrics");
            let text = client.request_text(http::Request::get(path).body(Vec::new())?).await?;
            leaders += text.lines().filter(|line| *line == "kruise_manager_is_leader 1").count();
        }
        Ok(if leaders == 1 { Seen::Done(()) } else { Seen::NotYet(format!("{leaders} leaders")) })
    })
    .await
}

/// Deletes all CloneSets that an earlier run left, as removal refuses while there are any.
async fn clear(cluster: &Cluster) -> Result<()> {
    let kubectl = cluster.kubectl();
    if kubectl.run("get crd clonesets.apps.kruise.io").await.is_ok() {
        // Without a webhook that converts, only the stored version can be read.
        kubectl.run("delete mutatingwebhookconfiguration,validatingwebhookconfiguration --ignore-not-found kruise-mutating-webhook-configuration kruise-validating-webhook-configuration").await?;
        kubectl.run("delete clonesets.v1beta1.apps.kruise.io --all --all-namespaces --wait=true --timeout=60s").await?;
    }
    Ok(())
}
