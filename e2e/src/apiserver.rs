//! kube-apiserver and etcd alone: what the `api` test layer runs against. No root, no packages, about five seconds.
//!
//! Any number run side by side, each with its own folder and free loopback ports. A keeper process holds them: when
//! the test process ends, however it ends, the keeper's input closes, it ends both servers and removes the folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::sync::OnceCell;

use crate::kubectl::Kubectl;
use crate::pki::{Authority, Subject};
use crate::ports;
use crate::progress::{Failure, Progress};
use crate::tools::Tools;
use crate::wait::{self, Seen};

/// The first line of the keeper's input never comes: `cat` ends when the other end of the pipe is gone.
const KEEPER: &str = r#"
exec 3<&0 </dev/null
bash "$1/etcd.sh" >"$1/etcd.log" 2>&1 3<&- &
bash "$1/apiserver.sh" >"$1/apiserver.log" 2>&1 3<&- &
cat <&3 >/dev/null
kill -9 $(jobs -p)
wait
rm -rf "$1"
"#;

static SHARED: OnceCell<ApiServer> = OnceCell::const_new();

/// A running API server. Dropping it ends it.
#[derive(Debug)]
pub struct ApiServer {
    keeper: Child,
    dir: PathBuf,
    kubeconfig: PathBuf,
    address: String,
    tools: Tools,
}

impl ApiServer {
    /// Starts one and waits until it is ready. Builds the tools first if they are missing.
    ///
    /// # Errors
    /// It is not ready within two minutes; the error holds the end of its log.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// Starts one with further kube-apiserver flags.
    ///
    /// # Errors
    /// As `start`.
    pub async fn start_with(flags: &[&str]) -> Result<Self> {
        let tools = Tools::ensure(&Progress::start()).await?;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let server = Self::launch(&tools, flags)?;
            match server.ready().await {
                Ok(()) => return Ok(server),
                // Somebody took a port between our look and the server's bind: look again.
                Err(_) if attempts < 4 && server.lost_a_port() => {}
                Err(error) => return Err(server.explain(error)),
            }
        }
    }

    /// The one that all tests of a process share, started by whoever asks first; it ends with the process.
    /// Each test makes its own client, which lives in the test's runtime, and its own namespace.
    ///
    /// # Errors
    /// As `start`.
    pub async fn shared() -> Result<&'static Self> {
        SHARED.get_or_try_init(Self::start).await
    }

    /// A client with all rights.
    ///
    /// # Errors
    /// The kubeconfig is gone.
    pub async fn client(&self) -> Result<kube::Client> {
        client(&self.kubeconfig).await
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The folder with its logs; gone when the server is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// `127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// kubectl for it.
    #[must_use]
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::new(&self.tools, &self.kubeconfig)
    }

    fn launch(tools: &Tools, flags: &[&str]) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("kruise-api-").tempdir()?.keep();
        let pki = dir.join("pki");
        let authority = Authority::create(&pki)?;
        let serves = ["kubernetes", "kubernetes.default.svc", "localhost", "127.0.0.1"];
        authority.issue("apiserver", &Subject { name: "kube-apiserver", serves: &serves, ..Subject::default() })?;
        let admin =
            authority.issue("admin", &Subject { name: "admin", groups: &["system:masters"], ..Subject::default() })?;
        let [client, peer, port] = ports::free()?;
        let address = format!("127.0.0.1:{port}");
        let kubeconfig = dir.join("kubeconfig");
        authority.kubeconfig(&kubeconfig, &format!("https://{address}"), &admin)?;
        let etcd = format!("http://127.0.0.1:{client}");
        let mut words = vec![tools.etcd().display().to_string()];
        words.push(format!("--data-dir={}", dir.join("data").display()));
        words.extend(["--unsafe-no-fsync", "--log-level=warn"].map(str::to_owned));
        words.extend([format!("--listen-client-urls={etcd}"), format!("--advertise-client-urls={etcd}")]);
        words.push(format!("--listen-peer-urls=http://127.0.0.1:{peer}"));
        script(&dir.join("etcd.sh"), &words)?;

        let file = |name: &str| pki.join(name).display().to_string();
        let mut words = vec![tools.kubernetes("kube-apiserver").display().to_string()];
        words.extend([
            format!("--etcd-servers={etcd}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            format!("--tls-cert-file={}", file("apiserver.crt")),
            format!("--tls-private-key-file={}", file("apiserver.key")),
            format!("--client-ca-file={}", file("ca.crt")),
            "--authorization-mode=RBAC".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", file("sa.pub")),
            format!("--service-account-signing-key-file={}", file("sa.key")),
            "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
            "--allow-privileged=true".to_owned(),
            // No controller makes the default ServiceAccount here, without which no Pod could be created.
            "--disable-admission-plugins=ServiceAccount".to_owned(),
        ]);
        words.extend(flags.iter().map(|flag| (*flag).to_owned()));
        script(&dir.join("apiserver.sh"), &words)?;

        let errors = File::create(dir.join("keeper.log"))?;
        let mut keeper = Command::new("setsid");
        keeper.args(["bash", "-c", KEEPER, "keeper"]).arg(&dir).current_dir("/");
        let keeper = keeper
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .context("cannot start bash under setsid")?;
        Ok(Self { keeper, dir, kubeconfig, address, tools: tools.clone() })
    }

    async fn ready(&self) -> Result<()> {
        let client = self.client().await?;
        let look = async || {
            if self.lost_a_port() {
                bail!("a port is taken");
            }
            let answer = client.request_text(http::Request::get("/readyz").body(Vec::new())?).await?;
            Ok(if answer == "ok" { Seen::Done(()) } else { Seen::NotYet(answer) })
        };
        wait::until("kube-apiserver is ready", Duration::from_secs(120), look).await
    }

    fn lost_a_port(&self) -> bool {
        ["etcd.log", "apiserver.log"]
            .iter()
            .any(|log| fs::read_to_string(self.dir.join(log)).is_ok_and(|text| text.contains("address already in use")))
    }

    fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        // The folder goes with the server: the log's end travels in the message.
        let tail: String = ["etcd.log", "apiserver.log"]
            .iter()
            .map(|log| format!("\n{log}:\n  {}", crate::progress::tail(&self.dir.join(log), 15).join("\n  ")))
            .collect();
        Failure::new(format!("the API server for tests does not start{tail}")).because(error).into()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // It ends at once now; waiting keeps the process table clean.
        let _ = self.keeper.wait();
    }
}

