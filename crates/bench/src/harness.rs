//! What all measurements share: the programs that they run, what the kernel says of them, and how figures are shown.

mod figures;
mod manager;
mod process;
mod samples;
mod standin;
mod webhook;

use std::fmt::Display;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Args;

pub(crate) use figures::{Table, median, slope};
pub(crate) use manager::{Admission, Manager};
pub(crate) use process::Process;
pub(crate) use samples::sample;
pub(crate) use standin::StandIn;
#[cfg(test)]
pub(crate) use standin::kubeconfig;
pub(crate) use webhook::Webhook;

use crate::server::control::Report;

/// What a measurement is given besides its sizes.
#[derive(Clone, Debug)]
pub(crate) struct Bench {
    manager: PathBuf,
    webhook: PathBuf,
    /// The words that name programs, to run the same again.
    named: String,
}

/// Other programs to measure than those that stand beside this one.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Programs {
    /// Another program to measure than the kruise-manager that stands beside this one
    #[arg(long, global = true, value_name = "PATH")]
    manager: Option<PathBuf>,
    /// Another program to measure than the kruise-webhook that stands beside this one
    #[arg(long, global = true, value_name = "PATH")]
    webhook: Option<PathBuf>,
}

/// How long anything may take that has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15 * 60);

impl Bench {
    /// Takes the programs that are named, or those that were built beside this one.
    pub(crate) fn new(programs: Programs) -> Result<Self> {
        let own = std::env::current_exe().context("cannot tell where this program is")?;
        let Programs { manager, webhook } = programs;
        let words = |option: &str, path: &Option<PathBuf>| {
            path.as_ref().map(|path| format!(" --{option} {}", path.display())).unwrap_or_default()
        };
        let named = words("manager", &manager) + &words("webhook", &webhook);
        let manager = manager.unwrap_or_else(|| own.with_file_name("kruise-manager"));
        let webhook = webhook.unwrap_or_else(|| own.with_file_name("kruise-webhook"));
        Ok(Self { manager, webhook, named })
    }

    /// Starts the manager against a server.
    pub(crate) async fn manager(&self, server: &impl Server) -> Result<Manager> {
        Manager::start(present(&self.manager, "manager")?, server, Admission::Off).await
    }

    /// Starts the manager against a server whose Pods pass the webhook.
    pub(crate) async fn admitted_manager(&self, server: &impl Server) -> Result<Manager> {
        Manager::start(present(&self.manager, "manager")?, server, Admission::On).await
    }

    /// Starts the webhook against a server.
    pub(crate) async fn webhook(&self, server: &impl Server) -> Result<Webhook> {
        Webhook::product(present(&self.webhook, "webhook")?, server).await
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
        answer(format_args!("\n{title}\n{table}\nagain: cargo xtask bench {command}{}", self.named));
    }
}

fn present<'a>(program: &'a Path, option: &str) -> Result<&'a Path> {
    ensure!(program.is_file(), "there is no {}: build it, or name one with --{option}", program.display());
    Ok(program)
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
