//! `bench idle`: what the manager costs while a cluster only breathes: Nodes report, now and then a Pod's status is sent
//! again, and nothing has to be done.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use runtime::flags::duration;

use crate::harness::{Bench, Sizes, StandIn, Table, say};
use crate::memory::PER_OWNER;
use crate::server::Streaming;
use crate::server::control::{Command, Report};

/// How often each Node reports, in seconds, as kubelets do by default.
const NODE_SECONDS: f64 = 10.0;
/// Pods whose status is sent again, a second.
const PODS_PER_SECOND: f64 = 1.0;

/// Sizes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Pods, fifty to a CloneSet
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) pods: u32,
    /// Nodes, each of which reports every ten seconds
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) nodes: u32,
    /// How long to look
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub(crate) duration: Duration,
}

/// Measures, and shows.
pub(crate) async fn run(bench: &Bench, options: &Options) -> Result<()> {
    let Options { pods, nodes, duration } = *options;
    say(format_args!("idle: {pods} Pods, {nodes} Nodes"));
    let mut server = StandIn::start(Streaming::Offered).await?;
    let mut manager = bench.settled_manager(&mut server, Sizes { pods, per_owner: PER_OWNER, nodes }).await?;
    let beats = Command::Heartbeats { node_seconds: NODE_SECONDS, pods_per_second: PODS_PER_SECOND };
    let before = server.order(&beats).await?;
    say(format_args!("idle: look for {duration:?}"));
    let (passes, cpu) = (manager.reconciles().await?, manager.process().cpu()?);
    tokio::time::sleep(duration).await;
    let cpu = manager.process().cpu()?.saturating_sub(cpu);
    let passes = manager.reconciles().await?.saturating_sub(passes);
    let after = server.report().await?;
    let resident = manager.process().resident()?;
    manager.end().await?;
    server.end().await?;

    let mut table = Table::default();
    let mut row = |what: &str, value: String| table.row([what.to_owned(), value]);
    row("CPU", format!("{:.2} s", cpu.as_secs_f64()));
    row("of one core", format!("{:.2} %", 100.0 * cpu.as_secs_f64() / duration.as_secs_f64()));
    row("heartbeats of Nodes", (after.node_beats - before.node_beats).to_string());
    row("Pods sent again", (after.pod_beats - before.pod_beats).to_string());
    row("reconciles", passes.to_string());
    row("writes", (writes(&after) - writes(&before)).to_string());
    row("resident", format!("{:.1} MiB", resident as f64 / 1024.0));
    let title = format!("an idle manager, {} s", duration.as_secs());
    let command = format!("idle --pods {pods} --nodes {nodes} --duration {}s", duration.as_secs());
    bench.show(&title, &table, &command);
    Ok(())
}

/// Requests that change something.
fn writes(report: &Report) -> u64 {
    let reads = ["get ", "list ", "watch ", "stream "];
    let writes = report.requests.iter().filter(|(what, _)| !reads.iter().any(|read| what.starts_with(read)));
    writes.map(|(_, count)| count).sum()
}
