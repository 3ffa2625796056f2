//! Where Pods may run: node selector, tolerations, spread constraints, affinity, scheduling gates.

use std::collections::BTreeSet;

use super::distinct;
use crate::{
    field::Denial,
    look::{EMPTY, Node},
    metadata, names,
};

pub(super) fn validate(spec: &Node<'_>, out: &mut Vec<Denial>) {
    metadata::labels(spec, "nodeSelector", out);
    for toleration in spec.objects("tolerations", out) {
        tolerate(&toleration, out);
    }
    spread(spec, out);
    let mut seen = BTreeSet::new();
    for gate in spec.objects("schedulingGates", out) {
        let name = gate.text("name", out);
        if let Err(detail) = names::qualified_name(name) {
            out.push(gate.at("name").invalid(name, detail));
        }
        distinct(gate.at("name"), name, &mut seen, out);
    }
    let Some(affinity) = spec.object("affinity", out) else { return };
    if let Some(node) = affinity.object("nodeAffinity", out) {
        node_affinity(&node, out);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        if let Some(pods) = affinity.object(kind, out) {
            pod_affinity(&pods, out);
        }
    }
}

fn tolerate(toleration: &Node<'_>, out: &mut Vec<Denial>) {
    let key = toleration.text("key", out);
    let operator = toleration.text("operator", out);
    let value = toleration.text("value", out);
    let effect = toleration.one_of("effect", &["NoSchedule", "PreferNoSchedule", "NoExecute"], out);
    if key.is_empty() {
        if operator != "Exists" {
            out.push(toleration.at("operator").invalid(
                operator,
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            ));
        }
    } else if let Err(detail) = names::qualified_name(key) {
        out.push(toleration.at("key").invalid(key, detail));
    }
    if toleration.integer("tolerationSeconds", out).is_some() && effect != "NoExecute" {
        out.push(toleration.at("effect").invalid(effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"));
    }
    match operator {
        "Exists" if !value.is_empty() => {
            out.push(toleration.at("operator").invalid(value, "value must be empty when `operator` is 'Exists'"));
        }
        "" | "Equal" => {
            if let Err(detail) = names::label_value(value) {
                out.push(toleration.at("operator").invalid(value, detail));
            }
        }
        // Lt and Gt are newer than the rest.
        "Exists" | "Lt" | "Gt" => {}
        _ => out.push(toleration.at("operator").not_supported(operator, &["Equal", "Exists"])),
    }
}

fn spread(spec: &Node<'_>, out: &mut Vec<Denial>) {
    let mut seen = BTreeSet::new();
    for constraint in spec.objects("topologySpreadConstraints", out) {
        let skew = constraint.integer("maxSkew", out).unwrap_or(0);
        if skew <= 0 {
            out.push(constraint.at("maxSkew").invalid(skew, "must be greater than zero"));
        }
        let key = constraint.text("topologyKey", out);
        if key.is_empty() {
            out.push(constraint.at("topologyKey").required("can not be empty"));
        }
        let action = constraint.text("whenUnsatisfiable", out);
        if !["DoNotSchedule", "ScheduleAnyway"].contains(&action) {
            out.push(constraint.at("whenUnsatisfiable").not_supported(action, &["DoNotSchedule", "ScheduleAnyway"]));
        }
        if !seen.insert((key, action)) {
            out.push(
                constraint.path.child("{topologyKey, whenUnsatisfiable}").duplicate(format!("{{{key}, {action}}}")),
            );
        }
        if let Some(domains) = constraint.integer("minDomains", out) {
            if domains <= 0 {
                out.push(constraint.at("minDomains").invalid(domains, "must be greater than zero"));
            } else if action != "DoNotSchedule" {
                out.push(constraint.at("minDomains").invalid(
                    domains,
                    format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"),
                ));
            }
        }
        for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            constraint.one_of(policy, &["Honor", "Ignore"], out);
        }
    }
}

const REQUIRED_TERMS: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED_TERMS: &str = "preferredDuringSchedulingIgnoredDuringExecution";
const WEIGHT_RANGE: &str = "must be in the range 1-100";

fn node_affinity(affinity: &Node<'_>, out: &mut Vec<Denial>) {
    if let Some(required) = affinity.object(REQUIRED_TERMS, out) {
        let terms = required.objects("nodeSelectorTerms", out);
        if terms.is_empty() {
            out.push(required.at("nodeSelectorTerms").required("must have at least one node selector term"));
        }
        terms.iter().for_each(|term| node_term(term, out));
    }
    for term in affinity.objects(PREFERRED_TERMS, out) {
        weight(&term, out);
        if let Some(preference) = term.object("preference", out) {
            node_term(&preference, out);
        }
    }
}

fn weight(term: &Node<'_>, out: &mut Vec<Denial>) {
    let weight = term.integer("weight", out).unwrap_or(0);
    if !(1..=100).contains(&weight) {
        out.push(term.at("weight").invalid(weight, WEIGHT_RANGE));
    }
}

fn node_term(term: &Node<'_>, out: &mut Vec<Denial>) {
    for requirement in term.objects("matchExpressions", out) {
        let key = requirement.text("key", out);
        if let Err(detail) = names::qualified_name(key) {
            out.push(requirement.at("key").invalid(key, detail));
        }
        let values = requirement.texts("values", out).len();
        let operator = requirement.text("operator", out);
        let path = requirement.at("values");
        match (operator, values) {
            ("In" | "NotIn", 0) => {
                out.push(path.required("must be specified when `operator` is 'In' or 'NotIn'"));
            }
            ("Exists" | "DoesNotExist", 1..) => {
                out.push(path.forbidden("may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
            }
            ("Gt" | "Lt", 0 | 2..) => {
                out.push(path.required("must be specified single value when `operator` is 'Lt' or 'Gt'"));
            }
            ("In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt", _) => {}
            _ => out.push(requirement.at("operator").invalid(operator, "not a valid selector operator")),
        }
    }
    for requirement in term.objects("matchFields", out) {
        requirement.required_text("key", out);
    }
}

fn pod_affinity(affinity: &Node<'_>, out: &mut Vec<Denial>) {
    for term in affinity.objects(REQUIRED_TERMS, out) {
        pod_term(&term, out);
    }
    for weighted in affinity.objects(PREFERRED_TERMS, out) {
        weight(&weighted, out);
        match weighted.object("podAffinityTerm", out) {
            Some(term) => pod_term(&term, out),
            None => pod_term(&Node::new(weighted.at("podAffinityTerm"), &EMPTY), out),
        }
    }
}

fn pod_term(term: &Node<'_>, out: &mut Vec<Denial>) {
    for (path, namespace) in term.texts("namespaces", out) {
        if let Err(detail) = names::dns_label(namespace) {
            out.push(path.invalid(namespace, detail));
        }
    }
    let key = term.text("topologyKey", out);
    if key.is_empty() {
        out.push(term.at("topologyKey").required("can not be empty"));
    } else if let Err(detail) = names::qualified_name(key) {
        out.push(term.at("topologyKey").invalid(key, detail));
    }
}
