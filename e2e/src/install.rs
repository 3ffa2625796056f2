//! Putting the product into a cluster and taking it out again, with Helm and the project's own chart.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher;

use crate::command::Run;
use crate::paths;
use crate::progress::Failure;
use crate::scenario::PodFacts;
use crate::tools::Tools;
use crate::wait::{self, Seen};

/// The release's name.
pub const RELEASE: &str = "kruise";
/// The namespace that the chart makes and everything lies in.
pub const NAMESPACE: &str = "kruise-system";
/// The chart in the checkout.
const CHART: &str = "charts/kruise";

/// Helm bound to one cluster.
#[derive(Clone, Debug)]
pub struct Helm {
    binary: PathBuf,
    kubeconfig: PathBuf,
}

impl Helm {
    /// Our own Helm on a kubeconfig.
    #[must_use]
    pub fn new(tools: &Tools, kubeconfig: &Path) -> Self {
        Self { binary: tools.helm(), kubeconfig: kubeconfig.to_owned() }
    }

    /// A Helm command to add to and run. Helm's own files go to our cache, not into the user's home.
    #[must_use]
    pub fn command(&self, line: &str) -> Run {
        let home = paths::cache().join("helm");
        let mut run = Run::new(&self.binary).args(line.split_whitespace());
        for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            run = run.env(name, &home);
        }
        run.env("KUBECONFIG", &self.kubeconfig)
    }

    /// Installs the project's chart, or upgrades to it, and waits until everything in it is ready.
    /// `values` are `key=value` as for `--set`; the pull policy and the images' tag are the chart's own.
    ///
    /// # Errors
    /// Rendering fails, or not everything is ready within `limit`.
    pub async fn install(&self, values: &[&str], limit: Duration) -> Result<()> {
        self.install_from(&paths::workspace()?.join(CHART), values, limit).await
    }

    /// The same with a chart that lies elsewhere.
    ///
    /// # Errors
    /// As `install`.
    pub async fn install_from(&self, chart: &Path, values: &[&str], limit: Duration) -> Result<()> {
        let mut run = self.command("upgrade --install --wait").arg("--timeout").arg(format!("{}s", limit.as_secs()));
        for value in values {
            run = run.arg("--set").arg(value);
        }
        run.arg(RELEASE).arg(chart).run().await.map_err(|error| {
            Failure::new("helm cannot install the chart")
                .because(error)
                .advise(format!("kubectl -n {NAMESPACE} get pods,events --kubeconfig {}", self.kubeconfig.display()))
                .advise(format!("kubectl -n {NAMESPACE} logs deploy/kruise-controller-manager (or kruise-webhook)"))
                .into()
        })
    }

    /// Waits until Pods pass the product's admission: the entries follow a few seconds behind the ready replicas.
    ///
    /// # Errors
    /// Not within `limit`.
    pub async fn admission(&self, client: kube::Client, limit: Duration) -> Result<()> {
        let api: kube::Api<MutatingWebhookConfiguration> = kube::Api::all(client);
        wait::object("Pods pass admission", &api, "kruise-mutating-webhook-configuration", limit, |found| {
            let entries = found.and_then(|found: &MutatingWebhookConfiguration| found.webhooks.as_ref());
            let names: Vec<&str> = entries.into_iter().flatten().map(|entry| entry.name.as_str()).collect();
            if names.contains(&"mpod.kb.io") && names.contains(&"mcloneset.kb.io") {
                Seen::Done(())
            } else {
                Seen::NotYet(format!("entries {names:?}"))
            }
        })
        .await
    }

    /// Removes the release and waits until its objects are gone. Definitions and the objects of our kinds stay.
    ///
    /// # Errors
    /// The removal check refuses, or it takes longer than `limit`.
    pub async fn uninstall(&self, limit: Duration) -> Result<()> {
        let run = self.command("uninstall --wait --ignore-not-found --timeout").arg(format!("{}s", limit.as_secs()));
        run.arg(RELEASE).run().await
    }

    /// What the chart renders, hooks included. `values` is a values file as text; `flags` say for what it is rendered:
    /// `--kube-version=1.34.0` without a cluster, `--dry-run=server` for the one of the kubeconfig.
    ///
    /// # Errors
    /// A template fails; the error holds Helm's words.
    pub async fn template(&self, flags: &[&str], values: &str) -> Result<String> {
        let run = self.command("template --values -").args(flags).input(values);
        run.arg(RELEASE).arg(paths::workspace()?.join(CHART)).output().await
    }
}

/// The webhook's Pods, once all that the Deployment asks for are ready and those before them are gone.
///
/// # Errors
/// Not within `limit`.
pub async fn webhooks(client: kube::Client, limit: Duration) -> Result<Vec<Pod>> {
    let deployment = kube::Api::<Deployment>::namespaced(client.clone(), NAMESPACE).get("kruise-webhook").await?;
    let wanted = deployment.spec.and_then(|spec| spec.replicas).unwrap_or(1);
    let pods: kube::Api<Pod> = kube::Api::namespaced(client, NAMESPACE);
    let which = watcher::Config::default().labels("app.kubernetes.io/component=webhook");
    wait::all("all webhook Pods are ready and their predecessors gone", &pods, which, limit, |pods| {
        let facts: Vec<PodFacts> = pods.iter().map(|pod| PodFacts::of(pod)).collect();
        if i32::try_from(facts.len()) == Ok(wanted) && facts.iter().all(|pod| pod.ready && !pod.terminating) {
            return Seen::Done(pods.iter().map(|pod| (*pod).clone()).collect());
        }
        let shown = facts.iter().map(|pod| format!("{} (ready {}, ends {})", pod.name, pod.ready, pod.terminating));
        Seen::NotYet(shown.collect::<Vec<_>>().join(", "))
    })
    .await
}

/// Unpacks the chart of the newest commit whose chart is not the present one into `folder`; returns the commit and the
/// chart's folder.
///
/// # Errors
/// Git is missing, or the checkout has no such commit: an upgrade from nothing would prove nothing.
pub async fn previous_chart(folder: &Path) -> Result<(String, PathBuf)> {
    let root = paths::workspace()?;
    let git = |line: &str| Run::new("git").args(line.split_whitespace()).dir(&root);
    let commits =
        git(&format!("log --format=%h -- {CHART}")).output().await.context("read the history of the chart")?;
    for commit in commits.lines() {
        // Held against the files as they are, so that a chart that is being worked on has its predecessor as well.
        if git(&format!("diff --quiet {commit} -- {CHART}")).succeeds().await {
            continue;
        }
        let archive = folder.join("chart.tar");
        git(&format!("archive {commit} {CHART} --output")).arg(&archive).run().await?;
        Run::line("tar --extract --file").arg(&archive).arg("--directory").arg(folder).run().await?;
        return Ok((commit.to_owned(), folder.join(CHART)));
    }
    Err(Failure::new(format!("no commit of this checkout has another {CHART}: there is nothing to upgrade from"))
        .advise("git fetch --unshallow (in CI: a checkout with the whole history)")
        .into())
}
