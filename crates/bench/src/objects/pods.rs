//! Pods of CloneSets as a busy cluster holds them: about 8 KiB of JSON each, ready, with nothing left to do.
//!
//! Everything follows from the Pod's number and the layout: equal numbers give equal Pods in every run.

use std::io::Write as _;

use serde_json::{Value, json};

use super::{
    Draw, Key, draw, name_of, namespace_of, nodes,
    shape::{self, CONTAINERS},
    suffix,
    template::Template,
    time, uid,
};

/// How many Pods there are and how they are spread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    /// Pods.
    pub(crate) pods: u32,
    /// Pods of one CloneSet.
    pub(crate) per_owner: u32,
    /// Nodes that they run on.
    pub(crate) nodes: u32,
    /// Names of the revisions that the CloneSets have, by their number; those without one get an invented name.
    pub(crate) revisions: Vec<Option<String>>,
}

impl Layout {
    /// The number of the CloneSet that a Pod belongs to.
    fn owner(&self, index: u32) -> u32 {
        index / self.per_owner.max(1)
    }

    /// How many CloneSets have Pods.
    pub(crate) fn owners(&self) -> u32 {
        self.pods.div_ceil(self.per_owner.max(1))
    }

    /// How many Pods a CloneSet has: the last one may have fewer.
    pub(crate) fn pods_of(&self, owner: u32) -> u32 {
        self.per_owner.max(1).min(self.pods.saturating_sub(owner * self.per_owner.max(1)))
    }
}

/// How many containers the Pods of a CloneSet have.
pub(super) fn containers_of(owner: u32) -> usize {
    if owner % 4 == 3 { 3 } else { 2 }
}

#[derive(Clone, Copy, Debug)]
enum Slot {
    Name,
    Namespace,
    Uid,
    Version,
    Owner,
    OwnerUid,
    Revision,
    Hash,
    Instance,
    Token,
    Node,
    NodeIp,
    PodIp,
    Beat,
    Container(u32),
}

const SLOTS: [(&str, Slot); 17] = [
    ("name", Slot::Name),
    ("namespace", Slot::Namespace),
    ("uid", Slot::Uid),
    ("version", Slot::Version),
    ("owner", Slot::Owner),
    ("owner-uid", Slot::OwnerUid),
    ("revision", Slot::Revision),
    ("hash", Slot::Hash),
    ("instance", Slot::Instance),
    ("token", Slot::Token),
    ("node", Slot::Node),
    ("node-ip", Slot::NodeIp),
    ("pod-ip", Slot::PodIp),
    ("beat", Slot::Beat),
    ("container-0", Slot::Container(0)),
    ("container-1", Slot::Container(1)),
    ("container-2", Slot::Container(2)),
];

/// The Pods of a cluster.
#[derive(Debug)]
pub(crate) struct Pods {
    layout: Layout,
    two: Template<Slot>,
    three: Template<Slot>,
}

impl Pods {
    /// Pods in a layout.
    pub(crate) fn new(layout: Layout) -> Self {
        Self { layout, two: Template::new(&pod(2), &SLOTS), three: Template::new(&pod(3), &SLOTS) }
    }

    /// How they are spread.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Where a Pod stands.
    pub(crate) fn key(&self, index: u32) -> Key {
        let owner = self.layout.owner(index);
        Key::new(namespace_of(owner), format!("{}-{}", name_of(owner), instance(index)))
    }

