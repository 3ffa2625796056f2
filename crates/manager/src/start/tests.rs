//! Which controllers start, over a scripted API server that may not know CloneSets, with paused time.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use clap::Parser as _;
use controllers::{CONTROLLERS, caches::Caches, setup::KindFlags};
use http::{Request, Response};
use kube::client::Body;
use rules::write::CLONE_SET;
use runtime::{
    ambient::Ambient, client::Connection, controller::Identity, events::Recorder, flags::Limits, gates::Gates,
    leader::Leadership, queue::RateLimit, resync::Resync,
};
use serde_json::{Value, json};

use super::*;
use crate::args::Args;

const CLONESETS: &str = "/apis/apps.kruise.io/v1beta1/clonesets";

/// A controller that needs the definition of CloneSets and reads them and Pods; one that reads Pods alone.
const BOTH: &[Registration] = &[
    Registration {
        identity: Identity { name: "of-clonesets", kind: "CloneSet" },
        needs: &[CLONE_SET],
        register: |setup, shutdown| {
            setup.caches.clonesets.wanted();
            setup.caches.pods.wanted();
            work(setup, "/of-clonesets", shutdown)
        },
    },
    Registration {
        identity: Identity { name: "of-pods", kind: "Pod" },
        needs: &[],
        register: |setup, shutdown| {
            setup.caches.pods.wanted();
            work(setup, "/of-pods", shutdown)
        },
    },
];

/// Work that shows as a request for this path.
fn work(setup: &Setup, path: &'static str, shutdown: Shutdown) -> Run {
    let client = (setup.client_for)("test").client().clone();
    Box::pin(async move {
        client.request_text(Request::get(path).body(Vec::new()).unwrap()).await.unwrap();
        shutdown.requested().await;
    })
}

/// What a server says: HTTP status and body.
type Answer = (u16, Value);

fn refusal(code: u16) -> Answer {
    (code, json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": "no"}))
}

/// The kinds of a group version.
fn kinds(kinds: &[&str]) -> Answer {
    let one = |kind| json!({"kind": kind, "name": "n", "singularName": "", "namespaced": true, "verbs": []});
    (200, json!({"groupVersion": "v", "resources": kinds.iter().map(one).collect::<Vec<_>>()}))
}

/// A streamed list without objects.
fn nothing() -> Answer {
    let metadata = json!({"resourceVersion": "1", "annotations": {"k8s.io/initial-events-end": "true"}});
    (200, json!({"type": "BOOKMARK", "object": {"kind": "Any", "apiVersion": "v1", "metadata": metadata}}))
}

/// A run of controllers.
struct Running {
    task: tokio::task::JoinHandle<anyhow::Result<()>>,
    asked: Arc<Mutex<Vec<String>>>,
    shutdown: Shutdown,
}

/// Starts controllers against a server that answers like this when asked which kinds of ours there are, and for
/// CloneSets; all others it has none of.
fn start(controllers: &'static [Registration], discovery: fn() -> Answer, clonesets: fn() -> Answer) -> Running {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let service = tower::service_fn(move |request: Request<Body>| {
        let path = request.uri().path().to_owned();
        let query = request.uri().query().unwrap_or_default();
        let is_quiet = query.contains("watch=true") && !query.contains("sendInitialEvents=true");
        log.lock().unwrap().push(path.clone());
        async move {
            if is_quiet {
                std::future::pending::<()>().await;
            }
            let (code, body) = match path.as_str() {
                "/apis/apps.kruise.io/v1beta1" => discovery(),
                CLONESETS => clonesets(),
                _ => nothing(),
            };
            let body = Body::from(format!("{body}\n").into_bytes());
            Ok::<_, tower::BoxError>(Response::builder().status(code).body(body)?)
        }
    });
    let (client, shutdown) = (Client::new(service, "default"), Shutdown::manual());
    let connection = Connection::over(client.clone(), Limits::MANAGER);
    let setup = Setup {
        client_for: Box::new(move |name| connection.guarded(name, &Leadership::always())),
        caches: Caches::default(),
        gates: Gates::default(),
        rate_limit: RateLimit::default(),
        resync: Resync::Never,
        expectation_timeout: Duration::from_secs(300),
        flags: KindFlags { cloneset_workers: 1, cloneset_excludes_preparing_delete: false },
        ambient: Ambient::system(),
        recorder: Recorder::silent(),
    };
    let until = shutdown.clone();
    let task = tokio::spawn(async move {
        let args = Args::try_parse_from(["manager"])?;
        run(&client, controllers, setup, &args.cache, async {}, &until).await
    });
    Running { task, asked, shutdown }
}

