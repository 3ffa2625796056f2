//! Probes and lifecycle hooks: exactly one handler each, with the numbers and ports that it needs.

use serde_json::Value;

use crate::{field::Denial, look::Node, names};

pub(super) fn validate(container: &Node<'_>, out: &mut Vec<Denial>) {
    if let Some(lifecycle) = container.object("lifecycle", out) {
        for name in ["postStart", "preStop"] {
            if let Some(hook) = lifecycle.object(name, out) {
                handler(&hook, &["exec", "httpGet", "tcpSocket", "sleep"], &[], out);
            }
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(of) = container.object(name, out) {
            probe(&of, name, out);
        }
    }
}

const NUMBERS: [&str; 6] = [
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
    "terminationGracePeriodSeconds",
];

fn probe(probe: &Node<'_>, name: &str, out: &mut Vec<Denial>) {
    handler(probe, &["exec", "httpGet", "tcpSocket", "grpc"], &NUMBERS, out);
    let mut successes = 0;
    for number in NUMBERS.iter().filter(|number| **number != "terminationGracePeriodSeconds") {
        let value = probe.not_negative(number, out).unwrap_or(0);
        if *number == "successThreshold" {
            successes = value;
        }
    }
    let grace = probe.integer("terminationGracePeriodSeconds", out);
    if name == "readinessProbe" {
        if let Some(grace) = grace {
            out.push(probe.at("terminationGracePeriodSeconds").invalid(grace, "must not be set for readinessProbes"));
        }
        return;
    }
    // 0 stands for the default, which is 1.
    if successes > 1 {
        out.push(probe.at("successThreshold").invalid(successes, "must be 1"));
    }
    if let Some(grace) = grace.filter(|seconds| *seconds <= 0) {
        out.push(probe.at("terminationGracePeriodSeconds").invalid(grace, "must be greater than 0"));
    }
}

/// Exactly one of the known handlers, or one that came after this was written.
fn handler(node: &Node<'_>, known: &[&'static str], beside: &[&str], out: &mut Vec<Denial>) {
    let choice = node.choice(known, beside);
    if choice.chosen.is_empty() && !choice.unknown {
        out.push(node.path.required("must specify a handler type"));
    }
    for extra in choice.chosen.iter().skip(1) {
        out.push(node.at(extra).forbidden("may not specify more than 1 handler type"));
    }
    let Some(first) = choice.chosen.first() else { return };
    let Some(action) = node.object(first, out) else { return };
    match *first {
        "exec" if action.texts("command", out).is_empty() => out.push(action.at("command").required("")),
        "httpGet" => {
            port(&action, out);
            action.one_of("scheme", &["HTTP", "HTTPS"], out);
            for header in action.objects("httpHeaders", out) {
                header.required_text("name", out);
            }
        }
        "tcpSocket" | "grpc" => port(&action, out),
        "sleep" => drop(action.integer("seconds", out)),
        _ => {}
    }
}

/// A number in range or the name of a port; an absent one is 0, which is none.
fn port(action: &Node<'_>, out: &mut Vec<Denial>) {
    let path = action.at("port");
    match action.get("port").map(|port| port.value) {
        Some(Value::String(name)) => {
            if let Err(detail) = names::port_name(name) {
                out.push(path.invalid(name.as_str(), detail));
            }
        }
        Some(value) => match value.as_i64().map(names::port_number) {
            Some(Ok(())) => {}
            Some(Err(detail)) => out.push(path.invalid(value.clone(), detail)),
            None => out.push(path.wrong_type(value, "an integer or a string")),
        },
        None => out.push(path.invalid(0, "must be between 1 and 65535, inclusive")),
    }
}
