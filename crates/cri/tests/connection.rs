//! A connection against a runtime played over a real unix socket (KD-11..17).

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use cri::fake::Script;
use cri::{Connection, Error, Runtime, endpoint};

struct Node {
    root: tempfile::TempDir,
}

impl Node {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn socket(&self) -> PathBuf {
        self.root.path().join("containerd/containerd.sock")
    }
}

fn containerd(version: &str, socket: &Path) -> Runtime {
    Runtime {
        name: "containerd".to_owned(),
        version: version.to_owned(),
        api_version: "v1".to_owned(),
        socket: endpoint(socket),
    }
}

#[tokio::test] // KD-13
async fn a_runtime_introduces_itself() {
    let node = Node::new();
    let _runtime = Script::containerd("1.6.20").with_images(3).start(&node.socket()).unwrap();
    let connection = Connection::open(&node.socket()).await.unwrap();
    assert_eq!(*connection.runtime(), containerd("1.6.20", &node.socket()));
    assert_eq!(connection.images(), 3);
}

#[tokio::test] // KD-15
async fn an_image_list_of_more_than_4_mib_is_accepted() {
    let node = Node::new();
    let _runtime = Script::containerd("1.6.20").with_images(8 * 1024).start(&node.socket()).unwrap();
    assert_eq!(Connection::open(&node.socket()).await.unwrap().images(), 8 * 1024);
}

#[tokio::test] // KD-15
async fn an_image_list_of_more_than_16_mib_is_refused() {
    let node = Node::new();
    let _runtime = Script::containerd("1.6.20").with_images(17 * 1024).start(&node.socket()).unwrap();
    let error = Connection::open(&node.socket()).await.unwrap_err();
    assert!(matches!(error, Error::Call { call: "ListImages", code: tonic::Code::OutOfRange, .. }), "{error:?}");
}

#[tokio::test] // KD-14
async fn a_runtime_that_serves_only_v1alpha2_is_refused_by_the_name_of_the_api_version() {
    let node = Node::new();
    let _runtime = Script::containerd("1.5.9").serving_only_v1alpha2().start(&node.socket()).unwrap();
    let error = Connection::open(&node.socket()).await.unwrap_err().to_string();
    for part in ["does not serve ImageFsInfo of CRI API version v1", "v1alpha2", &endpoint(&node.socket())] {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
}

#[tokio::test] // KD-12
async fn a_socket_that_does_not_exist_is_told_in_the_documented_words() {
    let error = Connection::open(&Node::new().socket()).await.unwrap_err();
    assert_eq!(error.to_string(), "not found container runtime sock");
}

#[tokio::test] // KD-13
async fn a_socket_that_nobody_serves_is_told_with_what_the_system_said() {
    let node = Node::new();
    Script::containerd("1.6.20").start(&node.socket()).unwrap().kill();
    let error = Connection::open(&node.socket()).await.unwrap_err().to_string();
    let wanted = format!(
        "connect to container runtime at {} failed: Connection refused (os error 111)",
        endpoint(&node.socket())
    );
    assert_eq!(error, wanted);
}

#[tokio::test] // KD-13
async fn a_refused_call_is_named_with_the_words_of_the_runtime() {
    let node = Node::new();
    let _runtime = Script::containerd("1.6.20").refusing_to_list_images().start(&node.socket()).unwrap();
    let error = Connection::open(&node.socket()).await.unwrap_err().to_string();
    let wanted = format!(
        "ListImages of container runtime at {} failed with Internal: metadata database is closed",
        endpoint(&node.socket())
    );
    assert_eq!(error, wanted);
}

#[tokio::test(start_paused = true)] // KD-13
async fn a_runtime_that_does_not_answer_the_first_call_is_given_up_after_10_seconds() {
    let node = Node::new();
    let _runtime = Script::containerd("1.6.20").silent_on_images().start(&node.socket()).unwrap();
    let began = tokio::time::Instant::now();
    let error = Connection::open(&node.socket()).await.unwrap_err();
    assert!(matches!(error, Error::Slow { call: "ImageFsInfo", .. }), "{error:?}");
    assert_eq!(began.elapsed().as_secs(), Duration::from_secs(10).as_secs());
}

#[tokio::test] // KD-12
async fn a_runtime_that_says_it_is_not_ready_is_not_used() {
    let node = Node::new();
    let _runtime = Script::containerd("1.6.20").not_ready().start(&node.socket()).unwrap();
    let error = Connection::open(&node.socket()).await.unwrap_err().to_string();
    assert!(error.ends_with("is not ready: Broken: storage is not mounted"), "{error}");
}

#[tokio::test] // KD-13
async fn a_check_fails_while_the_runtime_is_down_and_tells_the_new_version_afterwards() {
    let node = Node::new();
    let runtime = Script::containerd("1.6.20").start(&node.socket()).unwrap();
    let mut connection = Connection::open(&node.socket()).await.unwrap();
    runtime.kill();
    assert!(connection.check().await.is_err());

    let _runtime = Script::containerd("1.7.0").start(&node.socket()).unwrap();
    assert_eq!(*connection.check().await.unwrap(), containerd("1.7.0", &node.socket()));
}
