//! How many Pods a CloneSet wants in this pass, new and old, and how many may go or move (CS-30..38).
//!
//! Numbers only: which Pods go is `pick`, which Pods move is `order`, and whether a step may be taken at all is decided
//! where it is planned. All counts are `i64`: sums of int32 values of the spec cannot leave it.

use std::{borrow::Borrow, num::NonZeroU32};

use api::{
    cloneset::v1beta1::{CloneSetSpec, RollingUpdate},
    k8s::Pod,
    percent::{self, Rounding},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use rules::{lifecycle::State, pod};

/// Pods when `spec.replicas` is absent (section 2).
const DEFAULT_REPLICAS: i32 = 1;
/// `maxUnavailable` when it is absent (CS-31).
const DEFAULT_MAX_UNAVAILABLE: &str = "20%";
/// What "no limit" is worth (CS-31): no CloneSet has as many Pods.
const UNLIMITED: i64 = i32::MAX as i64;

/// What the spec asks for, in whole Pods. Nothing here is negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// R, Pods wanted.
    pub replicas: i64,
    /// P, how many of them stay in old revisions; at most R (CS-30).
    pub partition: i64,
    /// U, how many Pods may be unavailable because of updates and deletions (CS-31).
    pub max_unavailable: i64,
    /// S, how many Pods may exist beyond R (CS-31).
    pub max_surge: i64,
    /// SU, how many Pods may be unavailable while Pods are created (CS-31).
    pub scale_up_max_unavailable: i64,
}

/// Reads the limits of a spec (CS-30..32). What cannot be read counts as 0, as admission has refused it already.
#[must_use]
pub fn limits(spec: &CloneSetSpec) -> Limits {
    let replicas = replicas(spec);
    let rolling = rolling_update(spec);
    let max_surge = rolling.map_or(0, |rolling| max_surge(rolling, replicas));
    let scale_limit = spec.scale_strategy.as_ref().and_then(|strategy| strategy.max_unavailable.as_ref());
    Limits {
        replicas: i64::from(replicas),
        partition: partition(spec),
        max_unavailable: max_unavailable(rolling, replicas, max_surge),
        max_surge,
        scale_up_max_unavailable: scale_limit.map_or(UNLIMITED, |limit| scaled(limit, replicas, Rounding::Up)),
    }
}

/// How many Pods the partition lets reach the update revision (`status.expectedUpdatedReplicas`, section 3.1).
///
/// A partition that cannot be read gives 0 here, though scaling takes it for no partition (CS-30).
#[must_use]
pub fn expected_updated_replicas(spec: &CloneSetSpec) -> i32 {
    let replicas = replicas(spec);
    match rolling_update(spec).and_then(|rolling| rolling.partition.as_ref()) {
        None => replicas,
        Some(value) => read_partition(value, replicas).map_or(0, |partition| replicas - partition),
    }
}

/// Pods of one side (CS-33): pre-deleting or active; `to_delete` and `unavailable` are disjoint parts of `active`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// Pods that are not in `PreparingDelete`.
    pub active: i64,
    /// Active Pods that are not available and not to be deleted.
    pub unavailable: i64,
    /// Active Pods that are specified for deletion, available or not.
    pub to_delete: i64,
    /// Pods in `PreparingDelete`.
    pub pre_deleting: i64,
}

impl Side {
    /// Pods of this side, whatever their state.
    #[must_use]
    pub const fn pods(&self) -> i64 {
        self.active + self.pre_deleting
    }
}

/// The Pods of a pass, counted by side (CS-33).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Updated Pods (CS-7).
    pub new: Side,
    /// All others.
    pub old: Side,
}

impl Census {
    /// n, the Pods of the pass.
    #[must_use]
    pub const fn pods(&self) -> i64 {
        self.new.pods() + self.old.pods()
    }

    /// Pods that serve nobody: unavailable ones, and those that prepare for deletion (CS-34).
    #[must_use]
    pub const fn unavailable(&self) -> i64 {
        self.new.pre_deleting + self.old.pre_deleting + self.new.unavailable + self.old.unavailable
    }

    /// Pods that are specified for deletion and have not begun it.
    #[must_use]
    pub const fn to_delete(&self) -> i64 {
        self.new.to_delete + self.old.to_delete
    }
}

/// Counts the Pods (CS-33). `is_new` is CS-7, `is_to_delete` CS-4.
pub fn census<P: Borrow<Pod>>(
    pods: &[P],
    is_new: impl Fn(&Pod) -> bool,
    is_to_delete: impl Fn(&Pod) -> bool,
    min_ready_seconds: i32,
    now: Timestamp,
) -> Census {
    let mut census = Census::default();
    for pod in pods.iter().map(Borrow::borrow) {
        let side = if is_new(pod) { &mut census.new } else { &mut census.old };
        if State::of(pod) == State::PreparingDelete {
            side.pre_deleting += 1;
            continue;
        }
        side.active += 1;
        if is_to_delete(pod) {
            side.to_delete += 1;
        } else if !pod::is_available(pod, min_ready_seconds, now) {
            side.unavailable += 1;
        }
    }
    census
}

