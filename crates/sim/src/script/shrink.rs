//! Takes out of a failing history what its failure does not need.
//!
//! Delta debugging: parts of the steps go, halves first and single steps last; then each step that is left is made
//! smaller. Both are repeated until nothing changes or the runs are used up. The order of tries depends on the history
//! alone, so a deterministic `fails` gives the same result again.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::{History, PodAction, Propagation, Step};

/// The smallest history found that still fails, after at most `budget` calls of `fails`. The history that is given is
/// taken to fail.
#[must_use]
pub fn shrink(history: History, fails: impl FnMut(&History) -> bool, budget: usize) -> History {
    let mut search = Search { best: history, fails, left: budget, tried: BTreeSet::new() };
    loop {
        let before = search.best.clone();
        search.drop_steps();
        search.join_waits();
        search.simplify_steps();
        if search.left == 0 || search.best == before {
            return search.best;
        }
    }
}

struct Search<F> {
    best: History,
    fails: F,
    left: usize,
    /// Texts of what did not fail.
    tried: BTreeSet<String>,
}

impl<F: FnMut(&History) -> bool> Search<F> {
    /// Whether these steps fail too; if so they are the best from now on.
    fn accepts(&mut self, steps: Vec<Step>) -> bool {
        let candidate = History { seed: self.best.seed, steps };
        let text = candidate.to_string();
        if self.left == 0 || self.tried.contains(&text) {
            return false;
        }
        self.left -= 1;
        let fails = (self.fails)(&candidate);
        if fails {
            self.best = candidate;
        } else {
            self.tried.insert(text);
        }
        fails
    }

    fn drop_steps(&mut self) {
        let mut size = self.best.steps.len();
        while size > 0 {
            let mut start = 0;
            while start < self.best.steps.len() {
                let end = start + size;
                let kept = self.best.steps.iter().enumerate().filter(|(index, _)| !(start..end).contains(index));
                let rest = kept.map(|(_, step)| step.clone()).collect();
                if !self.accepts(rest) {
                    start = end;
                }
            }
            size /= 2;
        }
    }

    /// Two waits in a row, between which something was dropped, as one.
    fn join_waits(&mut self) {
        let mut index = 0;
        while let Some([first, second, ..]) = self.best.steps.get(index..) {
            let joined = match (first, second) {
                (Step::Wait { time: first }, Step::Wait { time: second }) => Step::Wait { time: *first + *second },
                _ => {
                    index += 1;
                    continue;
                }
            };
            let mut steps = self.best.steps.clone();
            steps.splice(index..index + 2, [joined]);
            if !self.accepts(steps) {
                index += 1;
            }
        }
    }

    fn simplify_steps(&mut self) {
        for index in 0..self.best.steps.len() {
            // After a success the same place of the new step's list is tried: what stood before it has been tried.
            let mut place = 0;
            while let Some(simpler) = self.best.steps.get(index).and_then(|step| simpler(step).into_iter().nth(place)) {
                let mut steps = self.best.steps.clone();
                steps.splice(index..=index, [simpler]);
                if !self.accepts(steps) {
                    place += 1;
                }
            }
        }
    }
}

/// The step, smaller in one place; what takes away most comes first.
fn simpler(step: &Step) -> Vec<Step> {
    let mut all = variants(step, propagation, |_| vec![Propagation::Background]);
    all.extend(variants(step, json, less));
    all.extend(variants(step, replicas, |old| lower(*old, 0)));
    all.extend(variants(step, ordinal, |old| lower(*old, 1)));
    all.extend(variants(step, time, |old| shorter(*old)));
    all
}

/// The step with another value in one part of it, once for each that is smaller.
fn variants<T: Clone + PartialEq>(
    step: &Step,
    part: impl Fn(&mut Step) -> Option<&mut T>,
    smaller: impl Fn(&T) -> Vec<T>,
) -> Vec<Step> {
    let Some(old) = part(&mut step.clone()).cloned() else { return Vec::new() };
    let others = smaller(&old).into_iter().filter(|new| *new != old);
    let with = |new: T| {
        let mut step = step.clone();
        *part(&mut step)? = new;
        Some(step)
    };
    others.filter_map(with).collect()
}

fn propagation(step: &mut Step) -> Option<&mut Propagation> {
    if let Step::Delete { propagation, .. } = step { Some(propagation) } else { None }
}

fn json(step: &mut Step) -> Option<&mut Value> {
    match step {
        Step::Create { object: value, .. }
        | Step::Set { patch: value, .. }
        | Step::Pod { action: PodAction::Set(value), .. } => Some(value),
        _ => None,
    }
}

fn replicas(step: &mut Step) -> Option<&mut u32> {
    if let Step::Scale { replicas, .. } = step { Some(replicas) } else { None }
}

fn ordinal(step: &mut Step) -> Option<&mut u32> {
    match step {
        Step::Pod { number, .. } => Some(number),
        Step::NodeLost { node, .. } => Some(node),
        Step::Kill { write, .. } | Step::Fail { write, .. } | Step::Lose { write } | Step::Slow { write, .. } => {
            Some(write)
        }
        _ => None,
    }
}

fn time(step: &mut Step) -> Option<&mut Duration> {
    match step {
        Step::Pod { action: PodAction::Crash(time) | PodAction::Unready(time), .. }
        | Step::NodeLost { time, .. }
        | Step::Slow { time, .. }
        | Step::Lag { time, .. }
        | Step::Outage { time }
        | Step::Wait { time } => Some(time),
        _ => None,
    }
}

