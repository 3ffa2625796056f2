//! A constant stream of calls that need us: a CloneSet read in both versions, and created, over and over.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::progress::answer;
use e2e::scenario::{Stage, bare_cloneset};
use kube::Client;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

/// Pace of each of the three streams.
const PACE: Duration = Duration::from_millis(50);

/// What became of the calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    calls: u64,
    failed: u64,
    undefaulted: u64,
    first_failure: Option<Instant>,
    last_failure: Option<Instant>,
    errors: Vec<String>,
}

impl Tally {
    /// Prints what was counted.
    pub(crate) fn show(&self, what: &str) {
        let lasted = match (self.first_failure, self.last_failure) {
            (Some(first), Some(last)) => format!("between the first and the last {} ms", (last - first).as_millis()),
            _ => "no failure".to_owned(),
        };
        let Self { calls, failed, undefaulted, .. } = self;
        answer(format_args!("{what}: {calls} calls, {failed} failed, {undefaulted} without defaults; {lasted}"));
    }

    /// Prints what was counted, and fails unless all went well.
    pub(crate) fn clean(&self, what: &str) -> Result<()> {
        self.show(what);
        ensure!(self.calls > 0, "{what}: nobody called");
        ensure!(self.failed == 0 && self.undefaulted == 0, "{what}: {:#?}", self.errors);
        Ok(())
    }
}

/// The stream. It ends when this is dropped.
pub(crate) struct Calls {
    tally: Arc<Mutex<Tally>>,
    streams: Vec<JoinHandle<()>>,
}

impl Drop for Calls {
    fn drop(&mut self) {
        self.streams.iter().for_each(JoinHandle::abort);
    }
}

impl Calls {
    /// Begins to call about a CloneSet of this stage.
    pub(crate) async fn start(stage: &Stage) -> Result<Self> {
        stage.cloneset("called", "nginx:1.25", json!({"replicas": 0})).await?;
        let tally = Arc::new(Mutex::new(Tally::default()));
        let url = |version: &str| format!("/apis/apps.kruise.io/{version}/namespaces/{}/clonesets", stage.namespace());
        let streams = [
            (http::Method::GET, format!("{}/called", url("v1alpha1"))),
            (http::Method::GET, format!("{}?resourceVersion=0", url("v1beta1"))),
            (http::Method::POST, format!("{}?dryRun=All", url("v1beta1"))),
        ];
        let streams =
            streams.map(|(method, url)| tokio::spawn(call(stage.client().clone(), method, url, Arc::clone(&tally))));
        Ok(Self { tally, streams: streams.into() })
    }

    /// What was counted since the last time.
    pub(crate) fn take(&self) -> Tally {
        std::mem::take(&mut self.tally.lock())
    }
}

async fn call(client: Client, method: http::Method, url: String, tally: Arc<Mutex<Tally>>) {
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let is_creation = method == http::Method::POST;
    let body = if is_creation {
        bare_cloneset(&json!({"generateName": "caller-"})).to_string().into_bytes()
    } else {
        Vec::new()
    };
    loop {
        pace.tick().await;
        let request = http::Request::builder().method(&method).uri(&url).header("content-type", "application/json");
        let Ok(request) = request.body(body.clone()) else { return };
        let answer: Result<Value, kube::Error> = client.request(request).await;
        let mut tally = tally.lock();
        tally.calls += 1;
        let failure = match answer {
            Ok(made) if is_creation && made["spec"]["revisionHistoryLimit"].is_null() => {
                tally.undefaulted += 1;
                format!("{url}: no defaults")
            }
            Ok(_) => continue,
            Err(error) => {
                tally.failed += 1;
                let now = Instant::now();
                tally.first_failure.get_or_insert(now);
                tally.last_failure = Some(now);
                format!("{url}: {error}")
            }
        };
        if tally.errors.len() < 5 {
            tally.errors.push(failure);
        }
    }
}
