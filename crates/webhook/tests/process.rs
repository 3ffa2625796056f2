//! The program itself: becomes ready against an API server in memory, and ends in order (IN-50, IN-54).

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kruise_webhook::certs::material::{certificates, provider};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

/// Longest time that anything here may take.
const LIMIT: Duration = Duration::from_secs(60);
/// From SIGTERM to the end (IN-54), and what a busy machine may add.
const END: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));

/// An API server with two webhook configurations and nothing else; watches never tell anything.
async fn api_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(api_answer));
            tokio::spawn(connection);
        }
    });
    address
}

async fn api_answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    if request.uri().query().is_some_and(|query| query.contains("watch")) {
        return std::future::pending().await;
    }
    let path = request.uri().path();
    let (code, answer) = match path.rsplit_once('/') {
        Some((kind, name)) if kind.ends_with("webhookconfigurations") => {
            assert!([Method::GET, Method::PATCH].contains(request.method()));
            (200, json!({ "metadata": { "name": name, "uid": "1", "resourceVersion": "1" }, "webhooks": [] }))
        }
        _ => (
            404,
            json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404,
            "reason": "NotFound", "message": path }),
        ),
    };
    Ok(Response::builder().status(code).body(Full::from(answer.to_string())).unwrap())
}

struct Program {
    child: Child,
    tls: SocketAddr,
    health: SocketAddr,
    metrics: SocketAddr,
    folder: tempfile::TempDir,
}

impl Drop for Program {
    fn drop(&mut self) {
        // Our own child, ended by its handle.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn start(api: SocketAddr) -> Program {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{ "name": "x", "cluster": { "server": format!("http://{api}") } }],
        "users": [{ "name": "x", "user": {} }],
        "contexts": [{ "name": "x", "context": { "cluster": "x", "user": "x" } }],
    });
    let path = folder.path().join("kubeconfig");
    std::fs::write(&path, kubeconfig.to_string()).unwrap();
    let (tls, health, metrics) = (free(), free(), free());
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_kruise-webhook"))
        .arg(format!("--kubeconfig={}", path.display()))
        .args([format!("--health-probe-addr={health}"), format!("--metrics-addr={metrics}")])
        // No folder can be made there: the program does without that log (IN-89).
        .arg("--protection-log-path=/dev/null/log")
        .env("WEBHOOK_HOST", "127.0.0.1")
        .env("WEBHOOK_PORT", tls.port().to_string())
        .env("WEBHOOK_CERT_DIR", folder.path().join("certs"))
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    Program { child, tls, health, metrics, folder }
}

impl Program {
    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Asks over plain HTTP; `None` where nobody answers.
    async fn ask(&self, address: SocketAddr, path: &str) -> Option<(StatusCode, String)> {
        let stream = TcpStream::connect(address).await.ok()?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
        tokio::spawn(connection);
        let request = Request::get(path).header("host", "x").body(Full::<Bytes>::default()).unwrap();
        let answer = sender.send_request(request).await.ok()?;
        let status = answer.status();
        let body = answer.into_body().collect().await.ok()?.to_bytes();
        Some((status, String::from_utf8_lossy(&body).into_owned()))
    }

    async fn is_ready(&self) -> bool {
        self.ask(self.health, "/readyz").await.is_some_and(|(status, _)| status == StatusCode::OK)
    }

    /// Looks until something is true.
    async fn until(&self, what: &str, mut found: impl AsyncFnMut() -> bool) {
        let looking = async {
            while !found().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(LIMIT, looking).await.is_err() {
            panic!("not {what}:\n{}", self.log());
        }
    }

    /// A fresh connection to the webhook, if it takes one.
    async fn connect(&self) -> Option<hyper::client::conn::http2::SendRequest<Full<Bytes>>> {
        let ca = std::fs::read(certificate_folder(self.folder.path()).join("ca-cert.pem")).ok()?;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates(&ca));
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = TcpStream::connect(self.tls).await.ok()?;
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.ok()?;
        tokio::spawn(connection);
        Some(sender)
    }

