//! The scheduler: binds Pods to nodes.
//!
//! It heeds scheduling gates, the node selector, the required node affinity, claims that are not bound yet and nodes
//! that are not ready; among the nodes that are left it draws. Resources, Pod affinity, spread constraints, preferred
//! terms and preemption mean nothing to it: there is room for everybody. Pods of other schedulers are not its business.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::agenda::{Agenda, Task};
use super::fields::{at, list, text};
use super::nodes::Nodes;
use super::scene::{Millis, PodRef, Scene, claims_of, drawn, with_condition};
use super::spec_changed;
use crate::server::call::{Call, Verb, Written};

const CALLER: &str = "system:kube-scheduler";
const MANAGER: &str = "kube-scheduler";

/// From the Pod, or from what it waited for, to the binding.
const DELAY: Millis = 5..50;

#[derive(Debug, Default)]
pub(super) struct Scheduler {
    /// Pods that fit nowhere, by namespace and name.
    waiting: BTreeSet<(String, String)>,
}

impl Scheduler {
    /// Takes note of a Pod without a node.
    pub(super) fn saw(&self, written: &Written, pod: &Value, agenda: &mut Agenda, chance: &mut fastrand::Rng) {
        let scheduler = text(at(pod, "spec.schedulerName"));
        if !matches!(scheduler, "" | "default-scheduler") || !spec_changed(written) {
            return;
        }
        let (namespace, name) = (written.namespace.clone(), written.name.clone());
        agenda.add(drawn(written.at, DELAY, chance), Task::Schedule { namespace, name });
    }

    /// Something changed that Pods may have waited for.
    pub(super) fn try_again(&mut self, now: Timestamp, agenda: &mut Agenda, chance: &mut fastrand::Rng) {
        for (namespace, name) in std::mem::take(&mut self.waiting) {
            agenda.add(drawn(now, DELAY, chance), Task::Schedule { namespace, name });
        }
    }

    pub(super) fn place(&mut self, namespace: &str, name: &str, nodes: &Nodes, scene: &mut Scene<'_>) {
        let Some(pod) = scene.cluster.get("pods", namespace, name) else { return };
        let settled = !text(at(&pod, "spec.nodeName")).is_empty()
            || !at(&pod, "metadata.deletionTimestamp").is_null()
            || !list(at(&pod, "spec.schedulingGates")).is_empty()
            || matches!(text(at(&pod, "status.phase")), "Succeeded" | "Failed");
        if settled {
            return;
        }
        let obstacle = match claim_missing(namespace, &pod, scene) {
            Some(obstacle) => obstacle,
            None => match choose(&pod, nodes, scene) {
                Some(node) => return bind(&pod, &node, scene),
                None => "0 nodes are available: none is ready and matches Pod's node affinity/selector.".to_owned(),
            },
        };
        self.waiting.insert((namespace.to_owned(), name.to_owned()));
        let condition =
            json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": obstacle});
        if let Some(conditions) = with_condition(&pod, condition, &scene.stamp()) {
            scene.patch_pod_status(CALLER, MANAGER, &PodRef::of(&pod), json!({"conditions": conditions}));
        }
    }
}

fn bind(pod: &Value, node: &str, scene: &mut Scene<'_>) {
    let PodRef { namespace, name, uid } = PodRef::of(pod);
    let body = json!({"apiVersion": "v1", "kind": "Binding",
        "metadata": {"namespace": namespace, "name": name, "uid": uid}, "target": {"kind": "Node", "name": node}});
    let mut call = Call::new(Verb::Create, "pods").at(&namespace, &name).sub("binding").with(body);
    MANAGER.clone_into(&mut call.options.field_manager);
    scene.ask(CALLER, call);
}

/// The first claim of the Pod that is not there, not bound, or about to go.
fn claim_missing(namespace: &str, pod: &Value, scene: &Scene<'_>) -> Option<String> {
    claims_of(pod).find_map(|name| match scene.cluster.get("persistentvolumeclaims", namespace, name) {
        None => Some(format!("persistentvolumeclaim \"{name}\" not found")),
        Some(claim) if !at(&claim, "metadata.deletionTimestamp").is_null() => {
            Some(format!("persistentvolumeclaim \"{name}\" is being deleted"))
        }
        Some(claim) if at(&claim, "status.phase") != "Bound" => {
            Some("pod has unbound immediate PersistentVolumeClaims".to_owned())
        }
        Some(_) => None,
    })
}

fn choose(pod: &Value, nodes: &Nodes, scene: &mut Scene<'_>) -> Option<String> {
    let fits = |name: &&str| scene.cluster.get("nodes", "", name).is_some_and(|node| fits(at(pod, "spec"), &node));
    let mut fitting: Vec<_> = nodes.ready().filter(fits).collect();
    if fitting.is_empty() {
        return None;
    }
    Some(fitting.swap_remove(scene.chance.usize(..fitting.len())).to_owned())
}

/// Whether the Pod may run on the node.
fn fits(spec: &Value, node: &Value) -> bool {
    let labels = at(node, "metadata.labels");
    let selected = at(spec, "nodeSelector")
        .as_object()
        .is_none_or(|selector| selector.iter().all(|(key, value)| labels.get(key) == Some(value)));
    let required = at(spec, "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution");
    let schedulable = at(node, "spec.unschedulable") != true;
    let fields = json!({"metadata.name": at(node, "metadata.name")});
    let term = |term: &Value| {
        let (expressions, names) = (list(at(term, "matchExpressions")), list(at(term, "matchFields")));
        !(expressions.is_empty() && names.is_empty())
            && expressions.iter().all(|requirement| matches(requirement, labels))
            && names.iter().all(|requirement| matches(requirement, &fields))
    };
    schedulable && selected && (required.is_null() || list(at(required, "nodeSelectorTerms")).iter().any(term))
}

fn matches(requirement: &Value, values: &Value) -> bool {
    let value = values.get(text(at(requirement, "key")));
    let wanted = list(at(requirement, "values"));
    let number = |value: &Value| text(value).parse::<i64>().ok();
    let compared = || Some((number(value?)?, number(wanted.first()?)?));
    match text(at(requirement, "operator")) {
        "In" => value.is_some_and(|value| wanted.contains(value)),
        "NotIn" => value.is_none_or(|value| !wanted.contains(value)),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compared().is_some_and(|(value, bound)| value > bound),
        "Lt" => compared().is_some_and(|(value, bound)| value < bound),
        _ => false,
    }
}
