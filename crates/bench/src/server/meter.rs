//! What the stand-in counts: requests by verb and kind, watches that follow, bytes sent, events made up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::Response;
use http_body_util::BodyExt as _;
use parking_lot::Mutex;

use super::kinds::Kind;
use super::reply::Body;

/// All counts of one server.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    bytes: Arc<AtomicU64>,
    requests: Mutex<BTreeMap<String, u64>>,
    followed: Mutex<BTreeMap<String, u64>>,
    /// Heartbeats of Nodes.
    pub(super) node_beats: AtomicU64,
    /// Pods re-sent.
    pub(super) pod_beats: AtomicU64,
    /// Touches of one object.
    pub(super) touches: AtomicU64,
}

impl Meter {
    /// Counts a request, as in `list pods`.
    pub(super) fn count(&self, verb: &str, kind: Kind) {
        *self.requests.lock().entry(format!("{verb} {}", kind.names().plural)).or_default() += 1;
    }

    /// Counts a watch that has begun to follow changes.
    pub(super) fn followed(&self, kind: Kind) {
        *self.followed.lock().entry(kind.names().plural.to_owned()).or_default() += 1;
    }

    /// Requests so far, as in `list pods`.
    pub(super) fn requests(&self) -> BTreeMap<String, u64> {
        self.requests.lock().clone()
    }

    /// Watches so far that came to follow changes, by plural.
    pub(super) fn follows(&self) -> BTreeMap<String, u64> {
        self.followed.lock().clone()
    }

    /// Bytes of bodies so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Counts the bytes of a body as they are sent.
    pub(super) fn weigh(&self, response: Response<Body>) -> Response<Body> {
        let bytes = Arc::clone(&self.bytes);
        response.map(|body| {
            body.map_frame(move |frame| {
                let length = frame.data_ref().map_or(0, |data| u64::try_from(data.len()).unwrap_or_default());
                bytes.fetch_add(length, Ordering::Relaxed);
                frame
            })
            .boxed_unsync()
        })
    }
}
