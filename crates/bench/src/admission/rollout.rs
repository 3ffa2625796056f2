//! `bench admission --rollout`: latency while the manager creates and updates many Pods, each of which passes the webhook
//! too. Product and measure get their reviews at the same time, every other one each, so that both meet the same moments.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use kube::Client;
use kube::core::Request;
use kube::core::params::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::check::Check;
use super::load::{Pace, Stop, Taken, load};
use super::{CALM_RATE, Options, Subject, WARM_UP, ms, times};
use crate::harness::{Bench, PATIENCE, Server as _, Table, median, nodes_for, say};
use crate::objects::clonesets;
use crate::objects::pods::Layout;
use crate::objects::reviews::reviews;
use crate::real::RealServer;

/// What the Pods run after the update.
const NEXT_IMAGE: &str = "registry.example.com/shop/web-frontend:v1.18.4";
/// How often it is looked whether a phase is over.
const LOOK: Duration = Duration::from_millis(250);

/// What is rolled out.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Create,
    UpdateInPlace,
}

const PHASES: [(Phase, &str); 2] = [(Phase::Create, "create"), (Phase::UpdateInPlace, "update in place")];

/// What was found in all runs of a phase.
#[derive(Default)]
struct Found {
    seconds: Vec<f64>,
    product: Vec<f64>,
    noop: Vec<f64>,
    reviews: usize,
    failed: u64,
}

/// Measures, and shows.
pub(super) async fn run(bench: &Bench, server: &RealServer, options: &Options) -> Result<()> {
    let (pods, runs) = (options.pods, options.runs);
    let rate = options.rates.first().copied().unwrap_or(CALM_RATE);
    let nodes = nodes_for(pods * 10);
    server.fill(Layout { nodes, ..Layout::default() }).await?;
    let mut product = Subject::product(bench, server).await?;
    let mut noop = Subject::noop(server).await?;
    let _kubelet = kubelet(server, nodes, options.start)?;
    let mut manager = bench.admitted_manager(server).await?;
    manager.synced(0).await?;
    let stage = Stage { client: server.client(), check: Arc::new(Check::new(reviews(runs))), pods };
    let targets = [product.target.clone(), noop.target.clone()];
    load(&targets, &stage.check, Pace { rate, duration: Some(WARM_UP) }, &Stop::default()).await?;

    let mut found = PHASES.map(|_| Found::default());
    let mut failures = Vec::new();
    for run in 0..runs {
        for ((phase, name), found) in PHASES.into_iter().zip(&mut found) {
            say(format_args!("admission: {name} {pods} Pods, run {} of {runs}", run + 1));
            let begun = Instant::now();
            let stop = Stop::default();
            let pace = Pace { rate, duration: None };
            let (taken, done) = tokio::join!(load(&targets, &stage.check, pace, &stop), async {
                let done = stage.roll_out(run, phase).await;
                stop.now();
                done
            });
            let done = done.with_context(|| format!("{name}, run {}", run + 1));
            done.with_context(|| manager.log())?;
            found.seconds.push(begun.elapsed().as_secs_f64());
            found.add(&taken?, &mut failures);
        }
        stage.end(run).await?;
    }
    product.webhook.check()?;
    noop.webhook.check()?;
    let memory = [product.process().resident()?, product.process().peak()?].map(super::mib).join(", peak ");
    manager.end().await?;

    let mut table =
        Table::with_head(["while", "takes", "reviews of each", "product p99", "no-op p99", "ratio", "failed"]);
    for ((_, name), Found { seconds, product, noop, reviews, failed }) in PHASES.into_iter().zip(found) {
        let (product, noop) = (median(&product), median(&noop));
        table.row([
            name.to_owned(),
            format!("{:.1} s", median(&seconds)),
            reviews.to_string(),
            ms(product),
            ms(noop),
            times(Some(&product), Some(&noop)),
            failed.to_string(),
        ]);
    }
    let title = format!(
        "admission of {rate} Pods a second each while the manager rolls out {pods} Pods, medians of {runs} runs; \
         the webhook then has {memory}"
    );
    let start = options.start.as_millis();
    bench.show(
        &title,
        &table,
        &format!("admission --rollout --pods {pods} --runs {runs} --rates {rate} --start {start}ms"),
    );
    ensure!(failures.is_empty(), "requests failed: {failures:?}");
    Ok(())
}

