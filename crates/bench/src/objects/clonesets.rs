//! CloneSets that the Pods of `pods.rs` can belong to: made without Pods, so that the manager writes their revisions.

use serde_json::{Value, json};

use super::{Draw, Key, name_of, namespace_of, pods, shape, uid};

/// Annotation that is changed to wake the controller without changing anything that it reads.
pub(crate) const TOUCH_ANNOTATION: &str = "bench.example.com/touched";

/// Where a CloneSet stands.
pub(crate) fn key(owner: u32) -> Key {
    Key::new(namespace_of(owner), name_of(owner))
}

/// A CloneSet that wants no Pods yet, with the defaults that admission would fill in.
pub(crate) fn empty(owner: u32) -> Value {
    let name = name_of(owner);
    let labels = json!({"app.kubernetes.io/name": name});
    json!({
        "apiVersion": "apps.kruise.io/v1beta1",
        "kind": "CloneSet",
        "metadata": {
            "name": name, "namespace": namespace_of(owner), "uid": uid(Draw::CloneSetUid, owner), "generation": 1,
            "creationTimestamp": "2026-01-05T08:00:00Z",
            "labels": labels, "annotations": {TOUCH_ANNOTATION: "0"},
        },
        "spec": {
            "replicas": 0,
            "revisionHistoryLimit": 10,
            "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": shape::containers(pods::containers_of(owner)),
                    "volumes": [{"name": "config", "configMap": {"name": format!("{name}-config"), "defaultMode": 420}}],
                    "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
                    "securityContext": {}, "terminationGracePeriodSeconds": 30,
                    "readinessGates": [{"conditionType": "InPlaceUpdateReady"}],
                },
            },
            "updateStrategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {
                    "podUpdatePolicy": "InPlaceIfPossible", "inPlaceUpdateStrategy": {},
                    "partition": 0, "maxUnavailable": "20%", "maxSurge": 0,
                },
            },
        },
    })
}
