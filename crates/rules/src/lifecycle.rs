//! The states that a Pod of a workload goes through, and the hooks that hold it in them (LC-1..10).
//!
//! Decides the next state and what its write contains; which Pod is to be deleted or updated is the workload's
//! decision.

use std::collections::BTreeMap;

use api::{
    cloneset::v1beta1::{Lifecycle, LifecycleHook},
    k8s::Pod,
    keys,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{
    inplace, pod,
    readiness::{self, Holder},
};

/// Lifecycle state of a Pod (LC-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// No label: counts as `Normal` for availability (LC-1).
    Unset,
    /// Created, not yet available.
    PreparingNormal,
    /// In service.
    Normal,
    /// Chosen for an update in place and held by its hook.
    PreparingUpdate,
    /// Being updated in place.
    Updating,
    /// Updated in place and held by its hook.
    Updated,
    /// To be deleted and held by its hook.
    PreparingDelete,
    /// A value that no version of the product writes.
    Unknown,
}

impl State {
    /// The state on a Pod's label (LC-1).
    #[must_use]
    pub fn of(pod: &Pod) -> Self {
        use keys::lifecycle as name;
        match pod::label(pod, keys::LIFECYCLE_STATE_LABEL) {
            None | Some("") => Self::Unset,
            Some(name::PREPARING_NORMAL) => Self::PreparingNormal,
            Some(name::NORMAL) => Self::Normal,
            Some(name::PREPARING_UPDATE) => Self::PreparingUpdate,
            Some(name::UPDATING) => Self::Updating,
            Some(name::UPDATED) => Self::Updated,
            Some(name::PREPARING_DELETE) => Self::PreparingDelete,
            Some(_) => Self::Unknown,
        }
    }

    /// The label's value.
    #[must_use]
    pub fn name(self) -> &'static str {
        use keys::lifecycle as name;
        match self {
            Self::Unset | Self::Unknown => "",
            Self::PreparingNormal => name::PREPARING_NORMAL,
            Self::Normal => name::NORMAL,
            Self::PreparingUpdate => name::PREPARING_UPDATE,
            Self::Updating => name::UPDATING,
            Self::Updated => name::UPDATED,
            Self::PreparingDelete => name::PREPARING_DELETE,
        }
    }

    /// Label and annotation that a write of this state carries (LC-1).
    #[must_use]
    pub fn marks(self, now: Timestamp) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
        (
            BTreeMap::from([(keys::LIFECYCLE_STATE_LABEL.to_owned(), self.name().to_owned())]),
            BTreeMap::from([(keys::LIFECYCLE_TIMESTAMP_ANNOTATION.to_owned(), inplace::seconds_text(now))]),
        )
    }
}

/// Any part of the hook holds the Pod (LC-4).
#[must_use]
pub fn is_hooked(pod: &Pod, hook: Option<&LifecycleHook>) -> bool {
    hook.is_some_and(|hook| {
        hook.finalizers_handler.iter().any(|finalizer| has_finalizer(pod, finalizer))
            || hook.labels_handler.iter().any(|(key, value)| pod::label(pod, key) == Some(value))
    })
}

/// Every part of the hook is on the Pod; false without a hook (LC-5).
#[must_use]
pub fn is_all_hooked(pod: &Pod, hook: Option<&LifecycleHook>) -> bool {
    hook.is_some_and(|hook| {
        hook.finalizers_handler.iter().all(|finalizer| has_finalizer(pod, finalizer))
            && hook.labels_handler.iter().all(|(key, value)| pod::label(pod, key) == Some(value))
    })
}

fn has_finalizer(pod: &Pod, finalizer: &str) -> bool {
    pod.metadata.finalizers.iter().any(|other| other == finalizer)
}

/// Whether the Pod carries the revision that the workload updates to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revision {
    /// It carries the update revision.
    Updated,
    /// It carries another one.
    Old,
}

