//! Plays the kubelet and the scheduler for all Pods of an API server: binds them, starts them after a while, restarts a
//! container whose image changed, keeps Ready in step with the readiness gates, finishes deletions.
//!
//! A process of its own, so that it is not the load generator that has to wait for it. Each Pod is a task that is shown
//! the newest state; what that state asks for is [`step`].

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use futures::{StreamExt as _, pin_mut};
use kube::Client;
use kube::core::params::{DeleteParams, Patch, PatchParams, PostParams, Preconditions, WatchParams};
use kube::core::{Request, WatchEvent};
use runtime::flags::duration;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};

use crate::harness::say;
use crate::objects::nodes;

/// Requests on their way at a time.
const AT_ONCE: usize = 64;
/// Time before a request that failed is made again, and before a watch that ended is begun again.
const PAUSE: Duration = Duration::from_millis(200);
/// Who reports, as it shows in `managedFields`.
const REPORTER: &str = "kubelet";
/// When everything begins: nothing here reads it.
const TIME: &str = "2026-01-12T09:30:07Z";

/// Where and how fast.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The API server
    #[arg(long)]
    pub(crate) kubeconfig: PathBuf,
    /// Nodes that Pods are bound to
    #[arg(long)]
    pub(crate) nodes: u32,
    /// How long a start, a restart and an end take
    #[arg(long, value_parser = duration)]
    pub(crate) delay: Duration,
}

