//! What Kubernetes refuses in a Pod template, as far as it can be told without the cluster.
//!
//! Here the template as a whole and the Pod's own members; `containers`, `handlers`, `resources`, `volumes`,
//! `scheduling` and `security` hold the parts, `form` what cannot be read at all. Not checked are members that the rules of another Kubernetes version
//! may allow, and whatever admission of the Pod itself decides (quota, security standards, Windows).
//! The options are those of CS 5.2: invalid deletion costs, huge-page amounts and selector values pass.

mod containers;
mod form;
mod handlers;
mod resources;
mod scheduling;
mod security;
mod volumes;

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
};

use serde_json::Value;

use crate::{
    field::{Denial, DenialKind, FieldPath},
    look::{self, Node},
    metadata, names,
};

/// A volume that is not in the template but will be in its Pods: one per claim template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimVolume {
    /// Where its name stands, for a refusal.
    pub path: FieldPath,
    /// Its name.
    pub name: String,
}

/// Checks a Pod template at `path`, with the volumes that its Pods will have beside its own.
#[must_use]
pub fn validate(template: &Value, path: &FieldPath, claims: &[ClaimVolume]) -> Vec<Denial> {
    let mut out = Vec::new();
    if !template.is_object() {
        return vec![path.wrong_type(template, "an object")];
    }
    let template = Node::new(path.clone(), template);
    if let Some(metadata) = template.object("metadata", &mut out) {
        metadata::labels_and_annotations(&metadata, &mut out);
    }
    let spec = match template.get("spec") {
        Some(spec) if !spec.value.is_object() => {
            out.push(spec.path.wrong_type(spec.value, "an object"));
            return out;
        }
        Some(spec) => spec,
        None => Node::new(path.child("spec"), &look::EMPTY),
    };
    pod_spec(&spec, claims, &mut out);
    if !out.iter().any(|denial| denial.kind == DenialKind::TypeInvalid) {
        out.extend(form::unreadable(template.value, path));
    }
    out
}

fn pod_spec(spec: &Node<'_>, claims: &[ClaimVolume], out: &mut Vec<Denial>) {
    let volumes = volumes::validate(spec, claims, out);
    containers::validate(spec, &volumes, out);
    if spec.get("ephemeralContainers").is_some_and(|list| list.value.as_array().is_none_or(|items| !items.is_empty())) {
        out.push(spec.at("ephemeralContainers").forbidden("ephemeral containers not allowed in pod template"));
    }
    spec.one_of("restartPolicy", &["Always", "OnFailure", "Never"], out);
    spec.one_of("preemptionPolicy", &["PreemptLowerPriority", "Never"], out);
    dns(spec, out);
    spec.integer("terminationGracePeriodSeconds", out);
    spec.integer("activeDeadlineSeconds", out);
    for name in ["hostname", "subdomain"] {
        spec.named_by(name, names::dns_label, out);
    }
    for name in ["serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName"] {
        spec.named_by(name, names::dns_subdomain, out);
    }
    for gate in spec.objects("readinessGates", out) {
        let type_ = gate.text("conditionType", out);
        if let Err(detail) = names::qualified_name(type_) {
            out.push(gate.at("conditionType").invalid(type_, detail));
        }
    }
    for alias in spec.objects("hostAliases", out) {
        address(&alias, "ip", out);
        for (path, name) in alias.texts("hostnames", out) {
            if let Err(detail) = names::dns_subdomain(name) {
                out.push(path.invalid(name, detail));
            }
        }
    }
    scheduling::validate(spec, out);
    security::of_pod(spec, out);
    if let Some(overhead) = spec.object("overhead", out) {
        resources::amounts(&overhead, out);
    }
    if let Some(requirements) = spec.object("resources", out) {
        resources::validate(&requirements, out);
    }
}

fn dns(spec: &Node<'_>, out: &mut Vec<Denial>) {
    let policy = spec.one_of("dnsPolicy", &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"], out);
    let config = spec.object("dnsConfig", out);
    if policy == "None" && config.is_none() {
        out.push(spec.at("dnsConfig").required("must provide `dnsConfig` when `dnsPolicy` is None"));
    }
    let Some(config) = config else { return };
    let servers = config.texts("nameservers", out);
    if policy == "None" && servers.is_empty() {
        out.push(
            config.at("nameservers").required("must provide at least one DNS nameserver when `dnsPolicy` is None"),
        );
    }
    for (path, server) in servers {
        if !is_address(server) {
            out.push(path.invalid(server, NOT_AN_ADDRESS));
        }
    }
    for option in config.objects("options", out) {
        option.required_text("name", out);
    }
}

const NOT_AN_ADDRESS: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

fn address(node: &Node<'_>, member: &str, out: &mut Vec<Denial>) {
    let text = node.text(member, out);
    if !is_address(text) {
        out.push(node.at(member).invalid(text, NOT_AN_ADDRESS));
    }
}

/// Kubernetes still takes IPv4 addresses with leading zeros, which Rust does not.
fn is_address(text: &str) -> bool {
    let plain: Vec<&str> = text.split('.').map(|part| part.trim_start_matches('0')).collect();
    let with_zeros = plain.iter().map(|part| if part.is_empty() { "0" } else { part }).collect::<Vec<_>>().join(".");
    text.parse::<IpAddr>().is_ok() || (!text.split('.').any(str::is_empty) && with_zeros.parse::<Ipv4Addr>().is_ok())
}

/// Refuses what stands twice; the first one stays.
fn distinct<'a>(path: FieldPath, name: &'a str, seen: &mut BTreeSet<&'a str>, out: &mut Vec<Denial>) {
    if !name.is_empty() && !seen.insert(name) {
        out.push(path.duplicate(name));
    }
}

#[cfg(test)]
#[path = "../tests/validation/mod.rs"]
mod tests;
