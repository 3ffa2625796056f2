//! A controller takes time and chance from what it is given: with the same clock and seed it writes the same.

use std::sync::{Arc, Mutex};

use api::{cloneset::CloneSet, k8s::ControllerRevision};
use http::{Method, Request, Response};
use kube::{Client, client::Body, runtime::watcher::Event};
use runtime::{
    act::{Engine, Limits},
    ambient::Ambient,
    client::Connection,
    events::Recorder,
    expectations::Expectations,
    flags,
    informer::ObjectKey,
    leader::Leadership,
};
use serde_json::{Value, json};

use super::super::{observe::Stores, reconcile::Reconciler, settings};
use crate::{caches::Caches, setup::KindFlags};

/// Method and body of all writes, in order.
type Writes = Arc<Mutex<Vec<(String, Value)>>>;

/// A server that does what it is told, and what it was told.
fn server() -> (Client, Writes) {
    let writes = Writes::default();
    let kept = Arc::clone(&writes);
    let service = tower::service_fn(move |request: Request<Body>| {
        let writes = Arc::clone(&writes);
        async move {
            let method = request.method().clone();
            let mut body: Value = serde_json::from_slice(&request.into_body().collect_bytes().await?)?;
            if method != Method::GET {
                writes.lock().unwrap().push((method.to_string(), body.clone()));
            }
            body["metadata"]["uid"] = json!("made");
            body["metadata"]["resourceVersion"] = json!("10");
            Ok::<_, tower::BoxError>(Response::new(Body::from(serde_json::to_vec(&body)?)))
        }
    });
    (Client::new(service, "default"), kept)
}

/// What is written for a new CloneSet: its revision, its Pods, its status.
async fn writes(ambient: Ambient) -> Vec<(String, Value)> {
    let (client, writes) = server();
    let api = Connection::over(client, flags::Limits::MANAGER).guarded("test", &Leadership::always());
    let mut caches = Caches::default();
    let stores = Stores {
        clonesets: caches.clonesets.wanted().store(),
        pods: caches.pods.wanted().store(),
        claims: caches.claims.wanted().store(),
        revisions: caches.revisions.wanted().store(),
        nodes: caches.nodes.wanted().store(),
    };
    let expectations = Expectations::new(std::time::Duration::from_secs(300));
    let reconciler = Reconciler::new(
        stores,
        api.client().clone(),
        Engine::new(api, Recorder::silent(), ambient.chance.clone(), Limits::default()),
        Recorder::silent(),
        expectations.clone(),
        settings(&Default::default(), KindFlags { cloneset_workers: 1, cloneset_excludes_preparing_delete: false }),
        ambient,
    );
    let set = json!({"metadata": {"name": "web", "namespace": "shop", "uid": "w", "resourceVersion": "1", "generation": 1},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": "nginx"}]}}}});
    caches.clonesets.wanted().apply(Event::Apply(serde_json::from_value::<CloneSet>(set).unwrap()));
    let key = ObjectKey::new("shop", "web");
    reconciler.reconcile(&key).await.unwrap();
    let mut revision = writes.lock().unwrap()[0].1.clone();
    revision["metadata"]["resourceVersion"] = json!("10");
    caches.revisions.wanted().apply(Event::Apply(serde_json::from_value::<ControllerRevision>(revision).unwrap()));
    expectations.scale.forget(&key);
    reconciler.reconcile(&key).await.unwrap();
    let all = writes.lock().unwrap();
    all.clone()
}

// Design, tests: simulation
#[tokio::test(start_paused = true)]
async fn with_the_same_clock_and_seed_a_controller_writes_the_same() {
    let start = "2026-01-01T00:00:00Z".parse().unwrap();
    let first = writes(Ambient::simulated(start, 7)).await;
    assert_eq!(first.iter().filter(|(method, _)| method == "POST").count(), 4, "a revision and three Pods: {first:?}");
    assert!(
        serde_json::to_string(&first).unwrap().contains("2026-01-01T00:00:00Z"),
        "the status has its time: {first:?}"
    );
    assert_eq!(first, writes(Ambient::simulated(start, 7)).await);
    assert_ne!(first, writes(Ambient::simulated(start, 8)).await, "names of Pods come from chance");
}
