//! A server of admission as a child process: the product's webhook, or the measure beside it.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use e2e::ports;
use e2e::wait::{self, Seen};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::process::Process;
use super::{Server, tail};
use crate::admission::noop::Ready;

/// How long the product may take until it is ready.
const READY: Duration = Duration::from_secs(120);
/// The namespace of the installation.
const NAMESPACE: &str = "kruise-system";

/// A running server; it is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Webhook {
    child: Child,
    process: Process,
    log: PathBuf,
    /// Where it answers.
    pub(crate) address: SocketAddr,
    /// The authority of its certificate, in PEM.
    pub(crate) authority: Vec<u8>,
}

impl Webhook {
    /// Starts the product against an API server that holds its configurations, and waits until it is ready.
    ///
    /// It answers on this host; API server and load generator reach it at the same address.
    pub(crate) async fn product(program: &Path, server: &impl Server) -> Result<Self> {
        let [address, health] = ports::free()?.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let dir = server.dir();
        let (log, certificates) = (dir.join(format!("webhook-{}.log", address.port())), dir.join("webhook-certs"));
        let mut command = Command::new(program);
        command
            .arg(format!("--kubeconfig={}", server.kubeconfig().display()))
            .args([format!("--metrics-addr={health}"), format!("--health-probe-addr={health}")])
            .arg(format!("--protection-log-path={}", dir.display()))
            .env("WEBHOOK_HOST", Ipv4Addr::LOCALHOST.to_string())
            .env("WEBHOOK_PORT", address.port().to_string())
            .env("WEBHOOK_CERT_DIR", &certificates)
            .env("POD_NAMESPACE", NAMESPACE)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).context("cannot make a log for the webhook")?)
            .kill_on_drop(true);
        for name in ["KUBECONFIG", "WEBHOOK_CERT_WRITER", "SERVICE_NAME", "SECRET_NAME", "CUSTOM_RESOURCE_ENABLE"] {
            command.env_remove(name);
        }
        let child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let process = Process(child.id().context("the webhook ended at once")?);
        let health = health.to_string();
        let ready = wait::until("the webhook is ready", READY, async || {
            let answer = e2e::http::ask("GET", &health, "/readyz", "*/*").await?;
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            Ok(if answer.status == 200 { Seen::Done(()) } else { Seen::NotYet(text) })
        });
        ready.await.with_context(|| tail(&log))?;
        let authority = std::fs::read(certificates.join(webhook::certs::material::CA_CERT));
        let authority = authority.context("the webhook has kept no authority")?;
        Ok(Self { child, process, log, address, authority })
    }

    /// Starts the measure.
    pub(crate) async fn noop(dir: &Path) -> Result<Self> {
        let own = std::env::current_exe().context("cannot tell where this program is")?;
        let log = dir.join("noop.log");
        let mut command = Command::new(own);
        command.arg("noop").stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        command.stderr(File::create(&log).context("cannot make a log for the no-op handler")?);
        let mut child = command.spawn().context("cannot start the no-op handler")?;
        let process = Process(child.id().context("the no-op handler ended at once")?);
        let output = child.stdout.take().context("no pipe to the no-op handler")?;
        let line = BufReader::new(output).lines().next_line().await?;
        let line = line.with_context(|| format!("the no-op handler has ended:\n{}", tail(&log)))?;
        let ready: Ready = serde_json::from_str(&line).context("the no-op handler does not say where it is")?;
        Ok(Self { child, process, log, address: ready.address, authority: ready.authority.into_bytes() })
    }

    /// What the kernel says of it.
    pub(crate) fn process(&self) -> Process {
        self.process
    }

    /// Fails if it has ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("the server ended with {status}:\n{}", tail(&self.log)),
            None => Ok(()),
        }
    }

    /// Ends it.
    pub(crate) async fn end(mut self) -> Result<()> {
        self.check()?;
        self.child.kill().await.context("cannot end the server")
    }
}
