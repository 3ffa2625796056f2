//! `watch`: what is there if that is asked for, then each change as it comes, and a bookmark every minute.
//!
//! A watch keeps no queue: it remembers the version that it has sent and takes what came after from the store, so a
//! reader that is slow holds nothing up and costs nothing.

use std::sync::Arc;
use std::time::Duration;

use futures::stream;
use http::Response;
use hyper::body::Bytes;
use tokio::time::{Instant, sleep_until};

use super::kinds::Kind;
use super::reply::{self, Body, Refusal};
use super::route::Query;
use super::store::{Action, Change, Object};
use super::{CHUNK, Shared, Streaming};

/// How often a watch that asked for bookmarks gets one.
const BOOKMARKS: Duration = Duration::from_secs(60);
/// How long a watch lasts that does not say.
const LONGEST: Duration = Duration::from_secs(30 * 60);
/// Changes that are taken from the store at once.
const AT_ONCE: usize = 256;

/// Starts a watch.
pub(super) fn start(
    shared: &Arc<Shared>,
    kind: Kind,
    namespace: Option<&str>,
    query: &Query,
) -> Result<Response<Body>, Refusal> {
    if query.label_selector.is_some() || query.field_selector.is_some() {
        return Err(Refusal::bad_request("watches with selectors are not served here"));
    }
    if query.initial_events {
        check_initial_events(shared.streaming, query)?;
    }
    let from = match query.resource_version.as_deref() {
        None | Some("0") => 0,
        Some(text) => {
            text.parse().map_err(|_| Refusal::bad_request(format!("resourceVersion cannot be read: {text}")))?
        }
    };
    // Without a version a watch begins with what is there, as it does where that is asked for.
    let phase = match (query.initial_events, from) {
        (true, _) => Phase::Initial(End::Marked),
        (false, 0) => Phase::Initial(End::Silent),
        (false, _) => Phase::Start,
    };
    shared.meter.count(if query.initial_events { "stream" } else { "watch" }, kind);
    let changed = shared.changed.subscribe();
    let store = shared.store.lock();
    let listed = matches!(phase, Phase::Initial(_));
    let initial = if listed { store.list(kind, namespace, None, None).0 } else { Vec::new() };
    let now = Instant::now();
    let watch = Watch {
        kind,
        namespace: namespace.map(ToOwned::to_owned),
        initial: initial.into_iter(),
        phase,
        sent: if listed { store.version() } else { from },
        epoch: store.epoch(),
        bookmark_at: query.bookmarks.then(|| now + BOOKMARKS),
        end_at: now + query.timeout_seconds.map_or(LONGEST, Duration::from_secs),
        changed,
        shared: Arc::clone(shared),
    };
    drop(store);
    Ok(reply::pieces(stream::unfold(watch, |mut watch| async move {
        let piece = watch.next().await?;
        Some((piece, watch))
    })))
}

/// The conditions that kube-apiserver sets for lists by watch.
fn check_initial_events(streaming: Streaming, query: &Query) -> Result<(), Refusal> {
    if streaming == Streaming::Refused {
        let field = "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch";
        return Err(Refusal::invalid(format!("ListOptions.meta.k8s.io \"\" is invalid: {field}")));
    }
    if query.version_match.as_deref() != Some("NotOlderThan") {
        let field =
            "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        return Err(Refusal::invalid(format!("ListOptions.meta.k8s.io \"\" is invalid: {field}")));
    }
    Ok(())
}

/// What stands at the end of the objects that were there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Marked,
    Silent,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Sends what is there.
    Initial(End),
    /// Looks for the first time whether it can go on.
    Start,
    /// Sends what changes.
    Live,
    /// Has nothing more to say.
    Over,
}

struct Watch {
    kind: Kind,
    namespace: Option<String>,
    initial: std::vec::IntoIter<Object>,
    phase: Phase,
    /// Everything up to this version is sent.
    sent: u64,
    epoch: u64,
    bookmark_at: Option<Instant>,
    end_at: Instant,
    changed: tokio::sync::watch::Receiver<u64>,
    shared: Arc<Shared>,
}

