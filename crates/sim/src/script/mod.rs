//! Histories as data: what users, nodes and the network do to the controllers, step by step.
//!
//! `text` is their form for people and files, `generate` makes one from a seed, `shrink` takes out of a failing one what
//! it does not need, `known` holds those written by hand; `cloneset` is the one kind so far that histories are made for,
//! `faults` is what goes wrong whatever the kind. None of them knows how a step is carried out: that is the
//! executor's part. Steps that find nothing to act on do nothing, so any part of a history is a history.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

mod text;
mod words;

pub mod known;

mod cloneset;
mod draw;
mod faults;
pub mod generate;

pub mod shrink;

pub use generate::{Subject, generate};
pub use known::known;
pub use shrink::shrink;
pub use words::Malformed;

/// What happens in one run, in order. Printed and parsed by `text`.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// Seed of all that is left to chance: uids, names, delays, back-off.
    pub seed: u64,
    /// What happens. No time passes between two steps but that of [`Step::Wait`].
    pub steps: Vec<Step>,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// `create CloneSet web {"spec":{...}}`: a user creates it.
    Create {
        /// Which.
        target: Target,
        /// The object; apiVersion, kind, name and namespace are filled in.
        object: Value,
    },
    /// `set CloneSet web {"spec":{...}}`: a user sends a merge patch.
    Set {
        /// Which.
        target: Target,
        /// The merge patch.
        patch: Value,
    },
    /// `scale CloneSet web 5`: a user writes its scale subresource.
    Scale {
        /// Which.
        target: Target,
        /// `spec.replicas`.
        replicas: u32,
    },
    /// `delete CloneSet web [foreground|orphan]`: a user deletes it.
    Delete {
        /// Which.
        target: Target,
        /// What becomes of its Pods.
        propagation: Propagation,
    },
    /// `pod CloneSet web 2 ...`: something befalls one of its Pods.
    Pod {
        /// Whose Pod.
        target: Target,
        /// Which of them by name, from 1; see [`nth`].
        number: u32,
        /// What befalls it.
        action: PodAction,
    },
    /// `node 1 lost 120s`: its kubelet stops for that time.
    NodeLost {
        /// Which node, from 1; see [`nth`].
        node: u32,
        /// For how long.
        time: Duration,
    },
    /// `kill before 3`, `kill after 3`: the leader dies at its third write from now.
    Kill {
        /// Which side of the write.
        moment: Moment,
        /// Which write from now, from 1.
        write: u32,
    },
    /// `fail 2 with 409`: the leader's second write from now is not applied and answered so.
    Fail {
        /// Which write from now, from 1.
        write: u32,
        /// The answer.
        answer: Answer,
    },
    /// `lose 2`: the leader's second write from now is applied, its answer is lost with the connection.
    Lose {
        /// Which write from now, from 1.
        write: u32,
    },
    /// `slow 2 8s`: the leader's second write from now reaches the server only after this time; if the client has given
    /// up by then, it is applied all the same.
    Slow {
        /// Which write from now, from 1.
        write: u32,
        /// How late.
        time: Duration,
    },
    /// `lag pods 90s`: watches of the resource tell nothing for this time, then all of it in order.
    Lag {
        /// `pods`, `clonesets.apps.kruise.io`.
        resource: String,
        /// For how long.
        time: Duration,
    },
    /// `cut pods`: watches of the resource break, clients resume them.
    Cut {
        /// `pods`, `clonesets.apps.kruise.io`.
        resource: String,
    },
    /// `expire pods`: watches of the resource end with 410, clients list again.
    Expire {
        /// `pods`, `clonesets.apps.kruise.io`.
        resource: String,
    },
    /// `takeover`: the leader alone cannot reach its Lease until another replica leads; then it dies.
    Takeover,
    /// `outage 40s`: nothing that managers send or that is sent to them arrives for this time.
    Outage {
        /// For how long.
        time: Duration,
    },
    /// `restart`: the leader dies between two writes and is started again.
    Restart,
    /// `wait 20s`: time passes.
    Wait {
        /// How long.
        time: Duration,
    },
}

/// An object that users act on, in the namespace of the history.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// `CloneSet`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// What becomes of the dependents of a deleted object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They are collected afterwards.
    Background,
    /// The object waits for them.
    Foreground,
    /// They stay.
    Orphan,
}

/// What befalls a Pod.
#[derive(Clone, Debug, PartialEq)]
pub enum PodAction {
    /// `delete`: a user deletes it.
    Delete,
    /// `set {...}`: a user sends a merge patch.
    Set(Value),
    /// `crash 30s`: its containers are down this long, then they start again.
    Crash(Duration),
    /// `unready 60s`: its readiness probe fails this long.
    Unready(Duration),
    /// `evict`: through the eviction subresource.
    Evict,
    /// `fail`: its kubelet gives it up for want of memory; it stays, with phase Failed.
    Fail,
}

