//! Serves `/healthz`, `/readyz` and `/metrics` over plain HTTP (IN-50, IN-58, platform section 5).
//!
//! Whether the process is alive or ready is answered by named checks of its parts. One address may serve both health
//! and metrics, as in the daemon.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::{debug, info};

use crate::metrics;
use crate::shutdown::Shutdown;

/// A condition with a name. It must answer at once: probes wait for it.
#[derive(Clone)]
pub struct Check {
    name: String,
    run: Arc<dyn Fn() -> Result<String, String> + Send + Sync>,
}

impl Check {
    /// A check; `run` says why it fails.
    pub fn new(name: impl Into<String>, run: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self::telling(name, move || run().map(|()| String::new()))
    }

    /// A check; `run` says why it fails or, for `?verbose`, what it found.
    pub fn telling(name: impl Into<String>, run: impl Fn() -> Result<String, String> + Send + Sync + 'static) -> Self {
        Self { name: name.into(), run: Arc::new(run) }
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Check").field(&self.name).finish()
    }
}

/// What is served where. Liveness without checks is always well: the process answers.
#[derive(Clone, Debug, Default)]
pub struct Server {
    live: Vec<Check>,
    ready: Vec<Check>,
    health_addr: Option<String>,
    metrics_addr: Option<String>,
}

impl Server {
    /// Serves nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves `/healthz` and `/readyz` at an address written as in Go: `:8000`, `127.0.0.1:8000`. Empty or `0` serves none.
    #[must_use]
    pub fn health_at(mut self, addr: &str) -> Self {
        self.health_addr = wanted(addr);
        self
    }

    /// Serves `/metrics`; the address may be the one of health.
    #[must_use]
    pub fn metrics_at(mut self, addr: &str) -> Self {
        self.metrics_addr = wanted(addr);
        self
    }

    /// Adds a check to `/healthz`.
    #[must_use]
    pub fn live(mut self, check: Check) -> Self {
        self.live.push(check);
        self
    }

    /// Adds a check to `/readyz`.
    #[must_use]
    pub fn ready(mut self, check: Check) -> Self {
        self.ready.push(check);
        self
    }

    /// Listens at the addresses; nothing is answered before [`Bound::serve`].
    ///
    /// # Errors
    /// An address is malformed or taken.
    pub async fn bind(self) -> anyhow::Result<Bound> {
        let probes = Router::new()
            .route("/healthz", get(answer).with_state(self.live.into()))
            .route("/readyz", get(answer).with_state(self.ready.into()));
        let metrics = Router::new().route("/metrics", get(scrape));
        let plan = match (self.health_addr, self.metrics_addr) {
            (Some(health), Some(other)) if health == other => vec![(health, probes.merge(metrics))],
            (health, other) => {
                let both = [(health, probes), (other, metrics)];
                both.into_iter().filter_map(|(addr, router)| Some((addr?, router))).collect()
            }
        };
        let mut bound = Bound { servers: Vec::new() };
        for (addr, router) in plan {
            bound.servers.push((listen(&addr).await?, router));
        }
        Ok(bound)
    }
}

/// Listens already.
#[derive(Debug)]
pub struct Bound {
    servers: Vec<(TcpListener, Router)>,
}

impl Bound {
    /// The addresses in use, health before metrics.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.servers.iter().filter_map(|(listener, _)| listener.local_addr().ok()).collect()
    }

    /// Answers until the end is asked for.
    ///
    /// # Errors
    /// A listener failed.
    pub async fn serve(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let mut running = JoinSet::new();
        for (listener, router) in self.servers {
            let shutdown = shutdown.clone();
            if let Ok(addr) = listener.local_addr() {
                info!(%addr, "serve health or metrics");
            }
            running.spawn(async move {
                axum::serve(listener, router).with_graceful_shutdown(async move { shutdown.requested().await }).await
            });
        }
        while let Some(ended) = running.join_next().await {
            ended.context("health server panicked")?.context("health server failed")?;
        }
        Ok(())
    }
}

fn wanted(addr: &str) -> Option<String> {
    (!addr.is_empty() && addr != "0").then(|| addr.to_owned())
}

