//! Who else acts in a cluster: the scheduler, the kubelets, the node controller, the binder of claims, the garbage
//! collector. They see the server as [`Cluster`].
//!
//! [`Actors`] is a synchronous state machine: [`Actors::saw`] takes what was written and puts work on an agenda,
//! [`Actors::run_due`] carries out what is due by then, in order of time and of being put there. Every delay is drawn
//! from one seed. An actor reads the object again before it writes: what it knew when it made the plan may be old.
//! Heartbeats of nodes are not written: nobody here reads them, and they would cost time.

mod agenda;
mod claims;
mod disturb;
mod fields;
mod garbage;
mod kubelet;
mod nodes;
mod scene;
mod scheduler;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::server::call::{Call, Verb, Written};
use crate::server::failure::{Failure, Result};

use agenda::{Agenda, Step, Task};
use fields::at;
use kubelet::Kubelets;
use nodes::Nodes;
use scene::{PodRef, Scene};
use scheduler::Scheduler;

/// The cluster as actors see it.
pub trait Cluster {
    /// Carries a call out by the server's own rules, without admission webhooks.
    ///
    /// # Errors
    /// The server refuses it.
    fn ask(&self, caller: &str, call: Call) -> Result<Arc<Value>>;
    /// Stored objects of a kind, by namespace and name.
    fn objects(&self, resource: &str) -> Vec<Arc<Value>>;
    /// One stored object.
    fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>>;
    /// What the garbage collector would do next; nothing where all is clean.
    fn garbage(&self) -> Vec<Call>;
}

/// A call of an actor that the server refused for another reason than a change in between: a fault of the simulation.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Who asked.
    pub caller: String,
    /// What.
    pub call: Call,
    /// The answer.
    pub failure: Failure,
}

/// All actors of one cluster.
#[derive(Debug)]
pub struct Actors {
    chance: fastrand::Rng,
    agenda: Agenda,
    nodes: Nodes,
    scheduler: Scheduler,
    kubelets: Kubelets,
    refused: Vec<Refusal>,
}

impl Actors {
    /// For a cluster of so many nodes.
    #[must_use]
    pub fn new(seed: u64, nodes: usize) -> Self {
        Self {
            chance: fastrand::Rng::with_seed(seed),
            agenda: Agenda::default(),
            nodes: Nodes::new(nodes),
            scheduler: Scheduler::default(),
            kubelets: Kubelets::default(),
            refused: Vec::new(),
        }
    }

    /// Makes the namespaces `default`, `kube-system`, `kruise-system` and `sim` and the nodes, all ready.
    pub fn setup(&mut self, now: Timestamp, cluster: &dyn Cluster) {
        let (mut scene, parts) = self.split(now, cluster);
        parts.nodes.create(&mut scene);
    }

    /// Takes note of a write. Called for each one, in order, never from within [`Self::run_due`].
    pub fn saw(&mut self, written: &Written) {
        garbage::saw(written, &mut self.agenda, &mut self.chance);
        match written.resource.as_str() {
            "pods" => self.saw_pod(written),
            "persistentvolumeclaims" => {
                claims::saw(written, &mut self.agenda, &mut self.chance);
                self.scheduler.try_again(written.at, &mut self.agenda, &mut self.chance);
            }
            _ => {}
        }
    }

    /// When there is something to do next.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.agenda.next()
    }

    /// Does all that is due by now.
    pub fn run_due(&mut self, now: Timestamp, cluster: &dyn Cluster) {
        while let Some(task) = self.agenda.take(now) {
            self.carry_out(task, now, cluster);
        }
    }

    /// What the server refused since the last time this was asked. Not found and conflict are part of the play and not
    /// among them; anything else says that an actor or the server is wrong.
    #[must_use]
    pub fn refusals(&mut self) -> Vec<Refusal> {
        std::mem::take(&mut self.refused)
    }

    fn saw_pod(&mut self, written: &Written) {
        let Some(after) = &written.after else {
            if let Some(before) = &written.before {
                self.kubelets.forget(&PodRef::of(before).uid);
                claims::released(before, written.at, &mut self.agenda, &mut self.chance);
            }
            return;
        };
        if at(after, "spec.nodeName").as_str().is_none_or(str::is_empty) {
            self.scheduler.saw(written, after, &mut self.agenda, &mut self.chance);
        } else if !kubelet::is_kubelet(&written.caller) {
            self.kubelets.saw(written, after, &mut self.agenda, &mut self.chance);
        }
    }

    fn carry_out(&mut self, task: Task, now: Timestamp, cluster: &dyn Cluster) {
        let (mut scene, parts) = self.split(now, cluster);
        match task {
            Task::Schedule { namespace, name } => parts.scheduler.place(&namespace, &name, parts.nodes, &mut scene),
            Task::Kubelet { pod, step } => {
                let Some(live) = scene.pod(&pod) else { return parts.kubelets.forget(&pod.uid) };
                match parts.nodes.of(&live) {
                    Some(node) if node.is_lost() => node.hold(Task::Kubelet { pod, step }),
                    Some(node) => parts.kubelets.step(node, &pod, &live, step, &mut scene),
                    None => {}
                }
            }
            Task::Disturb { namespace, name, how } => {
                let Some(live) = cluster.get("pods", &namespace, &name) else { return };
                scene.agenda.add(now, Task::Kubelet { pod: PodRef::of(&live), step: Step::Disturb(how) });
            }
            Task::NodeUnreachable { node, absence } => parts.nodes.unreachable(node, absence, &mut scene),
            Task::NodeBack { node, absence } => {
                if parts.nodes.back(node, absence, &mut scene) {
                    parts.kubelets.look_around(&nodes::name(node), &mut scene);
                    parts.scheduler.try_again(now, scene.agenda, scene.chance);
                }
            }
            Task::Evict { pod, node, absence } => parts.nodes.evict(&pod, node, absence, &mut scene),
            Task::BindClaim { namespace, name } => claims::bind(&namespace, &name, &mut scene),
            Task::ReleaseClaim { namespace, name } => claims::unprotect(&namespace, &name, &mut scene),
            Task::CollectGarbage => garbage::collect(&mut scene),
        }
    }

    fn split<'a>(&'a mut self, now: Timestamp, cluster: &'a dyn Cluster) -> (Scene<'a>, Parts<'a>) {
        let Self { chance, agenda, nodes, scheduler, kubelets, refused } = self;
        (Scene { now, cluster, chance, agenda, refused }, Parts { nodes, scheduler, kubelets })
    }
}

/// The actors with a memory, apart from what all of them use.
struct Parts<'a> {
    nodes: &'a mut Nodes,
    scheduler: &'a mut Scheduler,
    kubelets: &'a mut Kubelets,
}

/// An object whose spec is another one than before the write.
fn spec_changed(written: &Written) -> bool {
    written.verb == Verb::Create || part(&written.before, "spec") != part(&written.after, "spec")
}

/// Whether the write began the deletion of an object that stays for now.
fn deletion_began(written: &Written) -> bool {
    let deleted = |object: &Option<Arc<Value>>| {
        part(object, "metadata").is_some_and(|metadata| !at(metadata, "deletionTimestamp").is_null())
    };
    !deleted(&written.before) && deleted(&written.after)
}

fn part<'a>(object: &'a Option<Arc<Value>>, name: &str) -> Option<&'a Value> {
    object.as_ref().and_then(|object| object.get(name))
}
