//! The watch over a node whose runtimes are played over real unix sockets.

use cri::fake::Script;

use super::*;

/// Long enough for a busy machine; a test waits this long only to fail.
const DEADLINE: Duration = Duration::from_secs(20);

/// As the product, but in milliseconds.
const QUICK: Pace = Pace {
    check: Duration::from_millis(20),
    first_retry: Duration::from_millis(5),
    longest_retry: Duration::from_millis(20),
    report: Duration::from_millis(100),
};

struct Node {
    root: tempfile::TempDir,
}

impl Node {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn socket(&self, file: &str) -> PathBuf {
        self.root.path().join(file)
    }

    fn watch(&self) -> Runtimes {
        Runtimes::watch(&cri::places(self.root.path(), None), QUICK)
    }
}

async fn until(runtimes: &Runtimes, what: &str, holds: impl FnMut(&Board) -> bool) -> Board {
    let mut board = runtimes.board();
    let waited = tokio::time::timeout(DEADLINE, board.wait_for(holds)).await.map(|seen| seen.unwrap().clone());
    waited.unwrap_or_else(|_| panic!("not {what}: {:?}", runtimes.board().borrow()))
}

async fn until_ready(runtimes: &Runtimes) -> Vec<String> {
    let board = until(runtimes, "ready", |board| board.readiness().is_ok()).await;
    board.working().map(|it| format!("{} {}", it.name, it.version)).collect()
}

async fn until_unready(runtimes: &Runtimes) -> String {
    let unready = |board: &Board| matches!(board.readiness(), Err(board::Unready::NoRuntime(_)));
    until(runtimes, "unready", unready).await.readiness().unwrap_err().to_string()
}

#[tokio::test] // KD-13
async fn a_runtime_that_is_there_at_the_start_is_used() {
    let node = Node::new();
    let _runtime = Script::containerd("1.6.20").start(&node.socket("containerd/containerd.sock")).unwrap();
    assert_eq!(until_ready(&node.watch()).await, ["containerd 1.6.20"]);
}

#[tokio::test] // KD-12, IN-57
async fn without_a_socket_the_watch_goes_on_and_uses_the_runtime_that_comes_later() {
    let node = Node::new();
    let runtimes = node.watch();
    assert_eq!(until_unready(&runtimes).await, "not found container runtime sock");
    let _runtime = Script::named("cri-o", "1.30.1").start(&node.socket("crio/crio.sock")).unwrap();
    assert_eq!(until_ready(&runtimes).await, ["cri-o 1.30.1"]);
}

#[tokio::test] // IN-57
async fn a_restart_of_the_runtime_makes_the_node_unready_and_ready_again() {
    let node = Node::new();
    let socket = node.socket("containerd.sock");
    let runtime = Script::containerd("1.6.20").start(&socket).unwrap();
    let runtimes = node.watch();
    until_ready(&runtimes).await;

    runtime.kill();
    let reason = until_unready(&runtimes).await;
    assert!(reason.contains(&cri::endpoint(&socket)), "{reason}");

    let _runtime = Script::containerd("1.7.0").start(&socket).unwrap();
    assert_eq!(until_ready(&runtimes).await, ["containerd 1.7.0"]);
}

#[tokio::test] // IN-57
async fn a_runtime_whose_socket_is_removed_is_missed_by_the_documented_text() {
    let node = Node::new();
    let runtime = Script::containerd("1.6.20").start(&node.socket("containerd.sock")).unwrap();
    let runtimes = node.watch();
    until_ready(&runtimes).await;
    runtime.stop().unwrap();
    let absent = |board: &Board| {
        board.readiness() == Err(board::Unready::NoRuntime("not found container runtime sock".to_owned()))
    };
    until(&runtimes, "without a socket", absent).await;
}

#[tokio::test] // KD-14
async fn a_runtime_that_serves_only_v1alpha2_leaves_the_node_unready_by_the_name_of_the_api_version() {
    let node = Node::new();
    let _runtime = Script::containerd("1.5.9").serving_only_v1alpha2().start(&node.socket("containerd.sock")).unwrap();
    let reason = until_unready(&node.watch()).await;
    assert!(reason.contains("API version v1 (v1alpha2 is not supported)"), "{reason}");
}

#[tokio::test] // KD-13, section 13 case 1
async fn when_only_the_second_socket_answers_it_is_used() {
    let node = Node::new();
    Script::containerd("1.6.20").start(&node.socket("containerd.sock")).unwrap().kill();
    let _runtime = Script::named("cri-o", "1.30.1").start(&node.socket("crio.sock")).unwrap();
    assert_eq!(until_ready(&node.watch()).await, ["cri-o 1.30.1"]);
}

#[tokio::test] // KD-16
async fn several_runtimes_are_watched_side_by_side_in_the_order_of_their_sockets() {
    let node = Node::new();
    let _docker = Script::named("docker", "27.0").start(&node.socket("cri-dockerd.sock")).unwrap();
    let _containerd = Script::containerd("1.6.20").start(&node.socket("containerd.sock")).unwrap();
    let runtimes = node.watch();
    let board = until(&runtimes, "both working", |board| board.working().count() == 2).await;
    assert_eq!(board.working().map(|it| it.name.clone()).collect::<Vec<_>>(), ["containerd", "docker"]);
}

#[tokio::test] // IN-57
async fn a_runtime_that_stops_being_ready_is_not_counted_although_it_answers() {
    let node = Node::new();
    let socket = node.socket("containerd.sock");
    let healthy = Script::containerd("1.6.20").start(&socket).unwrap();
    let runtimes = node.watch();
    until_ready(&runtimes).await;
    healthy.kill();
    let _broken = Script::containerd("1.6.20").not_ready().start(&socket).unwrap();
    let broken = |board: &Board| board.readiness().is_err_and(|why| why.to_string().contains("storage is not mounted"));
    until(&runtimes, "told by the runtime", broken).await;
}
