//! One version of a CloneSet's wishes, with its numbers resolved (CS-30, CS-31).

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::number::{Rounding, partition, percent_of, scaled};
use super::view::{integer, list, map, terminating, text, truth, value};

/// A CloneSet between two changes of what a controller acts on.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    /// resourceVersion since which it is so.
    pub(super) version: u64,
    /// Time since which it is so.
    pub(super) at: Timestamp,
    /// As stored then.
    pub(super) object: Arc<Value>,
    /// `spec.replicas`.
    pub(super) replicas: i64,
    /// Pods that stay in old revisions.
    pub(super) partition: i64,
    /// Resolved maxUnavailable.
    pub(super) max_unavailable: i64,
    /// Resolved maxSurge.
    pub(super) max_surge: i64,
    /// Resolved `scaleStrategy.maxUnavailable`.
    pub(super) scale_max_unavailable: i64,
    /// `minReadySeconds`.
    pub(super) min_ready: SignedDuration,
    /// `rollingUpdate.paused`.
    pub(super) paused: bool,
    /// Whether Pods are updated only when they are deleted by hand.
    pub(super) on_delete: bool,
    /// `podUpdatePolicy`.
    pub(super) policy: String,
    /// `scaleStrategy.podsToDelete`.
    pub(super) pods_to_delete: BTreeSet<String>,
    /// `scaleStrategy.excludePreparingDelete`.
    pub(super) exclude_preparing_delete: bool,
    /// Grace period of in-place updates.
    pub(super) grace_seconds: i64,
    /// Whether it is being deleted.
    pub(super) terminating: bool,
    /// `status.currentRevision`.
    pub(super) current_revision: String,
}

impl Spec {
    /// Reads a stored CloneSet.
    pub(super) fn read(object: &Arc<Value>, at: Timestamp, version: u64) -> Self {
        let rolling = value(object, "/spec/updateStrategy/rollingUpdate");
        let replicas = integer(object, "/spec/replicas").unwrap_or(1);
        let paused = truth(rolling, "/paused");
        let max_surge = match value(rolling, "/maxSurge") {
            Value::Null => 0,
            _ if paused => 0,
            surge => scaled(surge, replicas, Rounding::Up),
        };
        let scale_max_unavailable = match value(object, "/spec/scaleStrategy/maxUnavailable") {
            Value::Null => i64::from(i32::MAX),
            limit => scaled(limit, replicas, Rounding::Up),
        };
        Self {
            version,
            at,
            replicas,
            partition: partition(value(rolling, "/partition"), replicas),
            max_unavailable: max_unavailable(rolling, replicas, max_surge),
            max_surge,
            scale_max_unavailable,
            min_ready: SignedDuration::from_secs(integer(object, "/spec/minReadySeconds").unwrap_or(0)),
            paused,
            on_delete: text(object, "/spec/updateStrategy/type") == "OnDelete",
            policy: text(rolling, "/podUpdatePolicy").to_owned(),
            pods_to_delete: list(object, "/spec/scaleStrategy/podsToDelete")
                .iter()
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect(),
            exclude_preparing_delete: truth(object, "/spec/scaleStrategy/excludePreparingDelete"),
            grace_seconds: integer(rolling, "/inPlaceUpdateStrategy/gracePeriodSeconds").unwrap_or(0),
            terminating: terminating(object),
            current_revision: text(object, "/status/currentRevision").to_owned(),
            object: Arc::clone(object),
        }
    }

    /// Whether another state of the CloneSet asks for the same.
    pub(super) fn asks_the_same(&self, object: &Value) -> bool {
        self.terminating == terminating(object)
            && self.current_revision == text(object, "/status/currentRevision")
            && value(&self.object, "/spec") == value(object, "/spec")
    }

    /// Whether a label or finalizer belongs to one of the lifecycle hooks.
    pub(super) fn hooks_label(&self, key: &str) -> bool {
        ["preDelete", "inPlaceUpdate", "preNormal"].iter().any(|hook| {
            let labels = map(&self.object, &format!("/spec/lifecycle/{hook}/labelsHandler"));
            labels.is_some_and(|labels| labels.contains_key(key))
        })
    }

    /// Pods that may be updated (CS-34).
    pub(super) const fn updatable(&self) -> i64 {
        self.replicas - self.partition
    }
}

fn max_unavailable(rolling: &Value, replicas: i64, max_surge: i64) -> i64 {
    if rolling.is_null() {
        return percent_of(20, replicas, Rounding::Down);
    }
    let rounding = if max_surge > 0 { Rounding::Down } else { Rounding::Up };
    match value(rolling, "/maxUnavailable") {
        Value::Null => percent_of(20, replicas, rounding),
        limit => scaled(limit, replicas, rounding),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(replicas: i64, strategy: Value, want: (i64, i64)) {
        let object = json!({"spec": {"replicas": replicas, "updateStrategy": strategy}});
        let spec = Spec::read(&Arc::new(object), Timestamp::UNIX_EPOCH, 1);
        assert_eq!((spec.max_unavailable, spec.max_surge), want);
    }

    #[test] // CS-31
    fn max_unavailable_rounds_by_surge() {
        check(4, json!({"rollingUpdate": {"maxUnavailable": "20%"}}), (1, 0));
        check(4, json!({"rollingUpdate": {"maxUnavailable": "20%", "maxSurge": 1}}), (0, 1));
        check(4, json!({"rollingUpdate": {"maxSurge": "1%", "paused": true}}), (1, 0));
        check(4, json!({"type": "OnDelete"}), (0, 0));
        check(10, json!({"type": "OnDelete"}), (2, 0));
        check(3, json!({"rollingUpdate": {"maxUnavailable": 2}}), (2, 0));
    }
}
