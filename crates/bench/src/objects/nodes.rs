//! Nodes as kubelets report them.

use std::io::Write as _;

use serde_json::{Value, json};

use super::{Draw, Key, draw, shape, template::Template, time, uid};

#[derive(Clone, Copy, Debug)]
enum Slot {
    Name,
    Uid,
    Version,
    Number,
    Beat,
}

const SLOTS: [(&str, Slot); 5] = [
    ("name", Slot::Name),
    ("uid", Slot::Uid),
    ("version", Slot::Version),
    ("number", Slot::Number),
    ("beat", Slot::Beat),
];

/// The Nodes of a cluster.
#[derive(Debug)]
pub(crate) struct Nodes {
    shape: Template<Slot>,
}

impl Default for Nodes {
    fn default() -> Self {
        Self { shape: Template::new(&node(), &SLOTS) }
    }
}

/// The name of a Node.
pub(super) fn name(index: u32) -> String {
    format!("node-{index:05}")
}

/// Where a Node stands.
pub(crate) fn key(index: u32) -> Key {
    Key::new("", name(index))
}

impl Nodes {
    /// Appends a Node as it is at a version, after so many heartbeats.
    pub(crate) fn render(&self, index: u32, version: u64, beat: u32, out: &mut Vec<u8>) {
        self.shape.render(out, |slot, out| {
            // Writing into memory cannot fail.
            let _ = match slot {
                Slot::Name => write!(out, "{}", name(index)),
                Slot::Uid => write!(out, "{}", uid(Draw::NodeUid, index)),
                Slot::Version => write!(out, "{version}"),
                Slot::Number => write!(out, "{:016x}", draw(Draw::NodeUid, index, 2)),
                Slot::Beat => write!(out, "{}", time(beat)),
            };
        });
    }
}

fn node() -> Value {
    let condition = |of: &str, status: &str, reason: &str| {
        json!({
            "type": of, "status": status, "reason": reason, "message": format!("kubelet reports {reason}"),
            "lastHeartbeatTime": "<beat>", "lastTransitionTime": "2026-01-05T08:00:00Z",
        })
    };
    let resources =
        |cpu: &str| json!({"cpu": cpu, "memory": "131072000Ki", "pods": "110", "ephemeral-storage": "101430960Ki"});
    let images: Vec<Value> = (10..30)
        .map(|at| {
            let name = format!("registry.example.com/shop/service-{at}");
            json!({"names": [format!("{name}:v1.{at}.0")], "sizeBytes": 48_000_000 + at})
        })
        .collect();
    let status = json!({
        "addresses": [{"type": "Hostname", "address": "<name>"}, {"type": "InternalIP", "address": "192.0.2.1"}],
        "allocatable": resources("15"), "capacity": resources("16"),
        "conditions": [
            condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
            condition("PIDPressure", "False", "KubeletHasSufficientPID"),
            condition("Ready", "True", "KubeletReady"),
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "images": images,
        "nodeInfo": {
            "architecture": "amd64", "bootID": "<uid>", "machineID": "<number>", "systemUUID": "<uid>",
            "containerRuntimeVersion": "containerd://2.1.4", "kernelVersion": "6.12.0", "kubeletVersion": "v1.34.1",
            "kubeProxyVersion": "", "operatingSystem": "linux", "osImage": "Debian GNU/Linux 12 (bookworm)",
        },
    });
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": "<name>", "uid": "<uid>", "resourceVersion": "<version>",
            "creationTimestamp": "2026-01-05T08:00:00Z",
            "labels": {
                "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux", "kubernetes.io/hostname": "<name>",
                "node.kubernetes.io/instance-type": "m7.4xlarge", "topology.kubernetes.io/region": "eu-central-1",
                "topology.kubernetes.io/zone": "eu-central-1a",
            },
            "annotations": {"node.alpha.kubernetes.io/ttl": "0", "volumes.kubernetes.io/controller-managed-attach-detach": "true"},
            "managedFields": [shape::managed("kubelet", "<beat>", Some("status"), &json!({"status": status}))],
        },
        "spec": {"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.0.0/24"], "providerID": "example:///<name>"},
        "status": status,
    })
}
