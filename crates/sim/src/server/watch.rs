//! Watches: the log of a kind, told line by line to those whose selection it concerns.
//!
//! A line is written once for all watches that tell it in the same form. A watch sleeps until its kind's bell rings or
//! its next bookmark or its end is due.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use hyper::body::Bytes;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use tokio::time::Instant;

use super::core::Core;
use super::failure::{Cause, Failure, Result};
use super::kind::{Kind, Resource};
use super::list::partial;
use super::metadata::{meta_text, put_at, set_version};
use super::query::Query;
use super::selector::Selector;
use super::store::{Event, Form};

/// How often a watch is told how far it is.
const BOOKMARKS_EACH: Duration = Duration::from_secs(60);
/// The last bookmark comes this long before the end.
const BEFORE_THE_END: Duration = Duration::from_secs(2);
/// A watch without a time-out of its own ends after at least this time, and at most twice of it.
const SHORTEST_WATCH: u64 = 1_800;

/// A watch that is under way.
pub(super) struct Watch {
    core: Arc<Mutex<Core>>,
    resource: Arc<Resource>,
    kind: Kind,
    /// Place of `kind` among the resource's.
    index: usize,
    namespace: String,
    selector: Selector,
    partial: bool,
    bookmarks: bool,
    /// Everything up to this version has been told.
    told: u64,
    lines: VecDeque<Bytes>,
    bell: Receiver<u64>,
    next_bookmark: Instant,
    end: Instant,
    ended: bool,
}

impl Watch {
    /// Begins a watch.
    pub(super) fn begin(
        shared: &Arc<Mutex<Core>>,
        resource: Arc<Resource>,
        kind: Kind,
        namespace: &str,
        query: &Query,
    ) -> Result<Self> {
        check(query)?;
        let selector = Selector::parse(&resource, &query.labels, &query.fields)?;
        let mut core = shared.lock();
        let (asked, current) = (query.version()?, core.store.version());
        if query.initial == Some(true) && asked > current {
            return Err(Failure::too_large_version(asked, current));
        }
        let seconds = query.timeout.filter(|seconds| *seconds > 0);
        let seconds = seconds.unwrap_or_else(|| SHORTEST_WATCH + core.rng.u64(..SHORTEST_WATCH));
        let now = Instant::now();
        let end = now + Duration::from_secs(seconds);
        let index = resource.kinds.iter().position(|known| known.version == kind.version).unwrap_or_default();
        let mut watch = Self {
            bell: core.store.bell(&resource.id),
            core: Arc::clone(shared),
            resource,
            kind,
            index,
            namespace: namespace.to_owned(),
            selector,
            partial: query.partial,
            bookmarks: query.bookmarks,
            told: asked,
            lines: VecDeque::new(),
            next_bookmark: next_bookmark(now, end),
            end,
            ended: false,
        };
        let from_now = query.initial.unwrap_or(asked == 0);
        if from_now {
            watch.told = current;
            watch.tell_all(&core)?;
            if query.initial == Some(true) && watch.bookmarks {
                watch.bookmark(current, true);
            }
        } else if query.initial == Some(false) && asked == 0 {
            watch.told = current;
        } else if core.store.is_expired(asked) {
            watch.expire(asked, current);
        }
        Ok(watch)
    }

