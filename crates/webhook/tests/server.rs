//! The TLS server over real sockets: versions of HTTP, certificates that change under open connections, and the end.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kruise_webhook::admission::protection::ProtectionLog;
use kruise_webhook::admission::{Desk, Privileged};
use kruise_webhook::certs::generate::Authority;
use kruise_webhook::certs::material::{Material, certificates, provider};
use kruise_webhook::readiness::Readiness;
use kruise_webhook::server::answer::Answers;
use kruise_webhook::server::credentials::Credentials;
use kruise_webhook::server::listener::{self, Drain};
use kruise_webhook::server::parting::parting;
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

const NAME: &str = "kruise-webhook-service.kruise-system.svc";
/// Longest time that anything here may take.
const LIMIT: Duration = Duration::from_secs(20);

struct Running {
    address: SocketAddr,
    credentials: Arc<Credentials>,
    shutdown: Shutdown,
    server: JoinHandle<()>,
}

fn make() -> Material {
    let now = runtime::clock::Clock::system().now();
    Authority::new(now).unwrap().issue(NAME, None, now).unwrap()
}

fn answers() -> Arc<Answers> {
    let gates = Gates::parse("", None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let client = kube::Client::new(
        tower::service_fn(|_: Request<kube::client::Body>| async {
            Err::<Response<Full<Bytes>>, _>(std::io::Error::other("no API server in this test"))
        }),
        "default",
    );
    let protection_log = ProtectionLog::open(folder.path()).unwrap();
    let desk = Desk { gates: gates.clone(), privileged: Privileged::Accepted, client, protection_log };
    Arc::new(Answers::new(Arc::new(Paths::new(&gates)), desk))
}

/// A server with the product's own answers.
async fn start(drain: Drain) -> Running {
    let answers = answers();
    serve(drain, move |request| {
        let answers = Arc::clone(&answers);
        async move { answers.answer(request).await }
    })
    .await
}

async fn serve<F, A>(drain: Drain, answer: F) -> Running
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let listener = listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    let credentials = Arc::new(Credentials::default());
    let tls = listener::tls(Arc::clone(&credentials)).unwrap();
    let shutdown = Shutdown::manual();
    let answer = parting(answer, shutdown.clone());
    let server = tokio::spawn(listener::serve(listener, tls, answer, shutdown.clone(), drain));
    Running { address, credentials, shutdown, server }
}

impl Running {
    fn present(&self, material: &Material) {
        self.credentials.present(material.pair().unwrap(), &material.authority());
    }

    async fn connect(&self, trusting: &Material, protocol: &str) -> std::io::Result<TlsStream<TcpStream>> {
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

    async fn http1(&self, trusting: &Material) -> http1::SendRequest<Full<Bytes>> {
        let stream = self.connect(trusting, "http/1.1").await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    async fn http2(&self, trusting: &Material) -> http2::SendRequest<Full<Bytes>> {
        let stream = self.connect(trusting, "h2").await.unwrap();
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }
}

/// What the server shows to a new connection.
fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("https://{NAME}{path}")).header("host", NAME).body(Full::default()).unwrap()
}

fn post(path: &str, body: &Value) -> Request<Full<Bytes>> {
    let body = Full::new(Bytes::from(body.to_string()));
    Request::post(format!("https://{NAME}{path}")).header("host", NAME).body(body).unwrap()
}

async fn body(response: Response<Incoming>) -> Value {
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

fn review(object: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u-1", "operation": "CREATE", "namespace": "shop", "object": object,
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "resource": { "group": "", "version": "v1", "resource": "pods" },
        },
    })
}

fn owned_pod() -> Value {
    let owner = json!({
        "apiVersion": "apps.kruise.io/v1beta1", "kind": "CloneSet", "name": "web", "uid": "1", "controller": true,
    });
    json!({ "metadata": { "generateName": "web-", "ownerReferences": [owner] }, "spec": { "containers": [] } })
}

#[tokio::test] // IN-28
async fn requests_are_answered_over_http1_and_http2() {
    let server = start(Drain::default()).await;
    let material = make();
    server.present(&material);
    let mut one = server.http1(&material).await;
    let mut two = server.http2(&material).await;
    assert_eq!(one.send_request(get("/healthz")).await.unwrap().status(), StatusCode::OK);
    let first = body(one.send_request(post("/mutate-pod", &review(&owned_pod()))).await.unwrap()).await;
    let second = body(two.send_request(post("/mutate-pod", &review(&owned_pod()))).await.unwrap()).await;
    assert_eq!(first, second);
    assert_eq!(first["response"]["patchType"], "JSONPatch");
}