/// The state that a Pod moves to without being chosen for anything; `None` where it stays (table of CloneSet 4.8).
///
/// # Errors
/// Whether the update in place is complete cannot be read from the Pod.
pub fn next(pod: &Pod, lifecycle: Option<&Lifecycle>, revision: Revision) -> Result<Option<State>, inplace::Broken> {
    let update_hook = lifecycle.and_then(|hooks| hooks.in_place_update.as_ref());
    let after_update = || match lifecycle {
        Some(_) if !is_all_hooked(pod, update_hook) => State::Updated,
        _ => State::Normal,
    };
    Ok(match State::of(pod) {
        State::PreparingNormal => match lifecycle.and_then(|hooks| hooks.pre_normal.as_ref()) {
            None => (!pod.spec.node_name.is_empty()).then_some(State::Normal),
            hook => is_all_hooked(pod, hook).then_some(State::Normal),
        },
        State::PreparingUpdate => (revision == Revision::Updated).then(after_update),
        State::Updating => inplace::is_complete(pod)?.then(after_update),
        State::Updated => (update_hook.is_none() || is_all_hooked(pod, update_hook)).then_some(State::Normal),
        State::Unset | State::Normal | State::PreparingDelete | State::Unknown => None,
    })
}

/// Holders of `KruisePodReady` that entering a state adds or removes (LC-7, LC-8).
fn readiness_change(pod: &Pod, to: State, lifecycle: Option<&Lifecycle>, now: Timestamp) -> Option<Value> {
    let holder = |key: &str| Holder { user_agent: "Lifecycle".to_owned(), key: key.to_owned() };
    let marks = |hook: Option<&LifecycleHook>| hook.is_some_and(|hook| hook.mark_pod_not_ready == Some(true));
    let update = lifecycle.and_then(|hooks| hooks.in_place_update.as_ref());
    let delete = lifecycle.and_then(|hooks| hooks.pre_delete.as_ref());
    match to {
        State::PreparingDelete if marks(delete) => readiness::hold(pod, &holder("preDeleteHook"), now),
        State::PreparingUpdate if marks(update) => readiness::hold(pod, &holder("preUpdateHook"), now),
        State::Updated | State::Normal if marks(update) => readiness::release(pod, &holder("preUpdateHook"), now),
        _ => None,
    }
}

/// Metadata and conditions to write for a change of state.
#[derive(Debug, Default, PartialEq)]
pub struct Transition {
    /// Labels, annotations and finalizers to merge into the Pod's metadata.
    pub metadata: Map<String, Value>,
    /// Conditions to merge into the Pod's status.
    pub conditions: Vec<Value>,
}

/// What moving a Pod to a state writes (LC-6..9); `None` where it is in that state and its readiness needs no change.
#[must_use]
pub fn transition(pod: &Pod, to: State, lifecycle: Option<&Lifecycle>, now: Timestamp) -> Option<Transition> {
    let from = State::of(pod);
    let mut write = Transition::default();
    if let Some(condition) = readiness_change(pod, to, lifecycle, now) {
        if condition.get("status") == Some(&json!("False")) {
            write.conditions.extend(readiness::recomputed_ready(pod, &[(keys::POD_READY_CONDITION, "False")], now));
        }
        write.conditions.insert(0, condition);
    }
    if from != to {
        let (mut labels, annotations) = to.marks(now);
        let hook = lifecycle.and_then(|hooks| hooks.in_place_update.as_ref());
        if let (State::Updated, State::PreparingUpdate, Some(hook)) = (from, to, hook) {
            labels.extend(hook.labels_handler.clone());
            let missing: Vec<&String> =
                hook.finalizers_handler.iter().filter(|finalizer| !has_finalizer(pod, finalizer)).collect();
            if !missing.is_empty() {
                write.metadata.insert("finalizers".to_owned(), json!(missing));
            }
        }
        write.metadata.insert("labels".to_owned(), json!(labels));
        write.metadata.insert("annotations".to_owned(), json!(annotations));
    }
    (from != to || !write.conditions.is_empty()).then_some(write)
}

#[cfg(test)]
mod tests {
    use api::{cloneset::v1beta1::Lifecycle, k8s::Pod};
    use serde_json::{Value, json};

    use super::{Revision, State, is_all_hooked, is_hooked, next, transition};

