//! A server on a free port of this host, and clients of it.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kruise_webhook::admission::protection::ProtectionLog;
use kruise_webhook::admission::{Desk, Privileged};
use kruise_webhook::caches::Caches;
use kruise_webhook::certs::generate::Authority;
use kruise_webhook::certs::material::{Material, provider};
use kruise_webhook::server::answer::Answers;
use kruise_webhook::server::body::Body;
use kruise_webhook::server::credentials::Credentials;
use kruise_webhook::server::listener::{self, Bounds, Drain};
use kruise_webhook::server::paths::Paths;
use runtime::gates::Gates;
use runtime::shutdown::Shutdown;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) const NAME: &str = "kruise-webhook-service.kruise-system.svc";
/// Longest time that anything here may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) shutdown: Shutdown,
    pub(crate) server: JoinHandle<()>,
}

pub(crate) fn make() -> Material {
    let now = runtime::clock::Clock::system().now();
    Authority::new(now).unwrap().issue(NAME, None, now).unwrap()
}

pub(crate) fn answers() -> Arc<Answers> {
    let client = kube::Client::new(
        tower::service_fn(|_: Request<kube::client::Body>| async {
            Err::<Response<Full<Bytes>>, _>(std::io::Error::other("no API server in this test"))
        }),
        "default",
    );
    Arc::new(answers_with(client))
}

/// The product's own answers, with this way to the API server.
pub(crate) fn answers_with(client: kube::Client) -> Answers {
    let gates = Gates::parse("", None).unwrap();
    let protection_log = ProtectionLog::to(std::io::sink());
    let desk = Desk {
        gates: gates.clone(),
        privileged: Privileged::Accepted,
        client,
        caches: Caches::default(),
        protection_log,
    };
    Answers::new(Arc::new(Paths::new(&gates)), desk)
}

/// A server with the product's own answers.
pub(crate) async fn start(drain: Drain) -> Running {
    start_within(Bounds::default(), drain).await
}

/// The same within other bounds.
pub(crate) async fn start_within(bounds: Bounds, drain: Drain) -> Running {
    let answers = answers();
    serve_within(bounds, drain, move |request| {
        let answers = Arc::clone(&answers);
        async move { answers.answer(request).await }
    })
    .await
}

pub(crate) async fn serve<F, A>(drain: Drain, answer: F) -> Running
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    serve_within(Bounds::default(), drain, answer).await
}

pub(crate) async fn serve_within<F, A>(bounds: Bounds, drain: Drain, answer: F) -> Running
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    let listener = listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    let credentials = Arc::new(Credentials::default());
    let tls = listener::tls(Arc::clone(&credentials)).unwrap();
    let shutdown = Shutdown::manual();
    let server = tokio::spawn(listener::serve_within(bounds, listener, tls, answer, shutdown.clone(), drain));
    Running { address, credentials, shutdown, server }
}

impl Running {
    pub(crate) fn present(&self, material: &Material) {
        self.credentials.present(material.pair().unwrap(), &material.authority());
    }

    pub(crate) async fn connect(&self, trusting: &Material, protocol: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(trusting.authority());
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let stream = TcpStream::connect(self.address).await?;
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(NAME).unwrap(), stream).await
    }

    pub(crate) async fn http1(&self, trusting: &Material) -> http1::SendRequest<Full<Bytes>> {
        let stream = self.connect(trusting, "http/1.1").await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    pub(crate) async fn http2(&self, trusting: &Material) -> http2::SendRequest<Full<Bytes>> {
        let stream = self.connect(trusting, "h2").await.unwrap();
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }
}

/// What the server shows to a new connection.
pub(crate) fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

pub(crate) fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("https://{NAME}{path}")).header("host", NAME).body(Full::default()).unwrap()
}

pub(crate) fn post(path: &str, body: &Value) -> Request<Full<Bytes>> {
    sized(path, body.to_string().into())
}

/// A request with a body of announced length.
pub(crate) fn sized(path: &str, body: Bytes) -> Request<Full<Bytes>> {
    Request::post(format!("https://{NAME}{path}")).header("host", NAME).body(Full::new(body)).unwrap()
}

/// A body of this length: spaces at the end are part of the body and of no object.
pub(crate) fn padded(review: &Value, length: usize) -> Bytes {
    let mut text = review.to_string().into_bytes();
    text.resize(length, b' ');
    text.into()
}

pub(crate) async fn body(response: Response<Incoming>) -> Value {
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

pub(crate) fn review(object: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u-1", "operation": "CREATE", "namespace": "shop", "object": object,
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "resource": { "group": "", "version": "v1", "resource": "pods" },
        },
    })
}

pub(crate) fn owned_pod() -> Value {
    let owner = json!({
        "apiVersion": "apps.kruise.io/v1beta1", "kind": "CloneSet", "name": "web", "uid": "1", "controller": true,
    });
    json!({ "metadata": { "generateName": "web-", "ownerReferences": [owner] }, "spec": { "containers": [] } })
}

/// A server whose every answer waits for a permit, and says when a request has arrived.
pub(crate) async fn start_slow(drain: Drain) -> (Running, Arc<Semaphore>, watch::Receiver<usize>) {
    let permits = Arc::new(Semaphore::new(0));
    let (arrived, arrivals) = watch::channel(0);
    let (gate, arrived) = (Arc::clone(&permits), Arc::new(arrived));
    let running = serve(drain, move |_| {
        let (gate, arrived) = (Arc::clone(&gate), Arc::clone(&arrived));
        async move {
            arrived.send_modify(|count| *count += 1);
            gate.acquire().await.unwrap().forget();
            Response::new(Body::default())
        }
    })
    .await;
    (running, permits, arrivals)
}
