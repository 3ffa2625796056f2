//! Services without allocation: headless ones, those that name their address, and external names. Whatever needs an
//! address or a port of the cluster is refused loudly.

use std::collections::BTreeSet;

use api::{
    field::{Denial, FieldPath},
    names,
};
use serde_json::{Value, json};

use super::{
    causes,
    look::{at, copy, default_text, default_to, items, items_mut, put, text},
};
use crate::server::failure::{Cause, Failure, Result};

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];

pub(super) fn default(service: &mut Value) {
    let Some(spec) = service.get_mut("spec") else { return };
    default_text(spec, "sessionAffinity", "None");
    default_text(spec, "type", "ClusterIP");
    for port in items_mut(spec, "/ports") {
        default_text(port, "protocol", "TCP");
        let number = at(port, "/port").clone();
        if at(port, "/targetPort") == &json!(0) || at(port, "/targetPort") == &json!("") {
            put(port, "targetPort", number.clone());
        }
        default_to(port, "targetPort", || number);
    }
    if text(spec, "/type") == "ClusterIP" {
        default_text(spec, "internalTrafficPolicy", "Cluster");
        let address = text(spec, "/clusterIP").to_owned();
        if !address.is_empty() {
            default_to(spec, "clusterIPs", || json!([address]));
        }
        // Headless without a selector could be anything, so it is both.
        let families = if at(spec, "/selector").as_object().is_none_or(serde_json::Map::is_empty) {
            ("RequireDualStack", json!(["IPv4", "IPv6"]))
        } else {
            ("SingleStack", json!(["IPv4"]))
        };
        default_text(spec, "ipFamilyPolicy", families.0);
        default_to(spec, "ipFamilies", || families.1);
    }
}

pub(super) fn prepare_create(service: &mut Value) {
    put(service, "status", json!({"loadBalancer": {}}));
}

/// A plain write does not touch the status, nor an address that it leaves out.
pub(super) fn prepare_update(new: &mut Value, old: &Value) {
    copy(new, old, "status");
    let Some(spec) = new.get_mut("spec") else { return };
    for member in ["clusterIP", "clusterIPs"] {
        let before = at(old, "/spec").get(member).cloned();
        if let Some(before) = before {
            default_to(spec, member, || before);
        }
    }
}

/// Refuses what would need allocation.
pub(super) fn simulated(service: &Value) -> Result<()> {
    let (kind, address) = (text(service, "/spec/type"), text(service, "/spec/clusterIP"));
    let plain = match kind {
        "" | "ClusterIP" => !address.is_empty() || items(service, "/spec/ports").is_empty(),
        "LoadBalancer" | "NodePort" => false,
        _ => true,
    };
    if plain { Ok(()) } else { Err(Failure::not_simulated("Services with addresses or ports of the cluster")) }
}

pub(super) fn check(service: &Value) -> Vec<Cause> {
    let path = FieldPath::new("spec");
    let mut out = Vec::new();
    let ports = items(service, "/spec/ports");
    let kind = text(service, "/spec/type");
    if ports.is_empty() && kind != "ExternalName" && text(service, "/spec/clusterIP") != "None" {
        out.push(path.child("ports").required(""));
    }
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = path.child("ports").index(index);
        let name = text(port, "/name");
        if name.is_empty() {
            if ports.len() > 1 {
                out.push(path.child("name").required(""));
            }
        } else if let Err(detail) = names::dns_label(name) {
            out.push(path.child("name").invalid(name, detail));
        } else if !seen.insert(name) {
            out.push(path.child("name").duplicate(name));
        }
        numbers(port, &path, &mut out);
    }
    if !TYPES.contains(&kind) {
        out.push(path.child("type").not_supported(kind, &TYPES));
    }
    super::metadata::labels(service, "/spec/selector", &path.child("selector"), &mut out);
    causes(out)
}

fn numbers(port: &Value, path: &FieldPath, out: &mut Vec<Denial>) {
    let number = at(port, "/port").as_i64().unwrap_or(0);
    if let Err(detail) = names::port_number(number) {
        out.push(path.child("port").invalid(number, detail));
    }
    let protocol = text(port, "/protocol");
    if !["SCTP", "TCP", "UDP"].contains(&protocol) {
        out.push(path.child("protocol").not_supported(protocol, &["SCTP", "TCP", "UDP"]));
    }
    match at(port, "/targetPort") {
        Value::String(name) => {
            if let Err(detail) = names::port_name(name) {
                out.push(path.child("targetPort").invalid(name.as_str(), detail));
            }
        }
        target => {
            let target = target.as_i64().unwrap_or(0);
            if let Err(detail) = names::port_number(target) {
                out.push(path.child("targetPort").invalid(target, detail));
            }
        }
    }
}

pub(super) fn on_update(new: &Value, old: &Value) -> Vec<Cause> {
    let mut out = check(new);
    let (now, before) = (at(new, "/spec/clusterIPs"), at(old, "/spec/clusterIPs"));
    if !before.is_null() && now != before {
        let path = FieldPath::new("spec").child("clusterIPs").index(0);
        out.insert(0, path.invalid(now.clone(), "may not change once set").into());
    }
    out
}