/// Whether Pods beyond the partition may move back to the current revision (CS-34).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rollback {
    /// Gate `CloneSetPartitionRollback` is off, or there is no other revision to go back to.
    Off,
    /// The gate is on and current and update revision differ.
    On,
}

/// Whether Pods in `PreparingDelete` count as replicas (CS-36).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreparingDelete {
    /// They do, until they are gone.
    Counts,
    /// They are replaced at once.
    Excluded,
}

/// What this pass aims at (CS-34..38).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Targets {
    /// Pods wanted beyond R for now, at most S (CS-35).
    pub surge: i64,
    /// How many of them are of the current revision (CS-35).
    pub surge_old: i64,
    /// Pods that serve nobody (CS-34).
    pub unavailable: i64,
    /// Pods to create or to delete (CS-36).
    pub scale: Scale,
    /// How many ready Pods may be deleted now (CS-37).
    pub delete_ready_limit: i64,
    /// Pods to move to another revision (CS-38).
    pub rollout: Rollout,
    /// How many Pods may be unavailable for the rollout; 0 or less lets none go that is available (CS-38).
    pub update_max_unavailable: i64,
}

/// Pods to create or to delete (CS-36); never both in one pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// There are as many Pods as wanted, those to be deleted aside.
    Settled,
    /// Pods are missing.
    Up {
        /// How many.
        pods: i64,
        /// How many of them are of the current revision; those come first.
        old: i64,
        /// How many may be created now; below `pods` when SU holds some back.
        limit: i64,
    },
    /// There are Pods too many, beside those specified for deletion.
    Down {
        /// How many.
        pods: i64,
        /// How many of them are old ones.
        old: i64,
    },
}

/// Which way Pods move in this pass, and how many (CS-38).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rollout {
    /// No Pod has to move.
    Settled,
    /// To the update revision.
    Forward(NonZeroU32),
    /// Back to the current revision.
    Back(NonZeroU32),
}

/// What this pass aims at, from what is wanted and what is there (CS-34..38).
#[must_use]
pub fn targets(limits: &Limits, census: &Census, rollback: Rollback, preparing_delete: PreparingDelete) -> Targets {
    let surplus = Surplus::of(limits, census, rollback);
    let surge = surge(limits, census, surplus);
    let scale = scale(limits, census, surge, preparing_delete);
    let beyond = census.pods() - limits.replicas;
    let deletes = census.to_delete() > 0 || matches!(scale, Scale::Down { .. });
    let spare = (limits.max_unavailable + beyond - census.unavailable()).max(0);
    Targets {
        surge: surge.pods,
        surge_old: surge.old,
        unavailable: census.unavailable(),
        scale,
        delete_ready_limit: if deletes { spare } else { 0 },
        rollout: rollout(surplus),
        update_max_unavailable: limits.max_unavailable + beyond,
    }
}

/// How many active Pods each side has more than the partition gives it; negative where it has fewer (CS-34).
#[derive(Clone, Copy)]
struct Surplus {
    old: i64,
    new: i64,
}

impl Surplus {
    fn of(limits: &Limits, census: &Census, rollback: Rollback) -> Self {
        let old = census.old.active - limits.partition;
        let new = census.new.active - (limits.replicas - limits.partition);
        match rollback {
            Rollback::On => Self { old, new },
            Rollback::Off => Self { old: old.max(0), new: new.min(0) },
        }
    }

    /// Whether one side has Pods that the other side lacks.
    const fn is_exchange(self) -> bool {
        self.old.signum() * self.new.signum() < 0
    }

    /// Whether the old side is as near to its share as the new one, or nearer.
    const fn old_is_nearer(self) -> bool {
        self.old.abs() <= self.new.abs()
    }
}

/// A number of Pods, and how many of them are old ones.
#[derive(Clone, Copy, Default)]
struct Share {
    pods: i64,
    old: i64,
}

/// Pods created ahead of a deletion or an update (CS-35): only as many as still have to go, and at most S.
fn surge(limits: &Limits, census: &Census, surplus: Surplus) -> Share {
    if limits.max_surge <= 0 {
        return Share::default();
    }
    let (for_deletion, for_update) = (surge_for_deletion(limits, census), surge_for_update(surplus));
    let wanted = if for_deletion.pods >= for_update.pods { for_deletion } else { for_update };
    let pods = limits.max_surge.min(wanted.pods);
    Share { pods, old: pods.min(wanted.old) }
}

