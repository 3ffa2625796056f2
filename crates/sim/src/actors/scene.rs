//! What every actor has at hand while it acts: the time, the server, the agenda, chance.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::agenda::{Agenda, Task};
use super::fields::{at, list, set, text};
use super::{Cluster, Refusal};
use crate::server::call::{Call, PatchFormat, Verb};

/// Milliseconds, as a range to draw from.
pub(super) type Millis = Range<u64>;

/// One Pod and no later one of the same name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PodRef {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
}

impl PodRef {
    pub(super) fn of(pod: &Value) -> Self {
        let text = |field: &str| text(at(pod, field)).to_owned();
        Self { namespace: text("metadata.namespace"), name: text("metadata.name"), uid: text("metadata.uid") }
    }
}

pub(super) struct Scene<'a> {
    pub(super) now: Timestamp,
    pub(super) cluster: &'a dyn Cluster,
    pub(super) chance: &'a mut fastrand::Rng,
    pub(super) agenda: &'a mut Agenda,
    pub(super) refused: &'a mut Vec<Refusal>,
}

impl Scene<'_> {
    /// The Pod, if it is still that one.
    pub(super) fn pod(&self, pod: &PodRef) -> Option<Arc<Value>> {
        self.cluster.get("pods", &pod.namespace, &pod.name).filter(|live| text(at(live, "metadata.uid")) == pod.uid)
    }

    /// Asks the server. `None` where it refused: objects that are gone or changed are no surprise, all else is kept.
    pub(super) fn ask(&mut self, caller: &str, call: Call) -> Option<Arc<Value>> {
        match self.cluster.ask(caller, call.clone()) {
            Ok(answer) => Some(answer),
            Err(failure) => {
                if !matches!(failure.code, 404 | 409) {
                    self.refused.push(Refusal { caller: caller.to_owned(), call, failure });
                }
                None
            }
        }
    }

    /// Merges fields into an object or one of its subresources.
    pub(super) fn patch(&mut self, caller: &str, manager: &str, target: Call, body: Value) -> Option<Arc<Value>> {
        let mut call = target.with(body);
        call.verb = Verb::Patch(PatchFormat::Merge);
        manager.clone_into(&mut call.options.field_manager);
        self.ask(caller, call)
    }

    /// Writes fields of a Pod's status.
    pub(super) fn patch_pod_status(
        &mut self,
        caller: &str,
        manager: &str,
        pod: &PodRef,
        status: Value,
    ) -> Option<Arc<Value>> {
        let target = Call::new(Verb::Get, "pods").at(&pod.namespace, &pod.name).sub("status");
        self.patch(caller, manager, target, json!({"metadata": {"uid": pod.uid}, "status": status}))
    }

    /// Deletes this Pod and no later one; without seconds, with the Pod's own grace period.
    pub(super) fn delete_pod(&mut self, caller: &str, pod: &PodRef, grace_seconds: Option<u64>) {
        let mut body = json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": pod.uid}});
        if let Some(seconds) = grace_seconds {
            set(&mut body, "gracePeriodSeconds", seconds);
        }
        self.ask(caller, Call::new(Verb::Delete, "pods").at(&pod.namespace, &pod.name).with(body));
    }

    /// Puts a task on the agenda, for a moment that is drawn.
    pub(super) fn later(&mut self, delay: Millis, task: Task) {
        let at = drawn(self.now, delay, self.chance);
        self.agenda.add(at, task);
    }

    /// Puts a task on the agenda.
    pub(super) fn after(&mut self, delay: Duration, task: Task) {
        self.agenda.add(plus(self.now, delay), task);
    }

    /// The time as objects write it, in whole seconds.
    pub(super) fn stamp(&self) -> String {
        Timestamp::from_second(self.now.as_second()).unwrap_or(self.now).to_string()
    }
}

/// A moment within the range from now.
pub(super) fn drawn(now: Timestamp, delay: Millis, chance: &mut fastrand::Rng) -> Timestamp {
    let millis = if delay.is_empty() { delay.start } else { chance.u64(delay) };
    plus(now, Duration::from_millis(millis))
}

/// That much later, at most the end of time.
pub(super) fn plus(now: Timestamp, delay: Duration) -> Timestamp {
    SignedDuration::try_from(delay).ok().and_then(|delay| now.checked_add(delay).ok()).unwrap_or(Timestamp::MAX)
}

/// Names of the claims that a Pod mounts.
pub(super) fn claims_of(pod: &Value) -> impl Iterator<Item = &str> {
    list(at(pod, "spec.volumes")).iter().filter_map(|volume| at(volume, "persistentVolumeClaim.claimName").as_str())
}

/// The Pod's conditions with this one changed; `None` where it has this status and reason already. The time of the
/// transition moves only with the status.
pub(super) fn with_condition(pod: &Value, mut condition: Value, stamp: &str) -> Option<Vec<Value>> {
    let mut conditions = list(at(pod, "status.conditions")).to_vec();
    set(&mut condition, "lastTransitionTime", stamp);
    if let Some(generation) = at(pod, "metadata.generation").as_i64() {
        set(&mut condition, "observedGeneration", generation);
    }
    match conditions.iter_mut().find(|existing| at(existing, "type") == at(&condition, "type")) {
        Some(existing) => {
            let same = at(existing, "status") == at(&condition, "status");
            if same && at(existing, "reason") == at(&condition, "reason") {
                return None;
            }
            if same {
                set(&mut condition, "lastTransitionTime", at(existing, "lastTransitionTime").clone());
            }
            *existing = condition;
        }
        None => conditions.push(condition),
    }
    Some(conditions)
}
