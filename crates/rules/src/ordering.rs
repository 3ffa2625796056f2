//! Which Pod goes first: on scale-down (CS-50) and on update (CS-56, base order).
//!
//! Each list of rules is a struct whose fields stand in the order of the rules, so that its derived order *is* the
//! list: a rule counts only where all rules above it tie. Pods that tie in all of them keep the order they came in.
//! How many go, and from which revision, is decided by the kind.

use std::{
    cmp::{Ordering, Reverse},
    collections::BTreeMap,
    sync::Arc,
};

use api::{
    k8s::{Pairs, Pod},
    keys,
};
use jiff::Timestamp;

use crate::pod;

/// The label whose values are single nodes: a group under it cannot be divided by node any further.
const HOSTNAME_KEY: &str = "kubernetes.io/hostname";

/// Labels of a node by its name; `None` for a node that cannot be read.
pub type NodeLabels<'a> = dyn Fn(&str) -> Option<Pairs> + 'a;

/// All that the order of deletion depends on beside the Pods (CS-50).
#[derive(Clone, Copy)]
pub struct DeletionOrder<'a> {
    /// Age of the Ready condition from which a Pod is available, in seconds.
    pub min_ready_seconds: i32,
    /// The time of this pass.
    pub now: Timestamp,
    /// `topologyKey` of each topology spread constraint of the Pod template, in its order; empty without constraints.
    pub topology_keys: &'a [String],
    /// Read only when there are constraints, once per node.
    pub node_labels: &'a NodeLabels<'a>,
}

impl DeletionOrder<'_> {
    /// Sorts the Pods of one group, those that go first to the front. The spread rank is among these Pods.
    pub fn sort(&self, pods: &mut [Arc<Pod>]) {
        let mut placed: Vec<Placed> = pods.iter().map(|pod| Placed::new(pod)).collect();
        self.rank_spread(&mut placed);
        let rank = |placed: &Placed| {
            let available = pod::is_available(placed.pod, self.min_ready_seconds, self.now);
            DeletionRank::of(placed.pod, available, placed.crowding)
        };
        let mut ranked: Vec<_> = placed.iter().map(rank).zip(pods.iter().cloned()).collect();
        ranked.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (place, (_, pod)) in pods.iter_mut().zip(ranked) {
            *place = pod;
        }
    }

    /// Rule 6 of CS-50: how crowded the places of a Pod are, by node or by the constraints' topology keys.
    fn rank_spread(&self, placed: &mut [Placed]) {
        rank_same_node(placed);
        if self.topology_keys.is_empty() {
            for one in placed {
                one.crowding = Crowding(one.same_node);
            }
            return;
        }
        let mut nodes: BTreeMap<&str, Option<Pairs>> = BTreeMap::new();
        for node in placed.iter().map(|one| one.pod.spec.node_name.as_str()).filter(|name| !name.is_empty()) {
            nodes.entry(node).or_insert_with(|| (self.node_labels)(node));
        }
        for key in self.topology_keys {
            rank_topology(placed, key, &nodes);
        }
    }
}

/// `topologyKey` of each topology spread constraint of a Pod template, in its order.
#[must_use]
pub fn topology_keys(template: &serde_json::Value) -> Vec<String> {
    let constraints = template.pointer("/spec/topologySpreadConstraints").and_then(serde_json::Value::as_array);
    let key = |constraint: &serde_json::Value| Some(constraint.get("topologyKey")?.as_str()?.to_owned());
    constraints.into_iter().flatten().filter_map(key).collect()
}

/// Sorts Pods for an update, those that go first to the front (CS-56, step 1).
pub fn sort_for_update(pods: &mut [Arc<Pod>]) {
    pods.sort_by_cached_key(|pod| UpdateRank::of(pod));
}

/// The deletion cost of a Pod: an int32, 0 when absent or not written as one (CS-50, rule 5).
///
/// A leading `+` or a leading 0 in front of more digits is not a number here, as for native workloads.
#[must_use]
pub fn deletion_cost(pod: &Pod) -> i32 {
    let Some(text) = pod::annotation(pod, keys::POD_DELETION_COST_ANNOTATION) else { return 0 };
    if text.starts_with('+') || (text.starts_with('0') && text != "0") {
        return 0;
    }
    text.parse().unwrap_or_default()
}

/// CS-50, field by field.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct DeletionRank {
    assigned: bool,
    phase: Phase,
    available: bool,
    ready: bool,
    cost: i32,
    crowding: Reverse<Crowding>,
    ready_since: LatestFirst,
    restarts: Reverse<i32>,
    created: LatestFirst,
}

