//! Tests of the loop with paused time.

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::*;
use crate::queue::RateLimit;
use crate::telemetry::captured::Captured;

const WHO: Identity = Identity { name: "test-controller", kind: "Test" };

/// Runs one worker over key `a`; the n-th call takes the n-th answer. Returns the times of the calls.
async fn calls(answers: Vec<fn() -> Result<Requeue, anyhow::Error>>) -> Vec<Duration> {
    let queue = Queue::new(WHO.name, RateLimit::default());
    let (start, shutdown) = (clock::instant(), Shutdown::manual());
    let times = Arc::new(Mutex::new(Vec::new()));
    queue.add(ObjectKey::new("shop", "a"));
    let (log, stop) = (Arc::clone(&times), shutdown.clone());
    let reconcile = move |_| {
        let mut log = log.lock();
        let answer = answers[log.len()];
        log.push(clock::instant() - start);
        if log.len() == answers.len() {
            stop.request();
        }
        drop(log);
        async move { answer() }
    };
    tokio::time::timeout(Duration::from_secs(3_600), run(WHO, 1, queue, Chance::seeded(1), reconcile, shutdown))
        .await
        .unwrap();
    let times = times.lock();
    times.clone()
}

#[tokio::test(start_paused = true)]
async fn failures_and_panics_come_again_with_back_off() {
    let times =
        calls(vec![|| anyhow::bail!("no"), || panic!("a bug in one reconcile"), || anyhow::bail!("no"), || {
            Ok(Requeue::Done)
        }])
        .await;
    assert_eq!(times, [0, 5, 15, 35].map(Duration::from_millis));
}

// Design rule 8
#[tokio::test(start_paused = true)]
async fn each_pass_has_an_id_in_its_lines_from_the_chance_that_was_given() {
    let log = Captured::start();
    for _ in 0..2 {
        calls(vec![|| anyhow::bail!("no"), || anyhow::bail!("no")]).await;
    }
    let lines = log.lines();
    let ids: Vec<_> = lines.iter().filter_map(|line| line.split_once("reconcile_id=")?.1.split_once('}')).collect();
    assert_eq!(ids.len(), 4, "{lines:?}");
    assert_ne!(ids[0].0, ids[1].0, "two passes");
    assert_eq!(ids[0].0, ids[2].0, "the same seed");
}