    /// Line by line, until it ends.
    pub(super) fn lines(self) -> impl Stream<Item = std::result::Result<Bytes, tower::BoxError>> + Send {
        let lines = futures::stream::unfold(self, |mut watch| async move {
            let line = watch.next().await?;
            Some((Ok(line), watch))
        });
        lines.fuse()
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(line);
            }
            if self.ended {
                return None;
            }
            self.bell.borrow_and_update();
            self.catch_up();
            if self.lines.is_empty() {
                self.wait().await;
            }
        }
    }

    async fn wait(&mut self) {
        let due = if self.bookmarks { self.next_bookmark.min(self.end) } else { self.end };
        tokio::select! {
            biased;
            rung = self.bell.changed() => self.ended |= rung.is_err(),
            () = tokio::time::sleep_until(due) => {}
        }
        if Instant::now() < due || !self.lines.is_empty() {
            return;
        }
        self.catch_up();
        if due == self.end {
            self.ended = true;
        } else {
            self.next_bookmark = next_bookmark(due, self.end);
            self.bookmark(self.told, false);
        }
    }

    /// Takes in what the log has that was not told yet.
    fn catch_up(&mut self) {
        let shared = Arc::clone(&self.core);
        let core = shared.lock();
        let current = core.store.version();
        match core.store.since(&self.resource.id, self.told) {
            Some(events) => {
                for event in events {
                    if let Err(failure) = self.tell(&core, event) {
                        self.refuse(&failure);
                        return;
                    }
                }
                self.told = current.max(self.told);
            }
            None => self.expire(self.told, current),
        }
    }

    fn tell_all(&mut self, core: &Core) -> Result<()> {
        let objects: Vec<Arc<Value>> = core.store.objects(&self.resource.id, &self.namespace).cloned().collect();
        for object in objects.iter().filter(|object| self.selector.fits(object)) {
            let line = self.line(core, "ADDED", object)?;
            self.lines.push_back(line);
        }
        Ok(())
    }

    /// One event, as it looks to this selection.
    fn tell(&mut self, core: &Core, event: &Event) -> Result<()> {
        if !self.namespace.is_empty() && meta_text(&event.object, "namespace") != self.namespace {
            return Ok(());
        }
        let was = event.before.as_ref().is_some_and(|before| self.selector.fits(before));
        let is = !event.gone && self.selector.fits(&event.object);
        let told = match (was, is) {
            (false, false) => return Ok(()),
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
        };
        if told == "DELETED" && !event.gone {
            // It left the selection: it is told as it was, with the version at which it left.
            let mut last = event.before.as_deref().cloned().unwrap_or_default();
            set_version(&mut last, event.version);
            let line = self.line(core, told, &Arc::new(last))?;
            self.lines.push_back(line);
            return Ok(());
        }
        let form = Form { told, version: self.index, partial: self.partial };
        let known = event.lines.lock().iter().find(|(known, _)| *known == form).map(|(_, line)| line.clone());
        let line = match known {
            Some(line) => line,
            None => {
                let line = self.line(core, told, &event.object)?;
                event.lines.lock().push((form, line.clone()));
                line
            }
        };
        self.lines.push_back(line);
        Ok(())
    }

    fn line(&self, core: &Core, told: &str, object: &Arc<Value>) -> Result<Bytes> {
        let object = core.read(&self.resource, object, &self.kind)?;
        let written = if self.partial { write(told, &partial(&object)) } else { write(told, &object) };
        written.map_err(|err| Failure::new(500, "InternalError", err.to_string()))
    }

    fn bookmark(&mut self, version: u64, initial: bool) {
        let (kind, api_version) = if self.partial {
            ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned())
        } else {
            (self.kind.kind.as_str(), self.kind.api_version())
        };
        let mut object =
            json!({"kind": kind, "apiVersion": api_version, "metadata": {"resourceVersion": version.to_string()}});
        if initial {
            let annotations = json!({"k8s.io/initial-events-end": "true"});
            put_at(&mut object, &["metadata", "annotations"], annotations);
        }
        self.lines.extend(write("BOOKMARK", &object));
    }

    fn expire(&mut self, asked: u64, current: u64) {
        self.refuse(&Failure::expired(format!("too old resource version: {asked} ({current})")));
    }

    fn refuse(&mut self, failure: &Failure) {
        self.lines.extend(write("ERROR", &failure.status()));
        self.ended = true;
    }
}

fn next_bookmark(after: Instant, end: Instant) -> Instant {
    let last = end - BEFORE_THE_END;
    if after < last { last.min(after + BOOKMARKS_EACH) } else { end }
}

fn write(told: &str, object: &Value) -> serde_json::Result<Bytes> {
    let mut line = Vec::with_capacity(2_048);
    line.extend_from_slice(b"{\"type\":\"");
    line.extend_from_slice(told.as_bytes());
    line.extend_from_slice(b"\",\"object\":");
    serde_json::to_writer(&mut line, object)?;
    line.extend_from_slice(b"}\n");
    Ok(line.into())
}

/// What goes together in a watch.
fn check(query: &Query) -> Result<()> {
    let refuse = |field: &str, why: &str| {
        let (message, field) = (format!("Forbidden: {why}"), field.to_owned());
        Err(Failure::options("ListOptions", &[Cause { reason: "FieldValueForbidden", message, field }]))
    };
    if query.initial.is_none() && !query.version_match.is_empty() {
        let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
        return refuse("resourceVersionMatch", why);
    }
    if query.initial.is_some() && query.version_match != "NotOlderThan" {
        let cause = |reason, message| Cause { reason, message, field: "resourceVersionMatch".to_owned() };
        let why = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        let mut causes = vec![cause("FieldValueForbidden", why.to_owned())];
        if !query.version_match.is_empty() {
            let message = format!("Unsupported value: {:?}: supported values: \"NotOlderThan\"", query.version_match);
            causes.push(cause("FieldValueNotSupported", message));
        }
        return Err(Failure::options("ListOptions", &causes));
    }
    Ok(())
}
