//! `bench memory`: what a Pod in the cache costs, and what a list costs that comes on top of a full cache.

use anyhow::Result;
use clap::Args;

use crate::harness::{Bench, Manager, StandIn, Table, nodes_for, say, slope};
use crate::server::Streaming;
use crate::server::control::Command;
use crate::server::kinds::Kind;

/// Pods of one CloneSet.
pub(crate) const PER_OWNER: u32 = 50;

/// Sizes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Pods in the largest of three runs; the others have none and half as many
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) pods: u32,
    /// Refuse lists by watch, so that the manager lists page by page
    #[arg(long)]
    pub(crate) paged: bool,
}

impl Options {
    fn streaming(&self) -> Streaming {
        if self.paged { Streaming::Refused } else { Streaming::Offered }
    }
}

/// Memory at rest, in KiB.
struct Resident {
    pods: u32,
    resident: u64,
    peak: u64,
}

/// Measures, and shows.
pub(crate) async fn run(bench: &Bench, options: &Options) -> Result<()> {
    let mut runs = Vec::new();
    for pods in [0, options.pods / 2] {
        let (server, _, resident) = start(bench, pods, options).await?;
        runs.push(resident);
        server.end().await?;
    }
    let (mut server, mut manager, resident) = start(bench, options.pods, options).await?;
    let steady = resident.resident;
    runs.push(resident);

    say("memory: list again on top of the full cache");
    let before = server.report().await?.follows;
    manager.process().reset_peak()?;
    server.order(&Command::Expire).await?;
    let follows = server
        .wait_for("watches after a list", |report| {
            Kind::WATCHED
                .into_iter()
                .map(|kind| kind.names().plural)
                .all(|plural| report.follows.get(plural) > before.get(plural))
        })
        .await?;
    manager.calm().await?;
    let (peak, settled) = (manager.process().peak()?, manager.process().resident()?);
    let listed = if follows.requests.contains_key("stream pods") { "streaming" } else { "paged" };
    manager.end().await?;
    server.end().await?;

    let points: Vec<(f64, f64)> = runs.iter().map(|run| (f64::from(run.pods), run.resident as f64)).collect();
    let mut table = Table::with_head(["", "resident", "peak", "beside steady"]);
    for Resident { pods, resident, peak } in runs {
        table.row([format!("{pods} Pods, at rest"), mib(resident), mib(peak), String::new()]);
    }
    let ratio = |part: u64| format!("{:.2} x", part as f64 / steady as f64);
    table.row([format!("{listed} list again: peak"), String::new(), mib(peak), ratio(peak)]);
    table.row(["list again: settled".to_owned(), mib(settled), String::new(), ratio(settled)]);
    table.row(["per Pod".to_owned(), format!("{:.2} KiB", slope(&points)), String::new(), String::new()]);
    bench.show(
        "memory of the manager",
        &table,
        &format!("memory --pods {}{}", options.pods, if options.paged { " --paged" } else { "" }),
    );
    Ok(())
}

/// A manager at rest over so many Pods. Nodes are as many in all runs, so that the difference is the Pods'.
async fn start(bench: &Bench, pods: u32, options: &Options) -> Result<(StandIn, Manager, Resident)> {
    say(format_args!("memory: {pods} Pods"));
    let mut server = StandIn::start(options.streaming()).await?;
    server.fill(pods, PER_OWNER, nodes_for(options.pods)).await?;
    let (manager, _) = bench.calm_manager(&mut server, pods).await?;
    let process = manager.process();
    let resident = Resident { pods, resident: process.resident()?, peak: process.peak()? };
    Ok((server, manager, resident))
}

fn mib(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}
