//! Facts about one Pod as a controller sees it: active, ready, available, owned, chosen for deletion (CS-1..6).
//!
//! Every predicate reads the Pod and, where time matters, the time it is given. What follows from a fact is decided
//! by the kind; which states a Pod may go through is `lifecycle`; what its revision is, `revision`.

use api::{
    k8s::{Metadata, OwnerReference, Pod, PodCondition, Text},
    keys,
};
use jiff::{SignedDuration, Timestamp};

use crate::lifecycle::State;

/// Whether the Pod still counts: it is not being deleted and has not ended (CS-2).
#[must_use]
pub fn is_active(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none() && !matches!(pod.status.phase.as_str(), "Succeeded" | "Failed")
}

/// Whether the condition `Ready` is True, whatever the phase.
#[must_use]
pub fn is_ready(pod: &Pod) -> bool {
    ready_condition(pod).is_some_and(is_true)
}

/// Whether the Pod runs, has been Ready for longer than `seconds`, and no in-place update holds it back (CS-5).
///
/// With `seconds` above 0 a Ready condition without a transition time is too young, as for native workloads.
#[must_use]
pub fn is_update_ready(pod: &Pod, seconds: i32, now: Timestamp) -> bool {
    let old_enough = |ready: &PodCondition| match (seconds, &ready.last_transition_time) {
        (..=0, _) => true,
        (_, Some(since)) => now.duration_since(*since) > SignedDuration::from_secs(seconds.into()),
        (_, None) => false,
    };
    pod.status.phase == "Running"
        && ready_condition(pod).is_some_and(|ready| is_true(ready) && old_enough(ready))
        && condition(pod, keys::INPLACE_READY_CONDITION).is_none_or(is_true)
}

/// Whether the Pod serves in its normal state: update-ready, and no lifecycle step is under way (CS-6).
#[must_use]
pub fn is_available(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> bool {
    matches!(State::of(pod), State::Unset | State::Normal) && is_update_ready(pod, min_ready_seconds, now)
}

/// Whether the Pod is marked for deletion; the key counts, not its value (CS-4).
#[must_use]
pub fn has_specified_delete_label(pod: &Pod) -> bool {
    label(pod, keys::SPECIFIED_DELETE_LABEL).is_some()
}

/// The owner reference that controls the object; at most one does.
#[must_use]
pub fn owner_controller(metadata: &Metadata) -> Option<&OwnerReference> {
    metadata.owner_references.iter().find(|owner| owner.controller == Some(true))
}

/// Whether any owner reference names this UID (CS-1).
#[must_use]
pub fn is_owned_by(metadata: &Metadata, uid: &str) -> bool {
    metadata.owner_references.iter().any(|owner| owner.uid == uid)
}

/// The condition `Ready`.
#[must_use]
pub fn ready_condition(pod: &Pod) -> Option<&PodCondition> {
    condition(pod, "Ready")
}

/// The condition of this type.
#[must_use]
pub fn condition<'a>(pod: &'a Pod, condition_type: &str) -> Option<&'a PodCondition> {
    pod.status.conditions.iter().find(|condition| condition.type_ == condition_type)
}

/// Whether the Pod is Ready only while this condition is True.
#[must_use]
pub fn has_readiness_gate(pod: &Pod, condition_type: &str) -> bool {
    pod.spec.readiness_gates.iter().any(|gate| gate.condition_type == condition_type)
}

/// The highest restart count among regular containers; 0 before the first status.
#[must_use]
pub fn max_restarts(pod: &Pod) -> i32 {
    pod.status.container_statuses.iter().map(|status| status.restart_count).max().unwrap_or_default()
}

/// The highest restart count among restartable init containers (sidecars of the Pod API); 0 without any.
#[must_use]
pub fn max_sidecar_restarts(pod: &Pod) -> i32 {
    let statuses = pod.status.init_container_statuses.iter();
    statuses
        .filter(|status| pod.spec.sidecars.contains(&status.name))
        .map(|status| status.restart_count)
        .max()
        .unwrap_or_default()
}

