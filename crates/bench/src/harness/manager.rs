//! The manager as a child process: started, watched through its metrics, ended.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use e2e::ports;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::process::Process;
use super::{PATIENCE, Server, sample, tail};
use crate::server::kinds::Kind;

/// How often its metrics are looked at until the caches are complete.
const POLL: Duration = Duration::from_millis(10);
/// How often is looked whether it has come to rest.
const LOOK: Duration = Duration::from_millis(500);
/// How many looks in a row must find it at rest.
const QUIET_LOOKS: u32 = 4;
/// CPU time between two looks that still counts as rest: a fiftieth of a core.
const QUIET_CPU: Duration = Duration::from_millis(10);
/// The manager lets this pass after its first list before it looks at the owners of Pods, and a little more.
const FIRST_PASS: Duration = Duration::from_millis(3_500);

/// Whether the Pods that it creates pass a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// There is none.
    Off,
    /// They do: it waits until their entry is live.
    On,
}

/// A running manager; it is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Manager {
    child: Child,
    process: Process,
    metrics: SocketAddr,
    log: PathBuf,
    started: Instant,
}

impl Manager {
    /// Starts it as the only replica; without admission of Pods it waits for no webhook and nobody sees its Pods.
    pub(super) async fn start(program: &Path, server: &impl Server, admission: Admission) -> Result<Self> {
        let [metrics] = ports::free()?;
        let metrics = SocketAddr::from((Ipv4Addr::LOCALHOST, metrics));
        let log = server.dir().join(format!("manager-{}.log", metrics.port()));
        let mut command = Command::new(program);
        command
            .arg(format!("--kubeconfig={}", server.kubeconfig().display()))
            .arg("--enable-leader-election=false")
            .args((admission == Admission::Off).then_some("--feature-gates=PodWebhook=false"))
            // Nothing here is a matter of seconds on every machine.
            .arg(format!("--controller-cache-sync-timeout={}s", PATIENCE.as_secs()))
            .args([format!("--metrics-addr={metrics}"), format!("--health-probe-addr={metrics}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).context("cannot make a log for the manager")?)
            .kill_on_drop(true);
        for name in ["KUBECONFIG", "POD_NAMESPACE", "SERVICE_NAME", "CUSTOM_RESOURCE_ENABLE"] {
            command.env_remove(name);
        }
        let started = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let process = Process(child.id().context("the manager ended at once")?);
        Ok(Self { child, process, metrics, log, started })
    }

    /// What the kernel says of it.
    pub(crate) fn process(&self) -> Process {
        self.process
    }

    /// The end of its log.
    pub(crate) fn log(&self) -> String {
        tail(&self.log)
    }

    /// Waits until all caches are complete and that of Pods holds this many; returns the time since the start.
    pub(crate) async fn synced(&mut self, pods: u32) -> Result<Duration> {
        loop {
            self.check()?;
            // Before it listens there is nothing to read.
            let text = self.scrape().await.unwrap_or_default();
            let listed = |kind: Kind| sample(&text, "kruise_informer_listed_objects", &[("kind", kind.names().kind)]);
            if Kind::WATCHED.into_iter().all(|kind| listed(kind).is_some()) && listed(Kind::Pod) == Some(pods.into()) {
                return Ok(self.started.elapsed());
            }
            ensure!(self.started.elapsed() < PATIENCE, "caches are not complete:\n{}", tail(&self.log));
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until it does nothing any more.
    pub(crate) async fn calm(&mut self) -> Result<()> {
        let begun = Instant::now();
        let (mut quiet, mut before) = (0, self.process.cpu()?);
        while quiet < QUIET_LOOKS || begun.elapsed() < FIRST_PASS {
            tokio::time::sleep(LOOK).await;
            self.check()?;
            let now = self.process.cpu()?;
            quiet = if now.saturating_sub(before) <= QUIET_CPU { quiet + 1 } else { 0 };
            before = now;
            ensure!(begun.elapsed() < PATIENCE, "the manager does not come to rest:\n{}", tail(&self.log));
        }
        Ok(())
    }

    /// How many passes its controllers have made.
    pub(crate) async fn reconciles(&mut self) -> Result<u64> {
        self.check()?;
        let text = self.scrape().await?;
        Ok(sample(&text, "controller_runtime_reconcile_total", &[]).unwrap_or_default() as u64)
    }

    /// Ends it.
    pub(crate) async fn end(mut self) -> Result<()> {
        self.check()?;
        self.child.kill().await.context("cannot end the manager")
    }

    /// Fails if it has ended by itself.
    fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("the manager ended with {status}:\n{}", tail(&self.log)),
            None => Ok(()),
        }
    }

    async fn scrape(&self) -> Result<String> {
        let mut stream = TcpStream::connect(self.metrics).await?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n").await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        ensure!(text.starts_with("HTTP/1.1 200"), "no metrics: {}", text.lines().next().unwrap_or_default());
        Ok(text)
    }
}
