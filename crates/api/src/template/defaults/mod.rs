//! What Kubernetes fills into a Pod template that it stores (CS-103), as native workloads show it.
//!
//! Here the Pod's own members; `container` and `volume` hold the rest. Left out are what Kubernetes fills only into
//! Pods (requests from limits, `enableServiceLinks`, priority) and what CS-103 names: probe `grpc.service` and members
//! of `iscsi`, `rbd`, `azureDisk`, `scaleIO`, `image` and `ephemeral` volumes, which would give a re-applied manifest
//! another revision.

mod container;
mod volume;

use serde_json::{Map, Value, json};

use self::container::PullPolicy;
use crate::{
    fill::{default_text, default_to, existing, objects_in},
    quantity,
};

/// What host networking does to ports of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostPorts {
    /// Nothing; the API server fills host ports into the Pods.
    Leave,
    /// Each port without a host port gets its container port.
    CopyContainerPorts,
}

/// Fills in what a Pod template leaves out. A part that has not the API's form is left as it is.
///
/// Applying it twice is the same as once.
pub fn apply(template: &mut Value, host_ports: HostPorts) {
    let Some(spec) = template.get_mut("spec").and_then(Value::as_object_mut) else { return };
    default_text(spec, "restartPolicy", "Always");
    default_text(spec, "dnsPolicy", "ClusterFirst");
    default_text(spec, "schedulerName", "default-scheduler");
    default_to(spec, "terminationGracePeriodSeconds", json!(30));
    default_to(spec, "securityContext", json!({}));
    if let Some(overhead) = spec.get_mut("overhead") {
        quantity::normalise_resources(overhead);
    }
    if let Some(resources) = existing(spec, "resources") {
        quantity::normalise_requirements(resources);
    }
    let host_network = spec.get("hostNetwork") == Some(&Value::Bool(true));
    for (list, pull_policy) in [("containers", PullPolicy::Always), ("initContainers", PullPolicy::ByTag)] {
        for container in objects_in(spec, list) {
            if host_network && host_ports == HostPorts::CopyContainerPorts {
                copy_container_ports(container);
            }
            container::apply(container, pull_policy);
        }
    }
    for volume in objects_in(spec, "volumes") {
        volume::apply(volume);
    }
}

fn copy_container_ports(container: &mut Map<String, Value>) {
    for port in objects_in(container, "ports") {
        let Some(number) = port.get("containerPort").and_then(Value::as_i64) else { continue };
        crate::fill::default_number(port, "hostPort", number);
    }
}

#[cfg(test)]
#[path = "../tests/defaults.rs"]
mod tests;
