//! What is to be done when: tasks in order of time, and of being put there where times are equal.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::scene::PodRef;

/// One piece of work. It names objects only: whoever does it reads them again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// The scheduler looks for a node.
    Schedule { namespace: String, name: String },
    /// The kubelet of the Pod's node does something.
    Kubelet { pod: PodRef, step: Step },
    /// The script disturbs a Pod.
    Disturb { namespace: String, name: String, how: Disturbance },
    /// The node controller has heard nothing for too long.
    NodeUnreachable { node: usize, absence: u32 },
    /// A lost node returns.
    NodeBack { node: usize, absence: u32 },
    /// A Pod has tolerated its lost node for long enough.
    Evict { pod: PodRef, node: usize, absence: u32 },
    /// A claim gets its volume.
    BindClaim { namespace: String, name: String },
    /// A deleted claim may go if nobody uses it.
    ReleaseClaim { namespace: String, name: String },
    /// The garbage collector works.
    CollectGarbage,
}

/// What a kubelet does to a Pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Compares the Pod with what runs.
    Look,
    /// Stops containers that are to be restarted.
    Stop(Vec<Turn>),
    /// Starts containers.
    Start(Vec<Turn>),
    /// Their probes succeeded.
    Probed(Vec<Turn>),
    /// Gives a container the resources that were allocated to it.
    Resize(Turn),
    /// Containers are down, a disturbance, for the last moment.
    Restart(Vec<Turn>),
    /// Probes no longer fail, a disturbance; the number tells an older disturbance from the current one.
    Recover(u32),
    /// All containers have ended because the Pod is deleted; the number tells an older plan from the current one.
    End(u32),
    /// Takes the Pod from the server.
    Remove,
    /// Something goes wrong.
    Disturb(Disturbance),
}

/// What the script does to a Pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disturbance {
    /// Containers are down this long.
    Crash(Duration),
    /// Probes fail this long.
    Unready(Duration),
    /// The kubelet evicts it: phase Failed.
    Fail,
}

/// A container and how often its course was set: a plan of an earlier course is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) container: usize,
    pub(super) course: u32,
}

impl Task {
    /// Whether a disturbance ends by it.
    fn ends_disturbance(&self) -> bool {
        matches!(self, Self::NodeBack { .. } | Self::Kubelet { step: Step::Restart(_) | Step::Recover(_), .. })
    }

    /// Whether it begins a disturbance that would end by itself.
    pub(super) fn begins_disturbance(&self) -> bool {
        let (Self::Disturb { how, .. } | Self::Kubelet { step: Step::Disturb(how), .. }) = self else { return false };
        *how != Disturbance::Fail
    }
}

/// Tasks by time and sequence.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    tasks: BTreeMap<(Timestamp, u64), Task>,
    added: u64,
}

impl Agenda {
    pub(super) fn add(&mut self, at: Timestamp, task: Task) {
        self.added += 1;
        self.tasks.insert((at, self.added), task);
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        self.tasks.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the first task that is due.
    pub(super) fn take(&mut self, now: Timestamp) -> Option<Task> {
        let first = self.tasks.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    pub(super) fn contains(&self, task: &Task) -> bool {
        self.tasks.values().any(|planned| planned == task)
    }

    /// Drops what was planned for the absence of a node, which is over.
    pub(super) fn end_absence(&mut self, of: usize) {
        self.tasks.retain(|_, task| match task {
            Task::NodeUnreachable { node, .. } | Task::NodeBack { node, .. } | Task::Evict { node, .. } => *node != of,
            _ => true,
        });
    }

    /// Lets no further disturbance begin, and those that are there end now.
    pub(super) fn heal(&mut self, now: Timestamp) {
        self.tasks.retain(|_, task| !task.begins_disturbance());
        let ends: Vec<_> = self.tasks.extract_if(.., |_, task| task.ends_disturbance()).collect();
        for (_, task) in ends {
            self.add(now, task);
        }
    }
}
