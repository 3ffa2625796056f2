//! `bench sync`: how long the manager's caches take from the start of the process, beside a program that only reads the
//! same bytes.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use tokio::process::Command;

use crate::harness::{Bench, PATIENCE, StandIn, Table, median, nodes_for, say};
use crate::memory::PER_OWNER;
use crate::read::Strategy;
use crate::server::Streaming;

/// Sizes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Pods to list
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) pods: u32,
    /// Runs of each program, in turn; the median counts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,
}

/// Measures both ways to list, and shows.
pub(crate) async fn run(bench: &Bench, options: &Options) -> Result<()> {
    let mut table =
        Table::with_head(["streaming lists", "lists are", "body", "manager", "its CPU", "reading alone", "ratio"]);
    for (streaming, name) in [(Streaming::Offered, "offered"), (Streaming::Refused, "refused")] {
        let found = measure(bench, options, streaming, name).await?;
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
    let Options { pods, runs } = options;
    bench.show("from start to complete caches", &table, &format!("sync --pods {pods} --runs {runs}"));
    Ok(())
}

/// Seconds of each run.
struct Found {
    strategy: Strategy,
    bytes: u64,
    manager: Vec<f64>,
    cpu: Vec<f64>,
    reader: Vec<f64>,
}

async fn measure(bench: &Bench, options: &Options, streaming: Streaming, name: &str) -> Result<Found> {
    let mut server = StandIn::start(streaming).await?;
    server.fill(options.pods, PER_OWNER, nodes_for(options.pods)).await?;
    let mut found =
        Found { strategy: Strategy::Paged, bytes: 0, manager: Vec::new(), cpu: Vec::new(), reader: Vec::new() };
    for run in 1..=options.runs {
        say(format_args!("sync: {} Pods, streaming {name}, run {run} of {}", options.pods, options.runs));
        let before = server.report().await?;
        let mut manager = bench.manager(&server).await?;
        found.manager.push(manager.synced(options.pods).await?.as_secs_f64());
        found.cpu.push(manager.process().cpu()?.as_secs_f64());
        manager.end().await?;
        let after = server.report().await?;
        found.bytes = after.bytes - before.bytes;
        // The measure is taken in the way that the manager has chosen.
        if after.requests.contains_key("stream pods") {
            found.strategy = Strategy::Streaming;
        }
        found.reader.push(read(server.kubeconfig(), found.strategy).await?.as_secs_f64());
    }
    server.end().await?;
    Ok(found)
}

/// Runs the program that only reads.
async fn read(kubeconfig: &Path, strategy: Strategy) -> Result<Duration> {
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let mut command = Command::new(own);
    command.args(["read", "--strategy", strategy.name(), "--kubeconfig"]).arg(kubeconfig);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let start = Instant::now();
    let mut child = command.spawn().context("cannot start the reader")?;
    let status = tokio::time::timeout(PATIENCE, child.wait()).await.context("the reader does not end")??;
    ensure!(status.success(), "the reader ended with {status}");
    Ok(start.elapsed())
}
