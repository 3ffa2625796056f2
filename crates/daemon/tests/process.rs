//! The process as a node sees it: flags, environment, endpoints, signals (KD-1, KD-7, KD-12, daemon section 1).
//!
//! The API server and the runtime are played by the test; the binary is the product's.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]

use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cri::fake::Script;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// Longer than the daemon's longest pause; a test waits this long only to fail.
const DEADLINE: Duration = Duration::from_secs(30);

/// A node: its API server, its socket directory, a free address.
struct Node {
    folder: tempfile::TempDir,
    api: SocketAddr,
    user_agents: Arc<Mutex<Vec<String>>>,
    addr: SocketAddr,
}

impl Node {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let user_agents = Arc::new(Mutex::new(Vec::new()));
        let api = serve_api(Arc::clone(&user_agents)).await;
        let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let node = Self { folder, api, user_agents, addr };
        std::fs::write(node.kubeconfig(), node.kubeconfig_text()).unwrap();
        node
    }

    fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    fn kubeconfig_text(&self) -> String {
        let server = self.api;
        serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "node",
            "clusters": [{"name": "node", "cluster": {"server": format!("http://{server}")}}],
            "users": [{"name": "node", "user": {}}],
            "contexts": [{"name": "node", "context": {"cluster": "node", "user": "node"}}],
        })
        .to_string()
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("run/containerd/containerd.sock")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kruise-daemon"));
        command.env_clear().env("NODE_NAME", "node-1").kill_on_drop(true);
        command.arg(format!("--kubeconfig={}", self.kubeconfig().display()));
        command.arg(format!("--socket-dir={}", self.folder.path().join("run").display()));
        command.arg(format!("--addr={}", self.addr));
        command
    }

    /// Status and body of a GET, or none while nobody listens.
    async fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut connection = TcpStream::connect(self.addr).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.ok()?;
        let status = answer.split_whitespace().nth(1)?.parse().ok()?;
        Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
    }

    async fn until(&self, path: &str, wanted: u16) -> String {
        let began = Instant::now();
        let mut last = None;
        while began.elapsed() < DEADLINE {
            last = self.get(path).await;
            match &last {
                Some((status, body)) if *status == wanted => return body.clone(),
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        panic!("{path} is not {wanted}: {last:?}")
    }
}

async fn serve_api(user_agents: Arc<Mutex<Vec<String>>>) -> SocketAddr {
    let version = move |headers: axum::http::HeaderMap| async move {
        user_agents.lock().unwrap().push(headers.get("user-agent").unwrap().to_str().unwrap().to_owned());
        let version = serde_json::json!({
            "major": "1", "minor": "34", "gitVersion": "v1.34.4", "gitCommit": "", "gitTreeState": "", "buildDate": "",
            "goVersion": "", "compiler": "", "platform": "",
        });
        ([("content-type", "application/json")], version.to_string())
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let app = axum::Router::new().route("/version", axum::routing::get(version));
    tokio::spawn(async move { axum::serve(listener, app).await });
    addr
}

async fn ended(child: &mut Child) -> std::process::ExitStatus {
    tokio::time::timeout(DEADLINE, child.wait()).await.unwrap().unwrap()
}

/// Runs until the process ends by itself; returns what it wrote.
async fn fails(mut command: Command) -> String {
    let (mut read, write) = std::io::pipe().unwrap();
    let mut child = command.stdout(Stdio::null()).stderr(write).spawn().unwrap();
    // The command keeps a writing end of the pipe as long as it lives.
    drop(command);
    let status = ended(&mut child).await;
    let mut log = String::new();
    read.read_to_string(&mut log).unwrap();
    assert!(!status.success(), "{log}");
    log
}

#[tokio::test] // KD-12, KD-1, KD-7, IN-57
async fn a_node_without_a_runtime_is_alive_and_unready_until_one_comes_and_sigterm_ends_it_well() {
    let node = Node::new().await;
    let mut daemon = node.command().spawn().unwrap();

    let body = node.until("/readyz", 500).await;
    assert!(body.contains("container runtime"), "{body}");
    assert_eq!(node.until("/healthz", 200).await.trim_end(), "ok");
    assert_eq!(*node.user_agents.lock().unwrap(), ["kruise-daemon"]);

    let _runtime = Script::containerd("1.6.20").start(&node.socket()).unwrap();
    let body = {
        node.until("/readyz", 200).await;
        node.until("/readyz?verbose", 200).await
    };
    assert!(body.contains("containerd 1.6.20 (CRI v1) at unix://"), "{body}");
    let metrics = node.until("/metrics", 200).await;
    for series in
        [r#"kruise_daemon_runtime_info{runtime="containerd",version="1.6.20"} 1"#, "process_resident_memory_bytes "]
    {
        assert!(metrics.contains(series), "{series} is not in {metrics}");
    }

    kill(Pid::from_raw(daemon.id().unwrap().try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(ended(&mut daemon).await.code(), Some(0));
}

#[tokio::test] // daemon section 1.2, IN-56
async fn without_a_node_name_the_process_ends_with_the_documented_text() {
    let node = Node::new().await;
    for name in [None, Some("")] {
        let mut command = node.command();
        command.env_remove("NODE_NAME").envs(name.map(|name| ("NODE_NAME", name)));
        let log = fails(command).await;
        assert!(log.contains("not found NODE_NAME in environments"), "{log}");
    }
}

#[tokio::test] // KD-1
async fn an_api_server_that_does_not_answer_at_the_start_is_fatal() {
    let mut node = Node::new().await;
    node.api = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    std::fs::write(node.kubeconfig(), node.kubeconfig_text()).unwrap();
    let log = fails(node.command()).await;
    assert!(log.contains("version of the API server"), "{log}");
}

#[tokio::test] // daemon section 1.3
async fn an_address_in_use_is_fatal() {
    let node = Node::new().await;
    let _other = TcpListener::bind(node.addr).unwrap();
    let log = fails(node.command()).await;
    assert!(log.contains(&node.addr.to_string()), "{log}");
}

#[tokio::test] // IN-59
async fn an_unknown_gate_is_fatal() {
    let node = Node::new().await;
    let mut command = node.command();
    command.arg("--feature-gates=NoSuchGate=true");
    let log = fails(command).await;
    assert!(log.contains("NoSuchGate"), "{log}");
}
