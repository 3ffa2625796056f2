//! Accepts TLS connections (1.2 or later, HTTP/1.1 and HTTP/2) and drains them at the end (IN-54).
//!
//! The end has three parts: readiness has turned false and the Service forgets this replica, meanwhile new connections
//! are still answered; then nothing new is accepted, open connections are told to go away and requests in flight are
//! finished; then whatever is left is dropped.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use runtime::shutdown::Shutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, info, warn};

use super::credentials::Credentials;
use crate::certs::material::provider;

/// Body of an answer.
pub type Body = Full<Bytes>;

/// Longest time for a TLS handshake, and for the head of a request on a fresh HTTP/1.1 connection.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often an idle HTTP/2 connection is asked for a sign of life, and how long the answer may take: connections of an
/// API server that is gone are closed.
const PING: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));
/// Pause after an accept that failed, for example for want of file descriptors (IN-55).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long the parts of the end take.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// New connections are still accepted: the time in which endpoints are taken out of the Service.
    pub accepting: Duration,
    /// Requests in flight may still be finished.
    pub finishing: Duration,
}

impl Default for Drain {
    /// 5 s and 4 s: the process ends within 10 s (IN-54).
    fn default() -> Self {
        Self { accepting: Duration::from_secs(5), finishing: Duration::from_secs(4) }
    }
}

/// TLS with the certificate of the moment.
///
/// # Errors
/// Fails where the crypto provider lacks the protocol versions.
pub fn tls(credentials: Arc<Credentials>) -> Result<TlsAcceptor, rustls::Error> {
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(credentials);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Opens the port on all addresses.
///
/// # Errors
/// Fails where the port is taken.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves until shutdown and through the drain.
pub async fn serve<F, A>(listener: TcpListener, tls: TlsAcceptor, answer: F, shutdown: Shutdown, drain: Drain)
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    let connections = GracefulShutdown::new();
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HANDSHAKE);
    server.http2().timer(TokioTimer::new()).keep_alive_interval(PING.0).keep_alive_timeout(PING.1);
    let server = Arc::new(server);
    let mut closing = pin!(async {
        shutdown.requested().await;
        info!(seconds = drain.accepting.as_secs(), "keep accepting while the Service forgets this replica");
        tokio::time::sleep(drain.accepting).await;
    });
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut closing => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(err) => {
                warn!(%err, "accept connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (server, tls, answer, watcher) = (Arc::clone(&server), tls.clone(), answer.clone(), connections.watcher());
        tokio::spawn(async move {
            let Some(stream) = handshake(stream, tls).await else { return };
            let service = service_fn(move |request| {
                let response = answer(request);
                async move { Ok::<_, std::convert::Infallible>(response.await) }
            });
            let connection = server.serve_connection(TokioIo::new(stream), service).into_owned();
            if let Err(err) = watcher.watch(connection).await {
                debug!(%err, "connection ended");
            }
        });
    }
    drop(listener);
    let open = connections.count();
    match tokio::time::timeout(drain.finishing, connections.shutdown()).await {
        Ok(()) => info!(connections = open, "all connections are finished"),
        Err(_) => warn!(connections = open, "connections are dropped: they did not finish in time"),
    }
}

async fn handshake(stream: TcpStream, tls: TlsAcceptor) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
    // Answers are small and awaited by somebody: they must not wait for a full segment.
    if let Err(err) = stream.set_nodelay(true) {
        debug!(%err, "set nodelay");
    }
    match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(err)) => {
            debug!(%err, "TLS handshake failed");
            None
        }
        Err(_) => {
            debug!("TLS handshake took too long");
            None
        }
    }
}
