//! What a CloneSet's status says, and when it is worth a write (page section 3, CS-80).

use std::time::Duration;

use api::{
    cloneset::v1beta1::{CloneSetCondition, CloneSetStatus},
    keys,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use rules::{pod, selector::Selector};
use serde_json::{Value, json};

use super::{numbers, snapshot::Snapshot};

/// The status of one pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// As it should be.
    pub wanted: CloneSetStatus,
    /// Whether it differs from the stored one in something that is worth a write.
    pub must_write: bool,
    /// When the progress deadline is due.
    pub requeue: Option<Duration>,
}

impl Status {
    /// The same status with the pass's failures as conditions: set when missing, never cleared (1.9 note in section 3).
    #[must_use]
    pub fn with_failures(mut self, scale: Option<&str>, update: Option<&str>, now: Timestamp) -> Self {
        for (type_, message) in [(keys::FAILED_SCALE_CONDITION, scale), (keys::FAILED_UPDATE_CONDITION, update)] {
            let Some(message) = message else { continue };
            if !self.wanted.conditions.iter().any(|condition| condition.type_ == type_) {
                self.wanted.conditions.push(CloneSetCondition {
                    type_: type_.to_owned(),
                    status: "True".to_owned(),
                    last_transition_time: Some(Time(now)),
                    message: message.to_owned(),
                    ..CloneSetCondition::default()
                });
            }
        }
        self
    }

    /// The merge patch that writes it; lists are always there, so that what was removed goes.
    ///
    /// # Errors
    /// Never in practice: the status is plain data.
    pub fn patch(&self) -> Result<Value, serde_json::Error> {
        let mut status = serde_json::to_value(&self.wanted)?;
        if let Some(status) = status.as_object_mut() {
            status.entry("conditions").or_insert_with(|| json!([]));
        }
        Ok(json!({"status": status}))
    }
}

/// Counts the Pods of the pass and compares with what is stored.
#[must_use]
pub fn plan(world: &Snapshot, now: Timestamp) -> Status {
    let old = world.cloneset.status.clone().unwrap_or_default();
    let mut new = counters(world, now);
    new.conditions = old.conditions.clone();
    let requeue = progress(world, &mut new, now);
    let must_write = differs(&old, &new) || world.cloneset.status.is_none();
    Status { wanted: new, must_write, requeue }
}

fn counters(world: &Snapshot, now: Timestamp) -> CloneSetStatus {
    let min_ready = world.min_ready_seconds();
    let count = |counts: &dyn Fn(&api::k8s::Pod) -> bool| -> i32 {
        i32::try_from(world.pods.iter().filter(|pod| counts(pod)).count()).unwrap_or(i32::MAX)
    };
    let replicas = count(&|_| true);
    let updated = count(&|pod| world.is_updated(pod));
    let wanted = i32::try_from(numbers::limits(world.spec()).replicas).unwrap_or(i32::MAX);
    let settled = updated == replicas && replicas == wanted;
    let current = if settled { &world.revisions.update } else { &world.revisions.current };
    CloneSetStatus {
        observed_generation: world.cloneset.metadata.generation,
        replicas,
        ready_replicas: count(&|pod| pod::is_update_ready(pod, 0, now)),
        available_replicas: count(&|pod| pod::is_available(pod, min_ready, now)),
        updated_replicas: updated,
        updated_ready_replicas: count(&|pod| world.is_updated(pod) && pod::is_update_ready(pod, 0, now)),
        updated_available_replicas: count(&|pod| world.is_updated(pod) && pod::is_available(pod, min_ready, now)),
        expected_updated_replicas: numbers::expected_updated_replicas(world.spec()),
        update_revision: world.revisions.update.name.clone(),
        current_revision: current.name.clone(),
        collision_count: world.revisions.collisions,
        label_selector: Selector::compile(&world.spec().selector).map(|text| text.to_string()).unwrap_or_default(),
        conditions: Vec::new(),
    }
}

