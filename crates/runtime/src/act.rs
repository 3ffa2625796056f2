//! The one write engine: carries out what a plan says and decides nothing (design rule 1).
//!
//! It registers expectations before it creates or deletes, paces the groups of a step, threads resourceVersions through
//! the patches of an object, logs one line a write and reports. The client under it refuses to write once leadership is
//! lost. Which writes there are, and in which order, is the plan's; whether to try again is the controller's.
//!
//! One write and its expectations is `carry_out.rs`. A write without an answer may have been carried out: its
//! expectation stays while `doubt.rs` finds out.

use std::sync::Arc;

use futures::stream::{FuturesUnordered, StreamExt};
use rules::write::{Event, Group, POD, Pace, Step, Write};
use tokio::sync::Semaphore;
use tracing::{debug, info, warn};

use crate::ambient::Chance;
use crate::client::Guarded;
use crate::events::{Recorder, Reference};
use crate::expectations::{Expectations, OwnerId};
use crate::informer::ObjectKey;

mod carry_out;
mod doubt;
mod patch;
mod send;

pub use send::Error;
use send::Sender;

/// How much the engine does at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Writes in flight over all objects of this engine. Each holds a connection and a Pod's body.
    pub concurrency: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { concurrency: 32 }
    }
}

/// Whose plan is carried out: expectations are kept under its key, events are about it.
#[derive(Clone, Debug)]
pub struct Owner {
    /// The object.
    pub reference: Reference,
}

impl Owner {
    /// Namespace, name and UID.
    #[must_use]
    pub fn id(&self) -> OwnerId {
        let Reference { namespace, name, uid, .. } = &self.reference;
        OwnerId { key: ObjectKey::new(namespace.as_str(), name.as_str()), uid: uid.into() }
    }
}

/// A write that was not carried out.
#[derive(Debug)]
pub struct Failed {
    /// Plural of the resource.
    pub resource: &'static str,
    /// Name of the object.
    pub name: String,
    /// Why.
    pub error: Error,
}

/// What became of the steps.
#[derive(Debug, Default)]
#[must_use = "a failed write must be tried again"]
pub struct Outcome {
    /// Objects that were written, or deleted, or found deleted.
    pub written: usize,
    /// Writes that failed.
    pub failed: Vec<Failed>,
    /// Writes that were not tried, because one before them failed.
    pub skipped: usize,
}

impl Outcome {
    /// The failures as one error, for a reconcile to return.
    ///
    /// # Errors
    /// Some write failed.
    pub fn into_result(self) -> anyhow::Result<usize> {
        let Some(first) = self.failed.first() else { return Ok(self.written) };
        let others = self.failed.len() - 1;
        let more = if others == 0 { String::new() } else { format!(" (and {others} more)") };
        Err(anyhow::anyhow!("{} {}: {}{more}", first.resource, first.name, first.error))
    }

    fn absorb(&mut self, other: Self) {
        let Self { written, failed, skipped } = other;
        self.written += written;
        self.failed.extend(failed);
        self.skipped += skipped;
    }
}

/// Carries out steps; clones share the limit.
#[derive(Clone)]
pub struct Engine {
    sender: Sender,
    recorder: Recorder,
    slots: Arc<Semaphore>,
    limits: Limits,
}

impl Engine {
    /// An engine that writes through `api`: while its leadership is held.
    #[must_use]
    pub fn new(api: Guarded, recorder: Recorder, chance: Chance, limits: Limits) -> Self {
        Self { sender: Sender::new(api, chance), recorder, slots: Arc::new(Semaphore::new(limits.concurrency)), limits }
    }

    /// Carries out the steps in order; a step with a failure is the last one.
    pub async fn run(&self, owner: &Owner, steps: &[Step], expectations: &Expectations) -> Outcome {
        let pass = Pass { engine: self, owner, id: owner.id(), expectations };
        let mut outcome = Outcome::default();
        for step in steps {
            if outcome.failed.is_empty() {
                outcome.absorb(pass.step(step).await);
            } else {
                outcome.skipped += step.groups.iter().map(Vec::len).sum::<usize>();
            }
        }
        outcome
    }
}

/// One run over the writes of one owner.
struct Pass<'a> {
    engine: &'a Engine,
    owner: &'a Owner,
    id: OwnerId,
    expectations: &'a Expectations,
}

impl Pass<'_> {
    async fn step(&self, step: &Step) -> Outcome {
        match step.pace {
            Pace::Concurrent => self.side_by_side(&step.groups).await,
            Pace::SlowStart => self.slow_start(&step.groups).await,
        }
    }

    /// After a failure no further group is started; those under way end.
    async fn side_by_side(&self, groups: &[Group]) -> Outcome {
        let mut outcome = Outcome::default();
        let mut left = groups.iter();
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < self.engine.limits.concurrency && outcome.failed.is_empty() {
                let Some(group) = left.next() else { break };
                running.push(self.group(group));
            }
            match running.next().await {
                Some(done) => outcome.absorb(done),
                None => break,
            }
        }
        outcome.skipped += left.map(Vec::len).sum::<usize>();
        outcome
    }

    /// Batches of 1, 2, 4 ...: where each write fails for the same reason, few are tried (CS-48).
    async fn slow_start(&self, groups: &[Group]) -> Outcome {
        let mut outcome = Outcome::default();
        let (mut left, mut size) = (groups, 1_usize);
        while !left.is_empty() && outcome.failed.is_empty() {
            let (batch, rest) = left.split_at(size.min(left.len()));
            let all: FuturesUnordered<_> = batch.iter().map(|group| self.group(group)).collect();
            for done in all.collect::<Vec<_>>().await {
                outcome.absorb(done);
            }
            left = rest;
            size = size.saturating_mul(2);
        }
        outcome.skipped += left.iter().map(Vec::len).sum::<usize>();
        outcome
    }

    async fn group(&self, group: &Group) -> Outcome {
        let mut outcome = Outcome::default();
        for write in group {
            if !outcome.failed.is_empty() {
                outcome.skipped += 1;
                continue;
            }
            let result = self.carry_out(write).await;
            self.tell(write, &result);
            match result {
                Ok(()) => outcome.written += 1,
                Err(error) => {
                    let (resource, name) = (write.resource.plural, write.name.clone());
                    outcome.failed.push(Failed { resource, name, error });
                }
            }
        }
        outcome
    }

    /// One line and at most one event.
    fn tell(&self, write: &Write, result: &Result<(), Error>) {
        let revision = write.revision.as_deref();
        let is_pod = write.resource == POD;
        let pod = is_pod.then_some(write.name.as_str());
        let object = (!is_pod).then(|| format!("{}/{}", write.resource.plural, write.name));
        match result {
            Ok(()) => info!(pod, object, revision, "{}", write.reason),
            Err(Error::NotLeader) => debug!(pod, object, "not written, no longer the leader: {}", write.reason),
            Err(err) => warn!(pod, object, revision, %err, "failed: {}", write.reason),
        }
        match (result, &write.on_success, &write.on_failure) {
            (Ok(()), Some(event), _) => self.record(event, None),
            (Err(Error::NotLeader), _, _) => {}
            (Err(err), _, Some(event)) => self.record(event, Some(err)),
            _ => {}
        }
    }

    fn record(&self, event: &Event, err: Option<&Error>) {
        let message = match err {
            Some(err) => event.message.replace("{err}", &err.to_string()),
            None => event.message.clone(),
        };
        self.engine.recorder.record(&self.owner.reference, event.severity, event.reason, &message);
    }
}

#[cfg(test)]
mod tests;