impl Running {
    /// What was asked for in so many seconds.
    async fn asked_in(&self, seconds: u64) -> BTreeSet<String> {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        self.asked.lock().unwrap().iter().cloned().collect()
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.shutdown.request();
        self.task.await?
    }
}

#[tokio::test(start_paused = true)]
async fn with_all_kinds_there_all_controllers_start_and_a_kind_is_watched_once() {
    let running = start(BOTH, || kinds(&["CloneSet"]), nothing);
    let asked = running.asked_in(1).await;
    assert!(asked.contains("/of-clonesets") && asked.contains("/of-pods"), "{asked:?}");
    let lists = running.asked.lock().unwrap().iter().filter(|path| *path == "/api/v1/pods").count();
    assert_eq!(lists, 2, "one list and one watch, for two controllers");
    running.stop().await.unwrap();
}

// PL-20
#[tokio::test(start_paused = true)]
async fn a_controller_whose_crd_is_missing_is_left_out_and_its_kinds_are_not_watched() {
    let running = start(BOTH, || kinds(&["SidecarSet"]), || refusal(404));
    let asked = running.asked_in(600).await;
    assert!(asked.contains("/of-pods") && !asked.contains("/of-clonesets") && !asked.contains(CLONESETS), "{asked:?}");
    running.stop().await.unwrap();
}

// PL-20
#[tokio::test(start_paused = true)]
async fn the_manager_without_clonesets_watches_pods_alone() {
    let running = start(CONTROLLERS, || kinds(&[]), || refusal(404));
    let asked = running.asked_in(600).await;
    assert_eq!(asked.iter().map(String::as_str).collect::<Vec<_>>(), ["/api/v1/pods", "/apis/apps.kruise.io/v1beta1"]);
    running.stop().await.unwrap();
}

// PL-21
#[tokio::test(start_paused = true)]
async fn a_controller_whose_kind_cannot_be_watched_is_left_out_and_the_process_goes_on() {
    let running = start(BOTH, || refusal(404), || refusal(404));
    let asked = running.asked_in(20).await;
    assert!(asked.contains("/of-pods"), "others do not wait for it: {asked:?}");
    let asked = running.asked_in(600).await;
    assert!(asked.contains(CLONESETS) && !asked.contains("/of-clonesets"), "{asked:?}");
    running.stop().await.unwrap();
}

// PL-21
#[tokio::test(start_paused = true)]
async fn a_cache_that_is_late_for_another_reason_ends_the_process() {
    let running = start(BOTH, || kinds(&["CloneSet"]), || refusal(500));
    let begun = tokio::time::Instant::now();
    let ended = tokio::time::timeout(Duration::from_secs(600), running.task).await.unwrap();
    let err = ended.unwrap().unwrap_err();
    assert_eq!(err.to_string(), "of-clonesets: caches not synced within 120s: CloneSet");
    assert_eq!(begun.elapsed().as_secs(), 120);
}

#[tokio::test(start_paused = true)]
async fn the_end_is_not_held_up_by_a_kind_that_is_looked_for() {
    // While it is asked whether the kind is there, and while its cache is waited for.
    let cases: [(fn() -> Answer, u64); 2] = [(|| kinds(&[]), 1), (|| refusal(404), 60)];
    for (discovery, seconds) in cases {
        let running = start(BOTH, discovery, || refusal(404));
        running.asked_in(seconds).await;
        tokio::time::timeout(Duration::from_millis(1), running.stop()).await.unwrap().unwrap();
    }
}
