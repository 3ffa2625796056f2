//! The one write engine: carries out what a plan says and decides nothing (design rule 1).
//!
//! It registers expectations before it creates or deletes, paces the groups of a step, threads resourceVersions through
//! the patches of an object, logs one line a write and reports. The client under it refuses to write once leadership is
//! lost. Which writes there are, and in which order, is the plan's; whether to try again is the controller's.
//!
//! A write without an answer may have been carried out: its expectation stays while `doubt.rs` finds out.

use std::sync::Arc;

use futures::stream::{FuturesUnordered, StreamExt};
use rules::write::{Event, Group, POD, Pace, Step, Verb, Write};
use tokio::sync::Semaphore;
use tracing::{debug, info, warn};

use crate::client::Guarded;
use crate::events::{Recorder, Reference};
use crate::expectations::{Action, Expectations};
use crate::informer::ObjectKey;

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
    /// Namespace and name.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        ObjectKey::new(self.reference.namespace.clone(), self.reference.name.clone())
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
    pub fn new(api: Guarded, recorder: Recorder, limits: Limits) -> Self {
        Self { sender: Sender::new(api), recorder, slots: Arc::new(Semaphore::new(limits.concurrency)), limits }
    }

    /// Carries out the steps in order; a step with a failure is the last one.
    pub async fn run(&self, owner: &Owner, steps: &[Step], expectations: &Expectations) -> Outcome {
        let pass = Pass { engine: self, owner, key: owner.key(), expectations };
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
    key: ObjectKey,
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
            match self.write(write).await {
                Ok(()) => outcome.written += 1,
                Err(error) => {
                    let (resource, name) = (write.resource.plural, write.name.clone());
                    outcome.failed.push(Failed { resource, name, error });
                }
            }
        }
        outcome
    }

    async fn write(&self, write: &Write) -> Result<(), Error> {
        // The semaphore is never closed; if it were, the limit would be gone, not the write.
        let _slot = self.engine.slots.acquire().await.ok();
        let result = match &write.verb {
            Verb::Create { body } => self.create(write, body).await,
            Verb::Delete { uid } => self.delete(write, uid).await,
            Verb::Patch { uid, resource_version, patches } => {
                let versions = &self.expectations.versions;
                let object =
                    patch::Target { write, uid: uid.as_deref(), resource_version: resource_version.as_deref() };
                self.engine.sender.patch_all(object, patches, |uid, version| versions.expect(uid, version)).await
            }
        };
        self.tell(write, &result);
        result
    }

    async fn create(&self, write: &Write, body: &serde_json::Value) -> Result<(), Error> {
        self.expect(write, Action::Create);
        let sent = self.engine.sender.create(write, body).await;
        match &sent {
            Ok(()) => {}
            Err(err) if err.may_have_been_carried_out() => return self.resolve(write, Action::Create, sent).await,
            Err(_) => self.withdraw(write, Action::Create),
        }
        sent
    }

    async fn delete(&self, write: &Write, uid: &str) -> Result<(), Error> {
        self.expect(write, Action::Delete);
        match self.engine.sender.delete(write, uid).await {
            Ok(()) => Ok(()),
            Err(err) if err.code() == Some(404) => {
                // The watch may have shown it before the expectation was there.
                self.withdraw(write, Action::Delete);
                Ok(())
            }
            Err(err) if err.may_have_been_carried_out() => self.resolve(write, Action::Delete, Err(err)).await,
            Err(err) => {
                self.withdraw(write, Action::Delete);
                Err(err)
            }
        }
    }

    /// Looks once what became of a write without an answer; if that has no answer either, goes on looking aside.
    async fn resolve(&self, write: &Write, action: Action, sent: Result<(), Error>) -> Result<(), Error> {
        let question = doubt::Question::about(write, action);
        match question.ask(&self.engine.sender).await {
            Some(doubt::Found::Done) => Ok(()),
            Some(doubt::Found::NotDone) => {
                self.withdraw(write, action);
                sent
            }
            None => {
                self.expectations.scale.doubt(&self.key, action, write.resource.plural, &write.name);
                let (key, scale) = (self.key.clone(), Arc::clone(&self.expectations.scale));
                tokio::spawn(question.settle(self.engine.sender.clone(), key, scale));
                sent
            }
        }
    }

    fn expect(&self, write: &Write, action: Action) {
        self.expectations.scale.expect(&self.key, action, write.resource.plural, &write.name);
    }

    fn withdraw(&self, write: &Write, action: Action) {
        self.expectations.scale.withdraw(&self.key, action, write.resource.plural, &write.name);
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