    /// Appends a Pod as it is at a version, re-sent by its kubelet so many times.
    pub(crate) fn render(&self, index: u32, version: u64, beat: u32, out: &mut Vec<u8>) {
        let owner = self.layout.owner(index);
        let shape = if containers_of(owner) == 2 { &self.two } else { &self.three };
        let node = index % self.layout.nodes.max(1);
        let named =
            usize::try_from(owner).ok().and_then(|owner| self.layout.revisions.get(owner)).and_then(Option::as_ref);
        let revision = named.cloned().unwrap_or_else(|| format!("{}-{}", name_of(owner), invented_hash(owner)));
        let hash = revision.rsplit_once('-').map_or("", |(_, hash)| hash);
        let [_, high, middle, low] = index.to_be_bytes();
        shape.render(out, |slot, out| {
            // Writing into memory cannot fail.
            let _ = match slot {
                Slot::Name => write!(out, "{}-{}", name_of(owner), instance(index)),
                Slot::Namespace => write!(out, "{}", namespace_of(owner)),
                Slot::Uid => write!(out, "{}", uid(Draw::PodUid, index)),
                Slot::Version => write!(out, "{version}"),
                Slot::Owner => write!(out, "{}", name_of(owner)),
                Slot::OwnerUid => write!(out, "{}", uid(Draw::CloneSetUid, owner)),
                Slot::Revision => write!(out, "{revision}"),
                Slot::Hash => write!(out, "{hash}"),
                Slot::Instance => write!(out, "{}", instance(index)),
                Slot::Token => write!(out, "{}", suffix(draw(Draw::Suffix, index, 0), 5)),
                Slot::Node => write!(out, "{}", nodes::name(node)),
                Slot::NodeIp => write!(out, "192.0.2.{}", node % 250 + 1),
                Slot::PodIp => write!(out, "10.{high}.{middle}.{low}"),
                Slot::Beat => write!(out, "{}", time(beat)),
                Slot::Container(nth) => {
                    let part = |of: u32| draw(Draw::Container, index, nth * 4 + of);
                    write!(out, "{:016x}{:016x}{:016x}{:016x}", part(0), part(1), part(2), part(3))
                }
            };
        });
    }
}

fn instance(index: u32) -> String {
    suffix(u64::from(index), 5)
}

fn invented_hash(owner: u32) -> String {
    suffix(draw(Draw::Revision, owner, 0), 10)
}

const CREATED: &str = "2026-01-12T09:30:00Z";
const STARTED: &str = "2026-01-12T09:30:07Z";

fn pod(count: usize) -> Value {
    let spec = spec(count);
    let status = status(count);
    let labels = json!({
        "app.kubernetes.io/name": "<owner>",
        "apps.kruise.io/cloneset-instance-id": "<instance>", "controller-revision-hash": "<revision>",
        "lifecycle.apps.kruise.io/state": "Normal", "pod-template-hash": "<hash>",
    });
    let annotations = json!({
        "apps.kruise.io/inplace-update-state": inplace_state().to_string(),
        "lifecycle.apps.kruise.io/timestamp": STARTED,
        "prometheus.io/port": "8080", "prometheus.io/scrape": "true",
    });
    let owner = json!({
        "apiVersion": "apps.kruise.io/v1beta1", "kind": "CloneSet", "name": "<owner>", "uid": "<owner-uid>",
        "blockOwnerDeletion": true, "controller": true,
    });
    // What rides along was injected: the manager that wrote the Pod owns the application's fields only.
    let written = json!({
        "metadata": {"annotations": annotations, "labels": labels, "ownerReferences": [owner]},
        "spec": {"containers": shape::containers(1), "dnsPolicy": "", "restartPolicy": ""},
    });
    let reported = json!({"status": {"conditions": status.get("conditions"), "phase": "", "podIP": ""}});
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "<name>", "generateName": "<owner>-", "namespace": "<namespace>", "uid": "<uid>",
            "resourceVersion": "<version>", "generation": 1, "creationTimestamp": CREATED,
            "labels": labels, "annotations": annotations, "ownerReferences": [owner],
            "managedFields": [
                shape::managed("kruise-manager", CREATED, None, &written),
                shape::managed("kubelet", "<beat>", Some("status"), &reported),
            ],
        },
        "spec": spec,
        "status": status,
    })
}

/// A finished update in place: the image that ran before is another one than runs now.
fn inplace_state() -> Value {
    json!({
        "revision": "<revision>", "updateTimestamp": STARTED,
        "lastContainerStatuses": {"main": {"imageID": "registry.example.com/shop/web-frontend@sha256:before"}},
    })
}

fn spec(count: usize) -> Value {
    let mut spec = created_spec(count);
    if let Some(spec) = spec.as_object_mut() {
        spec.insert("nodeName".to_owned(), json!("<node>"));
        spec.insert("readinessGates".to_owned(), json!([{"conditionType": "InPlaceUpdateReady"}]));
    }
    spec
}

