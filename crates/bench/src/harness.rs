//! What all measurements share: the programs that they run, what the kernel says of them, and how figures are shown.

mod figures;
mod manager;
mod process;
mod samples;
mod standin;

use std::fmt::Display;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

pub(crate) use figures::{Table, median, slope};
pub(crate) use manager::Manager;
pub(crate) use samples::sample;
pub(crate) use standin::StandIn;
#[cfg(test)]
pub(crate) use standin::kubeconfig;

use crate::server::control::Report;

/// What a measurement is given besides its sizes.
#[derive(Clone, Debug)]
pub(crate) struct Bench {
    manager: PathBuf,
    named: bool,
}

/// How long anything may take that has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15 * 60);

impl Bench {
    /// Takes the manager that is named, or the one that was built beside this program.
    pub(crate) fn new(named: Option<PathBuf>) -> Result<Self> {
        let own = std::env::current_exe().context("cannot tell where this program is")?;
        let manager = named.clone().unwrap_or_else(|| own.with_file_name("kruise-manager"));
        ensure!(manager.is_file(), "there is no {}: build it, or name one with --manager", manager.display());
        Ok(Self { manager, named: named.is_some() })
    }

    /// Starts the manager against a server.
    pub(crate) async fn manager(&self, server: &impl Server) -> Result<Manager> {
        Manager::start(&self.manager, server).await
    }

    /// A manager whose caches hold this many Pods and which has come to rest, and how long the caches took.
    pub(crate) async fn calm_manager(&self, server: &mut StandIn, pods: u32) -> Result<(Manager, Duration)> {
        let mut manager = self.manager(server).await?;
        let took = manager.synced(pods).await?;
        manager.calm().await?;
        Ok((manager, took))
    }

    /// A manager that is at rest over CloneSets of so many ready Pods each.
    ///
    /// The names of revisions are the manager's own affair: one run writes them for CloneSets without Pods, and the Pods
    /// come while it is away, so that the next run finds nothing to do.
    pub(crate) async fn settled_manager(&self, server: &mut StandIn, sizes: Sizes) -> Result<Manager> {
        let Sizes { pods, per_owner, nodes } = sizes;
        let owners = pods.div_ceil(per_owner);
        server.clonesets(owners).await?;
        let mut first = self.manager(server).await?;
        first.synced(0).await?;
        server.wait_for("revisions", |report| held(report, "controllerrevisions") >= u64::from(owners)).await?;
        first.calm().await?;
        first.end().await?;
        server.fill(pods, per_owner, nodes).await?;
        let (manager, _) = self.calm_manager(server, pods).await?;
        let report = server.report().await?;
        ensure!(held(&report, "pods") == u64::from(pods), "the manager has created or deleted Pods: {report:?}");
        Ok(manager)
    }

    /// Prints what a measurement has found, and how to have it again.
    pub(crate) fn show(&self, title: &str, table: &Table, command: &str) {
        let manager = if self.named { format!(" --manager {}", self.manager.display()) } else { String::new() };
        answer(format_args!("\n{title}\n{table}\nagain: cargo xtask bench {command}{manager}"));
    }
}

/// An API server that the manager can be started against.
pub(crate) trait Server {
    /// The kubeconfig to reach it with.
    fn kubeconfig(&self) -> &Path;

    /// A folder that lasts as long as the server.
    fn dir(&self) -> &Path;

    /// A count that grows with each list of all Pods that is no watch.
    async fn lists(&mut self) -> Result<u64>;
}

/// How much there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) pods: u32,
    pub(crate) per_owner: u32,
    pub(crate) nodes: u32,
}

/// How many objects of a kind the server holds, by plural.
pub(crate) fn held(report: &Report, plural: &str) -> u64 {
    report.objects.get(plural).and_then(|count| u64::try_from(*count).ok()).unwrap_or_default()
}

/// Nodes for so many Pods: a hundred for ten thousand.
pub(crate) fn nodes_for(pods: u32) -> u32 {
    pods.div_ceil(100).max(1)
}

/// A line about what is under way, on stderr.
pub(crate) fn say(text: impl Display) {
    // Nobody reads it: no reason to stop measuring.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// What was found, on stdout.
fn answer(text: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// The end of a log, for an error message.
fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(15)..).unwrap_or_default().join("\n")
}
