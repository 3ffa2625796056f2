//! The parts of a CloneSet that are equal in both versions.
//!
//! Closed lists of words stay text here, as in the schema: what is allowed is the webhook's decision, and an object
//! that was stored before must stay readable.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// How Pods are updated in place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InPlaceUpdateStrategy {
    /// Seconds between marking the Pod not ready and changing its spec (IU-30). Default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_period_seconds: Option<i32>,
    /// How many nodes pull the new images at once before the update: a number, or a text that holds one. Default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pre_download_parallelism: Option<IntOrString>,
    /// Seconds that one image pull before the update may take. Default 300.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pre_download_timeout_seconds: Option<i32>,
    /// How many updated Pods must be ready before images are pulled for the rest (CS-71). Default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pre_download_min_updated_ready_pods: Option<i32>,
}

/// Which Pods are updated first: by weight or by order, not both (CS-51).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PriorityStrategy {
    /// Labels in order of importance; the trailing number of the label's value decides among Pods of one label.
    #[serde(default, deserialize_with = "schema::null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub order_priority: Vec<OrderTerm>,
    /// Selectors with weights; a Pod's priority is the sum of those that match.
    #[serde(default, deserialize_with = "schema::null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub weight_priority: Vec<WeightTerm>,
}

/// One label of an order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderTerm {
    /// Label key whose value ends in a number.
    pub ordered_key: String,
}

/// One selector with its weight.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WeightTerm {
    /// 1 to 100.
    pub weight: i32,
    /// Pods that the weight is for.
    pub match_selector: LabelSelector,
}

/// Pods with this label are spread over the update instead of being updated together (CS-52).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScatterTerm {
    /// Label key.
    pub key: String,
    /// Label value.
    pub value: String,
}

/// Hooks around the steps of a Pod's life (LC-3).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lifecycle {
    /// Before a Pod is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pre_delete: Option<LifecycleHook>,
    /// Before and after a Pod is updated in place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_place_update: Option<LifecycleHook>,
    /// Before a new Pod counts as available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pre_normal: Option<LifecycleHook>,
}

/// What holds a Pod at a step: as long as one of these is on the Pod, it is hooked (LC-4).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LifecycleHook {
    /// Labels with their values.
    #[serde(default, deserialize_with = "schema::null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels_handler: BTreeMap<String, String>,
    /// Finalizers.
    #[serde(default, deserialize_with = "schema::null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub finalizers_handler: Vec<String>,
    /// Whether the Pod is marked not ready while it is held (LC-7). Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark_pod_not_ready: Option<bool>,
}

/// What the controller reports (page section 3.1). Counters are over owned active Pods.
///
/// All but empty texts is written, so that a merge patch made from it also clears what went away.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("required" = [
    "replicas", "readyReplicas", "availableReplicas", "updatedReplicas", "updatedReadyReplicas"
]))]
pub struct CloneSetStatus {
    /// Generation of the object that this status is about.
    #[serde(deserialize_with = "schema::null_as_default")]
    pub observed_generation: i64,
    /// Pods.
    pub replicas: i32,
    /// Ready Pods.
    pub ready_replicas: i32,
    /// Pods that have been ready for `minReadySeconds` and are in service.
    pub available_replicas: i32,
    /// Pods at the update revision.
    pub updated_replicas: i32,
    /// Ready Pods at the update revision.
    pub updated_ready_replicas: i32,
    /// Available Pods at the update revision.
    #[serde(deserialize_with = "schema::null_as_default")]
    pub updated_available_replicas: i32,
    /// How many Pods the partition lets reach the update revision.
    #[serde(deserialize_with = "schema::null_as_default")]
    pub expected_updated_replicas: i32,
    /// Name of the revision that Pods move to.
    #[serde(deserialize_with = "schema::null_as_default", skip_serializing_if = "String::is_empty")]
    pub update_revision: String,
    /// Name of the revision that Pods move from.
    #[serde(deserialize_with = "schema::null_as_default", skip_serializing_if = "String::is_empty")]
    pub current_revision: String,
    /// How often a revision's name was taken (RV-3).
    #[serde(deserialize_with = "schema::null_as_default")]
    pub collision_count: i32,
    /// The selector as text, for the scale subresource.
    #[serde(deserialize_with = "schema::null_as_default", skip_serializing_if = "String::is_empty")]
    pub label_selector: String,
    /// `Progressing`, `FailedScale`, `FailedUpdate`.
    #[serde(deserialize_with = "schema::null_as_default")]
    pub conditions: Vec<CloneSetCondition>,
}

/// One condition of a CloneSet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloneSetCondition {
    /// `Progressing`, `FailedScale` or `FailedUpdate`.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// When the condition was last looked at and found changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub last_update_time: Option<Time>,
    /// When `status` last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub last_transition_time: Option<Time>,
    /// One word.
    #[serde(default, deserialize_with = "schema::null_as_default", skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// For people.
    #[serde(default, deserialize_with = "schema::null_as_default", skip_serializing_if = "String::is_empty")]
    pub message: String,
}