impl Watch {
    /// The next piece, which may hold many events.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            // Seen before the store is read: a change after that wakes this watch again.
            self.changed.borrow_and_update();
            match self.phase {
                Phase::Over => return None,
                Phase::Initial(end) => {
                    let text = self.initial(end);
                    if !text.is_empty() {
                        return Some(text);
                    }
                }
                Phase::Start | Phase::Live => {}
            }
            match self.changes() {
                Taken::Events(text) if !text.is_empty() => return Some(text.into()),
                Taken::Events(_) => {}
                Taken::Ended => return None,
                Taken::Refused(refusal) => {
                    self.phase = Phase::Over;
                    return Some(format!("{{\"type\":\"ERROR\",\"object\":{}}}\n", refusal.status()).into());
                }
            }
            let bookmark_at = self.bookmark_at.unwrap_or(self.end_at);
            tokio::select! {
                changed = self.changed.changed() => changed.ok()?,
                () = sleep_until(self.end_at) => return None,
                () = sleep_until(bookmark_at), if self.bookmark_at.is_some() => {
                    self.bookmark_at = Some(Instant::now() + BOOKMARKS);
                    return Some(bookmark(self.kind, self.sent, "").into());
                }
            }
        }
    }

    fn initial(&mut self, end: End) -> Bytes {
        let generated = self.shared.store.lock().generated();
        let mut text = Vec::with_capacity(CHUNK + CHUNK / 4);
        while text.len() < CHUNK {
            let Some(object) = self.initial.next() else {
                if end == End::Marked {
                    let mark = r#","annotations":{"k8s.io/initial-events-end":"true"}"#;
                    text.extend_from_slice(bookmark(self.kind, self.sent, mark).as_bytes());
                }
                self.go_live();
                break;
            };
            event(&mut text, Action::Added, |text| generated.render(&object, text));
        }
        text.into()
    }

    fn changes(&mut self) -> Taken {
        let store = self.shared.store.lock();
        // A watch that begins is told why it cannot; one that runs just ends when all of them do.
        if self.phase == Phase::Live && store.epoch() != self.epoch {
            return Taken::Ended;
        }
        let changes = match store.changes(self.kind, self.sent, AT_ONCE) {
            Ok(changes) => changes,
            Err(expired) => return Taken::Refused(Refusal::expired(self.sent, expired)),
        };
        if changes.is_empty() {
            // Other kinds have moved on: going on from here later must not ask for what is forgotten by then.
            self.sent = store.version();
        }
        let generated = store.generated();
        drop(store);
        if self.phase == Phase::Start {
            self.go_live();
        }
        let mut text = Vec::new();
        for Change { action, object } in &changes {
            self.sent = object.version;
            if self.namespace.as_ref().is_none_or(|namespace| *namespace == object.key.namespace) {
                event(&mut text, *action, |text| generated.render(object, text));
            }
        }
        Taken::Events(text)
    }

    fn go_live(&mut self) {
        self.phase = Phase::Live;
        self.shared.meter.followed(self.kind);
    }
}

enum Taken {
    Events(Vec<u8>),
    Ended,
    Refused(Refusal),
}

fn event(text: &mut Vec<u8>, action: Action, object: impl FnOnce(&mut Vec<u8>)) {
    text.extend_from_slice(b"{\"type\":\"");
    text.extend_from_slice(action.name().as_bytes());
    text.extend_from_slice(b"\",\"object\":");
    object(text);
    text.extend_from_slice(b"}\n");
}

fn bookmark(kind: Kind, version: u64, annotations: &str) -> String {
    let names = kind.names();
    format!(
        "{{\"type\":\"BOOKMARK\",\"object\":{{\"kind\":\"{}\",\"apiVersion\":\"{}\",\
         \"metadata\":{{\"resourceVersion\":\"{version}\"{annotations}}}}}}}\n",
        names.kind,
        names.api_version()
    )
}
