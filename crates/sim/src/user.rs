//! What users, nodes and the network do in a step of a history. A step that finds nothing to act on does nothing, and
//! what the server refuses is the user's bad luck.

use std::time::Duration;

use http::Request;
use serde_json::{Value, json};

use crate::link::{Break, Fault};
use crate::nature::Nature;
use crate::replica::Replicas;
use crate::script::{PodAction, Propagation, Step, Target, nth};
use crate::server::Server;
use crate::server::patch::merge;
use crate::world;

/// The namespace of all histories.
pub const NAMESPACE: &str = "sim";
/// Who asks.
const CALLER: &str = "user";
/// How long a takeover is waited for: the Lease runs out after 15 s.
const LONGEST_TAKEOVER: Duration = Duration::from_secs(60);

/// Carries steps out.
pub struct User {
    /// The API server.
    pub server: Server,
    /// The managers.
    pub replicas: Replicas,
    /// The nodes.
    pub nature: Nature,
}

impl User {
    /// One step.
    pub async fn play(&self, step: &Step) {
        match step {
            Step::Create { target, object } => self.create(target, object).await,
            Step::Set { target, patch } => self.merge(&object_path(target, ""), patch).await,
            Step::Scale { target, replicas } => {
                self.merge(&object_path(target, "/scale"), &json!({"spec": {"replicas": replicas}})).await;
            }
            Step::Delete { target, propagation } => {
                let policy = match propagation {
                    Propagation::Background => "Background",
                    Propagation::Foreground => "Foreground",
                    Propagation::Orphan => "Orphan",
                };
                let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy});
                self.send("DELETE", &object_path(target, ""), "application/json", &options).await;
            }
            Step::Pod { target, number, action } => self.pod(target, *number, action).await,
            Step::NodeLost { node, time } => {
                if let Some(index) = nth(*node, world::NODES) {
                    self.nature.disturb(|actors, now| actors.lose_node(now, index, *time));
                }
            }
            Step::Kill { moment, write } => self.arm(*write, Fault::Kill(*moment)),
            Step::Fail { write, answer } => self.arm(*write, Fault::Fail(*answer)),
            Step::Lose { write } => self.arm(*write, Fault::Lose),
            Step::Slow { write, time } => self.arm(*write, Fault::Slow(*time)),
            Step::Lag { resource, time } => self.replicas.links().iter().for_each(|link| link.lag(resource, *time)),
            Step::Cut { resource } => self.sever(resource, Break::Cut),
            Step::Expire { resource } => self.sever(resource, Break::Expire),
            Step::Takeover => self.takeover().await,
            Step::Outage { time } => self.replicas.cut_off(*time),
            Step::Restart => {
                self.replicas.leader().inspect(crate::link::Link::die);
            }
            Step::Wait { time } => tokio::time::sleep(*time).await,
        }
    }

    async fn create(&self, target: &Target, object: &Value) {
        let Some((group, version, plural)) = place(&target.kind) else { return };
        let identity = json!({"apiVersion": format!("{group}/{version}"), "kind": target.kind,
            "metadata": {"name": target.name, "namespace": NAMESPACE}});
        let object = merge::apply(object, &identity);
        let path = format!("/apis/{group}/{version}/namespaces/{NAMESPACE}/{plural}");
        self.send("POST", &path, "application/json", &object).await;
    }

    async fn pod(&self, target: &Target, number: u32, action: &PodAction) {
        let pods = self.pods_of(target);
        let Some(name) = nth(number, pods.len()).and_then(|index| pods.into_iter().nth(index)) else { return };
        let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{name}");
        match action {
            PodAction::Delete => self.send("DELETE", &path, "application/json", &Value::Null).await,
            PodAction::Set(patch) => self.merge(&path, patch).await,
            PodAction::Evict => {
                let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction",
                    "metadata": {"name": name, "namespace": NAMESPACE}});
                self.send("POST", &format!("{path}/eviction"), "application/json", &eviction).await;
            }
            PodAction::Fail => self.nature.disturb(|actors, now| actors.fail(now, NAMESPACE, &name)),
            PodAction::Crash(time) => self.nature.disturb(|actors, now| actors.crash(now, NAMESPACE, &name, *time)),
            PodAction::Unready(time) => self.nature.disturb(|actors, now| actors.unready(now, NAMESPACE, &name, *time)),
        }
    }

    /// Names of the Pods of a workload, in order.
    fn pods_of(&self, target: &Target) -> Vec<String> {
        let text = |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let owned = |pod: &Value| {
            let owners = pod.pointer("/metadata/ownerReferences").and_then(Value::as_array);
            owners.into_iter().flatten().any(|owner| {
                text(owner, "/kind").as_deref() == Some(&target.kind)
                    && text(owner, "/name").as_deref() == Some(&target.name)
            })
        };
        let pods = self.server.objects("pods");
        pods.iter().filter(|pod| owned(pod)).filter_map(|pod| text(pod, "/metadata/name")).collect()
    }

    async fn merge(&self, path: &str, patch: &Value) {
        self.send("PATCH", path, "application/merge-patch+json", patch).await;
    }

    async fn send(&self, method: &str, path: &str, content_type: &str, body: &Value) {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = Request::builder().method(method).uri(path).header(http::header::CONTENT_TYPE, content_type);
        if let Ok(request) = request.body(body) {
            self.server.call(CALLER, request).await;
        }
    }

    fn arm(&self, write: u32, fault: Fault) {
        if let Some(link) = self.replicas.leader() {
            link.arm(write, fault);
        }
    }

    fn sever(&self, resource: &str, how: Break) {
        self.replicas.links().iter().for_each(|link| link.sever(resource, how));
    }

    /// The leader loses touch with its Lease until another leads.
    async fn takeover(&self) {
        if self.replicas.count() < 2 && self.replicas.start().is_err() {
            return;
        }
        let Some(leader) = self.replicas.leader() else { return };
        leader.cut_off_lease();
        let limit = tokio::time::Instant::now() + LONGEST_TAKEOVER;
        while self.replicas.holder().as_deref() == Some(leader.caller()) && tokio::time::Instant::now() < limit {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        leader.die();
    }
}

/// Group, version and plural of a kind that histories are about.
fn place(kind: &str) -> Option<(&'static str, &'static str, &'static str)> {
    match kind {
        "CloneSet" => Some(("apps.kruise.io", "v1beta1", "clonesets")),
        _ => None,
    }
}

fn object_path(target: &Target, subresource: &str) -> String {
    let (group, version, plural) = place(&target.kind).unwrap_or_default();
    format!("/apis/{group}/{version}/namespaces/{NAMESPACE}/{plural}/{}{subresource}", target.name)
}