/// What is read of a Pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Pod {
    metadata: Metadata,
    spec: Spec,
    status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    name: String,
    namespace: String,
    uid: String,
    deletion_timestamp: Option<String>,
    finalizers: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    node_name: String,
    containers: Vec<Container>,
    readiness_gates: Vec<Gate>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    name: String,
    image: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Gate {
    condition_type: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    #[serde(rename = "podIP")]
    pod_ip: String,
    conditions: Vec<Condition>,
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Condition {
    r#type: String,
    status: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ContainerStatus {
    name: String,
    image: String,
    restart_count: u32,
}

/// What a Pod needs.
#[derive(Debug, PartialEq)]
enum Step {
    /// A node.
    Bind,
    /// To be reported as it now is; at once, or after the time that a start takes.
    Report { status: Value, at_once: bool },
    /// To go.
    Finish,
}

/// Plays until it is killed.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let client = e2e::apiserver::client(&options.kubeconfig).await?;
    let kubelet = Arc::new(Kubelet {
        client: client.clone(),
        slots: Semaphore::new(AT_ONCE),
        nodes: options.nodes.max(1),
        delay: options.delay,
    });
    let mut pods: HashMap<String, watch::Sender<Pod>> = HashMap::new();
    loop {
        // From no version on: every Pod that is there is shown first.
        let request = Request::new("/api/v1/pods").watch(&WatchParams::default(), "")?;
        let events = client.request_events::<Pod>(request).await.context("watch Pods")?;
        pin_mut!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(WatchEvent::Added(pod) | WatchEvent::Modified(pod)) => kubelet.see(&mut pods, pod),
                Ok(WatchEvent::Deleted(pod)) => drop(pods.remove(&pod.metadata.uid)),
                Ok(WatchEvent::Bookmark(_)) => {}
                Ok(WatchEvent::Error(_)) | Err(_) => break,
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

struct Kubelet {
    client: Client,
    slots: Semaphore,
    nodes: u32,
    delay: Duration,
}

impl Kubelet {
    fn see(self: &Arc<Self>, pods: &mut HashMap<String, watch::Sender<Pod>>, pod: Pod) {
        if let Some(shown) = pods.get(&pod.metadata.uid) {
            shown.send_replace(pod);
            return;
        }
        let uid = pod.metadata.uid.clone();
        let (show, shown) = watch::channel(pod);
        pods.insert(uid, show);
        tokio::spawn(Arc::clone(self).keep(shown));
    }

    /// Looks after one Pod until it is gone.
    async fn keep(self: Arc<Self>, mut shown: watch::Receiver<Pod>) {
        loop {
            let mut next = step(&shown.borrow_and_update());
            if next.as_ref().is_some_and(takes_time) {
                tokio::time::sleep(self.delay).await;
                // What is asked for may have changed meanwhile.
                next = step(&shown.borrow_and_update());
            }
            if let Some(next) = next {
                let pod = shown.borrow().clone();
                if !self.take(&pod, &next).await {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            }
            if shown.changed().await.is_err() {
                return;
            }
        }
    }

    /// Does it; says whether it is done, or somebody else was faster and a newer state is on its way.
    async fn take(&self, pod: &Pod, step: &Step) -> bool {
        let Ok(_slot) = self.slots.acquire().await else { return true };
        let Metadata { name, uid, namespace, .. } = &pod.metadata;
        let pods = Request::new(format!("/api/v1/namespaces/{namespace}/pods"));
        let post = PostParams { field_manager: Some("kube-scheduler".to_owned()), ..PostParams::default() };
        let patch = PatchParams { field_manager: Some(REPORTER.to_owned()), ..PatchParams::default() };
        let request = match step {
            Step::Bind => {
                let number = uid.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
                let node = nodes::key(number % self.nodes).name;
                let binding = json!({
                    "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name, "uid": uid},
                    "target": {"apiVersion": "v1", "kind": "Node", "name": node},
                });
                pods.create_subresource("binding", name, &post, binding.to_string().into_bytes())
            }
            Step::Report { status, .. } => {
                let change = Patch::Strategic(json!({"metadata": {"uid": uid}, "status": status}));
                pods.patch_subresource("status", name, &patch, &change)
            }
            Step::Finish => {
                let preconditions = Preconditions { uid: Some(uid.clone()), resource_version: None };
                let at_once = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
                pods.delete(name, &at_once.grace_period(0))
            }
        };
        let Ok(request) = request else { return true };
        match self.client.request_text(request).await {
            Ok(_) => true,
            Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => true,
            Err(err) => {
                say(format_args!("kubelet: {namespace}/{name}: {err}"));
                false
            }
        }
    }
}

fn takes_time(step: &Step) -> bool {
    match step {
        Step::Bind | Step::Report { at_once: true, .. } => false,
        Step::Report { at_once: false, .. } | Step::Finish => true,
    }
}

/// What a Pod needs in this state, if anything.
fn step(pod: &Pod) -> Option<Step> {
    let Pod { metadata, spec, status } = pod;
    let is_true = |kind: &str| status.conditions.iter().any(|has| has.r#type == kind && has.status == "True");
    let is_ready = spec.readiness_gates.iter().all(|gate| is_true(&gate.condition_type));
    let ready = condition("Ready", is_ready);
    if metadata.deletion_timestamp.is_some() {
        return metadata.finalizers.is_empty().then_some(Step::Finish);
    }
    if spec.node_name.is_empty() {
        return Some(Step::Bind);
    }
    if status.pod_ip.is_empty() {
        let status = json!({
            "phase": "Running", "startTime": TIME, "podIP": "10.1.2.3", "podIPs": [{"ip": "10.1.2.3"}],
            "hostIP": "192.0.2.1", "containerStatuses": containers(pod),
            "conditions": [condition("Initialized", true), condition("ContainersReady", true), ready],
        });
        return Some(Step::Report { status, at_once: false });
    }
    let runs = |container: &Container| {
        status.container_statuses.iter().any(|has| has.name == container.name && has.image == container.image)
    };
    if !spec.containers.iter().all(runs) {
        return Some(Step::Report { status: json!({"containerStatuses": containers(pod)}), at_once: false });
    }
    (is_true("Ready") != is_ready).then(|| Step::Report { status: json!({"conditions": [ready]}), at_once: true })
}

fn condition(kind: &str, holds: bool) -> Value {
    json!({"type": kind, "status": if holds { "True" } else { "False" }, "lastTransitionTime": TIME})
}

/// All containers running what they shall; those that ran something else have been restarted.
fn containers(pod: &Pod) -> Vec<Value> {
    let Pod { metadata, spec, status } = pod;
    let report = |container: &Container| {
        let Container { name, image } = container;
        let before = status.container_statuses.iter().find(|has| has.name == *name);
        let restarts = before.map_or(0, |has| has.restart_count + u32::from(has.image != *image));
        json!({
            "name": name, "image": image, "imageID": format!("sim://{image}"), "restartCount": restarts,
            "containerID": format!("sim://{}/{name}/{restarts}", metadata.uid), "ready": true, "started": true,
            "state": {"running": {"startedAt": TIME}},
        })
    };
    spec.containers.iter().map(report).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(change: &Value) -> Pod {
        let mut pod = json!({
            "metadata": {"name": "a", "namespace": "b", "uid": "c"},
            "spec": {
                "nodeName": "n", "containers": [{"name": "main", "image": "v1"}],
                "readinessGates": [{"conditionType": "G"}],
            },
            "status": {
                "podIP": "10.1.2.3", "containerStatuses": [{"name": "main", "image": "v1", "restartCount": 0}],
                "conditions": [{"type": "G", "status": "True"}, {"type": "Ready", "status": "True"}],
            },
        });
        json_patch::merge(&mut pod, change);
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn a_pod_that_runs_what_it_shall_needs_nothing() {
        assert_eq!(step(&pod(&json!({}))), None);
    }

    #[test]
    fn a_new_pod_is_bound_then_started() {
        assert_eq!(step(&pod(&json!({"spec": {"nodeName": ""}, "status": null}))), Some(Step::Bind));
        let Some(Step::Report { status, at_once: false }) = step(&pod(&json!({"status": null}))) else { panic!() };
        assert_eq!(status["phase"], "Running");
        assert_eq!(status["conditions"][2]["status"], "False", "the gate is not open yet");
    }

    #[test]
    fn another_image_restarts_the_container() {
        let changed = pod(&json!({"spec": {"containers": [{"name": "main", "image": "v2"}]}}));
        let Some(Step::Report { status, at_once: false }) = step(&changed) else { panic!() };
        let container = &status["containerStatuses"][0];
        assert_eq!((container["imageID"].as_str(), container["restartCount"].as_u64()), (Some("sim://v2"), Some(1)));
    }

    #[test]
    fn ready_follows_the_gates_at_once() {
        let closed = pod(
            &json!({"status": {"conditions": [{"type": "G", "status": "False"}, {"type": "Ready", "status": "True"}]}}),
        );
        let Some(Step::Report { status, at_once: true }) = step(&closed) else { panic!() };
        assert_eq!(status["conditions"][0]["status"], "False");
    }

    #[test]
    fn a_deletion_is_finished_once_nobody_holds_it() {
        let going = json!({"metadata": {"deletionTimestamp": TIME}});
        assert_eq!(step(&pod(&going)), Some(Step::Finish));
        let held = json!({"metadata": {"deletionTimestamp": TIME, "finalizers": ["x"]}});
        assert_eq!(step(&pod(&held)), None);
    }
}