// PL-31, PL-32
#[tokio::test(start_paused = true)]
async fn a_success_resets_the_back_off_and_may_ask_to_come_again() {
    let times = calls(vec![
        || anyhow::bail!("no"),
        || Ok(Requeue::After(Duration::from_millis(100))),
        || anyhow::bail!("no"),
        || Ok(Requeue::Done),
    ])
    .await;
    assert_eq!(times, [0, 5, 105, 110].map(Duration::from_millis));
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_the_object_at_hand() {
    let queue = Queue::new(WHO.name, RateLimit::default());
    let shutdown = Shutdown::manual();
    let finished = Arc::new(Mutex::new(false));
    queue.add(ObjectKey::new("shop", "a"));
    let (mark, stop) = (Arc::clone(&finished), shutdown.clone());
    let reconcile = move |_| {
        let (mark, stop) = (Arc::clone(&mark), stop.clone());
        async move {
            stop.request();
            tokio::time::sleep(Duration::from_secs(1)).await;
            *mark.lock() = true;
            Ok(Requeue::Done)
        }
    };
    run(WHO, 2, queue, Chance::seeded(1), reconcile, shutdown).await;
    assert!(*finished.lock());
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("shop", name)
}

/// Reconciles under way, and what became of them.
#[derive(Default)]
struct Board {
    log: Mutex<Vec<String>>,
    now: Mutex<Vec<String>>,
    /// Ends the slow ones.
    end: Notify,
}

impl Board {
    fn begun(&self) -> Vec<String> {
        self.log.lock().clone()
    }

    fn under_way(&self) -> usize {
        self.now.lock().len()
    }
}

/// A controller of that name; keys that start with `slow` end when the board says so.
fn start(
    name: &'static str,
    workers: usize,
) -> (Queue, Arc<Board>, Shutdown, impl Future<Output = Result<(), tokio::task::JoinError>>) {
    let queue = Queue::new(name, RateLimit::default());
    let (board, shutdown) = (Arc::new(Board::default()), Shutdown::manual());
    let of_reconcile = Arc::clone(&board);
    let reconcile = move |key: ObjectKey| {
        let board = Arc::clone(&of_reconcile);
        async move {
            board.log.lock().push(key.name.to_string());
            board.now.lock().push(key.name.to_string());
            if key.name.starts_with("slow") {
                board.end.notified().await;
            }
            board.now.lock().retain(|other| **other != *key.name);
            Ok(Requeue::Done)
        }
    };
    let who = Identity { name, kind: "Test" };
    let running = tokio::spawn(run(who, workers, queue.clone(), Chance::seeded(1), reconcile, shutdown.clone()));
    (queue, board, shutdown, running)
}

async fn pass_seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[track_caller]
fn check_gauge(name: &str, controller: &str, want: usize) {
    let text = crate::metrics::encode().unwrap();
    let line = format!("{name}{{controller=\"{controller}\"}} {want}\n");
    assert!(text.contains(&line), "{line} in {text}");
}

#[tokio::test(start_paused = true)]
async fn a_reconcile_that_never_ends_does_not_stop_the_others() {
    let (queue, board, _, _running) = start("one-slow-controller", 1);
    queue.add(key("slow"));
    for number in 0..10 {
        queue.add(key(&format!("other-{number}")));
    }
    pass_seconds(4).await;
    assert_eq!(board.begun(), ["slow"], "it has the only worker for a while");
    check_gauge("kruise_slow_reconciles", "one-slow-controller", 0);
    pass_seconds(2).await;
    assert_eq!(board.begun().len(), 11);
    check_gauge("kruise_slow_reconciles", "one-slow-controller", 1);
    check_gauge("controller_runtime_active_workers", "one-slow-controller", 0);
    board.end.notify_one();
    pass_seconds(1).await;
    check_gauge("kruise_slow_reconciles", "one-slow-controller", 0);
    assert_eq!(board.under_way(), 0);
}

#[tokio::test(start_paused = true)]
async fn no_more_reconciles_go_on_aside_than_there_is_room() {
    let (queue, board, _, _running) = start("many-slow-controller", 2);
    for number in 0..ASIDE + 10 {
        queue.add(key(&format!("slow-{number}")));
    }
    pass_seconds(3_600).await;
    assert_eq!(board.under_way(), ASIDE + 2);
    check_gauge("kruise_slow_reconciles", "many-slow-controller", ASIDE + 2);
    check_gauge("controller_runtime_active_workers", "many-slow-controller", 2);
    // One ends: another takes its room and gives its worker back.
    board.end.notify_one();
    pass_seconds(60).await;
    assert_eq!((board.under_way(), board.begun().len()), (ASIDE + 2, ASIDE + 3));
}

#[tokio::test(start_paused = true)]
async fn a_slow_key_that_changes_waits_for_its_own_reconcile() {
    let (queue, board, _, _running) = start("changing-controller", 3);
    queue.add(key("slow"));
    for _ in 0..5 {
        pass_seconds(10).await;
        queue.add(key("slow"));
    }
    assert_eq!((board.begun().len(), board.under_way()), (1, 1));
    board.end.notify_one();
    pass_seconds(10).await;
    assert_eq!((board.begun().len(), board.under_way()), (2, 1), "the changes are seen afterwards, at once");
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_slow_reconciles() {
    let (queue, board, shutdown, running) = start("ending-controller", 1);
    queue.add(key("slow"));
    pass_seconds(10).await;
    shutdown.request();
    let mut running = pin!(running);
    assert!(tokio::time::timeout(Duration::from_secs(60), &mut running).await.is_err());
    board.end.notify_one();
    tokio::time::timeout(Duration::from_millis(1), running).await.unwrap().unwrap();
    assert_eq!(board.under_way(), 0);
}

// PL-31
#[tokio::test(start_paused = true)]
async fn a_slow_reconcile_that_panics_comes_again_with_back_off() {
    let name = "panicking-controller";
    let (queue, shutdown) = (Queue::new(name, RateLimit::default()), Shutdown::manual());
    let (start, times) = (clock::instant(), Arc::new(Mutex::new(Vec::new())));
    let log = Arc::clone(&times);
    let reconcile = move |_| {
        let nth = {
            let mut log = log.lock();
            log.push(clock::instant() - start);
            log.len()
        };
        async move {
            tokio::time::sleep(Duration::from_secs(8)).await;
            assert!(nth > 1, "a bug in one reconcile");
            Ok(Requeue::Done)
        }
    };
    let running = tokio::spawn(run(
        Identity { name, kind: "Test" },
        1,
        queue.clone(),
        Chance::seeded(1),
        reconcile,
        shutdown.clone(),
    ));
    queue.add(key("a"));
    pass_seconds(20).await;
    shutdown.request();
    running.await.unwrap();
    assert_eq!(*times.lock(), [0, 8_005].map(Duration::from_millis));
    check_gauge("kruise_slow_reconciles", name, 0);
    check_gauge("controller_runtime_reconcile_panics_total", name, 1);
    check_gauge("controller_runtime_reconcile_errors_total", name, 1);
}