/// The `Progressing` condition (CS-80); returns when its deadline is due.
fn progress(world: &Snapshot, status: &mut CloneSetStatus, now: Timestamp) -> Option<Duration> {
    let deadline = match world.spec().progress_deadline_seconds {
        None | Some(keys::NO_PROGRESS_DEADLINE) => {
            status.conditions.retain(|condition| condition.type_ != keys::PROGRESSING_CONDITION);
            return None;
        }
        Some(seconds) => SignedDuration::from_secs(i64::from(seconds)),
    };
    let wanted = i32::try_from(numbers::limits(world.spec()).replicas).unwrap_or(i32::MAX);
    let present = status.conditions.iter().find(|condition| condition.type_ == keys::PROGRESSING_CONDITION).cloned();
    let done = status.current_revision == status.update_revision
        && [status.replicas, status.updated_replicas, status.updated_available_replicas].iter().all(|n| *n == wanted);
    let paused = world.rolling_update().is_some_and(|rolling| rolling.paused == Some(true));
    let partition_ready = status.expected_updated_replicas < wanted
        && status.expected_updated_replicas <= status.updated_available_replicas;
    let started =
        present.as_ref().filter(|is| is.reason == "CloneSetUpdated").and_then(|is| is.last_update_time.clone());
    let exceeded = present.as_ref().is_some_and(|is| is.reason == "ProgressDeadlineExceeded")
        || started.as_ref().is_some_and(|started| now.duration_since(started.0) > deadline);
    let (state, reason, message) = if done {
        ("True", "CloneSetAvailable", "CloneSet is available".to_owned())
    } else if paused {
        ("True", "CloneSetPaused", "CloneSet is paused".to_owned())
    } else if partition_ready {
        ("True", "ProgressPartitionAvailable", "CloneSet has been paused due to partition ready".to_owned())
    } else if exceeded {
        let message = format!("CloneSet revision {} has timed out progressing", status.update_revision);
        ("False", "ProgressDeadlineExceeded", message)
    } else {
        ("True", "CloneSetUpdated", "CloneSet is progressing".to_owned())
    };
    let condition = match present {
        Some(is) if is.status == state && is.reason == reason => is,
        is => {
            let transition = is.filter(|is| is.status == state).and_then(|is| is.last_transition_time);
            CloneSetCondition {
                type_: keys::PROGRESSING_CONDITION.to_owned(),
                status: state.to_owned(),
                last_update_time: Some(Time(now)),
                last_transition_time: Some(transition.unwrap_or(Time(now))),
                reason: reason.to_owned(),
                message,
            }
        }
    };
    let since = condition.last_update_time.clone();
    status.conditions.retain(|other| other.type_ != keys::PROGRESSING_CONDITION);
    status.conditions.push(condition);
    if reason != "CloneSetUpdated" {
        return None;
    }
    let left = deadline - now.duration_since(since?.0);
    let left = if left >= SignedDuration::from_secs(1) { left + SignedDuration::from_secs(1) } else { left };
    Duration::try_from(left).ok().filter(|left| !left.is_zero())
}

/// Whether something changed that is worth a write: anything but messages, times and failures (section 3.1).
fn differs(old: &CloneSetStatus, new: &CloneSetStatus) -> bool {
    let worth = |status: &CloneSetStatus| {
        let CloneSetStatus {
            observed_generation: _,
            replicas,
            ready_replicas,
            available_replicas,
            updated_replicas,
            updated_ready_replicas,
            updated_available_replicas,
            expected_updated_replicas,
            update_revision,
            current_revision,
            collision_count: _,
            label_selector,
            conditions,
        } = status;
        let progressing = conditions
            .iter()
            .find(|condition| condition.type_ == keys::PROGRESSING_CONDITION)
            .map(|condition| (condition.status.clone(), condition.reason.clone()));
        (
            [replicas, ready_replicas, available_replicas, updated_replicas].map(Clone::clone),
            [updated_ready_replicas, updated_available_replicas, expected_updated_replicas].map(Clone::clone),
            [update_revision, current_revision, label_selector].map(Clone::clone),
            progressing,
        )
    };
    new.observed_generation > old.observed_generation || worth(old) != worth(new)
}
