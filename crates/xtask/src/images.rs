//! `cargo xtask images`: the product's images, or stand-ins, into the registry of the running cluster.

use anyhow::Result;
use clap::Args;
use e2e::cluster::{self, Cluster, Wish};
use e2e::images::{Pushed, StandIn, ensure_product, ensure_standins};
use e2e::progress::{Progress, answer};

/// Stand-ins that the tests and the demo use.
const STAND_INS: [&str; 5] =
    ["nginx:1.25", "nginx:1.26", "nginx:1.27", "busybox:1.36=sleep 2147483647", "redis:7=redis-server"];

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Only these stand-ins, `NAME:TAG` (a web server) or `NAME:TAG=COMMAND`; nothing of the product.
    stand_ins: Vec<String>,
}

pub(crate) async fn run(options: &Options, progress: &Progress) -> Result<()> {
    let cluster = cluster::up(Wish::default(), progress).await?;
    if !options.stand_ins.is_empty() {
        let names: Vec<&str> = options.stand_ins.iter().map(String::as_str).collect();
        return stand_ins(&cluster, &names, progress).await;
    }
    ensure(&cluster, progress).await
}

/// Everything that the cluster tests and the demo pull.
pub(crate) async fn ensure(cluster: &Cluster, progress: &Progress) -> Result<()> {
    stand_ins(cluster, &STAND_INS, progress).await?;
    for built in ensure_product(&cluster.registry(), progress).await? {
        let size = format!("{}.{} MiB", built.compressed >> 20, (built.compressed >> 10) % 1024 * 10 / 1024);
        let state = if built.pushed == Pushed::New { "pushed" } else { "unchanged" };
        answer(format_args!("{:<50} {size:>9} compressed, {state}", built.image));
    }
    Ok(())
}

async fn stand_ins(cluster: &Cluster, names: &[&str], progress: &Progress) -> Result<()> {
    let wanted = names.iter().map(|name| StandIn::parse(name)).collect::<Result<Vec<_>>>()?;
    let registry = cluster.registry();
    let pushed = progress.step("stand-in images", ensure_standins(&registry, &wanted)).await?;
    for standin in wanted {
        let state = if pushed.iter().any(|image| image == standin.image()) { "pushed" } else { "unchanged" };
        answer(format_args!("{:<50} {state}", standin.image()));
    }
    Ok(())
}
