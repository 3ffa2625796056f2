//! Conditions that hold a Pod's readiness: who wants it not ready, and what `Ready` becomes (PR-2..6).
//!
//! Gives condition values; writing them is the caller's patch. Only the kubelet makes a Pod ready again.

use api::{
    k8s::{Pod, PodCondition},
    keys,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::pod::{condition as condition_of, has_readiness_gate};

/// Somebody who wants a Pod not ready (PR-2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// `Lifecycle` or `ContainerRecreateRequest`.
    pub user_agent: String,
    /// What for.
    pub key: String,
}

/// A condition value for a strategic merge patch of the status.
#[must_use]
pub fn condition(type_: &str, status: &str, reason: &str, message: &str, now: Timestamp) -> Value {
    json!({"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": Time(now)})
}

fn holders(condition: Option<&PodCondition>) -> Vec<Holder> {
    condition.and_then(|condition| serde_json::from_str(&condition.message).ok()).unwrap_or_default()
}

/// The condition's message: a JSON list in the order `userAgent`, `key` (PR-2).
fn message(all: &[Holder]) -> String {
    serde_json::to_string(all).unwrap_or_default()
}

/// `KruisePodReady` with one more holder; `None` where nothing changes or the Pod lacks the gate (PR-3).
#[must_use]
pub fn hold(pod: &Pod, holder: &Holder, now: Timestamp) -> Option<Value> {
    let present = condition_of(pod, keys::POD_READY_CONDITION);
    let mut all = holders(present);
    let held = present.is_some_and(|condition| condition.status != "True") && all.contains(holder);
    if held || !has_readiness_gate(pod, keys::POD_READY_CONDITION) {
        return None;
    }
    all.push(holder.clone());
    all.sort();
    all.dedup();
    Some(condition(keys::POD_READY_CONDITION, "False", "", &message(&all), now))
}

/// `KruisePodReady` without a holder, True when it was the last one; `None` where nothing changes (PR-3, PR-6).
#[must_use]
pub fn release(pod: &Pod, holder: &Holder, now: Timestamp) -> Option<Value> {
    let present = condition_of(pod, keys::POD_READY_CONDITION)?;
    let mut all = holders(Some(present));
    if !has_readiness_gate(pod, keys::POD_READY_CONDITION) || !all.contains(holder) {
        return None;
    }
    all.retain(|other| other != holder);
    let status = if all.is_empty() { "True" } else { "False" };
    Some(condition(keys::POD_READY_CONDITION, status, "", &message(&all), now))
}

/// `Ready` as it must be once `written` gate conditions have the given statuses; `None` where it stays (PR-4).
#[must_use]
pub fn recomputed_ready(pod: &Pod, written: &[(&str, &str)], now: Timestamp) -> Option<Value> {
    let ready = condition_of(pod, keys::READY_CONDITION)?;
    if condition_of(pod, keys::CONTAINERS_READY_CONDITION)?.status != "True" {
        return None;
    }
    let missing: Vec<String> = pod
        .spec
        .readiness_gates
        .iter()
        .filter_map(|gate| {
            let type_ = gate.condition_type.as_str();
            let status = written
                .iter()
                .find(|(written, _)| *written == type_)
                .map(|(_, status)| *status)
                .or_else(|| condition_of(pod, type_).map(|condition| condition.status.as_str()));
            match status {
                Some("True") => None,
                Some(status) => {
                    Some(format!("the status of pod readiness gate \"{type_}\" is not \"True\", but {status}"))
                }
                None => Some(format!("corresponding condition of pod readiness gate \"{type_}\" does not exist.")),
            }
        })
        .collect();
    let wanted = if missing.is_empty() { "True" } else { "False" };
    if ready.status == wanted {
        return None;
    }
    let reason = if missing.is_empty() { "" } else { "ReadinessGatesNotReady" };
    Some(condition(keys::READY_CONDITION, wanted, reason, &missing.join(", "), now))
}

#[cfg(test)]
mod tests {
    use api::k8s::Pod;
    use serde_json::{Value, json};

    use super::{Holder, hold, recomputed_ready, release};

    fn pod(conditions: Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p"},
            "spec": {"readinessGates": [{"conditionType": "KruisePodReady"}, {"conditionType": "InPlaceUpdateReady"}]},
            "status": {"conditions": conditions},
        }))
        .unwrap()
    }

    fn holder(key: &str) -> Holder {
        Holder { user_agent: "Lifecycle".into(), key: key.into() }
    }

    #[test] // PR-2, PR-3
    fn holders_are_sorted_and_make_the_condition_false() {
        let pod = pod(
            json!([{"type": "KruisePodReady", "status": "False", "message": r#"[{"userAgent":"Lifecycle","key":"z"}]"#}]),
        );
        let written = hold(&pod, &holder("a"), "2026-01-01T00:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(written["status"], json!("False"));
        assert_eq!(
            written["message"],
            json!(r#"[{"userAgent":"Lifecycle","key":"a"},{"userAgent":"Lifecycle","key":"z"}]"#)
        );
    }

    #[test] // PR-3, PR-6
    fn only_the_last_holder_that_leaves_makes_it_true() {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let two = pod(json!([{"type": "KruisePodReady", "status": "False",
            "message": r#"[{"userAgent":"Lifecycle","key":"a"},{"userAgent":"Lifecycle","key":"b"}]"#}]));
        assert_eq!(release(&two, &holder("a"), now).unwrap()["status"], json!("False"));
        let one = pod(
            json!([{"type": "KruisePodReady", "status": "False", "message": r#"[{"userAgent":"Lifecycle","key":"b"}]"#}]),
        );
        let released = release(&one, &holder("b"), now).unwrap();
        assert_eq!((&released["status"], &released["message"]), (&json!("True"), &json!("[]")));
        assert_eq!(release(&one, &holder("a"), now), None);
    }

    #[test] // PR-4
    fn ready_becomes_false_with_every_gate_that_fails() {
        let pod = pod(json!([{"type": "Ready", "status": "True"}, {"type": "ContainersReady", "status": "True"}]));
        let ready = recomputed_ready(&pod, &[("InPlaceUpdateReady", "False")], "2026-01-01T00:00:00Z".parse().unwrap())
            .unwrap();
        assert_eq!(ready["reason"], json!("ReadinessGatesNotReady"));
        assert_eq!(
            ready["message"],
            json!(
                "corresponding condition of pod readiness gate \"KruisePodReady\" does not exist., \
                   the status of pod readiness gate \"InPlaceUpdateReady\" is not \"True\", but False"
            )
        );
    }

    #[test] // PR-4
    fn ready_is_left_alone_while_containers_are_not_ready() {
        let pod = pod(json!([{"type": "Ready", "status": "True"}, {"type": "ContainersReady", "status": "False"}]));
        assert_eq!(
            recomputed_ready(&pod, &[("InPlaceUpdateReady", "False")], "2026-01-01T00:00:00Z".parse().unwrap()),
            None
        );
    }
}
