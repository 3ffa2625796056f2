//! All that one pass does for one CloneSet: the order of the steps, nothing else (CS-16..21).
//!
//! Pure: equal snapshots and times give equal plans. Steps that could not be taken stand in `held`, with the limit that
//! held them; the log shows it.

use std::time::Duration;

use jiff::Timestamp;
use rules::write::{Event, Step};

use super::{
    history,
    numbers::{self, PreparingDelete, Rollback, Targets},
    order, scale,
    snapshot::Snapshot,
    status::{self, Status},
    update,
};

/// What one pass does.
#[derive(Debug, PartialEq)]
#[must_use = "a plan that is not carried out changes nothing"]
pub struct Plan {
    /// Carried out first.
    pub scale: Option<Step>,
    /// Carried out only if scaling wrote nothing, be it because there was nothing or because it failed (CS-17, CS-127).
    pub update: Option<Step>,
    /// Carried out in any case, after the above; failures are only logged (CS-19, CS-20).
    pub upkeep: Vec<Step>,
    /// The status as it should be, and whether it must be written (CS-18).
    pub status: Status,
    /// Events that go with no write.
    pub events: Vec<Event>,
    /// What is held back, and why.
    pub held: Vec<Held>,
    /// What could not be planned for the update; sets `FailedUpdate` and retries with back-off.
    pub failure: Option<String>,
    /// When to look again although nothing may change (CS-21).
    pub requeue: Option<Duration>,
}

/// Something that was not done now, and the limit that held it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// `scale up`, `scale down`, `delete` or `update`.
    pub action: &'static str,
    /// How many Pods it is about.
    pub pods: i64,
    /// The limit, as a user would look for it.
    pub by: &'static str,
    /// Its value.
    pub limit: i64,
    /// What stands against it, where that is a count of Pods.
    pub unavailable: i64,
}

impl Held {
    pub(super) fn scale_up(pods: i64, limit: i64) -> Self {
        Self { action: "scale up", pods, by: "scaleStrategy.maxUnavailable", limit, unavailable: 0 }
    }

    pub(super) fn scale_down(pods: i64, planned: usize) -> Self {
        let planned = i64::try_from(planned).unwrap_or(i64::MAX);
        Self { action: "scale down", pods, by: "Pods that are to go first", limit: planned, unavailable: 0 }
    }

    pub(super) fn deletion(pods: i64, targets: &Targets) -> Self {
        let (limit, unavailable) = (targets.delete_ready_limit, targets.unavailable);
        Self { action: "delete", pods, by: "maxUnavailable", limit, unavailable }
    }

    pub(super) fn update(held: order::Held) -> Self {
        let (limit, unavailable) = match held.by {
            order::Limit::MaxUnavailable { limit, unavailable }
            | order::Limit::MaxUnavailableAtTarget { limit, unavailable } => (limit, unavailable),
        };
        let pods = i64::try_from(held.pods).unwrap_or(i64::MAX);
        Self { action: "update", pods, by: held.by.field(), limit, unavailable }
    }
}

/// Plans one pass.
pub fn plan(world: &Snapshot, now: Timestamp) -> Plan {
    let status = status::plan(world, now);
    let mut plan = Plan {
        scale: None,
        update: None,
        upkeep: [history::prune(world), history::truncate(world)].into_iter().flatten().collect(),
        requeue: status.requeue,
        status,
        events: Vec::new(),
        held: Vec::new(),
        failure: None,
    };
    if world.cloneset.metadata.deletion_timestamp.is_some() {
        return plan;
    }
    let targets = targets(world, now);
    let scale = scale::plan(world, &targets, now);
    let update = update::plan(world, &targets, now);
    plan.held.extend(scale.held);
    plan.events.extend(scale.events);
    plan.scale = scale.step;
    plan.held.extend(update.held);
    plan.update = update.step;
    plan.failure = update.failure;
    plan.requeue = [plan.requeue, update.requeue, min_ready(world, &plan.status)].into_iter().flatten().min();
    plan
}

/// The numbers of this pass (CS-30..38).
fn targets(world: &Snapshot, now: Timestamp) -> Targets {
    let census = numbers::census(
        &world.pods.iter().map(AsRef::as_ref).collect::<Vec<_>>(),
        |pod| world.counts_as_new(pod),
        |pod| world.is_specified_delete(pod),
        world.min_ready_seconds(),
        now,
    );
    let rollback = match world.settings.rollback {
        Rollback::On if world.revisions.current.name != world.revisions.update.name => Rollback::On,
        _ => Rollback::Off,
    };
    let excluded = world.spec().scale_strategy.as_ref().and_then(|scale| scale.exclude_preparing_delete) == Some(true);
    let preparing = if excluded { PreparingDelete::Excluded } else { world.settings.preparing_delete };
    numbers::targets(&numbers::limits(world.spec()), &census, rollback, preparing)
}

/// Ready Pods become available with time alone (CS-21).
fn min_ready(world: &Snapshot, status: &Status) -> Option<Duration> {
    let seconds = u64::try_from(world.min_ready_seconds()).ok().filter(|seconds| *seconds > 0)?;
    (status.wanted.available_replicas != status.wanted.ready_replicas).then(|| Duration::from_secs(seconds))
}
