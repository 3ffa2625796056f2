//! The controller as it registers: what brings its objects to the workers.

use std::time::Duration;

use api::cloneset::CloneSet;
use kube::{Client, client::Body, runtime::watcher::Event};
use runtime::{
    ambient::Ambient, client::Connection, events::Recorder, flags::Limits, gates::Gates, leader::Leadership, metrics,
    queue::RateLimit, resync::Resync, shutdown::Shutdown,
};
use serde_json::json;

use crate::{Setup, caches::Caches, cloneset::REGISTRATION, setup::KindFlags};

/// How often the controller has reconciled.
fn passes() -> usize {
    let text = metrics::encode().unwrap();
    let name = REGISTRATION.identity.name;
    let count = format!("controller_runtime_reconcile_time_seconds_count{{controller=\"{name}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&count)).map_or(0, |count| count.parse().unwrap())
}

// Page 4.11, platform section 3
#[tokio::test(start_paused = true)]
async fn a_cloneset_is_looked_at_once_at_the_start_and_again_with_each_resync() {
    let nobody = tower::service_fn(|_: http::Request<Body>| {
        std::future::pending::<Result<http::Response<Body>, tower::BoxError>>()
    });
    let (connection, shutdown) =
        (Connection::over(Client::new(nobody, "default"), Limits::MANAGER), Shutdown::manual());
    let mut setup = Setup {
        client_for: Box::new(move |name| connection.guarded(name, &Leadership::always())),
        caches: Caches::default(),
        gates: Gates::default(),
        rate_limit: RateLimit::default(),
        resync: Resync::Every(Duration::from_secs(3_600)),
        expectation_timeout: Duration::from_secs(300),
        flags: KindFlags { cloneset_workers: 1, cloneset_excludes_preparing_delete: false },
        ambient: Ambient::system(),
        recorder: Recorder::silent(),
    };
    let running = tokio::spawn((REGISTRATION.register)(&mut setup, shutdown.clone()));
    // Its pass ends before it would ask the server for anything.
    let selector = json!({"matchExpressions": [{"key": "app", "operator": "Near"}]});
    let cloneset = json!({"metadata": {"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "1"},
        "spec": {"selector": selector, "template": {}}});
    let cloneset: CloneSet = serde_json::from_value(cloneset).unwrap();
    for event in [Event::Init, Event::InitApply(cloneset), Event::InitDone] {
        setup.caches.clonesets.wanted().apply(event);
    }
    for (seconds, want) in [(60, 1), (3_600, 2), (3_600, 3)] {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        assert_eq!(passes(), want);
    }
    shutdown.request();
    running.await.unwrap();
}
