//! Tests of the loop around the cache, over a scripted API server.

use api::k8s::Pod;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;
use crate::mock::{self, Answer, Asked};

/// Longer than any pause; the clock is paused, so it takes no time.
const LONG: Duration = Duration::from_mins(10);
const TICK: Duration = Duration::from_millis(10);

fn pod(name: &str, version: u32) -> Value {
    json!({"metadata": {"namespace": "shop", "name": name, "uid": name, "resourceVersion": version.to_string()}})
}

fn event(what: &str, object: Value) -> Value {
    json!({"type": what, "object": object})
}

/// What ends a streamed list.
fn end_of_list(version: u32) -> Value {
    mock::end_of_list("Pod", version)
}

fn page(version: &str, next: &str, items: &[Value]) -> Answer {
    Answer::Ok(json!({"kind": "PodList", "apiVersion": "v1", "items": items,
        "metadata": {"resourceVersion": version, "continue": next}}))
}

fn streams(asked: &Asked) -> bool {
    asked.query.contains("sendInitialEvents=true")
}

/// A running informer over a server that answers the n-th request as told, and the changes that it told.
struct Running {
    store: Store<Pod>,
    synced: Synced,
    told: Arc<Mutex<Vec<String>>>,
    log: mock::Log,
    shutdown: Shutdown,
}

fn run(answer: impl Fn(usize, &Asked) -> Answer + Send + Sync + 'static) -> Running {
    let count = Mutex::new(0);
    let (client, log) = mock::server(move |asked| {
        let mut count = count.lock();
        *count += 1;
        // Without pauses the paused clock would never move on.
        assert!(*count < 100, "a storm of requests");
        answer(*count, asked)
    });
    let mut informer = Informer::<Pod>::new(Vec::new());
    let (store, synced, told) = (informer.store(), informer.synced(), Arc::new(Mutex::new(Vec::new())));
    let log_of_changes = Arc::clone(&told);
    informer.on_change(|_| panic!("a bug in one handler"));
    informer.on_change(move |change| {
        log_of_changes.lock().push(match change {
            Change::Added { new, .. } => format!("added {}", new.metadata.name),
            Change::Updated { new, .. } => {
                format!("updated {} to {}", new.metadata.name, new.metadata.resource_version)
            }
            Change::Deleted { last } => format!("deleted {}", last.metadata.name),
        });
    });
    let shutdown = Shutdown::manual();
    tokio::spawn(informer.run(client, String::new(), shutdown.clone()));
    Running { store, synced, told, log, shutdown }
}

impl Running {
    /// Waits until the server was asked so often, and what came of it was taken in.
    async fn until_asked(&self, times: usize) {
        for _ in 0..LONG.as_millis() / TICK.as_millis() {
            if self.log.all().len() >= times {
                return tokio::time::sleep(TICK).await;
            }
            tokio::time::sleep(TICK).await;
        }
        panic!("asked only {:?}", self.log.lines());
    }

    async fn until_synced(&self) {
        tokio::time::timeout(LONG, self.synced.wait()).await.expect("the first list is complete");
    }

    fn names(&self) -> Vec<String> {
        self.store.all().iter().map(|pod| pod.metadata.name.to_string()).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.request();
    }
}

