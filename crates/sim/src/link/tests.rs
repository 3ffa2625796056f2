//! Each fault once, over a real client and a server with one namespace.

use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt, TryStreamExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{PostParams, WatchEvent, WatchParams};
use kube::{Api, Client};
use runtime::clock::Clock;

use super::*;
use crate::server::call::{Call, Verb};

const S: fn(u64) -> Duration = Duration::from_secs;
/// How long the sender of a write waits.
const PATIENCE: Duration = Duration::from_secs(4);

struct Net {
    server: Server,
    link: Link,
    client: Client,
    shown: Arc<Mutex<Vec<u64>>>,
}

fn net() -> Net {
    let server = Server::new(Clock::simulated(Timestamp::UNIX_EPOCH), 1);
    let shown = Arc::new(Mutex::new(Vec::new()));
    let tell: Shown = Arc::new({
        let shown = Arc::clone(&shown);
        move |caller, resource, version| {
            assert_eq!((caller, resource), ("manager", "configmaps"));
            shown.lock().push(version);
        }
    });
    let counts = Counts::default();
    server.on_write(Box::new({
        let counts = counts.clone();
        move |written| counts.saw(written)
    }));
    let wire = Wire { server: server.clone(), counts, shown: tell, outage: Arc::default() };
    let link = Link::new(wire, "manager", PATIENCE, Chance::seeded(1));
    let client = link.client();
    Net { server, link, client, shown }
}

fn maps(client: &Client) -> Api<ConfigMap> {
    Api::namespaced(client.clone(), "default")
}

impl Net {
    /// Creates one through the network.
    async fn create(&self, name: &str) -> kube::Result<ConfigMap> {
        let mut map = ConfigMap::default();
        map.metadata.name = Some(name.to_owned());
        maps(&self.client).create(&PostParams::default(), &map).await
    }

    /// Whether it gets an answer in a minute.
    async fn is_answered(&self, name: &str) -> bool {
        tokio::time::timeout(S(60), self.create(name)).await.is_ok()
    }

    fn has(&self, name: &str) -> bool {
        self.server.get("configmaps", "default", name).is_some()
    }

    /// What a watch from here on tells, by name; one that breaks ends with `broken`.
    async fn watch(&self) -> std::pin::Pin<Box<dyn futures::Stream<Item = String> + Send>> {
        let version = self.server.resource_version().to_string();
        let events = maps(&self.client).watch(&WatchParams::default(), &version).await.unwrap();
        Box::pin(events.map_ok(said).map(|event| event.unwrap_or_else(|_| "broken".to_owned())))
    }
}

fn said(event: WatchEvent<ConfigMap>) -> String {
    match event {
        WatchEvent::Added(map) => map.metadata.name.unwrap(),
        WatchEvent::Error(status) => status.code.to_string(),
        other => format!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_before_a_write_has_not_written_and_hears_nothing_more() {
    let net = net();
    net.link.arm(2, Fault::Kill(Moment::Before));
    assert!(net.is_answered("first").await && !net.is_answered("second").await && !net.is_answered("third").await);
    assert!(net.has("first") && !net.has("second") && !net.has("third"));
    assert!(net.link.died().now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_after_a_write_has_written_without_knowing() {
    let net = net();
    net.link.arm(1, Fault::Kill(Moment::After));
    assert!(!net.is_answered("first").await && net.has("first"));
}

#[tokio::test(start_paused = true)]
async fn a_write_fails_as_told_and_is_not_applied() {
    for (answer, code) in [(Answer::Conflict, 409), (Answer::TooManyRequests, 429), (Answer::InternalError, 500)] {
        let net = net();
        net.link.arm(1, Fault::Fail(answer));
        let Err(kube::Error::Api(status)) = net.create("first").await else { panic!("{code}") };
        assert_eq!((status.code, net.has("first")), (code, false));
        net.create("first").await.unwrap();
    }
    let net = net();
    net.link.arm(1, Fault::Fail(Answer::Timeout));
    assert!(!net.is_answered("first").await && !net.has("first"));
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_lost_though_the_write_was_applied() {
    let net = net();
    net.link.arm(1, Fault::Lose);
    assert!(matches!(net.create("first").await, Err(kube::Error::Service(_))) && net.has("first"));
}

#[tokio::test(start_paused = true)]
async fn a_slow_write_is_applied_though_its_sender_has_given_up_but_no_later_than_it_would_wait() {
    let net = net();
    net.link.arm(1, Fault::Slow(S(90)));
    assert!(tokio::time::timeout(S(1), net.create("first")).await.is_err() && !net.has("first"));
    tokio::time::sleep(PATIENCE).await;
    assert!(net.has("first"));
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_lags_tells_everything_afterwards_in_order_and_notes_what_it_told() {
    let net = net();
    let mut told = net.watch().await;
    net.create("before").await.unwrap();
    assert_eq!(told.next().await.unwrap(), "before");
    net.link.lag("configmaps", S(90));
    net.create("first").await.unwrap();
    net.create("second").await.unwrap();
    assert!(tokio::time::timeout(S(80), told.next()).await.is_err());
    assert!(net.shown.lock().len() == 1 && net.link.is_behind());
    assert_eq!((told.next().await.unwrap(), told.next().await.unwrap()), ("first".to_owned(), "second".to_owned()));
    assert_eq!(net.shown.lock().last(), Some(&net.server.resource_version()));
    assert!(!net.link.is_behind());
}

#[tokio::test(start_paused = true)]
async fn nothing_gets_through_while_there_is_an_outage() {
    let net = net();
    let mut told = net.watch().await;
    *net.link.inner.wire.outage.lock() = Some(clock::instant() + S(40));
    net.server.ask("user", config_map("by-another")).unwrap();
    let begun = clock::instant();
    assert!(matches!(net.create("first").await, Err(kube::Error::Service(_))) && !net.has("first"));
    assert_eq!((clock::instant() - begun).as_secs(), 40);
    assert_eq!(told.next().await.unwrap(), "by-another");
    net.create("second").await.unwrap();
}

fn config_map(name: &str) -> Call {
    let body = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    Call::new(Verb::Create, "configmaps").at("default", "").with(body)
}

#[tokio::test(start_paused = true)]
async fn a_watch_is_cut_or_expires() {
    for (how, want) in [(Break::Cut, "broken"), (Break::Expire, "410")] {
        let net = net();
        let mut told = net.watch().await;
        net.link.sever("configmaps", how);
        assert_eq!(told.next().await.unwrap(), want);
        let mut again = net.watch().await;
        net.create("first").await.unwrap();
        assert_eq!(again.next().await.unwrap(), "first", "only what was open breaks");
    }
}
