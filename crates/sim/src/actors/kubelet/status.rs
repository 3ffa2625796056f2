//! The status of a Pod: what runs, in the words of the API.
//!
//! Conditions of others (readiness gates, PodScheduled's time) are kept. `lastTransitionTime` moves only when a status
//! changes. `observedGeneration` is the generation that the kubelet acted on, in the status and in its own conditions.

use serde_json::{Map, Value, json};

use super::container::{Container, Probes, Role};
use super::{Machine, State};
use crate::actors::fields::{at, list, set, text};

/// Conditions that the kubelet writes, and takes away where they do not apply.
const OWN: [&str; 6] =
    ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled", "PodResizeInProgress"];

/// The fields of the status that the kubelet writes. `qosClass` is the server's.
pub(super) fn of(pod: &Value, machine: &Machine, stamp: &str) -> Map<String, Value> {
    let mut status = Map::new();
    let mut write = |field: &str, value: Value| drop(status.insert(field.to_owned(), value));
    if let Some(generation) = at(pod, "metadata.generation").as_i64() {
        write("observedGeneration", generation.into());
    }
    write("phase", phase(machine).into());
    if let State::Ended { reason, message, .. } = machine.state
        && !reason.is_empty()
    {
        write("reason", reason.into());
        write("message", message.into());
    }
    write("hostIP", machine.host.clone().into());
    write("hostIPs", json!([{"ip": machine.host}]));
    write("startTime", machine.since.clone().into());
    if machine.sandbox {
        write("podIP", machine.ip.clone().into());
        write("podIPs", json!([{"ip": machine.ip}]));
    }
    for (field, specs, init) in
        [("containerStatuses", "spec.containers", false), ("initContainerStatuses", "spec.initContainers", true)]
    {
        let specs = list(at(pod, specs));
        let statuses: Vec<_> = machine
            .containers
            .iter()
            .filter(|container| (container.role != Role::Main) == init)
            .map(|container| {
                let spec =
                    specs.iter().find(|spec| at(spec, "name") == container.name.as_str()).unwrap_or(&Value::Null);
                container.status(spec, machine.probes())
            })
            .collect();
        if !statuses.is_empty() {
            write(field, statuses.into());
        }
    }
    write("conditions", conditions(pod, machine, stamp).into());
    status
}

fn phase(machine: &Machine) -> &'static str {
    match machine.state {
        State::Ended { phase, .. } => phase,
        State::Alive | State::Stopping if machine.containers.iter().all(Container::has_run) => "Running",
        State::Alive | State::Stopping => "Pending",
    }
}

/// Whether a condition is true, or why not.
type Verdict = Result<(), (&'static str, String)>;

fn conditions(pod: &Value, machine: &Machine, stamp: &str) -> Vec<Value> {
    let existing = list(at(pod, "status.conditions"));
    let generation = at(pod, "metadata.generation");
    let own = |condition: &&Value| OWN.contains(&text(at(condition, "type")));
    let mut conditions: Vec<_> = existing.iter().filter(|condition| !own(condition)).cloned().collect();
    let mut write = |kind: &str, verdict: Verdict| {
        let status = if verdict.is_ok() { "True" } else { "False" };
        let before = existing.iter().find(|c| at(c, "type") == kind && at(c, "status") == status);
        let since = before.and_then(|condition| at(condition, "lastTransitionTime").as_str()).unwrap_or(stamp);
        let mut condition = json!({"type": kind, "status": status, "lastTransitionTime": since});
        if generation.is_i64() {
            set(&mut condition, "observedGeneration", generation.clone());
        }
        if let Err((reason, message)) = verdict {
            for (field, text) in [("reason", reason), ("message", message.as_str())] {
                if !text.is_empty() {
                    set(&mut condition, field, text);
                }
            }
        }
        conditions.push(condition);
    };
    let running = machine.sandbox && !matches!(machine.state, State::Ended { .. });
    write("PodReadyToStartContainers", if running { Ok(()) } else { Err(("", String::new())) });
    write("Initialized", initialized(machine));
    let containers = containers_ready(machine);
    write("Ready", containers.clone().and_then(|()| gates(pod)));
    write("ContainersReady", containers);
    write("PodScheduled", Ok(()));
    if machine.containers.iter().any(Container::is_resizing) {
        write("PodResizeInProgress", Ok(()));
    }
    conditions
}

fn initialized(machine: &Machine) -> Verdict {
    unready(machine, "ContainersNotInitialized", "containers with incomplete status", |role| role == Role::Init)
}

fn containers_ready(machine: &Machine) -> Verdict {
    match machine.state {
        State::Ended { phase: "Succeeded", .. } => Err(("PodCompleted", String::new())),
        State::Ended { .. } => Err(("PodFailed", String::new())),
        State::Alive | State::Stopping => {
            unready(machine, "ContainersNotReady", "containers with unready status", |role| role != Role::Init)
        }
    }
}

fn unready(machine: &Machine, reason: &'static str, text: &str, counts: fn(Role) -> bool) -> Verdict {
    let probes: Probes = machine.probes();
    let names: Vec<_> = machine
        .containers
        .iter()
        .filter(|container| counts(container.role) && !container.is_ready(probes))
        .map(|container| container.name.as_str())
        .collect();
    if names.is_empty() { Ok(()) } else { Err((reason, format!("{text}: [{}]", names.join(" ")))) }
}

/// Whether the conditions that others promised are there and true.
fn gates(pod: &Value) -> Verdict {
    let conditions = list(at(pod, "status.conditions"));
    let missing: Vec<_> = list(at(pod, "spec.readinessGates"))
        .iter()
        .filter_map(|gate| {
            let gate = text(at(gate, "conditionType"));
            match conditions.iter().find(|condition| at(condition, "type") == gate) {
                None => Some(format!("corresponding condition of pod readiness gate \"{gate}\" does not exist.")),
                Some(condition) if at(condition, "status") != "True" => {
                    let status = text(at(condition, "status"));
                    Some(format!("the status of pod readiness gate \"{gate}\" is not \"True\", but {status}"))
                }
                Some(_) => None,
            }
        })
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(("ReadinessGatesNotReady", missing.join(", "))) }
}