/// The instance id that ties a CloneSet's Pod to its claims (CS-66).
#[must_use]
pub fn instance_id(pod: &Pod) -> Option<&str> {
    label(pod, keys::INSTANCE_ID_LABEL)
}

/// The value of one label.
#[must_use]
pub fn label<'a>(pod: &'a Pod, key: &str) -> Option<&'a str> {
    pod.metadata.labels.get(key).map(Text::as_str)
}

/// The value of one annotation.
#[must_use]
pub fn annotation<'a>(pod: &'a Pod, key: &str) -> Option<&'a str> {
    pod.metadata.annotations.get(key).map(Text::as_str)
}

fn is_true(condition: &PodCondition) -> bool {
    condition.status == "True"
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(object: Value) -> Pod {
        serde_json::from_value(object).unwrap()
    }

    fn running(ready_since: &str, more: &[Value], state: &str) -> Pod {
        let mut conditions = vec![json!({"type": "Ready", "status": "True", "lastTransitionTime": ready_since})];
        conditions.extend_from_slice(more);
        let labels = if state.is_empty() { json!({}) } else { json!({"lifecycle.apps.kruise.io/state": state}) };
        pod(json!({
            "metadata": {"name": "web-1", "labels": labels},
            "status": {"phase": "Running", "conditions": conditions},
        }))
    }

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    #[test] // CS-2
    fn a_pod_that_ended_or_is_being_deleted_is_not_active() {
        for (phase, deleted, active) in [
            ("Running", false, true),
            ("Pending", false, true),
            ("Unknown", false, true),
            ("", false, true),
            ("Succeeded", false, false),
            ("Failed", false, false),
            ("Running", true, false),
        ] {
            let deletion = if deleted { json!("2026-01-01T00:00:00Z") } else { Value::Null };
            let pod = pod(json!({"metadata": {"deletionTimestamp": deletion}, "status": {"phase": phase}}));
            assert_eq!(is_active(&pod), active, "{phase}, deleted: {deleted}");
        }
    }

    #[test] // CS-5
    fn a_pod_is_update_ready_strictly_after_the_seconds_have_passed() {
        let pod = running("2026-01-01T00:00:00Z", &[], "");
        for (seconds, now, ready) in [
            (0, "2026-01-01T00:00:00Z", true),
            (0, "2025-12-31T23:59:59Z", true), // clocks differ: 0 seconds ask for no age
            (-1, "2026-01-01T00:00:00Z", true),
            (10, "2026-01-01T00:00:09Z", false),
            (10, "2026-01-01T00:00:10Z", false),
            (10, "2026-01-01T00:00:10.001Z", true),
            (i32::MAX, "2026-01-02T00:00:00Z", false),
        ] {
            assert_eq!(is_update_ready(&pod, seconds, at(now)), ready, "{seconds} s, now {now}");
        }
    }

    #[test] // CS-5
    fn a_ready_condition_without_a_time_is_enough_only_without_seconds() {
        let pod = pod(json!({
            "metadata": {},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": null}]},
        }));
        assert!(is_update_ready(&pod, 0, at("2026-01-01T00:00:00Z")));
        assert!(!is_update_ready(&pod, 1, at("2026-01-01T00:00:00Z")));
    }

    #[test] // CS-5
    fn phase_ready_and_the_in_place_condition_must_all_agree() {
        let now = at("2026-01-02T00:00:00Z");
        let since = "2026-01-01T00:00:00Z";
        for (status, ready) in [("True", true), ("False", false), ("Unknown", false)] {
            let in_place = json!({"type": "InPlaceUpdateReady", "status": status});
            assert_eq!(is_update_ready(&running(since, &[in_place], ""), 0, now), ready, "InPlaceUpdateReady {status}");
            let pod = pod(json!({
                "metadata": {},
                "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": status}]},
            }));
            assert_eq!(is_update_ready(&pod, 0, now), ready, "Ready {status}");
        }
        let mut pending = running(since, &[], "");
        pending.status.phase = "Pending".into();
        assert!(!is_update_ready(&pending, 0, now));
        assert!(is_ready(&pending));
    }

    #[test] // CS-6
    fn only_no_state_and_normal_are_available() {
        let now = at("2026-01-02T00:00:00Z");
        for (state, available) in [
            ("", true),
            ("Normal", true),
            ("PreparingNormal", false),
            ("PreparingUpdate", false),
            ("Updating", false),
            ("Updated", false),
            ("PreparingDelete", false),
        ] {
            let pod = running("2026-01-01T00:00:00Z", &[], state);
            assert_eq!(is_available(&pod, 0, now), available, "state {state:?}");
            assert!(is_update_ready(&pod, 0, now), "state {state:?}");
        }
        let mut empty_label = running("2026-01-01T00:00:00Z", &[], "Normal");
        empty_label.metadata.labels.insert("lifecycle.apps.kruise.io/state", "");
        assert!(is_available(&empty_label, 0, now));
    }

    #[test] // CS-4
    fn the_specified_delete_key_counts_whatever_its_value() {
        for value in ["true", "false", ""] {
            let pod = pod(json!({"metadata": {"labels": {"apps.kruise.io/specified-delete": value}}}));
            assert!(has_specified_delete_label(&pod), "{value:?}");
        }
        assert!(!has_specified_delete_label(&pod(json!({"metadata": {}}))));
    }

    #[test] // CS-1
    fn an_owner_is_known_by_uid_and_a_controller_by_its_flag() {
        let owner = |uid: &str, controller: Value| json!({"apiVersion": "apps.kruise.io/v1alpha1", "kind": "CloneSet", "name": uid, "uid": uid, "controller": controller});
        let pod = pod(json!({"metadata": {"ownerReferences": [
            owner("a", Value::Null), owner("b", json!(false)), owner("c", json!(true)),
        ]}}));
        assert!(is_owned_by(&pod.metadata, "a"));
        assert!(!is_owned_by(&pod.metadata, "d"));
        assert_eq!(owner_controller(&pod.metadata).map(|owner| owner.uid.as_str()), Some("c"));
        assert_eq!(owner_controller(&Metadata::default()), None);
    }

    #[test] // CS-50, CS-56
    fn restarts_are_counted_apart_for_containers_and_sidecars() {
        let pod = pod(json!({
            "metadata": {},
            "spec": {"initContainers": [{"name": "setup"}, {"name": "proxy", "restartPolicy": "Always"}]},
            "status": {
                "containerStatuses": [{"name": "a", "restartCount": 2}, {"name": "b", "restartCount": 5}],
                "initContainerStatuses": [{"name": "setup", "restartCount": 9}, {"name": "proxy", "restartCount": 3}],
            },
        }));
        assert_eq!((max_restarts(&pod), max_sidecar_restarts(&pod)), (5, 3));
        assert_eq!((max_restarts(&Pod::default()), max_sidecar_restarts(&Pod::default())), (0, 0));
    }

    #[test]
    fn gates_and_ids_are_found_by_name() {
        let pod = pod(json!({
            "metadata": {"labels": {"apps.kruise.io/cloneset-instance-id": "x4kq2"}, "annotations": {"a": "1"}},
            "spec": {"readinessGates": [{"conditionType": "InPlaceUpdateReady"}]},
        }));
        assert!(has_readiness_gate(&pod, "InPlaceUpdateReady"));
        assert!(!has_readiness_gate(&pod, "KruisePodReady"));
        assert_eq!((instance_id(&pod), annotation(&pod, "a"), annotation(&pod, "b")), (Some("x4kq2"), Some("1"), None));
    }
}