    async fn serves(&self) -> bool {
        let Some(mut sender) = self.connect().await else { return false };
        let request = Request::get("https://127.0.0.1/healthz").body(Full::default()).unwrap();
        sender.send_request(request).await.is_ok_and(|answer| answer.status() == StatusCode::OK)
    }
}

fn certificate_folder(folder: &Path) -> std::path::PathBuf {
    folder.join("certs")
}

/// A conversion that is under way for a while.
fn long_conversion() -> Bytes {
    let object = json!({
        "apiVersion": "apps.kruise.io/v1alpha1", "kind": "CloneSet",
        "metadata": { "name": "web", "namespace": "shop", "annotations": { "long": "a b ".repeat(20) } },
        "spec": { "replicas": 3, "selector": {}, "template": { "spec": { "list": vec![1; 2_000] } } },
    });
    let review = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview",
        "request": { "uid": "u-1", "desiredAPIVersion": "apps.kruise.io/v1beta1", "objects": ["OBJECTS"] },
    });
    let objects = vec![object.to_string(); 10_000].join(",");
    review.to_string().replace("\"OBJECTS\"", &objects).into()
}

#[tokio::test(flavor = "multi_thread")] // IN-50, IN-54, IN-89
async fn after_sigterm_the_program_is_unready_serves_on_and_is_gone_in_time() {
    let mut program = start(api_server().await);
    program.until("ready", async || program.is_ready().await).await;
    assert!(program.serves().await, "{}", program.log());

    let request = Request::post("https://127.0.0.1/convert").body(Full::new(long_conversion())).unwrap();
    let mut converting = program.connect().await.unwrap();
    let converting = tokio::spawn(async move { converting.send_request(request).await.map(|answer| answer.status()) });
    let under_way = "controller_runtime_webhook_requests_in_flight{webhook=\"/convert\"} 1";
    program
        .until("converting", async || {
            program.ask(program.metrics, "/metrics").await.is_some_and(|(_, text)| text.contains(under_way))
        })
        .await;

    let pid = Pid::from_raw(i32::try_from(program.child.id()).unwrap());
    let asked = tokio::time::Instant::now();
    kill(pid, Signal::SIGTERM).unwrap();
    program.until("unready", async || !program.is_ready().await).await;
    let (status, text) = program.ask(program.health, "/readyz").await.expect("nobody tells the kubelet");
    assert!(status.is_server_error() && text.contains("shutting down"), "{status} {text}");
    // Whoever has not heard of it yet is still served.
    assert!(program.serves().await, "{}", program.log());

    program.until("closed", async || TcpStream::connect(program.tls).await.is_err()).await;
    let mut exit = None;
    while exit.is_none() && asked.elapsed() < END.0 + END.1 {
        exit = program.child.try_wait().unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(exit.expect("it does not end").success(), "{}", program.log());
    // Answered or cut off, but not kept waiting.
    tokio::time::timeout(LIMIT, converting).await.expect("the conversion hangs").unwrap().ok();
}

#[test] // IN-55
fn the_program_links_no_file_watcher() {
    let lock = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock")).unwrap();
    let packages: Vec<_> = lock.split("[[package]]").collect();
    let find = |name: &str| packages.iter().find(|text| text.contains(&format!("\nname = \"{name}\"\n")));
    let mut seen = std::collections::BTreeSet::new();
    let mut next = vec!["kruise-webhook".to_owned()];
    while let Some(name) = next.pop() {
        let Some(package) = find(&name).filter(|_| seen.insert(name.clone())) else { continue };
        let listed = package.split_once("dependencies = [").map_or("", |(_, listed)| listed);
        let names = listed.lines().filter_map(|line| line.trim().strip_prefix('"')?.split([' ', '"']).next());
        next.extend(names.map(str::to_owned));
    }
    assert!(seen.len() > 100 && seen.contains("rustls"), "{} packages", seen.len());
    for watcher in ["inotify", "inotify-sys", "notify", "notify-debouncer-mini", "notify-types", "fanotify-rs"] {
        assert!(!seen.contains(watcher), "{watcher} is linked");
    }
}
