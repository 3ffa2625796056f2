//! The scaling half of a pass: rescue, create, or delete Pods, one kind of step at a time (CS-40..48).
//!
//! How many is `numbers`, which ones is `pick`. A pass that scales does not update; a pass that only waits may.

use std::sync::Arc;

use api::k8s::Pod;
use jiff::Timestamp;
use rules::{
    lifecycle::State,
    ordering::{DeletionOrder, topology_keys},
    pod,
    write::{Event, Group, Pace, Step},
};

use super::{
    create,
    numbers::{self, Targets},
    pick,
    plan::Held,
    snapshot::Snapshot,
    writes,
};

/// What scaling does in this pass.
#[derive(Debug, Default, PartialEq)]
pub struct Scale {
    /// At most one step.
    pub step: Option<Step>,
    /// What is held back, and why.
    pub held: Vec<Held>,
    /// Events that go with no write.
    pub events: Vec<Event>,
}

/// Plans the first of CS-41..46 that has something to do.
#[must_use]
pub fn plan(world: &Snapshot, targets: &Targets, now: Timestamp) -> Scale {
    let rescued = rescue(world, now);
    if !rescued.is_empty() {
        return Scale { step: concurrent(rescued), ..Scale::default() };
    }
    if let numbers::Scale::Up { pods, old, limit } = targets.scale {
        return scale_up(world, pods, old, limit, now);
    }
    let retried: Vec<Group> = world
        .pods
        .iter()
        .filter(|pod| State::of(pod) == State::PreparingDelete)
        .map(|pod| writes::delete(world, pod, "delete prepared Pod", now))
        .collect();
    if let Some(step) = concurrent(retried) {
        return Scale { step: Some(step), ..Scale::default() };
    }
    let specified = specified_delete(world, targets, now);
    if specified.step.is_some() {
        return specified;
    }
    let mut down = scale_down(world, targets, now);
    down.held.extend(specified.held);
    down
}

/// Pods that prepare for deletion and are wanted again (CS-41).
fn rescue(world: &Snapshot, now: Timestamp) -> Vec<Group> {
    let marks = |hook: Option<&api::cloneset::v1beta1::LifecycleHook>| {
        hook.is_some_and(|hook| hook.mark_pod_not_ready == Some(true))
    };
    let hooks = world.lifecycle();
    if marks(hooks.and_then(|hooks| hooks.pre_delete.as_ref()))
        || marks(hooks.and_then(|hooks| hooks.in_place_update.as_ref()))
    {
        return Vec::new();
    }
    let count = |of: usize| i64::try_from(of).unwrap_or(i64::MAX);
    let spare = numbers::limits(world.spec()).replicas - count(world.pods.len()) + count(world.planned_to_go().len());
    world
        .pods
        .iter()
        .filter(|pod| State::of(pod) == State::PreparingDelete && !world.is_specified_delete(pod))
        .take(usize::try_from(spare).unwrap_or(0))
        .filter_map(|pod| writes::to_state(world, pod, State::PreparingNormal, "cancel deletion", now))
        .map(|write| vec![write])
        .collect()
}

/// Creates what the throttle allows; no Pod is deleted in a pass that wants more (CS-42, CS-43).
fn scale_up(world: &Snapshot, pods: i64, old: i64, limit: i64, now: Timestamp) -> Scale {
    let mut scale = Scale::default();
    if pods > limit {
        scale.events.push(Event::warning(
            "ScaleUpLimited",
            format!("scaleUp is limited because of scaleStrategy.maxUnavailable, limit: {limit}"),
        ));
        scale.held.push(Held::scale_up(pods - limit, limit));
    }
    let total = usize::try_from(limit).unwrap_or(0);
    let at_current = usize::try_from(old).unwrap_or(0).min(total);
    if total > 0 {
        let groups = create::groups(world, at_current, total - at_current, now);
        scale.step = Some(Step { groups, pace: Pace::SlowStart });
    }
    scale
}

/// Pods that are specified for deletion, ready ones within the limit (CS-45).
fn specified_delete(world: &Snapshot, targets: &Targets, now: Timestamp) -> Scale {
    let specified = world
        .pods
        .iter()
        .filter(|pod| world.is_specified_delete(pod) && State::of(pod) != State::PreparingDelete)
        .cloned()
        .collect();
    delete_within_limit(world, specified, targets, "delete specified Pod", now)
}

/// Too many Pods: the first in the order of deletion go, ready ones within the limit (CS-46).
fn scale_down(world: &Snapshot, targets: &Targets, now: Timestamp) -> Scale {
    let numbers::Scale::Down { pods, old } = targets.scale else { return Scale::default() };
    let planned = world.planned_to_go().len();
    if planned > 0 {
        return Scale { held: vec![Held::scale_down(pods, planned)], ..Scale::default() };
    }
    let (new_pods, old_pods): (Vec<Arc<Pod>>, Vec<Arc<Pod>>) =
        world.pods.iter().cloned().partition(|pod| world.counts_as_new(pod));
    let node_labels = |node: &str| world.nodes.get(node).cloned();
    let order = DeletionOrder {
        min_ready_seconds: world.min_ready_seconds(),
        now,
        topology_keys: &topology_keys(&world.spec().template),
        node_labels: &node_labels,
    };
    let picked = pick::victims(pick::Groups { old: &old_pods, new: &new_pods }, pods, old, &order);
    delete_within_limit(world, picked, targets, "scale down", now)
}

/// Not-ready Pods may always go; each ready one takes one unit of the limit (CS-37).
fn delete_within_limit(
    world: &Snapshot,
    pods: Vec<Arc<Pod>>,
    targets: &Targets,
    reason: &'static str,
    now: Timestamp,
) -> Scale {
    let mut left = targets.delete_ready_limit;
    let mut groups = Vec::new();
    let mut held = 0;
    for pod in pods {
        if pod::is_available(&pod, 0, now) {
            if left <= 0 {
                held += 1;
                continue;
            }
            left -= 1;
        }
        groups.push(writes::delete(world, &pod, reason, now));
    }
    let held = if held > 0 { vec![Held::deletion(held, targets)] } else { Vec::new() };
    Scale { step: concurrent(groups), held, events: Vec::new() }
}

/// A step of the groups that have something to do.
pub(super) fn concurrent(groups: Vec<Group>) -> Option<Step> {
    let groups: Vec<Group> = groups.into_iter().filter(|group| !group.is_empty()).collect();
    (!groups.is_empty()).then_some(Step { groups, pace: Pace::Concurrent })
}
