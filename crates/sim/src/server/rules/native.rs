//! The native kinds that have rules here, and which rules those are.
//!
//! Order of a write, as in kube-apiserver: `form::read`, [`default`], admission (`mutate` of webhooks, [`default`] again,
//! [`admit`] of the plugins), `metadata::reset` of a new object or `metadata::restore` of a changed one, `prepare_*`,
//! `metadata::on_*`, `on_*`. For a kind of a CRD nothing happens here.

use serde_json::Value;

use super::{budget, claim, cluster, config, event, lease, pod, revision, service, workload};
use crate::server::{
    failure::{Cause, Result},
    kind::Kind,
};

/// A native kind with rules.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Native {
    ConfigMap,
    ControllerRevision,
    Deployment,
    Event,
    Lease,
    Namespace,
    Node,
    PersistentVolumeClaim,
    Pod,
    PodDisruptionBudget,
    ReplicaSet,
    Secret,
    Service,
    ServiceAccount,
}

impl Native {
    fn of(kind: &Kind) -> Option<Self> {
        Some(match (kind.group.as_str(), kind.version.as_str(), kind.kind.as_str()) {
            ("", "v1", "ConfigMap") => Self::ConfigMap,
            ("apps", "v1", "ControllerRevision") => Self::ControllerRevision,
            ("apps", "v1", "Deployment") => Self::Deployment,
            ("" | "events.k8s.io", "v1", "Event") => Self::Event,
            ("coordination.k8s.io", "v1", "Lease") => Self::Lease,
            ("", "v1", "Namespace") => Self::Namespace,
            ("", "v1", "Node") => Self::Node,
            ("", "v1", "PersistentVolumeClaim") => Self::PersistentVolumeClaim,
            ("", "v1", "Pod") => Self::Pod,
            ("policy", "v1", "PodDisruptionBudget") => Self::PodDisruptionBudget,
            ("apps", "v1", "ReplicaSet") => Self::ReplicaSet,
            ("", "v1", "Secret") => Self::Secret,
            ("", "v1", "Service") => Self::Service,
            ("", "v1", "ServiceAccount") => Self::ServiceAccount,
            _ => return None,
        })
    }
}

/// Whether the kind's rules are written here; others are not created.
#[must_use]
pub fn is_known(kind: &Kind) -> bool {
    Native::of(kind).is_some()
}

/// Whether Kubernetes counts changes of what is wanted in `metadata.generation`.
#[must_use]
pub fn has_generation(kind: &Kind) -> bool {
    matches!(
        Native::of(kind),
        Some(Native::Deployment | Native::Pod | Native::PodDisruptionBudget | Native::ReplicaSet)
    )
}

/// Fills in what a client left out.
pub fn default(kind: &Kind, object: &mut Value) {
    match Native::of(kind) {
        Some(Native::Deployment) => workload::default_deployment(object),
        Some(Native::Event) => event::default(kind, object),
        Some(Native::Lease) => lease::default(object),
        Some(Native::Namespace) => cluster::default_namespace(object),
        Some(Native::Node) => cluster::default_node(object),
        Some(Native::PersistentVolumeClaim) => claim::default(object),
        Some(Native::Pod) => pod::default(object),
        Some(Native::PodDisruptionBudget) => budget::default(object),
        Some(Native::ReplicaSet) => workload::default_replica_set(object),
        Some(Native::Secret) => config::default_secret(object),
        Some(Native::Service) => service::default(object),
        Some(Native::ConfigMap | Native::ControllerRevision | Native::ServiceAccount) | None => {}
    }
}

/// What the admission plugins of a cluster do to a new or a changed object.
///
/// # Errors
/// They refuse it (403), or it would need what is not played (501).
pub fn admit(kind: &Kind, object: &mut Value, old: Option<&Value>) -> Result<()> {
    match Native::of(kind) {
        Some(Native::Pod) => pod::admission::admission_defaults(object, old)?,
        Some(Native::PersistentVolumeClaim) => claim::admit(object, old)?,
        Some(Native::Node) if old.is_none() => cluster::admit_node(object),
        Some(Native::Service) if old.is_none() => service::simulated(object)?,
        _ => {}
    }
    Ok(())
}

/// Refuses an object with parts that have no rules here.
///
/// # Errors
/// 501.
pub fn simulated(kind: &Kind, object: &Value) -> Result<()> {
    if Native::of(kind) == Some(Native::Pod) { pod::simulated(object) } else { Ok(()) }
}