/// When the leader dies, seen from one of its writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before the write reaches the server: it is never applied.
    Before,
    /// After the server applied it and before the leader knows.
    After,
}

/// What a failed write is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 409 with reason Conflict.
    Conflict,
    /// 429 with reason TooManyRequests.
    TooManyRequests,
    /// 500 with reason InternalError.
    InternalError,
    /// None at all: the client's own time-out ends the request.
    Timeout,
}

/// Where the one with this number stands among `count`: the first is number 1, and after the last comes the first again.
#[must_use]
pub fn nth(number: u32, count: usize) -> Option<usize> {
    (number.saturating_sub(1) as usize).checked_rem(count)
}

/// How many steps of each sort a history has.
#[must_use]
pub fn tally(history: &History) -> BTreeMap<&'static str, usize> {
    let mut sorts = BTreeMap::new();
    for step in &history.steps {
        *sorts.entry(step.sort()).or_insert(0) += 1;
    }
    sorts
}

impl History {
    /// The time that its waits take together: the least that the run lasts.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.steps.iter().map(|step| if let Step::Wait { time } = step { *time } else { Duration::ZERO }).sum()
    }
}

impl Step {
    /// Whether it makes requests fail or wait, or ends a process: what is applied may have been decided long before.
    #[must_use]
    pub fn disturbs_requests(&self) -> bool {
        match self {
            Self::Kill { .. }
            | Self::Fail { .. }
            | Self::Lose { .. }
            | Self::Slow { .. }
            | Self::Takeover
            | Self::Outage { .. }
            | Self::Restart => true,
            Self::Create { .. }
            | Self::Set { .. }
            | Self::Scale { .. }
            | Self::Delete { .. }
            | Self::Pod { .. }
            | Self::NodeLost { .. }
            | Self::Lag { .. }
            | Self::Cut { .. }
            | Self::Expire { .. }
            | Self::Wait { .. } => false,
        }
    }

    /// The words that steps of this sort have in common.
    #[must_use]
    pub fn sort(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Set { .. } => "set",
            Self::Scale { .. } => "scale",
            Self::Delete { propagation: Propagation::Background, .. } => "delete",
            Self::Delete { propagation: Propagation::Foreground, .. } => "delete foreground",
            Self::Delete { propagation: Propagation::Orphan, .. } => "delete orphan",
            Self::Pod { action, .. } => match action {
                PodAction::Delete => "pod delete",
                PodAction::Set(_) => "pod set",
                PodAction::Crash(_) => "pod crash",
                PodAction::Unready(_) => "pod unready",
                PodAction::Evict => "pod evict",
                PodAction::Fail => "pod fail",
            },
            Self::NodeLost { .. } => "node lost",
            Self::Kill { moment: Moment::Before, .. } => "kill before",
            Self::Kill { moment: Moment::After, .. } => "kill after",
            Self::Fail { answer, .. } => match answer {
                Answer::Conflict => "fail with 409",
                Answer::TooManyRequests => "fail with 429",
                Answer::InternalError => "fail with 500",
                Answer::Timeout => "fail with timeout",
            },
            Self::Lose { .. } => "lose",
            Self::Slow { .. } => "slow",
            Self::Lag { .. } => "lag",
            Self::Cut { .. } => "cut",
            Self::Expire { .. } => "expire",
            Self::Takeover => "takeover",
            Self::Outage { .. } => "outage",
            Self::Restart => "restart",
            Self::Wait { .. } => "wait",
        }
    }
}

impl Target {
    /// The object of this kind and name.
    #[must_use]
    pub fn new(kind: &str, name: &str) -> Self {
        Self { kind: kind.to_owned(), name: name.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_after_the_last_is_the_first_again() {
        for (number, count, want) in [(1, 3, Some(0)), (3, 3, Some(2)), (4, 3, Some(0)), (1, 0, None)] {
            assert_eq!(nth(number, count), want, "number {number} of {count}");
        }
    }

    #[test]
    fn a_tally_counts_steps_by_their_sort() {
        let history: History = "seed 1\nkill before 3\nkill before 1\nkill after 1\nwait 3s\n".parse().unwrap();
        assert_eq!(tally(&history), BTreeMap::from([("kill after", 1), ("kill before", 2), ("wait", 1)]));
        assert_eq!(history.length(), Duration::from_secs(3));
    }
}
