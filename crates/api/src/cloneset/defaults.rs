//! What admission fills into a CloneSet (CS-100..103), on JSON in the version that the client sent.
//!
//! Nothing that is set is changed, but for quantities, which take their canonical form as in native workloads. A
//! member of an odd form is left as it is: validation names it.

use serde_json::{Map, Value, json};

use super::{IN_PLACE_IF_POSSIBLE, IN_PLACE_ONLY, RE_CREATE, ROLLING_UPDATE, Version};
use crate::{
    fill::{default_text, default_to, existing, object_in},
    quantity,
    template::defaults::{self as template, HostPorts},
};

/// Whether Pod and claim templates get Kubernetes' defaults (CS-103).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateDefaults {
    /// As OpenKruise does by default.
    Inject,
    /// As [`Self::Inject`], and with host networking each port gets its own number as host port (gate
    /// `DefaultHostNetworkHostPortsInPodTemplates`).
    InjectHostPorts,
    /// Templates stay as sent (gate `TemplateNoDefaults`).
    Leave,
}

/// Fills in what the client left out. `old` is the stored object of an update in the same version, `None` on create.
pub fn apply(object: &mut Value, version: Version, old: Option<&Value>, templates: TemplateDefaults) {
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    default_to(spec, "replicas", json!(1));
    default_to(spec, "revisionHistoryLimit", json!(10));
    if let Some(strategy) = object_in(spec, "updateStrategy") {
        match version {
            Version::V1alpha1 => flat_strategy(strategy),
            Version::V1beta1 => nested_strategy(strategy),
        }
    }
    let host_ports = match templates {
        TemplateDefaults::Inject => HostPorts::Leave,
        TemplateDefaults::InjectHostPorts => HostPorts::CopyContainerPorts,
        TemplateDefaults::Leave => return,
    };
    // An update that does not touch the template must not change it: it would start a rollout (CS-103).
    let before = old.map(|old| old.pointer("/spec/template").unwrap_or(&Value::Null));
    if before.is_none_or(|before| spec.get("template") != Some(before)) {
        if let Some(pod) = spec.get_mut("template") {
            template::apply(pod, host_ports);
        }
        for claim in spec.get_mut("volumeClaimTemplates").and_then(Value::as_array_mut).into_iter().flatten() {
            claim_template(claim);
        }
    }
}

/// CS-101.
fn nested_strategy(strategy: &mut Map<String, Value>) {
    default_text(strategy, "type", ROLLING_UPDATE);
    if strategy.get("type").and_then(Value::as_str) != Some(ROLLING_UPDATE) {
        return;
    }
    if let Some(rolling) = object_in(strategy, "rollingUpdate") {
        default_text(rolling, "podUpdatePolicy", RE_CREATE);
        limits(rolling, "podUpdatePolicy");
    }
}

/// CS-102.
fn flat_strategy(strategy: &mut Map<String, Value>) {
    default_text(strategy, "type", RE_CREATE);
    limits(strategy, "type");
}

/// The members that both forms have; `policy` names the one that says how Pods are updated.
fn limits(strategy: &mut Map<String, Value>, policy: &str) {
    if let Some(IN_PLACE_IF_POSSIBLE | IN_PLACE_ONLY) = strategy.get(policy).and_then(Value::as_str) {
        default_to(strategy, "inPlaceUpdateStrategy", json!({}));
    }
    default_to(strategy, "partition", json!(0));
    default_to(strategy, "maxUnavailable", json!("20%"));
    default_to(strategy, "maxSurge", json!(0));
}

/// CS-103: `status.phase`, and quantities in canonical form; `volumeMode` is left to the API server.
fn claim_template(claim: &mut Value) {
    let Some(claim) = claim.as_object_mut() else { return };
    if let Some(status) = object_in(claim, "status") {
        default_text(status, "phase", "Pending");
        if let Some(capacity) = status.get_mut("capacity") {
            quantity::normalise_resources(capacity);
        }
    }
    let resources = existing(claim, "spec").and_then(|spec| existing(spec, "resources"));
    if let Some(resources) = resources {
        quantity::normalise_requirements(resources);
    }
}

#[cfg(test)]
#[path = "tests/defaults.rs"]
mod tests;
