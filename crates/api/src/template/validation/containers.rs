//! Containers and init containers of a template: names, images, ports, variables, mounts, policies.

use std::collections::BTreeSet;

use super::{distinct, handlers, resources, security, volumes::Volumes};
use crate::{field::Denial, look::Node, names};

/// Whether a container runs beside the others or before them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Regular,
    Init,
}

pub(super) fn validate(spec: &Node<'_>, volumes: &Volumes, out: &mut Vec<Denial>) {
    let containers = spec.objects("containers", out);
    if spec.get("containers").is_none_or(|list| list.value.as_array().is_some_and(Vec::is_empty)) {
        out.push(spec.at("containers").required(""));
    }
    let host_network = spec.flag("hostNetwork", out);
    let (mut seen, mut host_ports) = (BTreeSet::new(), BTreeSet::new());
    for container in &containers {
        one(container, Role::Regular, volumes, out);
        distinct(container.at("name"), container.text("name", &mut Vec::new()), &mut seen, out);
        ports(container, host_network, &mut host_ports, out);
    }
    for container in spec.objects("initContainers", out) {
        one(&container, Role::Init, volumes, out);
        distinct(container.at("name"), container.text("name", &mut Vec::new()), &mut seen, out);
        ports(&container, host_network, &mut BTreeSet::new(), out);
    }
}

fn one(container: &Node<'_>, role: Role, volumes: &Volumes, out: &mut Vec<Denial>) {
    let name = container.required_text("name", out);
    if !name.is_empty()
        && let Err(detail) = names::dns_label(name)
    {
        out.push(container.at("name").invalid(name, detail));
    }
    container.required_text("image", out);
    container.one_of("imagePullPolicy", &["Always", "IfNotPresent", "Never"], out);
    container.one_of("terminationMessagePolicy", &["File", "FallbackToLogsOnError"], out);
    variables(container, out);
    mounts(container, volumes, out);
    devices(container, volumes, out);
    if let Some(requirements) = container.object("resources", out) {
        resources::validate(&requirements, out);
    }
    security::of_container(container, out);
    handlers::validate(container, out);
    // Restarting always makes an init container a sidecar, which may have what a regular one has.
    if role == Role::Init && container.text("restartPolicy", out) != "Always" {
        for member in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
            if container.get(member).is_some() {
                out.push(
                    container.at(member).forbidden("may not be set for init containers without restartPolicy=Always"),
                );
            }
        }
    }
}

fn ports(
    container: &Node<'_>,
    host_network: bool,
    host_ports: &mut BTreeSet<(String, String, i64)>,
    out: &mut Vec<Denial>,
) {
    let mut seen = BTreeSet::new();
    for port in container.objects("ports", out) {
        let name = port.text("name", out);
        if !name.is_empty() {
            match names::port_name(name) {
                Err(detail) => out.push(port.at("name").invalid(name, detail)),
                Ok(()) => distinct(port.at("name"), name, &mut seen, out),
            }
        }
        let number = port.integer("containerPort", out).unwrap_or(0);
        if number == 0 {
            out.push(port.at("containerPort").required(""));
        } else if let Err(detail) = names::port_number(number) {
            out.push(port.at("containerPort").invalid(number, detail));
        }
        let protocol = port.one_of("protocol", &["SCTP", "TCP", "UDP"], out);
        let host_port = port.integer("hostPort", out).unwrap_or(0);
        if host_port == 0 {
            continue;
        }
        if let Err(detail) = names::port_number(host_port) {
            out.push(port.at("hostPort").invalid(host_port, detail));
        } else if host_network && host_port != number {
            out.push(port.at("hostPort").invalid(host_port, "must match `containerPort` when `hostNetwork` is true"));
        }
        let protocol = if protocol.is_empty() { "TCP" } else { protocol };
        let key = (protocol.to_owned(), port.text("hostIP", out).to_owned(), host_port);
        let shown = format!("{}/{}/{}", key.0, key.1, key.2);
        if !host_ports.insert(key) {
            out.push(port.at("hostPort").duplicate(shown));
        }
    }
}

