//! `cargo xtask demo`: the product at work, in plain sentences with elapsed times.
//!
//! Each sentence is checked before the next one is said: a demo that ends has shown what it says.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use e2e::cluster::{self, Cluster, Wish};
use e2e::install::{Helm, NAMESPACE};
use e2e::kubectl::Kubectl;
use e2e::progress::{Progress, seconds};
use e2e::scenario::Stage;
use e2e::tools::Tools;
use serde_json::json;

use crate::images;

/// Namespace of the story.
const SHOP: &str = "kruise-demo";
/// How long the chart may take to be ready.
const INSTALL: Duration = Duration::from_secs(240);

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// A cluster of your own instead of one on this machine; its nodes must be able to pull the images.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// Take the cluster down afterwards.
    #[arg(long, conflicts_with = "kubeconfig")]
    down: bool,
}

pub(crate) async fn run(options: &Options, progress: &Progress) -> Result<()> {
    if let Some(kubeconfig) = &options.kubeconfig {
        let tools = Tools::ensure(progress).await?;
        let (kubectl, helm) = (Kubectl::new(&tools, kubeconfig), Helm::new(&tools, kubeconfig));
        let client = e2e::apiserver::client(kubeconfig).await?;
        progress.step("install the chart with Helm", helm.install(&[], INSTALL)).await?;
        progress.step("wait for admission", helm.admission(client.clone(), INSTALL)).await?;
        tell(client, &kubectl, progress).await?;
        epilogue(&kubeconfig.display().to_string(), &tools, None);
        return Ok(());
    }
    let cluster = cluster::up(Wish::default(), progress).await?;
    images::ensure(&cluster, progress).await?;
    let helm = Helm::new(cluster.tools(), &cluster.kubeconfig());
    let client = cluster.client().await?;
    progress.step("install the chart with Helm", helm.install(&[], INSTALL)).await?;
    progress.step("wait for admission", helm.admission(client.clone(), INSTALL)).await?;
    tell(client, &cluster.kubectl(), progress).await?;
    epilogue(&cluster.kubeconfig().display().to_string(), cluster.tools(), Some(&cluster));
    progress.say(format_args!("the demo took {} in all", seconds(progress.elapsed())));
    if options.down { cluster::down(progress).await } else { Ok(()) }
}

/// The story itself.
async fn tell(client: kube::Client, kubectl: &Kubectl, progress: &Progress) -> Result<()> {
    let stage = Stage::named(client, kubectl.clone(), SHOP).await?;
    if stage.clonesets().get_opt("web").await?.is_some() {
        progress.step("clear what an earlier demo left", clear(&stage)).await?;
    }
    create(&stage, progress).await?;
    scale(&stage, progress).await?;
    roll_out(&stage, progress).await?;
    hold_half_back(&stage, progress).await?;
    refuse(&stage, progress).await
}

async fn clear(stage: &Stage) -> Result<()> {
    stage
        .kubectl()
        .run(&format!("-n {SHOP} delete cloneset web --wait=true --cascade=foreground --timeout=60s"))
        .await?;
    Ok(())
}

async fn create(stage: &Stage, progress: &Progress) -> Result<()> {
    let strategy = json!({"rollingUpdate": {"podUpdatePolicy": "InPlaceIfPossible", "maxUnavailable": 2}});
    let made = stage.cloneset("web", "nginx:1.25", json!({"replicas": 5, "updateStrategy": strategy})).await?;
    let history = made.spec.revision_history_limit;
    ensure!(history == Some(10), "the webhook gave no defaults: revisionHistoryLimit is {history:?}");
    progress.say("CloneSet web, 5 replicas of nginx:1.25, passed the webhook: it filled in revisionHistoryLimit 10, partition 0, maxSurge 0");
    progress.step("wait for its 5 Pods", stage.settled("web", 5, 5)).await?;
    Ok(())
}

async fn scale(stage: &Stage, progress: &Progress) -> Result<()> {
    stage.patch("web", json!({"spec": {"replicas": 8}})).await?;
    progress.step("scale it to 8", stage.settled("web", 8, 8)).await?;
    let before = stage.facts("web").await?;
    let chosen = before.keys().nth(3).cloned().context("there are Pods")?;
    stage.patch("web", json!({"spec": {"replicas": 7, "scaleStrategy": {"podsToDelete": [&chosen]}}})).await?;
    progress
        .step(&format!("scale it to 7, with {chosen} chosen to go first (podsToDelete)"), stage.settled("web", 7, 7))
        .await?;
    let after = stage.facts("web").await?;
    ensure!(!after.contains_key(&chosen), "{chosen} is still there");
    ensure!(
        after.values().all(|pod| before.get(&pod.name).is_some_and(|was| was.uid == pod.uid)),
        "another Pod went too"
    );
    progress.say(format_args!("{chosen} is gone, and no other Pod"));
    Ok(())
}

