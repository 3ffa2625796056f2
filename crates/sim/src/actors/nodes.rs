//! The nodes, and the node controller, which notices when a node is silent.
//!
//! A lost node: after the grace period its Ready is Unknown, it is tainted, and its Pods are written not ready. After
//! their toleration the Pods are deleted, and stay terminating until the kubelet is back.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::agenda::{Agenda, Task};
use super::fields::{at, list, set, text};
use super::scene::{Millis, PodRef, Scene, plus, with_condition};
use crate::server::call::{Call, Verb};

const CONTROLLER: &str = "system:serviceaccount:kube-system:node-controller";
const MANAGER: &str = "kube-controller-manager";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

/// How long a node may be silent: `--node-monitor-grace-period` as it was until Kubernetes 1.31.
const GRACE: Duration = Duration::from_secs(40);
/// What the admission plugin DefaultTolerationSeconds gives to Pods that say nothing.
const TOLERATION: Duration = Duration::from_secs(300);
/// From the return of a node to what its kubelet could not do before.
const CATCH_UP: Millis = 10..300;

#[derive(Debug)]
pub(super) struct Nodes {
    nodes: Vec<Node>,
}

/// One node, as the simulation knows it.
#[derive(Debug)]
pub(super) struct Node {
    index: usize,
    /// Its name.
    pub(super) name: String,
    lost: bool,
    /// The controller has said so.
    unreachable: bool,
    /// Counts losses: plans made for an earlier one are void.
    absence: u32,
    /// The end of the loss.
    until: Timestamp,
    held: Vec<Task>,
    addresses: u32,
}

/// The name of the n-th node.
pub(super) fn name(index: usize) -> String {
    format!("node-{index}")
}

impl Node {
    /// Whether its kubelet can do anything.
    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Keeps what its kubelet would have done until it is back.
    pub(super) fn hold(&mut self, task: Task) {
        self.held.push(task);
    }

    /// The node's address.
    pub(super) fn ip(&self) -> String {
        format!("192.168.{}.{}", self.index / 200, self.index % 200 + 10)
    }

    /// An address for a new Pod.
    pub(super) fn pod_ip(&mut self) -> String {
        self.addresses += 1;
        format!("10.{}.{}.{}", 64 + self.index % 128, self.addresses / 250 % 250, self.addresses % 250 + 2)
    }

    fn object(&self) -> Value {
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.name, "labels": {
            "kubernetes.io/hostname": self.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
            "topology.kubernetes.io/region": "sim", "topology.kubernetes.io/zone": format!("zone-{}", self.index % 3)}}})
    }

    fn status(&self, stamp: &str) -> Value {
        let room = json!({"cpu": "64", "memory": "256Gi", "pods": "250", "ephemeral-storage": "1Ti"});
        json!({"capacity": room, "allocatable": room, "conditions": [ready(Ready::True, stamp)],
            "addresses": [{"type": "InternalIP", "address": self.ip()}, {"type": "Hostname", "address": self.name}],
            "nodeInfo": {"kubeletVersion": "v1.34.0", "operatingSystem": "linux", "architecture": "amd64",
                "containerRuntimeVersion": "containerd://2.1.0", "kernelVersion": "6.12.0", "osImage": "sim",
                "bootID": "", "machineID": "", "systemUUID": "", "kubeProxyVersion": ""}})
    }

    fn kubelet(&self) -> String {
        format!("system:node:{}", self.name)
    }
}

impl Nodes {
    pub(super) fn new(count: usize) -> Self {
        let node = |index| Node {
            index,
            name: name(index),
            lost: false,
            unreachable: false,
            absence: 0,
            until: Timestamp::MIN,
            held: Vec::new(),
            addresses: 0,
        };
        Self { nodes: (0..count).map(node).collect() }
    }

