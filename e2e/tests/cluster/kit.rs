//! The cluster that all scenarios share, with the product in it.

use std::time::Duration;

use anyhow::{Context, Result};
use e2e::cluster::Cluster;
use e2e::install::Helm;
use e2e::scenario::{Stage, Visitors};
use tokio::sync::OnceCell;

/// How long the installation may take on a machine that is busy.
const INSTALL: Duration = Duration::from_secs(240);

/// What happened to other people's Pods while the chart was installed.
#[derive(Clone, Debug)]
pub(crate) struct Installed {
    /// Pods that were created meanwhile.
    pub(crate) visitors: u64,
    /// Errors of those that were refused.
    pub(crate) refused: Vec<String>,
}

static INSTALLED: OnceCell<Installed> = OnceCell::const_new();

/// The cluster of this machine.
pub(crate) fn cluster() -> Result<Cluster> {
    Cluster::attach().context("no cluster is up: `cargo xtask test --only cluster` brings it up")
}

/// Installs the chart once for all scenarios, while visitors come.
pub(crate) async fn installed() -> Result<Installed> {
    let made = INSTALLED
        .get_or_try_init(|| async {
            let cluster = cluster()?;
            // An earlier run may have left a release; this one is to start from nothing.
            let helm = Helm::new(cluster.tools(), &cluster.kubeconfig());
            clear(&cluster).await?;
            helm.uninstall(INSTALL).await?;
            let visitors = Visitors::start(cluster.client().await?, "default");
            helm.install(&["manager.log.level=5"], INSTALL).await?;
            helm.admission(cluster.client().await?, INSTALL).await?;
            let (visitors, refused) = visitors.stop();
            anyhow::Ok(Installed { visitors, refused })
        })
        .await?;
    Ok(made.clone())
}

/// A namespace of its own on the cluster with the product.
pub(crate) async fn stage(name: &str) -> Result<Stage> {
    installed().await?;
    let cluster = cluster()?;
    Stage::open(cluster.client().await?, cluster.kubectl(), name).await
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
