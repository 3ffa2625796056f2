//! M1: the readiness gate `KruisePodReady` (PW-9, PR-1, PL-80).
//!
//! Pods that the suite owns get it, all Pods with gate `KruisePodReadinessGate`. The condition is set by the
//! pod-readiness controller.

use futures::future::{BoxFuture, FutureExt, ready};
use runtime::gates::Gate;
use serde_json::{Value, json};

use super::{StageError, is_owned_by_suite};
use crate::admission::{Desk, Request};

/// Runs the stage; it can't fail.
pub(super) fn run<'a>(pod: &'a mut Value, _: &'a Request, desk: &'a Desk) -> BoxFuture<'a, Result<(), StageError>> {
    if is_owned_by_suite(pod) || desk.gates.is_on(Gate::KruisePodReadinessGate) {
        add(pod);
    }
    ready(Ok(())).boxed()
}

fn add(pod: &mut Value) {
    let gate = json!({ "conditionType": api::keys::POD_READY_CONDITION });
    let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) else { return };
    match spec.get_mut("readinessGates") {
        Some(Value::Array(gates)) if gates.contains(&gate) => {}
        Some(Value::Array(gates)) => gates.push(gate),
        None | Some(Value::Null) => drop(spec.insert("readinessGates".to_owned(), json!([gate]))),
        // What is no list is the API server's to refuse.
        Some(_) => {}
    }
}