/// A client from a kubeconfig file.
///
/// # Errors
/// The file is missing or names no usable cluster.
pub async fn client(kubeconfig: &Path) -> Result<kube::Client> {
    let file = Kubeconfig::read_from(kubeconfig)
        .with_context(|| format!("cannot read the kubeconfig {}", kubeconfig.display()))?;
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
}

/// A script that becomes one program; words are quoted for the shell.
fn script(file: &Path, words: &[String]) -> Result<()> {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect();
    fs::write(file, format!("exec {}\n", quoted.join(" "))).with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn servers_run_side_by_side_and_end_with_their_owner() {
        let (one, other) = tokio::try_join!(ApiServer::start(), ApiServer::start()).unwrap();
        for server in [&one, &other] {
            let version = server.client().await.unwrap().apiserver_version().await.unwrap();
            assert_eq!(version.git_version, "v1.34.4");
        }
        let (address, folder) = (one.address().to_owned(), one.dir().to_owned());
        drop(one);
        assert!(std::net::TcpStream::connect(address).is_err());
        assert!(!folder.exists());
        other.client().await.unwrap().apiserver_version().await.unwrap();
    }

    #[test]
    fn words_of_a_script_are_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.sh");
        script(&file, &["echo".into(), "it's one word".into()]).unwrap();
        assert_eq!(fs::read_to_string(file).unwrap(), "exec 'echo' 'it'\\''s one word'\n");
    }
}
