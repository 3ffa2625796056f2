//! Pods and CloneSets for tests: a healthy default, and one word per deviation.
//!
//! A builder makes JSON and passes it through the decoder that the caches use, so it cannot drift from what is read.
//! The default Pod is updated (at `web-2`), bound, running, ready for an hour, in state `Normal`, and owned by the
//! default CloneSet `shop/web`. `merge` reaches whatever has no word of its own.

use std::sync::Arc;

use api::{
    cloneset::{CloneSet, v1beta1::CloneSetSpec},
    k8s::Pod,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// UID of the default CloneSet.
pub(crate) const UID: &str = "uid-of-web";
/// The revision that Pods move from.
pub(crate) const OLD: &str = "web-1";
/// The revision that Pods move to, and the default Pod's.
pub(crate) const NEW: &str = "web-2";

/// The time at which every test takes place.
pub(crate) fn now() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

/// A time before [`now`].
pub(crate) fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

/// A healthy updated Pod.
pub(crate) fn pod(name: &str) -> PodFixture {
    PodFixture(json!({
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": format!("uid-of-{name}"),
            "resourceVersion": "1",
            "creationTimestamp": ago(3700).to_string(),
            "labels": {
                "app": "web",
                "apps.kruise.io/cloneset-instance-id": name.rsplit('-').next(),
                "controller-revision-hash": NEW,
                "pod-template-hash": "2",
                "lifecycle.apps.kruise.io/state": "Normal",
            },
            "annotations": {},
            "ownerReferences": [{
                "apiVersion": "apps.kruise.io/v1beta1",
                "kind": "CloneSet",
                "name": "web",
                "uid": UID,
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
        "spec": {
            "nodeName": "n1",
            "readinessGates": [{"conditionType": "InPlaceUpdateReady"}],
            "containers": [{"name": "main", "image": "web:2"}],
        },
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": ago(3600).to_string()}],
            "containerStatuses": [{"name": "main", "image": "web:2", "imageID": "sha256:2", "ready": true, "restartCount": 0}],
        },
    }))
}

/// As many healthy updated Pods, `web-a0`, `web-a1` ...
pub(crate) fn pods(count: usize) -> PodsFixture {
    PodsFixture((0..count).map(|index| pod(&format!("web-a{index}"))).collect())
}

/// A Pod in the making.
#[derive(Clone, Debug)]
pub(crate) struct PodFixture(Value);

impl PodFixture {
    /// At the revision that Pods move from, with its image.
    pub(crate) fn old(self) -> Self {
        self.revision(OLD).merge(json!({
            "spec": {"containers": [{"name": "main", "image": "web:1"}]},
            "status": {"containerStatuses": [
                {"name": "main", "image": "web:1", "imageID": "sha256:1", "ready": true, "restartCount": 0},
            ]},
        }))
    }

    /// At this revision.
    pub(crate) fn revision(self, name: &str) -> Self {
        let hash = name.rsplit('-').next();
        self.merge(json!({"metadata": {"labels": {"controller-revision-hash": name, "pod-template-hash": hash}}}))
    }

    /// Running, but not ready since a minute.
    pub(crate) fn not_ready(self) -> Self {
        self.ready_condition("False", ago(60))
    }

    /// Ready for this long.
    pub(crate) fn ready_for(self, seconds: i64) -> Self {
        self.ready_condition("True", ago(seconds))
    }

    /// Bound and not started yet.
    pub(crate) fn pending(self) -> Self {
        self.merge(json!({"status": {"phase": "Pending", "conditions": [], "containerStatuses": []}}))
    }

    /// Not bound yet.
    pub(crate) fn unassigned(self) -> Self {
        self.pending().merge(json!({"spec": {"nodeName": null}}))
    }

    /// On this node.
    pub(crate) fn node(self, name: &str) -> Self {
        self.merge(json!({"spec": {"nodeName": name}}))
    }

    /// In this lifecycle state.
    pub(crate) fn state(self, state: &str) -> Self {
        self.label("lifecycle.apps.kruise.io/state", state)
    }

    /// Specified for deletion by label.
    pub(crate) fn specified_delete(self) -> Self {
        self.label("apps.kruise.io/specified-delete", "true")
    }

    /// With this label.
    pub(crate) fn label(self, key: &str, value: &str) -> Self {
        self.merge(json!({"metadata": {"labels": {key: value}}}))
    }

    /// With this annotation.
    pub(crate) fn annotation(self, key: &str, value: &str) -> Self {
        self.merge(json!({"metadata": {"annotations": {key: value}}}))
    }

    /// With whatever this merge patch says.
    pub(crate) fn merge(mut self, patch: Value) -> Self {
        merge(&mut self.0, patch);
        self
    }

    /// Decoded as a cache decodes it.
    #[track_caller]
    pub(crate) fn build(self) -> Arc<Pod> {
        Arc::new(serde_json::from_value(self.0).unwrap())
    }

    fn ready_condition(self, status: &str, since: Timestamp) -> Self {
        let ready = json!({"type": "Ready", "status": status, "lastTransitionTime": since.to_string()});
        self.merge(json!({"status": {"conditions": [ready]}}))
    }
}

/// Several Pods that deviate alike.
#[derive(Clone, Debug)]
pub(crate) struct PodsFixture(Vec<PodFixture>);

impl PodsFixture {
    /// Each of them changed so: `pods(3).each(PodFixture::old)`.
    pub(crate) fn each(self, change: impl Fn(PodFixture) -> PodFixture) -> Self {
        Self(self.0.into_iter().map(change).collect())
    }

    /// The first of them changed so.
    pub(crate) fn first(mut self, count: usize, change: impl Fn(PodFixture) -> PodFixture) -> Self {
        for pod in self.0.iter_mut().take(count) {
            *pod = change(pod.clone());
        }
        self
    }

    /// And these too; renamed so that no name comes twice.
    pub(crate) fn and(mut self, others: Self) -> Self {
        for pod in others.0 {
            let name = format!("web-a{}", self.0.len());
            self.0.push(pod.merge(json!({"metadata": {"name": name, "uid": format!("uid-of-{name}")}})));
        }
        self
    }

    /// Decoded as a cache decodes them.
    #[track_caller]
    pub(crate) fn build(self) -> Vec<Arc<Pod>> {
        self.0.into_iter().map(PodFixture::build).collect()
    }
}

/// The CloneSet `shop/web` with so many replicas, as admission leaves it.
pub(crate) fn cloneset(replicas: i32) -> CloneSetFixture {
    CloneSetFixture(json!({
        "apiVersion": "apps.kruise.io/v1beta1",
        "kind": "CloneSet",
        "metadata": {"name": "web", "namespace": "shop", "uid": UID, "generation": 1, "resourceVersion": "1"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "main", "image": "web:2"}]},
            },
            "updateStrategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {
                    "podUpdatePolicy": "ReCreate", "partition": 0, "maxUnavailable": "20%", "maxSurge": 0,
                },
            },
            "revisionHistoryLimit": 10,
        },
    }))
}

