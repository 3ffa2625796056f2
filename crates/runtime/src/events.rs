//! Events about objects, for people and tools: best effort, in the background, never in the way of a reconcile.
//!
//! Which event object an event becomes, and whether it is told at all, is `correlate.rs`; here it is taken and sent.
//! Events of cluster-scoped objects go to namespace `default` (PL-92).

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use api::k8s::Projection;
use jiff::Timestamp;
use kube::Client;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::Request;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use rules::write::Severity;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tracing::{debug, warn};

use crate::ambient::{Ambient, Chance};
use crate::client;
use crate::clock::{self, Clock};
use crate::metrics;
use crate::shutdown::Shutdown;

mod correlate;
mod similar;
mod spam;

use correlate::{Correlator, Entry};

/// Events that may wait for the API server; more are dropped and counted.
const WAITING: usize = 1_000;
/// The API server's limit for a message, in bytes.
const LONGEST_MESSAGE: usize = 1_024;
/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What an event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Group and version, `v1` for core.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Namespace, empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
}

impl Reference {
    /// The reference to an object that was read.
    pub fn of<T: Projection>(object: &T) -> Self {
        let metadata = object.metadata();
        Self {
            api_version: <T::Of as kube::Resource>::api_version(&()).into_owned(),
            kind: <T::Of as kube::Resource>::kind(&()).into_owned(),
            namespace: metadata.namespace.to_string(),
            name: metadata.name.to_string(),
            uid: metadata.uid.to_string(),
        }
    }
}

/// Takes events for one component; clones are cheap.
#[derive(Clone, Debug)]
pub struct Recorder {
    component: Arc<str>,
    clock: Clock,
    queue: mpsc::Sender<Event>,
}

/// An event on its way.
#[derive(Clone, Debug)]
struct Event {
    component: Arc<str>,
    about: Reference,
    severity: Severity,
    reason: String,
    message: String,
    at: Timestamp,
    instant: Instant,
}

impl Recorder {
    /// Starts sending in the background until the end is asked for. `component` is the source of the events, `host`
    /// the node for processes that run on each node.
    #[must_use]
    pub fn start(client: Client, component: &str, host: Option<String>, ambient: Ambient, shutdown: Shutdown) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING);
        let Ambient { clock, chance } = ambient;
        let host = host.unwrap_or_default();
        let sender = Sender { client, host, chance, correlator: Correlator::default() };
        tokio::spawn(sender.run(waiting, shutdown));
        Self { component: component.into(), clock, queue }
    }

    /// A recorder that drops everything, for tests and for processes that report otherwise.
    #[must_use]
    pub fn silent() -> Self {
        Self { component: "".into(), clock: Clock::system(), queue: mpsc::channel(1).0 }
    }

    /// The same sender for another source component.
    #[must_use]
    pub fn with_component(&self, component: &str) -> Self {
        Self { component: component.into(), clock: self.clock.clone(), queue: self.queue.clone() }
    }

    /// Reports an event. Never waits: where too many are under way it is dropped and counted.
    pub fn record(&self, about: &Reference, severity: Severity, reason: &str, message: &str) {
        let event = Event {
            component: Arc::clone(&self.component),
            about: about.clone(),
            severity,
            reason: reason.to_owned(),
            message: cut(message).to_owned(),
            at: self.clock.now(),
            instant: clock::instant(),
        };
        if let Err(mpsc::error::TrySendError::Full(_)) = self.queue.try_send(event) {
            DROPPED.get_or_create(&vec![("component", self.component.to_string())]).inc();
        }
    }
}

fn cut(message: &str) -> &str {
    message.get(..message.floor_char_boundary(LONGEST_MESSAGE)).unwrap_or(message)
}

static DROPPED: LazyLock<Family<Vec<(&'static str, String)>, Counter>> =
    LazyLock::new(|| metrics::counters("kruise_events_dropped", "Events dropped because too many were under way"));

struct Sender {
    client: Client,
    host: String,
    chance: Chance,
    correlator: Correlator,
}

impl Sender {
    async fn run(mut self, mut waiting: mpsc::Receiver<Event>, shutdown: Shutdown) {
        loop {
            tokio::select! {
                // What happened before the end is still told.
                biased;
                event = waiting.recv() => match event {
                    Some(event) => self.take(event).await,
                    None => return,
                },
                () = shutdown.requested() => return,
            }
        }
    }

    async fn take(&mut self, event: Event) {
        let Some(entry) = self.correlator.take(&event, || name_of(&event, &self.chance)) else {
            debug!(object = event.about.name, reason = event.reason, "too many events about this object, drop one");
            return;
        };
        match tokio::time::timeout(TIMEOUT, self.send(&event, &entry)).await {
            Ok(Ok(())) => {}
            Ok(Err(err)) => warn!(reason = event.reason, err = client::words(&err), "cannot record event"),
            Err(_) => warn!(reason = event.reason, "cannot record event: no answer within {TIMEOUT:?}"),
        }
    }

    async fn send(&self, event: &Event, entry: &Entry) -> kube::Result<()> {
        if entry.count > 1 {
            let patch =
                json!({"count": entry.count, "lastTimestamp": seconds(event.at), "message": cut(&entry.message)});
            let request = urls(&event.about).patch(&entry.name, &PatchParams::default(), &Patch::Merge(patch));
            match self.client.request::<Value>(request.map_err(kube::Error::BuildRequest)?).await {
                // It has expired, was removed, or was never made: make it, with the count that it has.
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                other => return other.map(drop),
            }
        }
        let body = serde_json::to_vec(&self.body(event, entry)).map_err(kube::Error::SerdeError)?;
        let request = urls(&event.about).create(&PostParams::default(), body).map_err(kube::Error::BuildRequest)?;
        self.client.request::<Value>(request).await.map(drop)
    }

    fn body(&self, event: &Event, entry: &Entry) -> Value {
        let about = &event.about;
        json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": entry.name, "namespace": namespace_of(about)},
            "involvedObject": {
                "apiVersion": about.api_version,
                "kind": about.kind,
                "namespace": about.namespace,
                "name": about.name,
                "uid": about.uid,
            },
            "type": match event.severity {
                Severity::Normal => "Normal",
                Severity::Warning => "Warning",
            },
            "reason": event.reason,
            "message": cut(&entry.message),
            "source": {"component": &*event.component, "host": self.host},
            "reportingComponent": &*event.component,
            "reportingInstance": self.host,
            "firstTimestamp": seconds(entry.first),
            "lastTimestamp": seconds(event.at),
            "count": entry.count,
        })
    }
}

/// Times of Kubernetes objects have whole seconds.
fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn name_of(event: &Event, chance: &Chance) -> String {
    // Object names end at 253 bytes, 17 of which the suffix takes.
    let name = event.about.name.get(..event.about.name.floor_char_boundary(236)).unwrap_or_default();
    format!("{name}.{:016x}", event.at.as_nanosecond() as u64 ^ (chance.number() >> 48))
}

fn namespace_of(about: &Reference) -> &str {
    match about.namespace.as_str() {
        "" => "default",
        namespace => namespace,
    }
}

fn urls(about: &Reference) -> Request {
    Request::new(format!("/api/v1/namespaces/{}/events", namespace_of(about)))
}

#[cfg(test)]
mod tests;
