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
use hyper::body::{Body, Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulConnection;
use runtime::shutdown::Shutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, info, warn};

pub use super::connection::Bounds;
use super::connection::{Activity, Fate};
use super::credentials::Credentials;
use super::parting::part;
use super::places::{Place, Places};
use crate::certs::material::provider;

/// How often an idle HTTP/2 connection is asked for a sign of life, and how long the answer may take: connections of an
/// API server that is gone are closed.
const PING: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));
/// Requests at once on an HTTP/2 connection. The API server opens another connection when they are used up.
const STREAMS: u32 = 250;
/// Longest head of a request in bytes, as HTTP/2 counts it. The API server's are below 1 KiB.
const HEAD: u32 = 16 << 10;
/// Bytes that a client may send ahead of our reading, on a stream and on a connection of HTTP/2: enough for 100 MiB in a
/// second or two within a region.
const WINDOWS: (u32, u32) = (128 << 10, 256 << 10);
/// Bytes that wait to be sent on a connection of HTTP/2 before more is taken from an answer.
const SEND_BUFFER: usize = 64 << 10;
/// Longest head in bytes over HTTP/1.1, and what is read ahead there.
const HTTP1_BUFFER: usize = 64 << 10;
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

/// Serves until shutdown and through the drain, within the usual bounds.
pub async fn serve<F, A, B>(listener: TcpListener, tls: TlsAcceptor, answer: F, shutdown: Shutdown, drain: Drain)
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    serve_within(Bounds::default(), listener, tls, answer, shutdown, drain).await;
}

/// Serves until shutdown and through the drain.
pub async fn serve_within<F, A, B>(
    bounds: Bounds,
    listener: TcpListener,
    tls: TlsAcceptor,
    answer: F,
    shutdown: Shutdown,
    drain: Drain,
) where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let places = Places::new(bounds);
    let protocol = Arc::new(protocol(&bounds));
    let (end, ending) = watch::channel(End::NotYet);
    let mut closing = pin!(async {
        shutdown.requested().await;
        info!(seconds = drain.accepting.as_secs(), "keep accepting while the Service forgets this replica");
        tokio::time::sleep(drain.accepting).await;
    });
    loop {
        let (stream, place) = tokio::select! {
            biased;
            () = &mut closing => break,
            accepted = places.accept(&listener) => accepted,
        };
        let (protocol, tls, answer, ending) = (Arc::clone(&protocol), tls.clone(), answer.clone(), ending.clone());
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            let Some(stream) = handshake(stream, tls, &bounds).await else { return };
            let place = place.shake_hands();
            let activity = Activity::new(Instant::now());
            let asked = activity.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let (version, shutdown) = (request.version(), shutdown.clone());
                let (token, response) = (asked.begin(), answer(request));
                async move {
                    let mut response = response.await;
                    part(version, &shutdown, &mut response);
                    Ok::<_, std::convert::Infallible>(response.map(|body| token.answered(body)))
                }
            });
            let connection = protocol.serve_connection(TokioIo::new(stream), service).into_owned();
            attend(connection, &activity, &place, ending).await;
        });
    }
    drop(listener);
    let open = places.open();
    end.send_replace(End::Finish);
    match tokio::time::timeout(drain.finishing, places.all_free()).await {
        Ok(()) => info!(connections = open, "all connections are finished"),
        Err(_) => warn!(connections = open, "connections are dropped: they did not finish in time"),
    }
    end.send_replace(End::Now);
}

/// HTTP as it is spoken here.
fn protocol(bounds: &Bounds) -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(bounds.idle).max_buf_size(HTTP1_BUFFER);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING.0)
        .keep_alive_timeout(PING.1)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD)
        .initial_stream_window_size(WINDOWS.0)
        .initial_connection_window_size(WINDOWS.1)
        .max_send_buf_size(SEND_BUFFER);
    server
}

/// How far the end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    NotYet,
    /// What is under way may finish.
    Finish,
    Now,
}

/// Drives a connection to its end: its own, one of ours, or that of a client that takes too long.
async fn attend<C>(connection: C, activity: &Activity, place: &Place, mut ending: watch::Receiver<End>)
where
    C: GracefulConnection,
    C::Error: std::fmt::Display,
{
    let mut connection = pin!(connection);
    let mut looks = tokio::time::interval(place.bounds.look);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asked_to_end = false;
    loop {
        let fate = tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(err) = ended {
                    debug!(%err, "connection ended");
                }
                return;
            }
            end = ending.wait_for(|end| *end == End::Now || (*end == End::Finish && !asked_to_end)) => {
                match end.as_deref() {
                    Ok(End::Finish) => Fate::Close,
                    _ => Fate::Drop,
                }
            }
            _ = looks.tick() => activity.fate(Instant::now(), &place.bounds, place.is_scarce()),
        };
        match fate {
            Fate::Stay => {}
            Fate::Close if asked_to_end => {}
            Fate::Close => {
                asked_to_end = true;
                connection.as_mut().graceful_shutdown();
            }
            Fate::Drop => {
                debug!("drop a connection that takes too long");
                return;
            }
        }
    }
}

async fn handshake(
    stream: TcpStream,
    tls: TlsAcceptor,
    bounds: &Bounds,
) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
    // Answers are small and awaited by somebody: they must not wait for a full segment.
    if let Err(err) = stream.set_nodelay(true) {
        debug!(%err, "set nodelay");
    }
    match tokio::time::timeout(bounds.handshake, tls.accept(stream)).await {
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