    fn pod(state: &str, labels: Value, finalizers: Value) -> Pod {
        let mut labels = labels;
        labels["lifecycle.apps.kruise.io/state"] = json!(state);
        serde_json::from_value(json!({"metadata": {"name": "p", "labels": labels, "finalizers": finalizers},
            "spec": {"nodeName": "n", "readinessGates": [{"conditionType": "KruisePodReady"}]},
            "status": {"conditions": [{"type": "KruisePodReady", "status": "True", "message": "[]"}]}}))
        .unwrap()
    }

    fn hooks(hook: Value) -> Lifecycle {
        serde_json::from_value(json!({"inPlaceUpdate": &hook, "preDelete": &hook})).unwrap()
    }

    fn now() -> jiff::Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    #[test] // LC-4, LC-5
    fn one_part_hooks_and_every_part_hooks_all() {
        let lifecycle = hooks(json!({"labelsHandler": {"drain": "yes"}, "finalizersHandler": ["x/f"]}));
        let hook = lifecycle.in_place_update.as_ref();
        for (labels, finalizers, any, all) in [
            (json!({}), json!([]), false, false),
            (json!({"drain": "no"}), json!([]), false, false),
            (json!({"drain": "yes"}), json!([]), true, false),
            (json!({}), json!(["x/f"]), true, false),
            (json!({"drain": "yes"}), json!(["x/f"]), true, true),
        ] {
            let pod = pod("Normal", labels.clone(), finalizers.clone());
            assert_eq!((is_hooked(&pod, hook), is_all_hooked(&pod, hook)), (any, all), "{labels} {finalizers}");
        }
        let bare = pod("Normal", json!({}), json!([]));
        assert!(!is_all_hooked(&bare, None));
        assert!(is_all_hooked(&bare, hooks(json!({})).in_place_update.as_ref()), "a hook with neither list");
    }

    #[test] // CloneSet 4.8, CS-126
    fn states_move_on_by_themselves() {
        let free = pod("Updating", json!({}), json!([]));
        assert_eq!(next(&free, None, Revision::Updated), Ok(Some(State::Normal)));
        let lifecycle = hooks(json!({"labelsHandler": {"drain": "yes"}}));
        assert_eq!(next(&free, Some(&lifecycle), Revision::Updated), Ok(Some(State::Updated)));
        let rolled_back = pod("PreparingUpdate", json!({"drain": "yes"}), json!([]));
        assert_eq!(next(&rolled_back, Some(&lifecycle), Revision::Updated), Ok(Some(State::Normal)));
        assert_eq!(next(&rolled_back, Some(&lifecycle), Revision::Old), Ok(None));
        let updated = pod("Updated", json!({}), json!([]));
        assert_eq!(next(&updated, Some(&lifecycle), Revision::Updated), Ok(None));
        assert_eq!(next(&updated, None, Revision::Updated), Ok(Some(State::Normal)));
    }

    #[test] // LC-7
    fn mark_pod_not_ready_holds_the_gate() {
        let lifecycle = hooks(json!({"labelsHandler": {"drain": "yes"}, "markPodNotReady": true}));
        let write =
            transition(&pod("Normal", json!({}), json!([])), State::PreparingDelete, Some(&lifecycle), now()).unwrap();
        assert_eq!(write.conditions[0]["message"], json!(r#"[{"userAgent":"Lifecycle","key":"preDeleteHook"}]"#));
        assert_eq!(write.metadata["labels"]["lifecycle.apps.kruise.io/state"], json!("PreparingDelete"));
        assert_eq!(write.metadata["annotations"]["lifecycle.apps.kruise.io/timestamp"], json!("2026-01-01T00:00:00Z"));
    }

    #[test] // LC-9, CS-128
    fn a_pod_that_updates_again_gets_its_hooks_back() {
        let lifecycle = hooks(json!({"labelsHandler": {"drain": "yes"}, "finalizersHandler": ["x/f", "x/g"]}));
        let write =
            transition(&pod("Updated", json!({}), json!(["x/g"])), State::PreparingUpdate, Some(&lifecycle), now())
                .unwrap();
        assert_eq!(write.metadata["finalizers"], json!(["x/f"]));
        assert_eq!(write.metadata["labels"]["drain"], json!("yes"));
    }

    #[test] // LC-6
    fn nothing_is_written_for_the_state_a_pod_is_in() {
        assert_eq!(transition(&pod("Normal", json!({}), json!([])), State::Normal, None, now()), None);
    }
}