async fn roll_out(stage: &Stage, progress: &Progress) -> Result<()> {
    let before = stage.facts("web").await?;
    let availability = stage.watch_availability("web").await?;
    stage.set_image("web", "nginx:1.26").await?;
    progress.step("roll out nginx:1.26 in place, at most 2 of 7 unavailable", stage.settled("web", 7, 7)).await?;
    let after = stage.facts("web").await?;
    for (name, pod) in &after {
        let was = before.get(name).with_context(|| format!("{name} is a new name"))?;
        ensure!((&was.uid, &was.ip) == (&pod.uid, &pod.ip), "{name} was recreated");
        ensure!(pod.restarts == was.restarts + 1, "{name} restarted {} times", pod.restarts - was.restarts);
        ensure!(pod.in_place_ready == "True" && pod.revision != was.revision, "{name}: {pod:?}");
        progress.say(format_args!(
            "  {name}: same UID {}, same IP {}, container restarted once, revision {} -> {}",
            pod.uid.get(..8).unwrap_or_default(),
            pod.ip,
            was.revision,
            pod.revision
        ));
    }
    ensure!(after.len() == before.len(), "{} Pods became {}", before.len(), after.len());
    let (least, unready) = (availability.least(), availability.times_unready_in_place());
    ensure!(least >= 5, "only {least} Pods were available at one moment");
    ensure!(unready == 7, "InPlaceUpdateReady became False {unready} times");
    progress.say(format_args!(
        "InPlaceUpdateReady went False and True again once for each Pod; never fewer than {least} of 7 were available"
    ));
    Ok(())
}

async fn hold_half_back(stage: &Stage, progress: &Progress) -> Result<()> {
    stage.patch("web", json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": "50%"}}}})).await?;
    stage.set_image("web", "nginx:1.27").await?;
    progress.step("roll out nginx:1.27 with partition 50%", stage.settled("web", 7, 3)).await?;
    progress.say("3 Pods run nginx:1.27, 4 are held back");
    stage.patch("web", json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}})).await?;
    progress.step("release the partition", stage.settled("web", 7, 7)).await?;
    Ok(())
}

async fn refuse(stage: &Stage, progress: &Progress) -> Result<()> {
    let bad = json!({"replicas": 1, "selector": {"matchLabels": {"app": "somebody-else"}}});
    let Err(refusal) = stage.cloneset("bad", "nginx:1.25", bad).await else { bail!("a bad CloneSet was accepted") };
    let Some(kube::Error::Api(status)) = refusal.downcast_ref::<kube::Error>() else { return Err(refusal) };
    let text = &status.message;
    ensure!(text.contains("spec.template.metadata.labels"), "{text}");
    progress.say(format_args!("a CloneSet whose selector misses its own Pods is refused: {text}"));
    Ok(())
}

/// What to try next, and where the logs are.
fn epilogue(kubeconfig: &str, tools: &Tools, cluster: Option<&Cluster>) {
    let kubectl = tools.kubectl();
    println!("\nThe cluster is yours. Try:");
    println!("  export KUBECONFIG={kubeconfig}; alias kubectl={}", kubectl.display());
    println!("  kubectl -n {SHOP} get cloneset,pods -o wide");
    println!(
        "  kubectl -n {SHOP} patch cloneset web --type=json -p '[{{\"op\":\"replace\",\"path\":\"/spec/template/spec/containers/0/image\",\"value\":\"nginx:1.25\"}}]'"
    );
    println!("  kubectl -n {SHOP} scale cloneset web --replicas=3");
    println!("  kubectl -n {SHOP} describe cloneset web");
    println!("Logs of the product:");
    for workload in ["deploy/kruise-controller-manager", "deploy/kruise-webhook", "ds/kruise-daemon"] {
        println!("  kubectl -n {NAMESPACE} logs {workload}");
    }
    if let Some(cluster) = cluster {
        println!("Logs of the cluster: {}", cluster.logs().display());
        println!("Take it down with: cargo xtask cluster down");
    }
}