impl DeletionRank {
    fn of(pod: &Pod, available: bool, crowding: Crowding) -> Self {
        Self {
            assigned: is_assigned(pod),
            phase: Phase::of(pod),
            available,
            ready: pod::is_ready(pod),
            cost: deletion_cost(pod),
            crowding: Reverse(crowding),
            ready_since: ready_since(pod),
            restarts: Reverse(pod::max_restarts(pod)),
            created: created(pod),
        }
    }

    /// The order inside a node or a topology group, where availability is left out.
    fn inside_group(placed: &Placed, crowding: Crowding) -> Self {
        Self::of(placed.pod, false, crowding)
    }
}

/// CS-56, step 1, field by field.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct UpdateRank {
    assigned: bool,
    phase: Phase,
    ready: bool,
    ready_since: LatestFirst,
    restarts: Reverse<i32>,
    sidecar_restarts: Reverse<i32>,
    created: LatestFirst,
}

impl UpdateRank {
    fn of(pod: &Pod) -> Self {
        Self {
            assigned: is_assigned(pod),
            phase: Phase::of(pod),
            ready: pod::is_ready(pod),
            ready_since: ready_since(pod),
            restarts: Reverse(pod::max_restarts(pod)),
            sidecar_restarts: Reverse(pod::max_sidecar_restarts(pod)),
            created: created(pod),
        }
    }
}

/// A point in time of which the later goes first, and an unknown one before all others.
type LatestFirst = Option<Reverse<Timestamp>>;

/// Phases in the order in which they go; any other phase counts as `Pending`.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Pending,
    Unknown,
    Running,
}

impl Phase {
    fn of(pod: &Pod) -> Self {
        match pod.status.phase.as_str() {
            "Running" => Self::Running,
            "Unknown" => Self::Unknown,
            _ => Self::Pending,
        }
    }
}

fn is_assigned(pod: &Pod) -> bool {
    !pod.spec.node_name.is_empty()
}

/// Since when the Pod is Ready. Compared only among Pods that agree in being Ready, so `None` is no rule for others.
fn ready_since(pod: &Pod) -> LatestFirst {
    let ready = pod::ready_condition(pod).filter(|_| pod::is_ready(pod))?;
    ready.last_transition_time.map(Reverse)
}

fn created(pod: &Pod) -> LatestFirst {
    pod.metadata.creation_timestamp.map(Reverse)
}

/// A spread rank; more crowded Pods go first. Never NaN: sums of products of counts and logarithms.
#[derive(Clone, Copy)]
struct Crowding(f64);

impl Ord for Crowding {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Crowding {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Crowding {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Crowding {}

/// A Pod with its rank among the Pods of its node and its spread rank.
struct Placed<'a> {
    pod: &'a Pod,
    same_node: f64,
    crowding: Crowding,
}

impl<'a> Placed<'a> {
    fn new(pod: &'a Pod) -> Self {
        Self { pod, same_node: 0.0, crowding: Crowding(0.0) }
    }
}

/// Ranks the Pods of each node: the one most worth keeping 0, those in front of it 1, 2, ...; unassigned ones 0.
fn rank_same_node(placed: &mut [Placed]) {
    let mut nodes: BTreeMap<&str, Vec<&mut Placed>> = BTreeMap::new();
    for one in placed.iter_mut().filter(|one| is_assigned(one.pod)) {
        nodes.entry(one.pod.spec.node_name.as_str()).or_default().push(one);
    }
    for mut group in nodes.into_values() {
        group.sort_by_cached_key(|one| DeletionRank::inside_group(one, Crowding(0.0)));
        for (kept_before, one) in group.into_iter().rev().enumerate() {
            one.same_node = kept_before as f64;
        }
    }
}

/// Adds one constraint's share: the place in the Pod's topology group, the more so the more such groups there are.
fn rank_topology(placed: &mut [Placed], key: &str, nodes: &BTreeMap<&str, Option<Pairs>>) {
    let mut domains: BTreeMap<&str, Vec<&mut Placed>> = BTreeMap::new();
    for one in placed {
        let labels = nodes.get(one.pod.spec.node_name.as_str()).and_then(Option::as_ref);
        if let Some(value) = labels.and_then(|labels| labels.get(key)) {
            domains.entry(value).or_default().push(one);
        }
    }
    let weight = (domains.len() as f64 + 2.0).ln();
    for mut group in domains.into_values() {
        group.sort_by_cached_key(|one| {
            let same_node = if key == HOSTNAME_KEY { 0.0 } else { one.same_node };
            DeletionRank::inside_group(one, Crowding(same_node))
        });
        for (kept_before, one) in group.into_iter().rev().enumerate() {
            one.crowding.0 += (kept_before as f64 + 1.0) * weight;
        }
    }
}

#[cfg(test)]
#[path = "tests/ordering.rs"]
mod tests;
