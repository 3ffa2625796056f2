//! Which Pods move to another revision, in which order, and how many of them may now (CS-51, CS-52, CS-55..57).
//!
//! How many should move is `numbers`; how a Pod moves, in place or by deletion, is decided where the step is planned.

use std::{cmp::Reverse, num::NonZeroU32, sync::Arc};

use api::{
    cloneset::v1beta1::{OrderTerm, PriorityStrategy, ScatterTerm, WeightTerm},
    k8s::Pod,
};
use jiff::Timestamp;
use rules::{inplace, lifecycle::State, ordering, pod, selector::Selector};

use super::scatter;

/// The revision that a Pod carries, as far as an update asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// The update revision, also where it is the current one too.
    Update,
    /// The current revision.
    Current,
    /// Any other one.
    Other,
}

/// Which way Pods move (CS-55).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heading {
    /// To the update revision.
    Forward,
    /// Back to the current revision.
    Back,
}

impl Heading {
    /// Whether a Pod that carries this has to move.
    const fn moves(self, carries: Carries) -> bool {
        match (self, carries) {
            (Self::Forward, Carries::Current | Carries::Other) | (Self::Back, Carries::Update) => true,
            (Self::Forward, Carries::Update) | (Self::Back, Carries::Current | Carries::Other) => false,
        }
    }

    /// Whether a Pod that carries this is where the others move to.
    const fn is_target(self, carries: Carries) -> bool {
        match (self, carries) {
            (Self::Forward, Carries::Update) | (Self::Back, Carries::Current) => true,
            (Self::Forward, Carries::Current | Carries::Other) | (Self::Back, Carries::Update | Carries::Other) => {
                false
            }
        }
    }
}

/// What an update looks at beside its numbers.
#[derive(Clone, Copy)]
pub struct Update<'a> {
    /// The Pods of the pass (CS-3).
    pub pods: &'a [Arc<Pod>],
    /// The revision that a Pod carries (RV-8).
    pub carries: &'a dyn Fn(&Pod) -> Carries,
    /// Which way Pods move.
    pub heading: Heading,
    /// Age of the Ready condition from which a Pod is available, in seconds.
    pub min_ready_seconds: i32,
    /// The time of this pass.
    pub now: Timestamp,
}

/// The Pods that have to move, those that move first in front (CS-55, CS-56).
#[must_use]
pub fn candidates(
    update: &Update<'_>,
    priority: Option<&PriorityStrategy>,
    scatter_terms: &[ScatterTerm],
) -> Vec<Arc<Pod>> {
    let mut pods: Vec<Arc<Pod>> = update.pods.iter().filter(|pod| is_candidate(update, pod)).cloned().collect();
    ordering::sort_for_update(&mut pods);
    if let Some(priority) = priority {
        prioritise(&mut pods, priority);
    }
    let mut pods = scatter::scatter(pods, update.pods, scatter_terms);
    pods.sort_by_key(|pod| State::of(pod) != State::PreparingUpdate);
    pods
}

/// CS-55. A Pod in its grace period is already on its way and its plan is fixed, unless that update has ended.
fn is_candidate(update: &Update<'_>, pod: &Pod) -> bool {
    update.heading.moves((update.carries)(pod))
        && match State::of(pod) {
            State::PreparingDelete => false,
            State::Updated => true,
            State::Unset
            | State::PreparingNormal
            | State::Normal
            | State::PreparingUpdate
            | State::Updating
            | State::Unknown => !inplace::is_waiting_for_grace(pod),
        }
}

/// The Pods that may move now, and those that would if more Pods might be unavailable.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "what is held back is what the log and the user are told"]
pub struct Allowed {
    /// In the order in which they move.
    pub pods: Vec<Arc<Pod>>,
    /// What is held back, if anything.
    pub held: Option<Held>,
}

/// Pods that have to move and may not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// How many.
    pub pods: usize,
    /// What holds them.
    pub by: Limit,
}

/// The limit that the first held Pod met (CS-57). Numbers count the Pods that move in this pass as unavailable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// As many Pods are unavailable as may be.
    MaxUnavailable {
        /// maxUnavailable and what exists beyond the replicas; below 0 where Pods are missing.
        limit: i64,
        /// Pods that are not available, of any revision.
        unavailable: i64,
    },
    /// As many Pods of the target revision are unavailable as may be: it may not come up at all (CS-123).
    MaxUnavailableAtTarget {
        /// As above.
        limit: i64,
        /// Pods of the target revision that are not available.
        unavailable: i64,
    },
}

