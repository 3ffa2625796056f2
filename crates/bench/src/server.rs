//! A stand-in for kube-apiserver: enough of its API over HTTPS for the manager to run, and no cost of its own to speak
//! of, so that what is measured is the manager.
//!
//! Here is who answers what, and the connections. What is held is `store.rs`, what is done on request of the harness
//! `control.rs`.

pub(crate) mod control;
mod discovery;
mod fill;
pub(crate) mod kinds;
mod meter;
mod pace;
mod patch;
mod read;
mod reply;
mod route;
mod store;
#[cfg(test)]
mod tests;
mod watch;
mod write;

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use self::kinds::{Kind, Scope};
use self::meter::Meter;
use self::reply::{Body, Refusal};
use self::route::{Query, Target};
use self::store::Store;
use self::write::Wish;
use crate::objects::{Key, webhook};

/// About how much is rendered before it is sent.
const CHUNK: usize = 64 << 10;

/// Whether lists by watch (`sendInitialEvents`) are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Streaming {
    /// They are, as in current versions of Kubernetes.
    Offered,
    /// They are refused as invalid, as where the feature is off.
    Refused,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    store: Mutex<Store>,
    /// Tells watches that the store has changed.
    changed: tokio::sync::watch::Sender<u64>,
    meter: Meter,
    streaming: Streaming,
}

impl Shared {
    /// A server that holds what the manager waits for, and nothing else.
    pub(crate) fn new(streaming: Streaming) -> Arc<Self> {
        let mut store = Store::default();
        hold_webhook(&mut store);
        let changed = tokio::sync::watch::Sender::new(store.version());
        Arc::new(Self { store: Mutex::new(store), changed, meter: Meter::default(), streaming })
    }

    /// Wakes the watches.
    fn tell(&self) {
        self.changed.send_replace(self.store.lock().version());
    }
}

/// A webhook that answers: the manager starts its controllers only then.
fn hold_webhook(store: &mut Store) {
    write::put(store, Kind::EndpointSlice, webhook::key(), webhook::endpoints());
    let name = "kruise-mutating-webhook-configuration";
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [{
            "name": "mpod.kb.io", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "clientConfig": {"service": {"name": "kruise-webhook-service", "namespace": "kruise-system"}},
        }],
    });
    write::put(store, Kind::MutatingWebhookConfiguration, Key::new("", name), configuration);
}

/// A server that listens.
pub(crate) struct Bound {
    listener: TcpListener,
    tls: TlsAcceptor,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The certificate that a client has to trust, in PEM.
    pub(crate) certificate: String,
}

/// Opens a port of the loopback interface, with a certificate of its own.
pub(crate) async fn bind() -> Result<Bound> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("cannot listen on 127.0.0.1")?;
    let address = listener.local_addr()?;
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Bound { listener, tls: TlsAcceptor::from(Arc::new(config)), address, certificate: own.cert.pem() })
}

/// Answers for ever.
pub(crate) async fn serve(bound: Bound, shared: Arc<Shared>) {
    let server = Arc::new(auto::Builder::new(TokioExecutor::new()));
    loop {
        let Ok((stream, _)) = bound.listener.accept().await else {
            // Out of descriptors, most likely: others may close some.
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            continue;
        };
        let (server, tls, shared) = (Arc::clone(&server), bound.tls.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            // Without it a small event may wait for the acknowledgement of the one before.
            let _ = stream.set_nodelay(true);
            let Ok(stream) = tls.accept(stream).await else { return };
            let service = service_fn(move |request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(answer(&shared, request).await) }
            });
            // A client may go away at any time; that is its business.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let response = dispatch(shared, request).await.unwrap_or_else(|refusal| refusal.response());
    shared.meter.weigh(response)
}

async fn dispatch(shared: &Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
    let (head, body) = request.into_parts();
    let target = Target::of(head.uri.path()).ok_or_else(Refusal::no_such_path)?;
    let sent = body.collect().await.map_err(|err| Refusal::bad_request(format!("cannot read the body: {err}")))?;
    let sent = sent.to_bytes();
    let fact = |value: serde_json::Value| Ok(reply::whole(StatusCode::OK, value.to_string()));
    match (&head.method, target) {
        (&Method::GET, Target::Version) => fact(discovery::version()),
        (&Method::GET, Target::CoreVersions) => fact(discovery::core_versions()),
        (&Method::GET, Target::Groups) => fact(discovery::groups()),
        (&Method::GET, Target::Resources { group, version }) => {
            fact(discovery::resources(&group, &version).ok_or_else(Refusal::no_such_path)?)
        }
        (&Method::GET, Target::Collection { kind, namespace }) => {
            let query = Query::of(&head.uri).map_err(Refusal::bad_request)?;
            let namespace = namespace.as_deref();
            if query.watch {
                watch::start(shared, kind, namespace, &query)
            } else {
                read::list(shared, kind, namespace, &query)
            }
        }
        (&Method::POST, Target::Collection { kind, namespace })
            if namespace.is_some() == (kind.names().scope == Scope::Namespaced) =>
        {
            write::create(shared, kind, namespace.as_deref(), &sent)
        }
        (&Method::GET, Target::Object { kind, key, .. }) => read::get(shared, kind, &key),
        (&Method::PUT, Target::Object { kind, key, part }) => {
            write::change(shared, kind, key, part, &Wish::Replace(&sent))
        }
        (&Method::PATCH, Target::Object { kind, key, part }) => {
            let format = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
            write::change(shared, kind, key, part, &Wish::Patch(format.unwrap_or_default(), &sent))
        }
        (&Method::DELETE, Target::Object { kind, key, part: route::Part::Main }) => {
            write::delete(shared, kind, &key, &sent)
        }
        _ => Err(Refusal::method_not_allowed()),
    }
}
