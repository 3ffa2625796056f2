//! `bench reconcile`: how many passes a second the manager makes over a CloneSet that has nothing to do, and what a pass
//! costs.
//!
//! The CloneSet is touched a little more often than the manager keeps up with, so that it is always at work: touches
//! that come during a pass are one more pass, not many. How often that is, is found out first.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use runtime::flags::duration;

use crate::harness::{Bench, Manager, Sizes, StandIn, Table, nodes_for, say};
use crate::server::Streaming;
use crate::server::control::{Command, Report};

/// Touches a second to begin with.
const FIRST_RATE: f64 = 100.0;
/// More are not tried: a pass would cost less than the event that asks for it.
const HIGHEST_RATE: f64 = 50_000.0;
/// By how much each try exceeds the one before.
const FACTOR: f64 = 1.6;
/// A manager that makes fewer passes than this part of the touches does not keep up.
const KEEPS_UP: f64 = 0.8;
/// Touches for each pass that the manager can make: enough that the next one always waits, few enough that reading them
/// costs little beside the pass.
const AHEAD: f64 = 1.5;
/// How long each rate is tried.
const TRY: Duration = Duration::from_millis(700);

/// Sizes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Pods of the CloneSet
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) pods: u32,
    /// How long to look
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = duration)]
    pub(crate) duration: Duration,
}

/// Measures, and shows.
pub(crate) async fn run(bench: &Bench, options: &Options) -> Result<()> {
    let Options { pods, duration } = *options;
    say(format_args!("reconcile: one CloneSet of {pods} Pods"));
    let mut server = StandIn::start(Streaming::Offered).await?;
    let sizes = Sizes { pods, per_owner: pods, nodes: nodes_for(pods) };
    let mut manager = bench.settled_manager(&mut server, sizes).await?;
    let rate = find_rate(&mut server, &mut manager).await?;
    say(format_args!("reconcile: look for {duration:?}, {rate:.0} touches a second"));
    let window = look(&mut server, &mut manager, duration).await?;
    touch(&mut server, 0.0).await?;
    manager.end().await?;
    server.end().await?;
    ensure!(window.passes > 0, "no pass was made: {:?}", window.requests);
    let changed: Vec<_> = window.requests.iter().filter(|(what, _)| !is_harmless(what)).collect();
    ensure!(changed.is_empty(), "there was something to do: {changed:?}");

    let passes = window.passes as f64;
    let mut table = Table::default();
    let mut row = |what: &str, value: String| table.row([what.to_owned(), value]);
    row("reconciles", window.passes.to_string());
    row("a second", format!("{:.0}", passes / window.took.as_secs_f64()));
    row("CPU of each", format!("{:.0} us", window.cpu.as_secs_f64() * 1e6 / passes));
    row("CPU in all", format!("{:.0} % of a core", 100.0 * window.cpu.as_secs_f64() / window.took.as_secs_f64()));
    row("touches for each", format!("{:.2}", window.touches as f64 / passes));
    row(
        "writes of status",
        window.requests.iter().filter(|(what, _)| is_status_write(what)).map(|(_, n)| n).sum::<u64>().to_string(),
    );
    let title = format!("a CloneSet of {pods} Pods with nothing to do");
    bench.show(&title, &table, &format!("reconcile --pods {pods} --duration {}s", duration.as_secs()));
    Ok(())
}

/// A rate of touches that is a little more than the manager keeps up with.
async fn find_rate(server: &mut StandIn, manager: &mut Manager) -> Result<f64> {
    let mut rate = FIRST_RATE;
    loop {
        touch(server, rate).await?;
        let window = look(server, manager, TRY).await?;
        let passes = window.passes as f64;
        if rate > HIGHEST_RATE || passes < KEEPS_UP * window.touches as f64 {
            rate = AHEAD * passes / window.took.as_secs_f64();
            touch(server, rate).await?;
            return Ok(rate);
        }
        rate *= FACTOR;
    }
}

async fn touch(server: &mut StandIn, per_second: f64) -> Result<()> {
    server.order(&Command::Touch { owner: 0, per_second, count: None }).await.map(drop)
}

/// What happened in a while.
struct Window {
    took: Duration,
    passes: u64,
    cpu: Duration,
    touches: u64,
    requests: BTreeMap<String, u64>,
}

async fn look(server: &mut StandIn, manager: &mut Manager, duration: Duration) -> Result<Window> {
    let before = server.report().await?;
    let (start, passes, cpu) = (Instant::now(), manager.reconciles().await?, manager.process().cpu()?);
    tokio::time::sleep(duration).await;
    let cpu = manager.process().cpu()?.saturating_sub(cpu);
    let passes = manager.reconciles().await?.saturating_sub(passes);
    let took = start.elapsed();
    let after = server.report().await?;
    let requests = new_requests(&before, &after);
    Ok(Window { took, passes, cpu, touches: after.touches - before.touches, requests })
}

fn new_requests(before: &Report, after: &Report) -> BTreeMap<String, u64> {
    let grown = after.requests.iter().filter_map(|(what, count)| {
        let more = count - before.requests.get(what).copied().unwrap_or_default();
        (more > 0).then(|| (what.clone(), more))
    });
    grown.collect()
}

/// A watch that is renewed in the window says nothing about the CloneSet; its status may be written.
fn is_harmless(request: &str) -> bool {
    request.starts_with("watch ") || is_status_write(request)
}

fn is_status_write(request: &str) -> bool {
    request.contains("status of ")
}
