//! A Pod as the rules see it (CS-1..7).

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::view::{annotation, condition, controller, label, list, terminating, text, time};

pub(super) const REVISION: &str = "controller-revision-hash";
pub(super) const INSTANCE: &str = "apps.kruise.io/cloneset-instance-id";
pub(super) const SPECIFIED_DELETE: &str = "apps.kruise.io/specified-delete";
pub(super) const STATE: &str = "lifecycle.apps.kruise.io/state";
pub(super) const PREPARING_DELETE: &str = "PreparingDelete";
pub(super) const PREPARING_UPDATE: &str = "PreparingUpdate";
pub(super) const INPLACE_READY: &str = "InPlaceUpdateReady";
pub(super) const INPLACE_STATE: &str = "apps.kruise.io/inplace-update-state";
pub(super) const INPLACE_GRACE: &str = "apps.kruise.io/inplace-update-grace";

/// One state of a Pod.
#[derive(Clone, Debug)]
pub(super) struct Pod {
    /// As stored.
    pub(super) object: Arc<Value>,
    /// Name.
    pub(super) name: String,
    /// uid of its controller.
    pub(super) controller: Option<String>,
    /// Whether it is active (CS-2).
    pub(super) active: bool,
    /// Since when it is update-ready (CS-5); `None`: it is not.
    pub(super) ready_since: Option<Timestamp>,
    /// Lifecycle state, empty for none (LC-1).
    pub(super) state: String,
    /// Revision label.
    pub(super) revision: String,
    /// Whether it has the label of specified-delete (CS-4).
    pub(super) specified: bool,
}

impl Pod {
    /// Reads one that was stored at this time.
    pub(super) fn read(object: &Arc<Value>, at: Timestamp) -> Self {
        let phase = text(object, "/status/phase");
        Self {
            object: Arc::clone(object),
            name: text(object, "/metadata/name").to_owned(),
            controller: controller(object).map(str::to_owned),
            active: !terminating(object) && phase != "Succeeded" && phase != "Failed",
            ready_since: ready_since(object, at),
            state: label(object, STATE).unwrap_or_default().to_owned(),
            revision: label(object, REVISION).unwrap_or_default().to_owned(),
            specified: label(object, SPECIFIED_DELETE).is_some(),
        }
    }

    /// Whether a lifecycle state hides its readiness (CS-6).
    pub(super) fn in_service(&self) -> bool {
        matches!(self.state.as_str(), "" | "Normal")
    }

    /// Available with 0 seconds, what deletions call ready (CS-6).
    pub(super) fn up(&self) -> bool {
        self.active && self.in_service() && self.ready_since.is_some()
    }

    /// Available (CS-6) at this time.
    pub(super) fn available(&self, min_ready: SignedDuration, now: Timestamp) -> bool {
        self.up() && self.ready_since.is_some_and(|since| past(since, min_ready, now))
    }

    /// Whether it is being deleted behind a hook.
    pub(super) fn preparing_delete(&self) -> bool {
        self.state == PREPARING_DELETE
    }

    /// Whether it carries a revision, in the long or short form (RV-8).
    pub(super) fn carries(&self, revision: &str) -> bool {
        same_revision(&self.revision, revision)
    }

    /// Image of a container.
    pub(super) fn images(&self) -> impl Iterator<Item = (&str, &str)> {
        images(&self.object, "/spec/containers")
    }

    /// Claims that it mounts.
    pub(super) fn claims(&self) -> impl Iterator<Item = &str> {
        let volumes = list(&self.object, "/spec/volumes").iter();
        volumes.map(|volume| text(volume, "/persistentVolumeClaim/claimName")).filter(|name| !name.is_empty())
    }

    /// Whether it has the readiness gate of in-place updates.
    pub(super) fn has_inplace_gate(&self) -> bool {
        list(&self.object, "/spec/readinessGates").iter().any(|gate| text(gate, "/conditionType") == INPLACE_READY)
    }

    /// Status of a condition, empty for none.
    pub(super) fn condition(&self, kind: &str) -> &str {
        condition(&self.object, kind).map_or("", |condition| text(condition, "/status"))
    }

    /// A JSON annotation; null where it is absent or not JSON.
    pub(super) fn document(&self, key: &str) -> Value {
        let text = annotation(&self.object, key).unwrap_or_default();
        serde_json::from_str(text).unwrap_or(Value::Null)
    }

    /// Whether it waits for a grace period (IU-30).
    pub(super) fn in_grace(&self) -> bool {
        annotation(&self.object, INPLACE_GRACE).is_some_and(|text| !text.is_empty())
    }
}

/// Containers and their images in a list at a path.
pub(super) fn images<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
    list(object, pointer).iter().map(|container| (text(container, "/name"), text(container, "/image")))
}

/// Whether two revision labels mean the same revision (RV-8).
pub(super) fn same_revision(one: &str, other: &str) -> bool {
    fn hash(name: &str) -> &str {
        name.rsplit('-').next().unwrap_or(name)
    }
    !one.is_empty() && (one == other || hash(one) == hash(other))
}

fn ready_since(object: &Value, at: Timestamp) -> Option<Timestamp> {
    let ready = condition(object, "Ready").filter(|ready| text(ready, "/status") == "True")?;
    let refused = |kind: &str, unless: &str| {
        condition(object, kind).is_some_and(|condition| !["", unless].contains(&text(condition, "/status")))
    };
    // KruisePodReady False means that Ready follows in the same or the next status write (PR-3, PR-4).
    if text(object, "/status/phase") != "Running"
        || refused(INPLACE_READY, "True")
        || condition(object, "KruisePodReady").is_some_and(|condition| text(condition, "/status") == "False")
    {
        return None;
    }
    Some(time(text(ready, "/lastTransitionTime")).unwrap_or(at))
}

fn past(since: Timestamp, wait: SignedDuration, now: Timestamp) -> bool {
    wait.is_zero() || since.checked_add(wait).is_ok_and(|until| until < now)
}
