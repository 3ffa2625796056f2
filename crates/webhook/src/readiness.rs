//! The readiness check `webhook-ready` (PL-50): initialised, the caches complete that must be, and answering on the TLS
//! port with a certificate that verifies against the authority of the moment.
//!
//! The check asks the server itself, over the loopback address and for the name `localhost`, every few seconds; a probe
//! of the kubelet reads the last finding.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use runtime::shutdown::Shutdown;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tracing::{info, warn};

use crate::caches::Needed;
use crate::certs::material::provider;
use crate::keeper::run::chain;
use crate::server::credentials::Credentials;

/// Pause between two questions. A probe is answered with a finding no older than this and [`PATIENCE`].
const PAUSE: Duration = Duration::from_secs(3);
/// Longest time for one question.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the readiness endpoint reports.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<Mutex<Result<(), String>>>);

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Err("webhook controller has not initialized".to_owned()))))
    }
}

impl Readiness {
    /// The last finding.
    ///
    /// # Errors
    /// Says what is missing.
    pub fn check(&self) -> Result<(), String> {
        self.0.lock().clone()
    }

    fn set(&self, finding: Result<(), String>) {
        let mut last = self.0.lock();
        match (&*last, &finding) {
            (Err(_), Ok(())) => info!("webhook is ready"),
            (Ok(()), Err(err)) => warn!(err, "webhook is not ready"),
            _ => {}
        }
        *last = finding;
    }

    /// Keeps the finding up to date until shutdown, from which on this replica is not ready (IN-54).
    pub async fn keep(
        self,
        port: u16,
        credentials: Arc<Credentials>,
        mut initialised: watch::Receiver<bool>,
        needed: Needed,
        shutdown: Shutdown,
    ) {
        let started = async {
            // Where the sender is gone, the process is about to end.
            let _ = initialised.wait_for(|initialised| *initialised).await;
            // Once: a watch that breaks later does not make the replica unready, it reads what it knows.
            needed.wait(|text| self.set(Err(text))).await;
        };
        tokio::select! {
            () = shutdown.requested() => return self.set(Err("shutting down".to_owned())),
            () = started => {}
        }
        loop {
            let asked = tokio::time::timeout(PATIENCE, ask(port, &credentials)).await;
            self.set(match asked {
                Ok(Ok(())) => Ok(()),
                Ok(Err(err)) => Err(chain(&*err)),
                Err(_) => Err(format!("no answer from https://localhost:{port}/healthz within {PATIENCE:?}")),
            });
            tokio::select! {
                () = shutdown.requested() => return self.set(Err("shutting down".to_owned())),
                () = credentials.changed() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }
}

/// Asks `https://localhost:<port>/healthz`; any HTTP status passes (PL-50). The address is given: an image without a
/// resolver library can't look up even this name.
async fn ask(port: u16, credentials: &Credentials) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let trust = credentials.trust().ok_or("no certificate yet")?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(trust)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    let name = ServerName::try_from("localhost")?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::get("/healthz").header("host", "localhost").body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await;
    drop(sender);
    connection.abort();
    answer.map(|_| ()).map_err(Into::into)
}