/// What the server decides about a new object. Its creationTimestamp is set before.
pub fn prepare_create(kind: &Kind, object: &mut Value) {
    match Native::of(kind) {
        Some(Native::Deployment) => workload::prepare_create(object, None),
        Some(Native::ReplicaSet) => workload::prepare_create(object, Some("replicas")),
        Some(Native::Namespace) => cluster::prepare_namespace(object),
        Some(Native::PersistentVolumeClaim) => claim::prepare_create(object),
        Some(Native::Pod) => pod::prepare_create(object),
        Some(Native::PodDisruptionBudget) => budget::prepare_create(object),
        Some(Native::Service) => service::prepare_create(object),
        _ => {}
    }
}

/// What a plain write does not touch.
pub fn prepare_update(kind: &Kind, new: &mut Value, old: &Value) {
    match Native::of(kind) {
        Some(Native::Pod) => pod::prepare_update(new, old),
        Some(Native::Deployment) => workload::prepare_deployment_update(new, old),
        Some(Native::ReplicaSet | Native::PodDisruptionBudget) => workload::prepare_update(new, old),
        Some(Native::Namespace) => cluster::prepare_namespace_update(new, old),
        Some(Native::Node | Native::PersistentVolumeClaim) => super::look::copy(new, old, "status"),
        Some(Native::Service) => service::prepare_update(new, old),
        Some(Native::Secret) => config::prepare_secret_update(new, old),
        _ => {}
    }
}

/// What a write of the status does not touch.
pub fn prepare_status(kind: &Kind, new: &mut Value, old: &Value) {
    match Native::of(kind) {
        Some(Native::Pod) => pod::prepare_status(new, old),
        Some(Native::Deployment) => {
            super::look::copy(new, old, "spec");
            if let Some(metadata) = new.get_mut("metadata") {
                super::look::copy(metadata, super::look::at(old, "/metadata"), "labels");
            }
        }
        Some(_) => super::look::copy(new, old, "spec"),
        None => {}
    }
}

/// What is wrong with a new object, beside its metadata.
#[must_use]
pub fn on_create(kind: &Kind, object: &Value) -> Vec<Cause> {
    match Native::of(kind) {
        Some(Native::ConfigMap) => config::config_map(object),
        Some(Native::ControllerRevision) => revision::on_create(object),
        Some(Native::Deployment) => workload::deployment(object),
        Some(Native::Event) => event::on_create(kind, object),
        Some(Native::Lease) => lease::check(object),
        Some(Native::Node) => cluster::node(object),
        Some(Native::PersistentVolumeClaim) => claim::on_create(object),
        Some(Native::Pod) => pod::on_create(object),
        Some(Native::PodDisruptionBudget) => budget::check(object),
        Some(Native::ReplicaSet) => workload::replica_set(object),
        Some(Native::Secret) => config::secret(object),
        Some(Native::Service) => service::check(object),
        Some(Native::Namespace | Native::ServiceAccount) | None => Vec::new(),
    }
}

/// What is wrong with a changed object, beside its metadata.
#[must_use]
pub fn on_update(kind: &Kind, new: &Value, old: &Value) -> Vec<Cause> {
    match Native::of(kind) {
        Some(Native::ConfigMap) => config::config_map_update(new, old),
        Some(Native::ControllerRevision) => revision::on_update(new, old),
        Some(Native::Deployment) => workload::update(workload::deployment, new, old),
        Some(Native::Event) => event::on_update(kind, new, old),
        Some(Native::Lease) => lease::check(new),
        Some(Native::Node) => cluster::node_update(new, old),
        Some(Native::PersistentVolumeClaim) => claim::on_update(new, old),
        Some(Native::Pod) => pod::on_update(new, old),
        Some(Native::PodDisruptionBudget) => budget::check(new),
        Some(Native::ReplicaSet) => workload::update(workload::replica_set, new, old),
        Some(Native::Secret) => config::secret_update(new, old),
        Some(Native::Service) => service::on_update(new, old),
        Some(Native::Namespace | Native::ServiceAccount) | None => Vec::new(),
    }
}

/// What is wrong with a reported status.
#[must_use]
pub fn on_status(kind: &Kind, new: &Value, old: &Value) -> Vec<Cause> {
    match Native::of(kind) {
        Some(Native::Pod) => pod::on_status(new, old),
        Some(Native::Deployment | Native::ReplicaSet) => workload::status(new),
        Some(Native::PodDisruptionBudget) => budget::status(new),
        _ => Vec::new(),
    }
}

#[cfg(test)]
#[path = "tests/native.rs"]
mod tests;