impl Found {
    fn add(&mut self, taken: &[Taken], failures: &mut Vec<String>) {
        for (taken, p99) in taken.iter().zip([&mut self.product, &mut self.noop]) {
            p99.push(taken.quantile(0.99));
            self.failed += taken.failed();
            failures.extend(taken.failures.iter().map(|(what, count)| format!("{what}: {count}")));
        }
        self.reviews += taken.first().map(Taken::count).unwrap_or_default();
    }
}

/// What all phases share.
struct Stage {
    client: Client,
    check: Arc<Check>,
    pods: u32,
}

impl Stage {
    /// Lets the manager do it, and waits until it is done.
    async fn roll_out(&self, owner: u32, phase: Phase) -> Result<()> {
        match phase {
            Phase::Create => {
                let mut cloneset = clonesets::empty(owner);
                if let Some(spec) = cloneset.get_mut("spec").and_then(Value::as_object_mut) {
                    spec.insert("replicas".to_owned(), self.pods.into());
                }
                let path = Self::path(owner);
                let request = Request::new(path).create(&Default::default(), cloneset.to_string().into_bytes())?;
                self.client.request_text(request).await.context("create the CloneSet")?;
                self.settled(owner, self.pods).await?;
                self.admitted(owner).await
            }
            Phase::UpdateInPlace => {
                let image =
                    json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": NEXT_IMAGE}]);
                self.patch(owner, Patch::Json::<()>(serde_json::from_value(image)?)).await?;
                self.settled(owner, self.pods).await
            }
        }
    }

    /// Makes room for the next.
    async fn end(&self, owner: u32) -> Result<()> {
        self.patch(owner, Patch::Merge(json!({"spec": {"replicas": 0}}))).await?;
        self.settled(owner, 0).await
    }

    async fn patch<P: serde::Serialize + std::fmt::Debug>(&self, owner: u32, patch: Patch<P>) -> Result<()> {
        let name = clonesets::key(owner).name;
        let request = Request::new(Self::path(owner)).patch(&name, &PatchParams::default(), &patch)?;
        self.client.request_text(request).await.context("change the CloneSet")?;
        Ok(())
    }

    /// Waits until all Pods are there, of the newest revision, and ready.
    async fn settled(&self, owner: u32, pods: u32) -> Result<()> {
        let begun = Instant::now();
        loop {
            let request = Request::new(Self::path(owner)).get(&clonesets::key(owner).name, &Default::default())?;
            let found: Value = self.client.request(request).await.context("read the CloneSet")?;
            let number = |pointer: &str| found.pointer(pointer).and_then(Value::as_u64);
            let is_seen = number("/status/observedGeneration") == number("/metadata/generation");
            let counts = ["replicas", "readyReplicas", "updatedReadyReplicas"]
                .map(|name| number(&format!("/status/{name}")).unwrap_or_default());
            if is_seen && counts.iter().all(|count| *count == u64::from(pods)) {
                return Ok(());
            }
            let status = found.get("status");
            ensure!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} for {pods} Pods: {status:?}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Fails unless all Pods have passed the webhook.
    async fn admitted(&self, owner: u32) -> Result<()> {
        let path = format!("/api/v1/namespaces/{}/pods", clonesets::key(owner).namespace);
        let list: Value = self.client.request(Request::new(path).list(&ListParams::default())?).await?;
        let gate = json!({"conditionType": api::keys::POD_READY_CONDITION});
        let pods = list.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let gates = |pod: &Value| pod.pointer("/spec/readinessGates").and_then(Value::as_array).cloned();
        let admitted = pods.iter().filter(|pod| gates(pod).is_some_and(|gates| gates.contains(&gate))).count();
        ensure!(admitted >= self.pods as usize, "only {admitted} of {} Pods have passed the webhook", pods.len());
        Ok(())
    }

    fn path(owner: u32) -> String {
        format!("/apis/apps.kruise.io/v1beta1/namespaces/{}/clonesets", clonesets::key(owner).namespace)
    }
}

/// Starts what stands in for nodes; it is killed when the child is dropped.
fn kubelet(server: &RealServer, nodes: u32, delay: Duration) -> Result<Child> {
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let mut command = Command::new(own);
    command.arg("kubelet").arg("--kubeconfig").arg(server.kubeconfig());
    command.args([format!("--nodes={nodes}"), format!("--delay={}ms", delay.as_millis())]);
    command.stdin(Stdio::null()).kill_on_drop(true).spawn().context("cannot start the stand-in for kubelets")
}