/// Listens at an address written as in Go: without a host on all of this machine, IPv4 and IPv6.
///
/// # Errors
/// The address is malformed or taken.
pub async fn listen(addr: &str) -> anyhow::Result<TcpListener> {
    let Some(port) = addr.strip_prefix(':') else {
        let addr = addr.replacen("localhost", "127.0.0.1", 1);
        return TcpListener::bind(&addr).await.with_context(|| format!("cannot listen at {addr}"));
    };
    let port: u16 = port.parse().with_context(|| format!("address {addr} has no port number"))?;
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        Ok(listener) => Ok(listener),
        // A machine without IPv6.
        Err(err) => {
            debug!(%err, "cannot listen on IPv6");
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await.with_context(|| format!("cannot listen at {addr}"))
        }
    }
}

/// The first check that fails, or `ok`; with `?verbose` what each check that passed has found before that.
async fn answer(State(checks): State<Arc<[Check]>>, uri: Uri) -> Response {
    let mut passed = String::new();
    for check in &*checks {
        match (check.run)() {
            Ok(found) => passed.push_str(&format!("[+]{} ok {found}\n", check.name)),
            Err(err) => {
                debug!(check = check.name, err, "probe fails");
                let text = format!("check {} failed, err: {err}", check.name);
                return (StatusCode::INTERNAL_SERVER_ERROR, text).into_response();
            }
        }
    }
    match uri.query() {
        Some(query) if query.starts_with("verbose") => format!("{passed}ok").into_response(),
        _ => "ok".into_response(),
    }
}

async fn scrape(headers: HeaderMap) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = if accepts.contains("application/openmetrics-text") {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        // The same text: what the older form does not know are comments to it.
        "text/plain; version=0.0.4; charset=utf-8"
    };
    match metrics::encode() {
        Ok(text) => ([(header::CONTENT_TYPE, format)], text).into_response(),
        Err(err) => (StatusCode::INTERNAL_SERVER_ERROR, err.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn ask(addr: SocketAddr, path: &str) -> (u16, String) {
        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split_whitespace().nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    // IN-58
    #[tokio::test]
    async fn a_failing_check_is_named_and_ready_follows_it() {
        let synced = Arc::new(AtomicBool::new(false));
        let state = Arc::clone(&synced);
        let check = Check::new("pods", move || match state.load(Ordering::Relaxed) {
            true => Ok(()),
            false => Err("informer has not synced".to_owned()),
        });
        let server = Server::new().health_at("127.0.0.1:0").ready(check).bind().await.unwrap();
        let (addr, shutdown) = (server.addresses()[0], Shutdown::manual());
        let serving = tokio::spawn(server.serve(shutdown.clone()));
        assert_eq!(ask(addr, "/healthz").await, (200, "ok".to_owned()));
        assert_eq!(ask(addr, "/readyz").await, (500, "check pods failed, err: informer has not synced".to_owned()));
        assert_eq!(ask(addr, "/metrics").await.0, 404);
        synced.store(true, Ordering::Relaxed);
        assert_eq!(ask(addr, "/readyz").await, (200, "ok".to_owned()));
        shutdown.request();
        serving.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn verbose_tells_what_the_checks_found() {
        let check = Check::telling("runtime", || Ok("containerd 1.6.20".to_owned()));
        let server = Server::new().health_at("127.0.0.1:0").ready(check).bind().await.unwrap();
        let (addr, shutdown) = (server.addresses()[0], Shutdown::manual());
        tokio::spawn(server.serve(shutdown.clone()));
        assert_eq!(ask(addr, "/readyz?verbose").await, (200, "[+]runtime ok containerd 1.6.20\nok".to_owned()));
        assert_eq!(ask(addr, "/readyz").await, (200, "ok".to_owned()));
        shutdown.request();
    }

    // IN-86
    #[tokio::test]
    async fn one_address_may_serve_health_and_metrics() {
        let server = Server::new().health_at(":0").metrics_at(":0").bind().await.unwrap();
        let addrs = server.addresses();
        assert_eq!(addrs.len(), 1);
        let shutdown = Shutdown::manual();
        tokio::spawn(server.serve(shutdown.clone()));
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, addrs[0].port()));
        assert_eq!(ask(addr, "/healthz").await.0, 200);
        assert!(ask(addr, "/metrics").await.1.contains("process_resident_memory_bytes"));
        shutdown.request();
    }

    #[tokio::test]
    async fn an_empty_address_serves_nothing() {
        let server = Server::new().health_at("").metrics_at("0").bind().await.unwrap();
        assert!(server.addresses().is_empty());
        server.serve(Shutdown::manual()).await.unwrap();
    }
}
