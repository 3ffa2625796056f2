//! Caches over an API server in memory that shows lists, refuses, or says nothing, and changes its mind.

use std::sync::Arc;
use std::time::Duration;

use api::cloneset::CloneSet;
use api::k8s::{Node, Pod};
use futures::StreamExt;
use http::{Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use kube::client::Body;
use parking_lot::Mutex;
use runtime::informer::ObjectKey;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::*;
use crate::readiness::Readiness;
use crate::server::credentials::Credentials;

const S: fn(u64) -> Duration = Duration::from_secs;
const UNINITIALISED: &str = "webhook controller has not initialized";

/// What the server says to who wants to see a kind.
#[derive(Clone, Debug)]
enum Shown {
    /// Nothing, for ever.
    Nothing,
    /// An error.
    Refused(u16),
    /// These names, and then no change, until it says something else.
    Names(Vec<&'static str>),
}

/// By the plural of a kind.
#[derive(Clone)]
struct Server(Arc<watch::Sender<Vec<(&'static str, Shown)>>>);

impl Server {
    fn new(shown: &[(&'static str, Shown)]) -> Self {
        Self(Arc::new(watch::Sender::new(shown.to_vec())))
    }

    fn show(&self, plural: &'static str, shown: Shown) {
        self.0.send_modify(|all| {
            all.retain(|(other, _)| *other != plural);
            all.push((plural, shown));
        });
    }

    fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { Ok::<_, std::io::Error>(server.answer(request.uri().path()).await) }
        });
        Client::new(service, "default")
    }

    async fn answer(&self, path: &str) -> Response<BoxedBody> {
        let mut said = self.0.subscribe();
        loop {
            let found = said.borrow_and_update().iter().find(|(plural, _)| path.ends_with(plural)).cloned();
            match found {
                Some((plural, Shown::Names(names))) => {
                    let first = names.iter().map(|name| line("ADDED", &object(plural, name))).collect::<Vec<_>>();
                    let lines = futures::stream::iter([first, vec![line("BOOKMARK", &end_of_list(plural))]].concat());
                    // The watch breaks when the server shows something else.
                    let broken = futures::stream::once(async move {
                        let _ = said.changed().await;
                        Err(std::io::Error::other("broken"))
                    });
                    let lines = lines.map(|line| Ok(Frame::data(line))).chain(broken);
                    return Response::new(BodyExt::boxed_unsync(StreamBody::new(lines)));
                }
                Some((_, Shown::Refused(code))) => {
                    let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
                        "reason": "no", "message": "no" });
                    let line = futures::stream::iter([Ok(Frame::data(Bytes::from(status.to_string())))]);
                    let body = BodyExt::boxed_unsync(StreamBody::new(line));
                    return Response::builder().status(code).body(body).unwrap();
                }
                Some((_, Shown::Nothing)) | None => said.changed().await.unwrap(),
            }
        }
    }
}

type BoxedBody = http_body_util::combinators::UnsyncBoxBody<Bytes, std::io::Error>;

fn line(what: &str, object: &Value) -> Bytes {
    Bytes::from(format!("{}\n", json!({ "type": what, "object": object })))
}

fn named(plural: &str) -> (&'static str, &'static str) {
    match plural {
        "nodes" => ("v1", "Node"),
        "pods" => ("v1", "Pod"),
        _ => ("apps.kruise.io/v1beta1", "CloneSet"),
    }
}

fn object(plural: &str, name: &str) -> Value {
    let (api_version, kind) = named(plural);
    let namespace = if kind == "Node" { Value::Null } else { "shop".into() };
    json!({ "apiVersion": api_version, "kind": kind, "spec": { "selector": {}, "template": {} },
        "metadata": { "name": name, "namespace": namespace, "uid": name, "resourceVersion": "1" } })
}

fn end_of_list(plural: &str) -> Value {
    let (api_version, kind) = named(plural);
    json!({ "apiVersion": api_version, "kind": kind,
        "metadata": { "resourceVersion": "2", "annotations": { "k8s.io/initial-events-end": "true" } } })
}

/// Caches of a kind that we convert and of two that we do not, over a server, and the readiness of their replica.
struct Replica {
    clonesets: Cache<CloneSet>,
    pods: Cache<Pod>,
    nodes: Cache<Node>,
    readiness: Readiness,
    initialised: watch::Sender<bool>,
    shutdown: Shutdown,
    watches: JoinSet<()>,
}

fn replica(server: &Server) -> Replica {
    let mut watches = Watches::default();
    let clonesets = watches.add(Informer::<CloneSet>::new(Vec::new()), Converted::ByUs);
    let pods = watches.add(Informer::<Pod>::new(Vec::new()), Converted::No);
    let nodes = watches.add(Informer::<Node>::new(Vec::new()), Converted::No);
    let needed = watches.needed();
    let (shutdown, readiness) = (Shutdown::manual(), Readiness::default());
    let (initialised, is_initialised) = watch::channel(false);
    let keeping = readiness.clone().keep(1, Arc::new(Credentials::default()), is_initialised, needed, shutdown.clone());
    tokio::spawn(keeping);
    let watches = watches.start(&server.client(), &shutdown);
    Replica { clonesets, pods, nodes, readiness, initialised, shutdown, watches }
}

impl Replica {
    /// Waits until readiness says this; without certificate the last thing that it can miss is one.
    async fn says(&self, want: &str) {
        let found = async {
            while self.readiness.check() != Err(want.to_owned()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(S(300), found).await.is_err() {
            panic!("{:?} instead of {want:?}", self.readiness.check());
        }
    }
}

fn soon() -> Instant {
    Instant::now() + S(9)
}

const CACHES_ARE_COMPLETE: &str = "no certificate yet";

#[tokio::test(start_paused = true)] // PL-50, IN-50
async fn readiness_names_the_caches_that_it_waits_for() {
    let server = Server::new(&[("pods", Shown::Nothing), ("nodes", Shown::Refused(500))]);
    let replica = replica(&server);
    assert_eq!(replica.readiness.check(), Err(UNINITIALISED.to_owned()));
    replica.initialised.send_replace(true);
    replica.says("caches are not complete: Pod, Node").await;
    server.show("pods", Shown::Names(vec!["a"]));
    replica.says("caches are not complete: Node").await;
    server.show("nodes", Shown::Names(vec![]));
    replica.says(CACHES_ARE_COMPLETE).await;
}

#[tokio::test(start_paused = true)] // PL-50
async fn a_cache_that_is_filled_through_our_own_conversion_holds_nothing_back() {
    // The server can't list what it can't convert, and it asks nobody who is not ready.
    let nothing = || Shown::Names(vec![]);
    let server = Server::new(&[("pods", nothing()), ("nodes", nothing()), ("clonesets", Shown::Refused(500))]);
    let replica = replica(&server);
    replica.initialised.send_replace(true);
    replica.says(CACHES_ARE_COMPLETE).await;
    assert!(replica.clonesets.read(soon()).await.is_err());
    server.show("clonesets", Shown::Names(vec!["web"]));
    let read = replica.clonesets.read(Instant::now() + S(60)).await.unwrap();
    assert!(read.get(&ObjectKey::new("shop", "web")).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_not_installed_holds_nothing_back_and_is_named_to_who_asks_for_it() {
    let server = Server::new(&[("pods", Shown::Names(vec![])), ("nodes", Shown::Refused(404))]);
    let replica = replica(&server);
    replica.initialised.send_replace(true);
    replica.says(CACHES_ARE_COMPLETE).await;
    let refusal = Refusal::from(replica.nodes.read(soon()).await.unwrap_err());
    assert_eq!(
        (refusal.code, refusal.message.as_str()),
        (500, "Node is not installed, its objects can't be looked up")
    );
}

#[tokio::test(start_paused = true)] // PL-50
async fn a_watch_that_breaks_later_takes_neither_readiness_nor_what_was_known() {
    let server = Server::new(&[("pods", Shown::Names(vec!["a"])), ("nodes", Shown::Names(vec![]))]);
    let replica = replica(&server);
    replica.initialised.send_replace(true);
    replica.says(CACHES_ARE_COMPLETE).await;
    server.show("pods", Shown::Refused(500));
    server.show("nodes", Shown::Refused(404));
    let said = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..100 {
        tokio::time::sleep(S(3)).await;
        said.lock().push(replica.readiness.check());
    }
    assert!(said.lock().iter().all(|finding| *finding == Err(CACHES_ARE_COMPLETE.to_owned())), "{said:?}");
    let now = Instant::now();
    let read = replica.pods.read(now).await.unwrap();
    assert!(read.get(&ObjectKey::new("shop", "a")).is_some());
    assert!(replica.nodes.read(now).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_reads_waits_for_the_first_list() {
    let server = Server::new(&[]);
    let replica = replica(&server);
    let pods = replica.pods.clone();
    let reading = tokio::spawn(async move { pods.read(soon()).await.map(Store::len) });
    tokio::time::sleep(S(5)).await;
    assert!(!reading.is_finished());
    server.show("pods", Shown::Names(vec!["a", "b"]));
    assert_eq!(reading.await.unwrap(), Ok(2));
}

#[tokio::test(start_paused = true)]
async fn who_reads_fails_the_request_at_its_deadline_and_names_the_cache() {
    let server = Server::new(&[]);
    let replica = replica(&server);
    let begun = Instant::now();
    let refusal = Refusal::from(replica.pods.read(soon()).await.unwrap_err());
    assert_eq!((refusal.code, refusal.message.as_str()), (500, "the cache of Pod is not complete yet"));
    assert!((S(9)..S(10)).contains(&begun.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn the_watches_end_with_the_process() {
    let server = Server::new(&[("pods", Shown::Names(vec![]))]);
    let mut replica = replica(&server);
    replica.pods.read(soon()).await.unwrap();
    replica.shutdown.request();
    let all = async { while replica.watches.join_next().await.is_some() {} };
    tokio::time::timeout(S(1), all).await.unwrap();
    replica.says("shutting down").await;
}
