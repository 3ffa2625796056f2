//! `bench sync`: how long the manager's caches take from the start of the process, beside a program that only reads the
//! same bytes. Against the stand-in, which serves faster than any real server, the ratio is the manager's own cost;
//! against a real one (`--real`) it is what is left of that where the server is what one waits for.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use tokio::process::Command;

use crate::harness::{Bench, PATIENCE, Server, StandIn, Table, median, nodes_for, say};
use crate::memory::PER_OWNER;
use crate::objects::pods::Layout;
use crate::read::Strategy;
use crate::real::RealServer;
use crate::server::Streaming;

/// Pods that a stand-in holds in a moment.
const STANDIN_PODS: u32 = 100_000;
/// Pods that a real server takes in within minutes on two cores.
const REAL_PODS: u32 = 20_000;

/// Sizes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Pods to list [default: 100000, with --real 20000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) pods: Option<u32>,
    /// Runs of each program, in turn; the median counts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,
    /// List from a kube-apiserver with etcd instead of the stand-in
    #[arg(long)]
    pub(crate) real: bool,
}

impl Options {
    fn pods(&self) -> u32 {
        self.pods.unwrap_or(if self.real { REAL_PODS } else { STANDIN_PODS })
    }
}

/// Measures both ways to list, and shows.
pub(crate) async fn run(bench: &Bench, options: &Options) -> Result<()> {
    let mut table =
        Table::with_head(["streaming lists", "lists are", "body", "manager", "its CPU", "reading alone", "ratio"]);
    let (pods, runs) = (options.pods(), options.runs);
    let mut title = "from start to complete caches".to_owned();
    for (streaming, name) in [(Streaming::Offered, "offered"), (Streaming::Refused, "refused")] {
        let what = Subject { pods, runs, name };
        let found = if options.real {
            say(format_args!("sync: start kube-apiserver, create {pods} Pods"));
            let server = RealServer::start(streaming).await?;
            let nodes = nodes_for(pods);
            server.fill(Layout { pods, per_owner: PER_OWNER, nodes, ..Layout::default() }).await?;
            title = format!(
                "from start to complete caches, {pods} Pods of a real kube-apiserver {} with etcd",
                server.version().await?
            );
            measure(bench, server, what).await?
        } else {
            let mut server = StandIn::start(streaming).await?;
            server.fill(pods, PER_OWNER, nodes_for(pods)).await?;
            measure(bench, server, what).await?
        };
        let (manager, reader) = (median(&found.manager), median(&found.reader));
        table.row([
            name.to_owned(),
            found.strategy.name().to_owned(),
            format!("{:.0} MiB", found.bytes as f64 / f64::from(1 << 20)),
            format!("{manager:.2} s"),
            format!("{:.2} s", median(&found.cpu)),
            format!("{reader:.2} s"),
            format!("{:.2} x", manager / reader),
        ]);
    }
    let real = if options.real { " --real" } else { "" };
    bench.show(&title, &table, &format!("sync{real} --pods {pods} --runs {runs}"));
    Ok(())
}

/// What one row is about.
#[derive(Clone, Copy)]
struct Subject {
    pods: u32,
    runs: u32,
    name: &'static str,
}

/// Seconds of each run.
struct Found {
    strategy: Strategy,
    bytes: u64,
    manager: Vec<f64>,
    cpu: Vec<f64>,
    reader: Vec<f64>,
}

/// Runs both programs in turn against a server that holds everything, and ends the server.
async fn measure(bench: &Bench, mut server: impl Server, what: Subject) -> Result<Found> {
    let Subject { pods, runs, name } = what;
    let mut found =
        Found { strategy: Strategy::Streaming, bytes: 0, manager: Vec::new(), cpu: Vec::new(), reader: Vec::new() };
    for run in 1..=runs {
        say(format_args!("sync: {pods} Pods, streaming {name}, run {run} of {runs}"));
        let before = server.lists().await?;
        let mut manager = bench.manager(&server).await?;
        found.manager.push(manager.synced(pods).await?.as_secs_f64());
        found.cpu.push(manager.process().cpu()?.as_secs_f64());
        manager.end().await?;
        // The measure is taken in the way that the manager has chosen.
        found.strategy = if server.lists().await? > before { Strategy::Paged } else { Strategy::Streaming };
        let reader = read(server.kubeconfig(), found.strategy).await?;
        found.bytes = reader.bytes;
        found.reader.push(reader.took.as_secs_f64());
        if let (Some(manager), Some(reader)) = (found.manager.last(), found.reader.last()) {
            say(format_args!("sync: manager {manager:.2} s, reading alone {reader:.2} s"));
        }
    }
    Ok(found)
}

/// What the program that only reads says, and how long it took.
struct Reading {
    bytes: u64,
    took: Duration,
}

/// Runs the program that only reads.
async fn read(kubeconfig: &Path, strategy: Strategy) -> Result<Reading> {
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let mut command = Command::new(own);
    command.args(["read", "--strategy", strategy.name(), "--kubeconfig"]).arg(kubeconfig);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let start = Instant::now();
    let child = command.spawn().context("cannot start the reader")?;
    let output =
        tokio::time::timeout(PATIENCE, child.wait_with_output()).await.context("the reader does not end")??;
    let took = start.elapsed();
    ensure!(output.status.success(), "the reader ended with {}", output.status);
    let bytes = String::from_utf8_lossy(&output.stdout).trim().parse().context("the reader does not say how much")?;
    Ok(Reading { bytes, took })
}