fn variables(container: &Node<'_>, out: &mut Vec<Denial>) {
    for variable in container.objects("env", out) {
        let name = variable.required_text("name", out);
        if let Err(detail) = names::variable_name(name) {
            out.push(variable.at("name").invalid(name, detail));
        }
        let value = variable.text("value", out);
        if let Some(source) = variable.object("valueFrom", out) {
            variable_source(&source, value, out);
        }
    }
    for source in container.objects("envFrom", out) {
        let choice = source.choice(&["configMapRef", "secretRef"], &["prefix"]);
        match choice.chosen.len() {
            0 if !choice.unknown => {
                out.push(source.path.invalid("", "must specify one of: `configMapRef` or `secretRef`"))
            }
            0 | 1 => {}
            _ => out.push(source.path.invalid("", ONE_SOURCE)),
        }
        for reference in choice.chosen {
            if let Some(reference) = source.object(reference, out) {
                reference.required_text("name", out);
            }
        }
    }
}

const ONE_SOURCE: &str = "may not have more than one field specified at a time";

fn variable_source(source: &Node<'_>, value: &str, out: &mut Vec<Denial>) {
    let choice = source.choice(&["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"], &[]);
    match choice.chosen.len() {
        0 if !choice.unknown => {
            out.push(source.path.invalid(
                "",
                "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
            ))
        }
        0 | 1 => {}
        _ => out.push(source.path.invalid("", ONE_SOURCE)),
    }
    if !value.is_empty() && (choice.unknown || !choice.chosen.is_empty()) {
        out.push(source.path.invalid("", "may not be specified when `value` is not empty"));
    }
    const NEEDED: [(&str, &[&str]); 4] = [
        ("fieldRef", &["fieldPath"]),
        ("resourceFieldRef", &["resource"]),
        ("configMapKeyRef", &["name", "key"]),
        ("secretKeyRef", &["name", "key"]),
    ];
    for (reference, members) in NEEDED {
        if let Some(reference) = source.object(reference, out) {
            members.iter().for_each(|member| {
                reference.required_text(member, out);
            });
        }
    }
}

fn mounts(container: &Node<'_>, volumes: &Volumes, out: &mut Vec<Denial>) {
    let mut paths = BTreeSet::new();
    for mount in container.objects("volumeMounts", out) {
        let name = mount.required_text("name", out);
        if !name.is_empty() && !volumes.contains(name) {
            out.push(mount.at("name").not_found(name));
        }
        let path = mount.required_text("mountPath", out);
        if !path.is_empty() && !paths.insert(path) {
            out.push(mount.at("mountPath").invalid(path, "must be unique"));
        }
        let sub_path = inner_path(&mount, "subPath", out);
        let expression = inner_path(&mount, "subPathExpr", out);
        if !sub_path.is_empty() && !expression.is_empty() {
            out.push(mount.at("subPathExpr").invalid(expression, "subPathExpr and subPath are mutually exclusive"));
        }
        mount.one_of("mountPropagation", &["Bidirectional", "HostToContainer", "None"], out);
    }
}

/// A path below a volume: relative, and not out of it.
fn inner_path<'a>(mount: &Node<'a>, member: &str, out: &mut Vec<Denial>) -> &'a str {
    let path = mount.text(member, out);
    if path.starts_with('/') {
        out.push(mount.at(member).invalid(path, "must be a relative path"));
    }
    no_way_up(mount, member, path, out);
    path
}

/// Refuses `..` as a part of a path.
pub(super) fn no_way_up(node: &Node<'_>, member: &str, path: &str, out: &mut Vec<Denial>) {
    if path.split('/').any(|part| part == "..") {
        out.push(node.at(member).invalid(path, "must not contain '..'"));
    }
}

fn devices(container: &Node<'_>, volumes: &Volumes, out: &mut Vec<Denial>) {
    let mut paths = BTreeSet::new();
    for device in container.objects("volumeDevices", out) {
        let name = device.required_text("name", out);
        if !name.is_empty() && !volumes.contains(name) {
            out.push(device.at("name").not_found(name));
        }
        let path = device.required_text("devicePath", out);
        if !path.is_empty() && !paths.insert(path) {
            out.push(device.at("devicePath").invalid(path, "must be unique"));
        }
    }
}