impl Limit {
    /// The field of the spec that a user would raise.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::MaxUnavailable { .. } | Self::MaxUnavailableAtTarget { .. } => "maxUnavailable",
        }
    }
}

/// The first of the candidates, as many as should move and may (CS-57). `limit` is updateMaxUnavailable.
///
/// A Pod that is unavailable already costs nobody anything, so it may move beyond the limit, but never so that the
/// target revision has more unavailable Pods than the limit.
pub fn allowed(update: &Update<'_>, candidates: Vec<Arc<Pod>>, count: NonZeroU32, limit: i64) -> Allowed {
    let mut pods = candidates;
    pods.truncate(usize::try_from(count.get()).unwrap_or(usize::MAX));
    match first_held(update, &pods, limit) {
        None => Allowed { pods, held: None },
        Some((place, by)) => {
            let held = Some(Held { pods: pods.len() - place, by });
            pods.truncate(place);
            Allowed { pods, held }
        }
    }
}

/// The place of the first Pod that may not move, and what holds it.
fn first_held(update: &Update<'_>, pods: &[Arc<Pod>], limit: i64) -> Option<(usize, Limit)> {
    let is_available = |pod: &Pod| pod::is_available(pod, update.min_ready_seconds, update.now);
    let broken = || update.pods.iter().filter(|pod| !is_available(pod));
    let mut unavailable = count_of(broken());
    let broken_at_target = count_of(broken().filter(|pod| update.heading.is_target((update.carries)(pod))));
    for ((place, pod), unavailable_at_target) in pods.iter().enumerate().zip(broken_at_target..) {
        if unavailable_at_target >= limit {
            return Some((place, Limit::MaxUnavailableAtTarget { limit, unavailable: unavailable_at_target }));
        }
        if !is_available(pod) {
            continue;
        }
        if unavailable >= limit {
            return Some((place, Limit::MaxUnavailable { limit, unavailable }));
        }
        unavailable += 1;
    }
    None
}

fn count_of<T>(of: impl Iterator<Item = T>) -> i64 {
    i64::try_from(of.count()).unwrap_or(i64::MAX)
}

/// CS-51. Admission refuses both kinds of terms at once; where they are stored, weights count.
fn prioritise(pods: &mut [Arc<Pod>], priority: &PriorityStrategy) {
    if !priority.weight_priority.is_empty() {
        let weights = compile(&priority.weight_priority);
        pods.sort_by_cached_key(|pod| Reverse(weight(pod, &weights)));
    } else if !priority.order_priority.is_empty() {
        pods.sort_by_cached_key(|pod| level(pod, &priority.order_priority));
    }
}

/// Selectors with their weights; one that cannot be parsed matches nothing, as admission has refused it already.
fn compile(terms: &[WeightTerm]) -> Vec<(Selector, i64)> {
    let one = |term: &WeightTerm| Some((Selector::compile(&term.match_selector).ok()?, i64::from(term.weight)));
    terms.iter().filter_map(one).collect()
}

fn weight(pod: &Pod, weights: &[(Selector, i64)]) -> i64 {
    let labels = &pod.metadata.labels;
    weights.iter().filter(|(selector, _)| selector.matches(labels)).map(|(_, weight)| weight).sum()
}

/// Where the Pod stands by the first of the ordered keys that it has; Pods with none of them go before all others.
fn level(pod: &Pod, terms: &[OrderTerm]) -> Option<(usize, Reverse<i64>)> {
    let value_at = |(level, term): (usize, &OrderTerm)| Some((level, pod::label(pod, &term.ordered_key)?));
    let (level, value) = terms.iter().enumerate().find_map(value_at)?;
    Some((level, Reverse(trailing_number(value))))
}

/// `10` of `sts-10`; 0 without digits at the end, or with more than an int64 holds.
fn trailing_number(text: &str) -> i64 {
    let before = text.trim_end_matches(|c: char| c.is_ascii_digit());
    text.strip_prefix(before).unwrap_or_default().parse().unwrap_or_default()
}