/// A CloneSet in the making. A value may be a number, a text, or null for absent.
#[derive(Clone, Debug)]
pub(crate) struct CloneSetFixture(Value);

impl CloneSetFixture {
    /// With this partition.
    pub(crate) fn partition(self, value: impl Into<Value>) -> Self {
        self.rolling_update(json!({"partition": value.into()}))
    }

    /// With this limit of Pods that updates and deletions make unavailable.
    pub(crate) fn max_unavailable(self, value: impl Into<Value>) -> Self {
        self.rolling_update(json!({"maxUnavailable": value.into()}))
    }

    /// With so many Pods beyond the replicas.
    pub(crate) fn max_surge(self, value: impl Into<Value>) -> Self {
        self.rolling_update(json!({"maxSurge": value.into()}))
    }

    /// With a paused update.
    pub(crate) fn paused(self) -> Self {
        self.rolling_update(json!({"paused": true}))
    }

    /// With this limit of unavailable Pods while Pods are created.
    pub(crate) fn scale_max_unavailable(self, value: impl Into<Value>) -> Self {
        self.merge(json!({"spec": {"scaleStrategy": {"maxUnavailable": value.into()}}}))
    }

    /// Updated only by deletion, without details.
    pub(crate) fn on_delete(self) -> Self {
        self.merge(json!({"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": null}}}))
    }

    /// With these members of `rollingUpdate`.
    pub(crate) fn rolling_update(self, members: Value) -> Self {
        self.merge(json!({"spec": {"updateStrategy": {"rollingUpdate": members}}}))
    }

    /// With whatever this merge patch says.
    pub(crate) fn merge(mut self, patch: Value) -> Self {
        merge(&mut self.0, patch);
        self
    }

    /// Decoded as a cache decodes it.
    #[track_caller]
    pub(crate) fn build(self) -> CloneSet {
        serde_json::from_value(self.0).unwrap()
    }

    /// Its spec.
    #[track_caller]
    pub(crate) fn spec(self) -> CloneSetSpec {
        self.build().spec
    }
}

/// Names of Pods, in order.
pub(crate) fn names(pods: &[Arc<Pod>]) -> Vec<&str> {
    pods.iter().map(|pod| pod.metadata.name.as_str()).collect()
}

/// RFC 7386.
fn merge(into: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *into = patch;
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    let Some(members) = into.as_object_mut() else { return };
    for (key, value) in patch {
        if value.is_null() {
            members.remove(&key);
        } else {
            merge(members.entry(key).or_insert(Value::Null), value);
        }
    }
}
