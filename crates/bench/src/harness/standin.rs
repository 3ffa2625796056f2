//! The stand-in API server as a child process, and what can be asked of it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, ensure};
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::{PATIENCE, Server};
use crate::server::Streaming;
use crate::server::control::{Command as Order, Ready, Report};

/// A running stand-in; it is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct StandIn {
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    dir: TempDir,
    kubeconfig: PathBuf,
}

impl StandIn {
    /// Starts one that holds no Pods.
    pub(crate) async fn start(streaming: Streaming) -> Result<Self> {
        let own = std::env::current_exe().context("cannot tell where this program is")?;
        let mut command = Command::new(own);
        command.arg("serve").args((streaming == Streaming::Refused).then_some("--no-streaming"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("cannot start the stand-in API server")?;
        let (orders, answers) = child.stdin.take().zip(child.stdout.take()).context("no pipes to the stand-in")?;
        let mut answers = BufReader::new(answers).lines();
        let ready: Ready = answer(&mut answers).await?;
        let dir = tempfile::tempdir().context("cannot make a folder for the kubeconfig")?;
        let kubeconfig = kubeconfig(dir.path(), &ready.url, &ready.certificate)?;
        Ok(Self { child, orders, answers, dir, kubeconfig })
    }

    /// What it has done so far.
    pub(crate) async fn report(&mut self) -> Result<Report> {
        self.order(&Order::Report).await
    }

    /// Puts CloneSets in that want no Pods.
    pub(crate) async fn clonesets(&mut self, count: u32) -> Result<()> {
        self.order(&Order::CloneSets(count)).await.map(drop)
    }

    /// Puts Pods and Nodes in.
    pub(crate) async fn fill(&mut self, pods: u32, per_owner: u32, nodes: u32) -> Result<()> {
        self.order(&Order::Fill { pods, per_owner, nodes }).await.map(drop)
    }

    /// Tells it to do something, and returns what it has done by then.
    pub(crate) async fn order(&mut self, order: &Order) -> Result<Report> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        self.orders.write_all(&line).await.context("the stand-in API server is gone")?;
        answer::<Result<Report, String>>(&mut self.answers)
            .await?
            .map_err(|err| anyhow!("the stand-in API server cannot do {order:?}: {err}"))
    }

    /// Waits until a report shows something.
    pub(crate) async fn wait_for(&mut self, what: &str, mut shows: impl FnMut(&Report) -> bool) -> Result<Report> {
        let start = Instant::now();
        loop {
            let report = self.report().await?;
            if shows(&report) {
                return Ok(report);
            }
            ensure!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}: {report:?}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// Ends it.
    pub(crate) async fn end(mut self) -> Result<()> {
        self.child.kill().await.context("cannot end the stand-in API server")
    }
}

impl Server for StandIn {
    fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    fn dir(&self) -> &Path {
        self.dir.path()
    }

    async fn lists(&mut self) -> Result<u64> {
        Ok(self.report().await?.requests.get("list pods").copied().unwrap_or_default())
    }
}

async fn answer<T: DeserializeOwned>(answers: &mut Lines<BufReader<ChildStdout>>) -> Result<T> {
    let line = answers.next_line().await?.context("the stand-in API server has ended")?;
    serde_json::from_str(&line).with_context(|| format!("the stand-in API server says: {line}"))
}

/// Writes a kubeconfig and the certificate that it names into a folder.
pub(crate) fn kubeconfig(dir: &Path, url: &str, certificate: &str) -> Result<PathBuf> {
    let (ca, path) = (dir.join("ca.crt"), dir.join("kubeconfig"));
    std::fs::write(&ca, certificate)?;
    let config = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "bench",
        "clusters": [{"name": "bench", "cluster": {"server": url, "certificate-authority": ca}}],
        "users": [{"name": "bench", "user": {"token": "bench"}}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
    });
    std::fs::write(&path, config.to_string())?;
    Ok(path)
}
