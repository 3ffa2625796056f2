//! Admission of Pods (pod-webhook page): which stages there are, and in which order.
//!
//! A stage is a file of this folder and one line of [`STAGES`] or [`CHECKS`]; `pipeline` and `disruption` run them. The
//! Pod stays text until a stage changes it, and JSON then, so members that did not exist when this was built survive
//! (PW-6).

use crate::admission::{Desk, Operation, Request, Verdict};

pub mod disruption;
pub mod draft;
pub mod pipeline;
mod readiness_gate;
pub mod view;

use self::disruption::Check;
use self::pipeline::Stage;

/// What changes a Pod that is created (PW-7). M2 to M8 come with their kinds, each in its place.
const STAGES: &[Stage] = &[Stage { name: "readiness-gate", run: readiness_gate::run }];

/// What may refuse that a Pod is changed, deleted or evicted (PW-31): V1 comes with WorkloadSpread, V2 with
/// PodUnavailableBudget. Without these kinds there is nothing to record and no budget to keep.
const CHECKS: &[Check] = &[];

/// Changes a Pod that is created.
pub async fn mutate(request: &Request, desk: &Desk) -> Verdict {
    if request.operation != Operation::Create || !concerns_pods(request) || !request.sub_resource.is_empty() {
        return Verdict::Allow;
    }
    pipeline::run(STAGES, request, desk).await
}

/// Decides about a Pod that is changed, deleted or evicted.
pub async fn validate(request: &Request, desk: &Desk) -> Verdict {
    disruption::judge(CHECKS, request, desk).await
}

fn concerns_pods(request: &Request) -> bool {
    request.resource.group.is_empty() && request.resource.resource == "pods"
}

#[cfg(test)]
mod tests;
