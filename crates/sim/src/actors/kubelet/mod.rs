//! The kubelets: what runs on the nodes, and the status of Pods that tells of it.
//!
//! A [`Machine`] is what the kubelet knows of a Pod; steps change it, and each one is followed by at most one write of
//! the status, with the fields that differ from the live object. Read and write happen at one moment, so nothing can
//! come between them. Init containers end at once, main containers never end by themselves. An image with
//! `unpullable` in its name cannot be pulled. Left out: ephemeral containers, hooks, resizes that do not fit.

mod container;
mod course;
mod status;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::agenda::{Agenda, Step, Task, Turn};
use super::fields::{at, list, text};
use super::nodes::Node;
use super::scene::{Millis, PodRef, Scene, drawn};
use super::{part, spec_changed};
use crate::server::call::Written;
use container::{Container, Life, Probes, Role};

/// From a change of a Pod to its kubelet's seeing it.
const WATCH: Millis = 10..200;
/// From the first sight of a Pod to its containers' running.
const START: Millis = 500..3_000;
/// From the end of the last container to the Pod's removal.
const REMOVE: Millis = 10..200;

/// All kubelets of the cluster.
#[derive(Debug, Default)]
pub(super) struct Kubelets {
    /// What runs, by uid.
    machines: BTreeMap<String, Machine>,
    /// Pods that a kubelet is about to look at.
    looking: BTreeSet<String>,
}

/// A Pod on its node.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    node: String,
    host: String,
    ip: String,
    /// When the kubelet first saw it.
    since: String,
    containers: Vec<Container>,
    /// Whether its network is there.
    sandbox: bool,
    state: State,
    probes_fail: bool,
    /// Counts disturbances of the probes.
    failures: u32,
    /// The grace period in seconds under which it is ended.
    grace: Option<u64>,
    /// Counts plans to end it.
    endings: u32,
}

/// How far a Pod is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Alive,
    /// Its containers have been told to end.
    Stopping,
    /// No container runs or will run again.
    Ended {
        phase: &'static str,
        reason: &'static str,
        message: &'static str,
    },
}

/// Whether the caller is a kubelet.
pub(super) fn is_kubelet(caller: &str) -> bool {
    caller.starts_with("system:node:")
}

impl Machine {
    fn new(pod: &Value, node: &mut Node, stamp: String) -> Self {
        let spec = at(pod, "spec");
        let init = list(at(spec, "initContainers")).iter().map(|container| {
            let role = if at(container, "restartPolicy") == "Always" { Role::Sidecar } else { Role::Init };
            Container::new(container, role)
        });
        let main = list(at(spec, "containers")).iter().map(|container| Container::new(container, Role::Main));
        let host = node.ip();
        Self {
            node: node.name.clone(),
            ip: if at(spec, "hostNetwork") == true { host.clone() } else { node.pod_ip() },
            host,
            since: stamp,
            containers: init.chain(main).collect(),
            sandbox: false,
            state: State::Alive,
            probes_fail: false,
            failures: 0,
            grace: None,
            endings: 0,
        }
    }

    fn probes(&self) -> Probes {
        if self.probes_fail { Probes::Fail } else { Probes::Succeed }
    }

    /// Whether its containers may still be started.
    fn is_alive(&self) -> bool {
        self.state == State::Alive
    }

    /// The containers whose plan is still the one of the turn.
    fn of_course<'a>(&'a mut self, turns: &'a [Turn]) -> impl Iterator<Item = (usize, &'a mut Container)> {
        let alive = self.is_alive();
        let current = move |index: usize, container: &Container| {
            turns.iter().any(|turn| turn.container == index && turn.course == container.course)
        };
        let containers = self.containers.iter_mut().enumerate();
        containers.filter(move |(index, container)| alive && current(*index, container))
    }

    fn write(&self, pod: &PodRef, live: &Value, scene: &mut Scene<'_>) {
        let mut status = status::of(live, self, &scene.stamp());
        status.retain(|field, value| at(live, "status").get(field.as_str()) != Some(value));
        if !status.is_empty() {
            scene.patch_pod_status(&format!("system:node:{}", self.node), "kubelet", pod, status.into());
        }
    }
}

impl Kubelets {
    /// Takes note of a bound Pod that somebody else wrote. Changes of metadata mean nothing but for the deletion.
    pub(super) fn saw(&mut self, written: &Written, pod: &Value, agenda: &mut Agenda, chance: &mut fastrand::Rng) {
        let deletion = |field: &str| {
            let of = |object| part(object, "metadata").and_then(|metadata: &Value| metadata.get(field));
            of(&written.before) != of(&written.after)
        };
        let matters = spec_changed(written)
            || part(&written.before, "status") != part(&written.after, "status")
            || deletion("deletionTimestamp")
            || deletion("deletionGracePeriodSeconds");
        let pod = PodRef::of(pod);
        if matters && self.looking.insert(pod.uid.clone()) {
            agenda.add(drawn(written.at, WATCH, chance), Task::Kubelet { pod, step: Step::Look });
        }
    }

    /// A kubelet that is back looks at all its Pods.
    pub(super) fn look_around(&mut self, node: &str, scene: &mut Scene<'_>) {
        for pod in scene.cluster.objects("pods") {
            let key = PodRef::of(&pod);
            if at(&pod, "spec.nodeName") == node && self.looking.insert(key.uid.clone()) {
                scene.later(WATCH, Task::Kubelet { pod: key, step: Step::Look });
            }
        }
    }

    /// The Pod is gone, and what ran of it.
    pub(super) fn forget(&mut self, uid: &str) {
        self.machines.remove(uid);
        self.looking.remove(uid);
    }

    /// Does one thing to a Pod of a node that is not lost.
    pub(super) fn step(&mut self, node: &mut Node, pod: &PodRef, live: &Value, step: Step, scene: &mut Scene<'_>) {
        if step == Step::Look {
            self.looking.remove(&pod.uid);
        }
        if step == Step::Remove {
            return remove(&node.name, pod, live, scene);
        }
        let deleted = !at(live, "metadata.deletionTimestamp").is_null();
        let ended = matches!(text(at(live, "status.phase")), "Succeeded" | "Failed");
        match self.machines.get_mut(&pod.uid) {
            Some(machine) => machine.take(pod, live, step, scene),
            None if step != Step::Look => {}
            // It never ran, or somebody else has ended it.
            None if deleted => scene.later(REMOVE, task(pod, Step::Remove)),
            None if ended => {}
            None => {
                let machine = Machine::new(live, node, scene.stamp());
                machine.write(pod, live, scene);
                scene.later(START, task(pod, Step::Start(turns(machine.containers.iter().enumerate()))));
                self.machines.insert(pod.uid.clone(), machine);
            }
        }
    }
}

/// Takes the Pod from the server. One whose grace period is 0 already waits for finalizers of others.
fn remove(node: &str, pod: &PodRef, live: &Value, scene: &mut Scene<'_>) {
    if at(live, "metadata.deletionGracePeriodSeconds") != 0 {
        scene.delete_pod(&format!("system:node:{node}"), pod, Some(0));
    }
}

fn task(pod: &PodRef, step: Step) -> Task {
    Task::Kubelet { pod: pod.clone(), step }
}

fn turns<'a>(containers: impl Iterator<Item = (usize, &'a Container)>) -> Vec<Turn> {
    containers.map(|(container, of)| Turn { container, course: of.course }).collect()
}