    pub(super) fn create(&self, scene: &mut Scene<'_>) {
        for namespace in ["default", "kube-system", "kruise-system", "sim"] {
            let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace,
                "labels": {"kubernetes.io/metadata.name": namespace}}});
            scene.ask("kube-apiserver", Call::new(Verb::Create, "namespaces").at("", namespace).with(body));
        }
        for node in &self.nodes {
            let create = Call::new(Verb::Create, "nodes").at("", &node.name).with(node.object());
            scene.ask(&node.kubelet(), create);
            let target = Call::new(Verb::Get, "nodes").at("", &node.name).sub("status");
            let status = node.status(&scene.stamp());
            scene.patch(&node.kubelet(), "kubelet", target, json!({"status": status}));
        }
    }

    /// The node that the Pod is bound to. `None` where it is bound to a name without a machine.
    pub(super) fn of(&mut self, pod: &Value) -> Option<&mut Node> {
        let name = text(at(pod, "spec.nodeName"));
        self.nodes.iter_mut().find(|node| node.name == name)
    }

    /// Names of the nodes that take new Pods. A node that was lost only now is among them, as nobody knows yet.
    pub(super) fn ready(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().filter(|node| !node.unreachable).map(|node| node.name.as_str())
    }

    pub(super) fn lose(&mut self, now: Timestamp, index: usize, time: Duration, agenda: &mut Agenda) {
        let index = index.checked_rem(self.nodes.len()).unwrap_or_default();
        let Some(node) = self.nodes.get_mut(index) else { return };
        let until = plus(now, time);
        if !node.lost {
            (node.lost, node.until) = (true, until);
            node.absence += 1;
            agenda.add(plus(now, GRACE), Task::NodeUnreachable { node: index, absence: node.absence });
        }
        node.until = node.until.max(until);
        agenda.add(until, Task::NodeBack { node: index, absence: node.absence });
    }

    pub(super) fn heal(&mut self) {
        for node in &mut self.nodes {
            node.until = Timestamp::MIN;
            node.held.retain(|task| !task.begins_disturbance());
        }
    }

    /// The grace period is over.
    pub(super) fn unreachable(&mut self, index: usize, absence: u32, scene: &mut Scene<'_>) {
        let Some(node) = self.nodes.get_mut(index) else { return };
        if !node.lost || node.absence != absence {
            return;
        }
        node.unreachable = true;
        let taint = |effect: &str| json!({"key": UNREACHABLE, "effect": effect, "timeAdded": scene.stamp()});
        let taints = json!([taint("NoSchedule"), taint("NoExecute")]);
        write(CONTROLLER, MANAGER, &node.name, Ready::Unknown, taints, scene);
        let name = node.name.clone();
        let bound: Vec<_> =
            scene.cluster.objects("pods").into_iter().filter(|pod| at(pod, "spec.nodeName") == name.as_str()).collect();
        for pod in bound {
            let key = PodRef::of(&pod);
            mark_not_ready(&pod, &key, scene);
            if let Some(time) = toleration(&pod) {
                scene.after(time, Task::Evict { pod: key, node: index, absence });
            }
        }
    }

    /// The node is back, unless its loss was prolonged. Its kubelet goes on with what it could not do.
    pub(super) fn back(&mut self, index: usize, absence: u32, scene: &mut Scene<'_>) -> bool {
        let Some(node) = self.nodes.get_mut(index) else { return false };
        if !node.lost || node.absence != absence || scene.now < node.until {
            return false;
        }
        node.lost = false;
        scene.agenda.end_absence(index);
        for task in std::mem::take(&mut node.held) {
            scene.later(CATCH_UP, task);
        }
        if std::mem::take(&mut node.unreachable) {
            let kubelet = node.kubelet();
            write(&kubelet, "kubelet", &node.name, Ready::True, Value::Null, scene);
        }
        true
    }

    pub(super) fn evict(&self, pod: &PodRef, index: usize, absence: u32, scene: &mut Scene<'_>) {
        let Some(live) = scene.pod(pod) else { return };
        let lost = self.nodes.get(index).is_some_and(|node| node.unreachable && node.absence == absence);
        if !lost || !at(&live, "metadata.deletionTimestamp").is_null() {
            return;
        }
        let condition = json!({"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint"});
        if let Some(conditions) = with_condition(&live, condition, &scene.stamp()) {
            scene.patch_pod_status(CONTROLLER, MANAGER, pod, json!({"conditions": conditions}));
        }
        scene.delete_pod(CONTROLLER, pod, None);
    }
}

#[derive(Clone, Copy)]
enum Ready {
    True,
    Unknown,
}

fn ready(ready: Ready, stamp: &str) -> Value {
    let (status, reason, message) = match ready {
        Ready::True => ("True", "KubeletReady", "kubelet is posting ready status"),
        Ready::Unknown => ("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status."),
    };
    json!({"type": "Ready", "status": status, "reason": reason, "message": message,
        "lastHeartbeatTime": stamp, "lastTransitionTime": stamp})
}

/// Writes the Ready of a node and its taints. Nobody else has conditions on nodes here.
fn write(caller: &str, manager: &str, name: &str, state: Ready, taints: Value, scene: &mut Scene<'_>) {
    let target = || Call::new(Verb::Get, "nodes").at("", name);
    let conditions = json!([ready(state, &scene.stamp())]);
    scene.patch(caller, manager, target().sub("status"), json!({"status": {"conditions": conditions}}));
    scene.patch(caller, manager, target(), json!({"spec": {"taints": taints}}));
}

/// Only the status of the condition changes: its reason stays what the kubelet wrote last.
fn mark_not_ready(pod: &Value, key: &PodRef, scene: &mut Scene<'_>) {
    let mut conditions = list(at(pod, "status.conditions")).to_vec();
    let Some(ready) = conditions.iter_mut().find(|c| at(c, "type") == "Ready" && at(c, "status") != "False") else {
        return;
    };
    set(ready, "status", "False");
    set(ready, "lastTransitionTime", scene.stamp());
    scene.patch_pod_status(CONTROLLER, MANAGER, key, json!({"conditions": conditions}));
}

/// How long the Pod stays on a lost node; `None` for ever.
fn toleration(pod: &Value) -> Option<Duration> {
    let fits = |toleration: &&Value| {
        let (key, effect) = (text(at(toleration, "key")), text(at(toleration, "effect")));
        let any_key = key.is_empty() && at(toleration, "operator") == "Exists";
        (key == UNREACHABLE || any_key) && (effect.is_empty() || effect == "NoExecute")
    };
    match list(at(pod, "spec.tolerations")).iter().find(fits) {
        Some(toleration) => {
            let seconds = at(toleration, "tolerationSeconds").as_i64()?;
            Some(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
        }
        None => Some(TOLERATION),
    }
}
