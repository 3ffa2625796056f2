//! M1: the readiness gate `KruisePodReady` (PW-9, PR-1, PL-80).
//!
//! Pods that the suite owns get it, all Pods with gate `KruisePodReadinessGate`. The condition is set by the
//! pod-readiness controller.

use futures::future::{BoxFuture, FutureExt, ready};
use runtime::gates::Gate;
use serde_json::{Value, json};

use super::draft::Draft;
use super::pipeline::StageError;
use crate::admission::Desk;

/// Runs the stage.
pub(super) fn run<'a>(draft: &'a mut Draft<'_>, desk: &'a Desk) -> BoxFuture<'a, Result<(), StageError>> {
    ready(add_where_due(draft, desk)).boxed()
}

fn add_where_due(draft: &mut Draft<'_>, desk: &Desk) -> Result<(), StageError> {
    if draft.view()?.is_owned_by_suite() || desk.gates.is_on(Gate::KruisePodReadinessGate) {
        add(draft.edit()?);
    }
    Ok(())
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
