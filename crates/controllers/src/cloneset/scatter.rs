//! Spreading the Pods that carry a label over the whole update, instead of moving them together (CS-52).
//!
//! The first of them still moves early, so that a fault shows, and the last one at the very end.

use std::{cmp::Reverse, collections::VecDeque, sync::Arc};

use api::{cloneset::v1beta1::ScatterTerm, k8s::Pod};
use rules::pod;

/// Puts candidates into scattered order; `all` are the Pods of the pass, moved ones included.
///
/// The rarer a term, the later it is applied and the more exactly it is kept.
#[must_use]
pub fn scatter(candidates: Vec<Arc<Pod>>, all: &[Arc<Pod>], terms: &[ScatterTerm]) -> Vec<Arc<Pod>> {
    if candidates.len() <= 1 {
        return candidates;
    }
    if let [term] = terms {
        return apply(candidates, all, term);
    }
    let count = |term: &ScatterTerm| candidates.iter().filter(|pod| carries(pod, term)).count();
    let mut terms: Vec<(usize, &ScatterTerm)> = terms.iter().map(|term| (count(term), term)).collect();
    terms.retain(|(count, _)| *count > 0);
    terms.sort_by_key(|(count, _)| Reverse(*count));
    terms.into_iter().fold(candidates, |pods, (_, term)| apply(pods, all, term))
}

/// CS-52, steps 1 to 5, for one term.
fn apply(candidates: Vec<Arc<Pod>>, all: &[Arc<Pod>], term: &ScatterTerm) -> Vec<Arc<Pod>> {
    let matching = candidates.iter().filter(|pod| carries(pod, term)).count();
    if matching <= 1 || candidates.len() - matching <= 1 {
        return candidates;
    }
    let total = all.len();
    let (matched, unmatched): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|pod| carries(pod, term));
    let (mut matched, mut unmatched) = (VecDeque::from(matched), VecDeque::from(unmatched));
    let very_last = matched.pop_back();

    let total_matching = all.iter().filter(|pod| carries(pod, term)).count();
    let among_all = Mix { matched: total_matching.saturating_sub(1), unmatched: total - total_matching };
    let layout = Layout::of(Mix { matched: matched.len(), unmatched: unmatched.len() }, among_all);

    let mut pods = Vec::with_capacity(matched.len() + unmatched.len() + 1);
    take(&mut pods, &mut unmatched, layout.rest);
    for _ in 0..layout.groups {
        take(&mut pods, &mut matched, layout.shape.matched);
        take(&mut pods, &mut unmatched, layout.shape.unmatched);
    }
    pods.extend(matched);
    pods.extend(unmatched);
    pods.extend(very_last);
    pods
}

/// A number of matched and a number of unmatched Pods.
#[derive(Clone, Copy)]
struct Mix {
    matched: usize,
    unmatched: usize,
}

impl Mix {
    /// The sizes of equal groups, as many as the smaller number, and how many they are (CS-52, step 3).
    fn groups(self) -> (Self, usize) {
        let groups = self.matched.min(self.unmatched).max(1);
        // round(a / g), half away from zero
        let size = |pods: usize| (2 * pods + groups) / (2 * groups);
        (Self { matched: size(self.matched), unmatched: size(self.unmatched) }, groups)
    }

    /// Whether there are at least as many unmatched Pods for each matched one as in `other`.
    const fn is_as_sparse_as(self, other: Self) -> bool {
        self.unmatched * other.matched >= other.unmatched * self.matched
    }
}

/// How the candidates are dealt out: `rest` unmatched ones, then groups of one shape.
struct Layout {
    rest: usize,
    groups: usize,
    shape: Mix,
}

impl Layout {
    /// CS-52, step 4. While moved Pods left more unmatched candidates than their share, those go first.
    fn of(candidates: Mix, among_all: Mix) -> Self {
        if among_all.is_as_sparse_as(candidates) {
            let (shape, groups) = candidates.groups();
            return Self { rest: 0, groups, shape };
        }
        let (shape, _) = among_all.groups();
        let groups = (candidates.matched / shape.matched.max(1)).min(candidates.unmatched / shape.unmatched.max(1));
        Self { rest: candidates.unmatched.saturating_sub(groups * shape.unmatched), groups, shape }
    }
}

fn take(into: &mut Vec<Arc<Pod>>, from: &mut VecDeque<Arc<Pod>>, count: usize) {
    into.extend(from.drain(..count.min(from.len())));
}

fn carries(pod: &Pod, term: &ScatterTerm) -> bool {
    pod::label(pod, &term.key) == Some(term.value.as_str())
}