/// The specification of a Pod that nobody has looked at yet but the API server: with defaults and the token's volume.
pub(super) fn created_spec(count: usize) -> Value {
    let mut containers = shape::containers(count);
    for container in &mut containers {
        let mount = json!({"name": "kube-api-access-<token>", "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"});
        if let Some(mounts) = container.get_mut("volumeMounts").and_then(Value::as_array_mut) {
            mounts.push(mount);
        }
    }
    let mut volumes = shape::volumes();
    let field = json!({"apiVersion": "v1", "fieldPath": "metadata.namespace"});
    volumes.push(json!({"name": "kube-api-access-<token>", "projected": {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": field}]}},
    ]}}));
    let toleration = |key: &str| json!({"key": format!("node.kubernetes.io/{key}"), "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
    json!({
        "containers": containers, "volumes": volumes,
        "tolerations": [toleration("not-ready"), toleration("unreachable")],
        "dnsPolicy": "ClusterFirst", "enableServiceLinks": true, "preemptionPolicy": "PreemptLowerPriority", "priority": 0,
        "restartPolicy": "Always", "schedulerName": "default-scheduler", "securityContext": {},
        "serviceAccount": "default", "serviceAccountName": "default", "terminationGracePeriodSeconds": 30,
    })
}

fn status(count: usize) -> Value {
    let condition = |of: &str, probed: &Value, since: &str| json!({"type": of, "status": "True", "lastProbeTime": probed, "lastTransitionTime": since});
    let never = Value::Null;
    let statuses: Vec<Value> = CONTAINERS
        .iter()
        .take(count)
        .enumerate()
        .map(|(at, (name, image, _))| {
            let repository = image.split_once(':').map_or(*image, |(repository, _)| repository);
            json!({
                "name": name, "image": image, "ready": true, "started": true, "restartCount": 0, "lastState": {},
                "imageID": format!("{repository}@sha256:{:064x}", at + 1),
                "containerID": format!("containerd://<container-{at}>"),
                "state": {"running": {"startedAt": STARTED}},
            })
        })
        .collect();
    json!({
        "phase": "Running", "qosClass": "Burstable", "startTime": CREATED,
        "hostIP": "<node-ip>", "hostIPs": [{"ip": "<node-ip>"}], "podIP": "<pod-ip>", "podIPs": [{"ip": "<pod-ip>"}],
        "conditions": [
            condition("InPlaceUpdateReady", &never, CREATED),
            condition("PodScheduled", &never, CREATED),
            condition("Initialized", &never, CREATED),
            condition("ContainersReady", &never, STARTED),
            condition("Ready", &json!("<beat>"), STARTED),
        ],
        "containerStatuses": statuses,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::LazyLock;

    use serde_json::Value;

    use super::{Layout, Pods};

    static PODS: LazyLock<Pods> = LazyLock::new(|| {
        Pods::new(Layout { pods: 600, per_owner: 50, nodes: 6, revisions: vec![Some("web-00000-abc".to_owned())] })
    });

    fn rendered(index: u32) -> Vec<u8> {
        let mut out = Vec::new();
        PODS.render(index, 10_000_000 + u64::from(index), 0, &mut out);
        out
    }

    #[test]
    fn a_pod_has_about_8_kib() {
        let total: usize = (0..600).map(|index| rendered(index).len()).sum();
        let average = total / 600;
        assert!((7_680..=8_704).contains(&average), "{average} bytes on average");
    }

    #[test]
    fn the_manager_can_read_it_and_finds_it_ready() {
        let pod: api::k8s::Pod = serde_json::from_slice(&rendered(151)).unwrap();
        assert_eq!(pod.metadata.resource_version, "10000151");
        assert_eq!(pod.status.conditions.len(), 5);
        assert_eq!(pod.status.container_statuses.len(), 3);
        assert_eq!(pod.spec.node_name, "node-00001");
        assert_eq!(pod.metadata.name, PODS.key(151).name.as_str());
    }

    #[test]
    fn no_slot_is_left_empty() {
        let text = String::from_utf8(rendered(7)).unwrap();
        assert!(!text.contains('<') && !text.contains('>'), "{text}");
        let pod: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(pod["metadata"]["labels"]["controller-revision-hash"], "web-00000-abc");
        assert_eq!(pod["metadata"]["labels"]["pod-template-hash"], "abc");
    }

    #[test]
    fn pods_differ_and_are_the_same_in_every_run() {
        let keys: BTreeSet<_> = (0..600).map(|index| PODS.key(index)).collect();
        assert_eq!(keys.len(), 600);
        assert_eq!(rendered(77), rendered(77));
    }

    #[test]
    fn the_last_owner_has_what_is_left() {
        let layout = Layout { pods: 120, per_owner: 50, ..Layout::default() };
        assert_eq!((layout.owners(), layout.pods_of(1), layout.pods_of(2)), (3, 50, 20));
    }
}