/// The least, the half, and one less.
fn lower(old: u32, least: u32) -> Vec<u32> {
    [least, old / 2, old.saturating_sub(1)].into_iter().filter(|new| (least..old).contains(new)).collect()
}

/// One second, the half, and a second less, in whole seconds.
fn shorter(old: Duration) -> Vec<Duration> {
    let seconds = [1, old.as_secs() / 2, old.as_secs().saturating_sub(1)];
    seconds.into_iter().filter(|new| *new > 0).map(Duration::from_secs).filter(|new| *new < old).collect()
}

/// The value without one member or item, or with a lower number, at any depth; at the top first.
fn less(value: &Value) -> Vec<Value> {
    match value {
        Value::Object(members) => {
            let without = members.keys().map(|key| {
                let rest = members.iter().filter(|(other, _)| *other != key);
                rest.map(|(key, value)| (key.clone(), value.clone())).collect()
            });
            let inside = members.iter().flat_map(|(key, member)| {
                less(member).into_iter().map(move |member| {
                    let mut members = members.clone();
                    members.insert(key.clone(), member);
                    Value::Object(members)
                })
            });
            without.map(Value::Object).chain(inside).collect()
        }
        Value::Array(items) => {
            let without = (0..items.len()).map(|index| {
                let mut items = items.clone();
                items.remove(index);
                items
            });
            let inside = items.iter().enumerate().flat_map(|(index, item)| {
                less(item).into_iter().map(move |item| {
                    let mut items = items.clone();
                    items.splice(index..=index, [item]);
                    items
                })
            });
            without.chain(inside).map(Value::Array).collect()
        }
        Value::Number(number) => match number.as_u64().and_then(|number| u32::try_from(number).ok()) {
            Some(0) | None => Vec::new(),
            Some(1) => vec![0.into()],
            Some(number) => lower(number, 1).into_iter().map(Value::from).collect(),
        },
        Value::Null | Value::Bool(_) | Value::String(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::generate::{Subject, generate};
    use super::super::tally;
    use super::*;

    /// What is left of the history when it fails for this reason.
    fn shrunk(text: &str, fails: impl FnMut(&History) -> bool) -> String {
        shrink(text.parse().unwrap(), fails, 1000).to_string()
    }

    fn has(history: &History, line: &str) -> bool {
        history.to_string().contains(line)
    }

    #[test]
    fn only_steps_that_the_failure_needs_are_left() {
        let text = "seed 1\ntakeover\nkill before 1\ncut pods\nrestart\nexpire pods\nlose 1\n";
        let left = shrunk(text, |history| has(history, "cut") && has(history, "lose"));
        assert_eq!(left, "seed 1\ncut pods\nlose 1\n");
    }

    #[test]
    fn numbers_and_times_fall_as_far_as_the_failure_lasts() {
        let text =
            "seed 1\nkill after 9\nscale CloneSet web 7\nlag pods 90s\nslow 5 1500ms\ndelete CloneSet web orphan\n";
        let left = shrunk(text, |history| {
            let scaled = |step: &Step| matches!(step, Step::Scale { replicas: 3.., .. });
            history.steps.len() == 5 && history.steps.iter().any(scaled)
        });
        assert_eq!(left, "seed 1\nkill after 1\nscale CloneSet web 3\nlag pods 1s\nslow 1 1s\ndelete CloneSet web\n");
    }

    #[test]
    fn waits_that_come_together_become_one() {
        let left =
            shrunk("seed 1\nwait 20s\ncut pods\nwait 30s\n", |history| history.length() >= Duration::from_secs(45));
        assert_eq!(left, "seed 1\nwait 45s\n");
    }

    #[test]
    fn members_and_items_of_specs_go_where_they_do_not_matter() {
        let text = "seed 1\ncreate CloneSet web {\"spec\":{\"paused\":true,\"replicas\":8,\"list\":[{\"a\":1},{\"b\":\"c\"}]}}\n";
        let left = shrunk(text, |history| match history.steps.first() {
            Some(Step::Create { object, .. }) => {
                object["spec"]["replicas"].as_u64() >= Some(2) && object.to_string().contains("\"c\"")
            }
            _ => false,
        });
        assert_eq!(left, "seed 1\ncreate CloneSet web {\"spec\":{\"list\":[{\"b\":\"c\"}],\"replicas\":2}}\n");
    }

    #[test]
    fn no_more_runs_are_made_than_allowed_and_the_result_still_fails() {
        let history = generate(Subject::CloneSet, 11);
        let mut runs = 0;
        let fails = |history: &History| tally(history).contains_key("wait");
        let left = shrink(
            history,
            |history| {
                runs += 1;
                fails(history)
            },
            7,
        );
        assert!(fails(&left));
        assert!(runs <= 7, "{runs}");
    }

    #[test]
    fn what_fails_for_two_steps_of_a_generated_history_shrinks_to_these_two() {
        for seed in 0..20 {
            let history = generate(Subject::CloneSet, seed);
            let left = shrink(
                history,
                |history| tally(history).contains_key("create") && tally(history).contains_key("wait"),
                2000,
            );
            let sorts: BTreeSet<&str> = left.steps.iter().map(Step::sort).collect();
            assert_eq!((left.steps.len(), sorts), (2, BTreeSet::from(["create", "wait"])), "seed {seed}");
            assert_eq!(left.length(), Duration::from_secs(1), "seed {seed}");
        }
    }
}