/// Pods that stand in for specified ones which the budget does not let go (CS-35, deleteSurge).
fn surge_for_deletion(limits: &Limits, census: &Census) -> Share {
    let to_delete = census.to_delete();
    let pods = (census.unavailable() + to_delete - limits.max_unavailable).max(0).min(to_delete);
    Share { pods, old: (pods - census.new.to_delete).max(0) }
}

/// Pods that stand in for those which have to move (CS-35, updateSurge); old ones when Pods move back.
fn surge_for_update(surplus: Surplus) -> Share {
    if !surplus.is_exchange() {
        return Share::default();
    }
    let pods = surplus.old.abs().min(surplus.new.abs());
    let moves_back = if surplus.old_is_nearer() { surplus.old < 0 } else { surplus.new > 0 };
    Share { pods, old: if moves_back { pods } else { 0 } }
}

/// CS-36. Shares of old Pods are cut to the whole here, as CS-43 and CS-49 would do.
fn scale(limits: &Limits, census: &Census, surge: Share, preparing_delete: PreparingDelete) -> Scale {
    let want = Share { pods: limits.replicas + surge.pods, old: limits.partition + surge.old };
    let have = match preparing_delete {
        PreparingDelete::Counts => Share { pods: census.pods(), old: census.old.pods() },
        PreparingDelete::Excluded => Share { pods: census.new.active + census.old.active, old: census.old.active },
    };
    let missing = want.pods - have.pods;
    if missing > 0 {
        let throttle = (limits.scale_up_max_unavailable - census.unavailable()).max(0);
        return Scale::Up { pods: missing, old: (want.old - have.old).clamp(0, missing), limit: missing.min(throttle) };
    }
    let excess = have.pods - census.to_delete() - want.pods;
    if excess > 0 {
        return Scale::Down { pods: excess, old: (have.old - census.old.to_delete - want.old).clamp(0, excess) };
    }
    Scale::Settled
}

/// CS-38.
fn rollout(surplus: Surplus) -> Rollout {
    let forward = if surplus.old_is_nearer() { surplus.old } else { -surplus.new };
    let pods = NonZeroU32::new(u32::try_from(forward.abs()).unwrap_or(u32::MAX));
    match pods {
        None => Rollout::Settled,
        Some(pods) if forward > 0 => Rollout::Forward(pods),
        Some(pods) => Rollout::Back(pods),
    }
}

fn replicas(spec: &CloneSetSpec) -> i32 {
    spec.replicas.unwrap_or(DEFAULT_REPLICAS).max(0)
}

fn rolling_update(spec: &CloneSetSpec) -> Option<&RollingUpdate> {
    spec.update_strategy.as_ref()?.rolling_update.as_ref()
}

/// CS-30 for a whole spec: no partition without `rollingUpdate`, or with one that cannot be read.
fn partition(spec: &CloneSetSpec) -> i64 {
    let value = rolling_update(spec).and_then(|rolling| rolling.partition.as_ref());
    value.and_then(|value| read_partition(value, replicas(spec))).map_or(0, i64::from)
}

/// CS-30. `None` where the text is no decimal percentage.
///
/// A percentage that rounds up to all Pods but is not written `100%` leaves one to be updated: who writes `99%` wants
/// the update to begin (CS-120).
fn read_partition(value: &IntOrString, replicas: i32) -> Option<i32> {
    let partition = percent::scaled_strict(value, replicas, Rounding::Up).ok()?;
    let must_begin = matches!(value, IntOrString::String(text) if text != "100%");
    let partition = if replicas > 1 && partition == replicas && must_begin { replicas - 1 } else { partition };
    Some(partition.clamp(0, replicas))
}

/// CS-31: a paused update creates nothing ahead.
fn max_surge(rolling: &RollingUpdate, replicas: i32) -> i64 {
    match &rolling.max_surge {
        Some(surge) if rolling.paused != Some(true) => scaled(surge, replicas, Rounding::Up),
        _ => 0,
    }
}

/// CS-31: with surge there is another way forward, so a fraction of a Pod may not go (CS-122).
fn max_unavailable(rolling: Option<&RollingUpdate>, replicas: i32, max_surge: i64) -> i64 {
    let rounding = if rolling.is_none() || max_surge > 0 { Rounding::Down } else { Rounding::Up };
    match rolling.and_then(|rolling| rolling.max_unavailable.as_ref()) {
        Some(value) => scaled(value, replicas, rounding),
        None => scaled(&IntOrString::String(DEFAULT_MAX_UNAVAILABLE.to_owned()), replicas, rounding),
    }
}

/// A number of Pods or a whole percentage of the replicas; what cannot be read is 0 (CS-32), as is what is negative.
fn scaled(value: &IntOrString, replicas: i32, rounding: Rounding) -> i64 {
    i64::from(percent::scaled(value, replicas, rounding).unwrap_or(0).max(0))
}