#[tokio::test] // PL-48: what is not served fails loudly
async fn what_is_no_question_gets_no_answer() {
    let server = start(Drain::default()).await;
    let material = make();
    server.present(&material);
    let mut sender = server.http2(&material).await;
    for (request, want) in [
        (post("/mutate-apps-kruise-io-sidecarset", &json!({})), StatusCode::NOT_FOUND),
        (get("/mutate-pod"), StatusCode::METHOD_NOT_ALLOWED),
        (post("/mutate-pod", &json!({})), StatusCode::BAD_REQUEST),
        (post("/convert", &json!({})), StatusCode::BAD_REQUEST),
        (post("/mutate-pod", &json!("x".repeat(9 << 20))), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let what = request.uri().to_string();
        assert_eq!(sender.send_request(request).await.unwrap().status(), want, "{what}");
    }
}

#[tokio::test] // platform page, section 13
async fn requests_are_counted_by_path_and_code() {
    let server = start(Drain::default()).await;
    let material = make();
    server.present(&material);
    let mut sender = server.http1(&material).await;
    let text = runtime::metrics::encode().unwrap();
    let exists = r#"controller_runtime_webhook_requests_total{webhook="/validate-pod",code="500"} 0"#;
    assert!(text.contains(exists), "{text}");
    sender.send_request(post("/validate-pod", &review(&owned_pod()))).await.unwrap();
    let text = runtime::metrics::encode().unwrap();
    let counted = r#"controller_runtime_webhook_requests_total{webhook="/validate-pod",code="200"} 1"#;
    assert!(text.contains(counted), "{text}");
    assert!(text.contains(r#"controller_runtime_webhook_requests_in_flight{webhook="/validate-pod"} 0"#));
    assert!(text.contains(r#"controller_runtime_webhook_latency_seconds_count{webhook="/validate-pod"} 1"#));
}

#[tokio::test] // ruling 21
async fn without_a_certificate_nobody_is_answered() {
    let server = start(Drain::default()).await;
    assert!(server.connect(&make(), "h2").await.is_err());
}

#[tokio::test] // IN-35
async fn a_new_certificate_is_shown_at_once_and_drops_no_open_connection() {
    let server = start(Drain::default()).await;
    let (old, new) = (make(), make());
    server.present(&old);
    let mut open = server.http2(&old).await;
    open.send_request(get("/healthz")).await.unwrap();
    let early = server.connect(&old, "h2").await.unwrap();
    server.present(&new);
    let late = server.connect(&new, "h2").await.unwrap();
    assert_eq!(shown(&early), certificates(&old.cert)[0]);
    assert_eq!(shown(&late), certificates(&new.cert)[0]);
    assert!(server.connect(&old, "h2").await.is_err());
    assert_eq!(open.send_request(get("/healthz")).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test] // IN-35
async fn handshakes_succeed_while_certificates_change() {
    let server = Arc::new(start(Drain::default()).await);
    // One authority, so that a client trusts each of them.
    let now = runtime::clock::Clock::system().now();
    let authority = Authority::new(now).unwrap();
    let pairs: Vec<Material> = (0..4).map(|_| authority.issue(NAME, None, now).unwrap()).collect();
    server.present(&pairs[0]);
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (server, trusted) = (Arc::clone(&server), pairs[0].clone());
            tokio::spawn(async move {
                for _ in 0..10 {
                    let mut sender = server.http1(&trusted).await;
                    assert_eq!(sender.send_request(get("/healthz")).await.unwrap().status(), StatusCode::OK);
                }
            })
        })
        .collect();
    let mut turn = 0;
    while clients.iter().any(|client| !client.is_finished()) {
        turn += 1;
        server.present(&pairs[turn % pairs.len()]);
        tokio::task::yield_now().await;
    }
    for client in clients {
        client.await.unwrap();
    }
}

/// A server whose every answer waits for a permit, and says when a request has arrived.
async fn start_slow(drain: Drain) -> (Running, Arc<Semaphore>, watch::Receiver<usize>) {
    let permits = Arc::new(Semaphore::new(0));
    let (arrived, arrivals) = watch::channel(0);
    let (gate, arrived) = (Arc::clone(&permits), Arc::new(arrived));
    let running = serve(drain, move |_| {
        let (gate, arrived) = (Arc::clone(&gate), Arc::clone(&arrived));
        async move {
            arrived.send_modify(|count| *count += 1);
            gate.acquire().await.unwrap().forget();
            Response::new(Full::default())
        }
    })
    .await;
    (running, permits, arrivals)
}

#[tokio::test] // IN-54
async fn at_the_end_requests_in_flight_are_finished_and_connections_told_to_go() {
    for protocol in ["h1", "h2"] {
        let drain = Drain { accepting: Duration::ZERO, finishing: LIMIT };
        let (server, permits, mut arrivals) = start_slow(drain).await;
        let material = make();
        server.present(&material);
        let waiting: JoinHandle<hyper::Result<Response<Incoming>>> = if protocol == "h1" {
            let mut sender = server.http1(&material).await;
            tokio::spawn(async move { sender.send_request(get("/healthz")).await })
        } else {
            let mut sender = server.http2(&material).await;
            tokio::spawn(async move { sender.send_request(get("/healthz")).await })
        };
        tokio::time::timeout(LIMIT, arrivals.wait_for(|count| *count == 1)).await.unwrap().unwrap();
        server.shutdown.request();
        // The port is closed once the drain has begun; the request is still unanswered then.
        let refused = async {
            while TcpStream::connect(server.address).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LIMIT, refused).await.unwrap();
        assert!(!waiting.is_finished() && !server.server.is_finished());
        permits.add_permits(1);
        let answer = tokio::time::timeout(LIMIT, waiting).await.unwrap().unwrap();
        assert_eq!(answer.unwrap().status(), StatusCode::OK, "{protocol}");
        tokio::time::timeout(LIMIT, server.server).await.expect("idle connections hold up the end").unwrap();
    }
}

#[tokio::test] // IN-54
async fn new_connections_are_accepted_while_the_service_forgets_this_replica() {
    let server = start(Drain { accepting: LIMIT, finishing: Duration::ZERO }).await;
    let material = make();
    server.present(&material);
    server.shutdown.request();
    let mut sender = server.http2(&material).await;
    assert_eq!(sender.send_request(get("/healthz")).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test] // IN-54
async fn during_the_drain_each_answer_asks_the_client_to_close_its_kept_connection() {
    let server = start(Drain { accepting: LIMIT, finishing: Duration::ZERO }).await;
    let material = make();
    server.present(&material);
    let (mut kept, mut multiplexed) = (server.http1(&material).await, server.http2(&material).await);
    for farewell in [None, Some("close")] {
        let answer = kept.send_request(get("/healthz")).await.unwrap();
        assert_eq!(answer.headers().get("connection").map(|value| value.to_str().unwrap()), farewell);
        assert!(multiplexed.send_request(get("/healthz")).await.unwrap().headers().get("connection").is_none());
        server.shutdown.request();
    }
    let ended = async { while kept.ready().await.is_ok() {} };
    tokio::time::timeout(LIMIT, ended).await.expect("the connection is closed after its last answer");
}

#[tokio::test] // IN-54
async fn a_request_that_never_ends_does_not_hold_up_the_end() {
    let drain = Drain { accepting: Duration::ZERO, finishing: Duration::from_millis(50) };
    let (server, _permits, mut arrivals) = start_slow(drain).await;
    let material = make();
    server.present(&material);
    let mut sender = server.http2(&material).await;
    let stuck = tokio::spawn(async move { sender.send_request(get("/healthz")).await });
    tokio::time::timeout(LIMIT, arrivals.wait_for(|count| *count == 1)).await.unwrap().unwrap();
    server.shutdown.request();
    tokio::time::timeout(LIMIT, server.server).await.unwrap().unwrap();
    stuck.abort();
}

/// Polls the readiness check until it says what is wanted.
async fn readiness_becomes(readiness: &Readiness, wanted: impl Fn(&Result<(), String>) -> bool) {
    let found = async {
        while !wanted(&readiness.check()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, found).await.unwrap_or_else(|_| panic!("{:?}", readiness.check()));
}

#[tokio::test] // PL-50, PL-E2
async fn readiness_follows_initialisation_certificates_and_the_end() {
    let server = start(Drain::default()).await;
    let readiness = Readiness::default();
    let (initialised, is_initialised) = watch::channel(false);
    let (credentials, shutdown) = (Arc::clone(&server.credentials), Shutdown::manual());
    tokio::spawn(readiness.clone().keep(server.address.port(), credentials, is_initialised, shutdown.clone()));
    server.present(&make());
    assert_eq!(readiness.check(), Err("webhook controller has not initialized".to_owned()));
    initialised.send_replace(true);
    readiness_becomes(&readiness, Result::is_ok).await;

    // Shown and trusted must belong together: a pair that the authority did not sign makes it unready.
    server.credentials.present(make().pair().unwrap(), &make().authority());
    readiness_becomes(&readiness, Result::is_err).await;
    server.present(&make());
    readiness_becomes(&readiness, Result::is_ok).await;

    shutdown.request();
    readiness_becomes(&readiness, |finding| *finding == Err("shutting down".to_owned())).await;
}
