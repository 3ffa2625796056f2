//! Admission of Pods (pod-webhook page): the stages in their order, and what becomes of a failing one.
//!
//! A stage is a file of this folder and one line of [`STAGES`]. Each sees the Pod as the stages before it left it; the
//! first failure ends the request (PW-5). The Pod stays JSON from end to end, so members that did not exist when this
//! was built survive (PW-6).

use futures::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;
use tracing::debug;

use crate::admission::{Desk, Operation, Refusal, Request, Verdict, changed};

mod readiness_gate;

/// A stage failed; its text is the user's answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StageError(String);

/// What a stage does to a Pod; what it may read besides is in the request and on the desk.
type Run = for<'a> fn(&'a mut Value, &'a Request, &'a Desk) -> BoxFuture<'a, Result<(), StageError>>;

/// One step of the pipeline (PW-7).
struct Stage {
    name: &'static str,
    run: Run,
}

/// The stages in order. M2 to M8 come with their kinds, each in its place.
const STAGES: [Stage; 1] = [Stage { name: "readiness-gate", run: readiness_gate::run }];

/// What must be readable of a Pod before any stage looks at it.
#[derive(Deserialize)]
struct Form {
    #[serde(rename = "metadata")]
    _metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
    #[serde(rename = "spec")]
    _spec: serde_json::Map<String, Value>,
}

/// Runs the stages on a Pod that is created (PW-4..6).
pub async fn mutate(request: &Request, desk: &Desk) -> Verdict {
    if request.operation != Operation::Create || request.resource.resource != "pods" || !request.sub_resource.is_empty()
    {
        return Verdict::Allow;
    }
    let object = match request.object.read() {
        Ok(object) => object,
        Err(refusal) => return Verdict::Refuse(refusal.decoding("Pod")),
    };
    if let Err(err) = Form::deserialize(object) {
        return Verdict::Refuse(Refusal::unreadable(format!("decode Pod: {err}")));
    }
    let mut pod = object.clone();
    for stage in &STAGES {
        if let Err(err) = (stage.run)(&mut pod, request, desk).await {
            debug!(stage = stage.name, %err, "stage failed");
            return Verdict::Refuse(Refusal::internal(stage.name, err.to_string()));
        }
    }
    changed(object, &pod)
}

/// Decides about a Pod that is changed, deleted or evicted (PW-30, PW-31). The stages that may refuse belong to
/// WorkloadSpread and PodUnavailableBudget; without these kinds there is nothing to record and no budget to keep.
pub fn validate(_: &Request) -> Verdict {
    Verdict::Allow
}

/// Whether the suite owns the Pod: its controller's API group is `apps.kruise.io`, in any version (PW-8).
fn is_owned_by_suite(pod: &Value) -> bool {
    let owners = pod.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let controller = owners.into_iter().flatten().find(|owner| owner.get("controller") == Some(&Value::Bool(true)));
    let group = controller.and_then(|owner| owner.get("apiVersion")?.as_str()?.split_once('/')).map(|(group, _)| group);
    group == Some("apps.kruise.io")
}

#[cfg(test)]
mod tests;