#[tokio::test(start_paused = true)]
async fn a_streamed_list_is_as_of_now_and_goes_on_as_a_watch() {
    let running = run(|_, _| {
        Answer::Lines(vec![
            event("ADDED", pod("a", 1)),
            event("ADDED", pod("b", 2)),
            end_of_list(5),
            event("MODIFIED", pod("a", 6)),
            event("DELETED", pod("b", 7)),
        ])
    });
    running.until_synced().await;
    running.until_asked(1).await;
    assert_eq!(
        *running.told.lock(),
        ["added a", "added b", "updated a to 6", "deleted b"],
        "despite a handler's panic"
    );
    let asked = running.log.all();
    assert!(streams(&asked[0]) && !asked[0].query.contains("resourceVersion="), "{}", asked[0].query);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_stream_lists_is_asked_in_pages() {
    let running = run(|_, asked| match asked.query.as_str() {
        _ if streams(asked) => Answer::Refuse(422, "Invalid"),
        query if query.contains("watch=true") => Answer::Lines(vec![event("ADDED", pod("c", 9))]),
        query if query.contains("continue=next") => page("8", "", &[pod("b", 2)]),
        _ => page("8", "next", &[pod("a", 1)]),
    });
    running.until_asked(4).await;
    assert!(running.synced.is_synced());
    assert_eq!(running.names(), ["a", "b", "c"]);
    let asked = running.log.all();
    assert!(asked[3].query.contains("resourceVersion=8"), "{}", asked[3].query);
}

#[tokio::test(start_paused = true)]
async fn deletions_missed_while_disconnected_show_after_the_version_has_expired() {
    let gone = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410, "reason": "Expired",
        "message": "too old"});
    let running = run(move |count, asked| match (count, streams(asked)) {
        (1, true) => {
            Answer::LinesAndEnd(vec![event("ADDED", pod("a", 1)), event("ADDED", pod("b", 2)), end_of_list(5)])
        }
        (2, false) => Answer::Lines(vec![event("ERROR", gone.clone())]),
        (3, true) => Answer::Lines(vec![event("ADDED", pod("b", 2)), end_of_list(9)]),
        other => panic!("{other:?}"),
    });
    running.until_asked(3).await;
    assert_eq!(*running.told.lock(), ["added a", "added b", "deleted a"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_may_not_start_lists_again_at_its_leisure() {
    let start = tokio::time::Instant::now();
    let running = run(|count, asked| match (count, streams(asked)) {
        (odd, true) if odd % 2 == 1 => Answer::LinesAndEnd(vec![event("ADDED", pod("a", 1)), end_of_list(5)]),
        _ => Answer::Refuse(410, "Expired"),
    });
    running.until_asked(9).await;
    assert!(start.elapsed() >= Duration::from_secs(4), "{:?}", start.elapsed());
    assert_eq!(*running.told.lock(), ["added a"]);
}

#[tokio::test(start_paused = true)]
async fn lists_that_break_off_come_with_growing_pauses_and_delete_nothing() {
    let start = tokio::time::Instant::now();
    let running = run(|_, _| Answer::LinesAndEnd(vec![event("ADDED", pod("a", 1))]));
    running.until_asked(8).await;
    assert!(start.elapsed() >= Duration::from_secs(60), "{:?}", start.elapsed());
    assert!(!running.synced.is_synced());
    assert_eq!(*running.told.lock(), ["added a"]);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_read_hides_no_other_and_stays_as_it_was() {
    let bad = |name: &str, version: u32| {
        let mut pod = pod(name, version);
        pod["status"] = json!({"phase": 7});
        pod
    };
    let running = run(move |count, _| match count {
        1 => Answer::Lines(vec![
            event("ADDED", pod("a", 1)),
            event("ADDED", pod("b", 2)),
            end_of_list(5),
            event("MODIFIED", bad("a", 6)),
        ]),
        2 => Answer::Lines(vec![
            event("ADDED", bad("a", 6)),
            event("ADDED", pod("b", 2)),
            event("ADDED", bad("never-read", 3)),
            end_of_list(7),
            event("MODIFIED", pod("b", 8)),
            event("DELETED", bad("a", 9)),
        ]),
        other => panic!("{other}"),
    });
    running.until_asked(2).await;
    assert_eq!(*running.told.lock(), ["added a", "added b", "updated b to 8", "deleted a"]);
    assert_eq!(running.names(), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_page_with_an_object_that_cannot_be_read_is_read_one_by_one() {
    let running = run(|_, asked| match asked.query.as_str() {
        _ if streams(asked) => Answer::Refuse(422, "Invalid"),
        query if query.contains("watch=true") => Answer::Silence,
        _ => page("8", "", &[pod("a", 1), json!({"metadata": {"name": "bad", "namespace": "shop", "labels": 3}})]),
    });
    running.until_synced().await;
    assert_eq!(running.names(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_not_installed_is_asked_for_again_with_back_off() {
    let start = tokio::time::Instant::now();
    let running = run(|count, _| match count {
        ..10 => Answer::Refuse(404, "NotFound"),
        _ => Answer::Lines(vec![end_of_list(1)]),
    });
    running.until_synced().await;
    assert!(start.elapsed() >= Duration::from_secs(30), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_namespace_restricts_what_is_listed() {
    let (client, log) = mock::server(|_| Answer::Lines(vec![end_of_list(1)]));
    let informer = Informer::<Pod>::new(Vec::new());
    let synced = informer.synced();
    tokio::spawn(informer.run(client, "shop".to_owned(), Shutdown::manual()));
    tokio::time::timeout(LONG, synced.wait()).await.unwrap();
    assert_eq!(log.lines(), ["GET /api/v1/namespaces/shop/pods"]);
}
