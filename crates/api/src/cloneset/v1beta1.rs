//! CloneSet `v1beta1`, the stored version (page sections 1 and 2).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::schema;

pub use super::types::{
    CloneSetCondition, CloneSetStatus, InPlaceUpdateStrategy, Lifecycle, LifecycleHook, OrderTerm, PriorityStrategy,
    ScatterTerm, WeightTerm,
};

/// What is wanted of a CloneSet.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "apps.kruise.io",
    version = "v1beta1",
    kind = "CloneSet",
    plural = "clonesets",
    singular = "cloneset",
    shortname = "clone",
    namespaced,
    doc = "CloneSet runs interchangeable Pods of one template and updates them in place or by recreation.",
    status = "CloneSetStatus",
    derive = "PartialEq",
    derive = "Default",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.labelSelector"
    ),
    printcolumn(name = "DESIRED", type_ = "integer", json_path = ".spec.replicas"),
    printcolumn(name = "UPDATED", type_ = "integer", json_path = ".status.updatedReplicas"),
    printcolumn(name = "UPDATED_READY", type_ = "integer", json_path = ".status.updatedReadyReplicas"),
    printcolumn(name = "UPDATED_AVAILABLE", type_ = "integer", json_path = ".status.updatedAvailableReplicas"),
    printcolumn(name = "READY", type_ = "integer", json_path = ".status.readyReplicas"),
    printcolumn(name = "TOTAL", type_ = "integer", json_path = ".status.replicas"),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "CONTAINERS",
        type_ = "string",
        priority = 1,
        json_path = ".spec.template.spec.containers[*].name"
    ),
    printcolumn(
        name = "IMAGES",
        type_ = "string",
        priority = 1,
        json_path = ".spec.template.spec.containers[*].image"
    ),
    printcolumn(name = "SELECTOR", type_ = "string", priority = 1, json_path = ".status.labelSelector")
)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::duplicated_attributes, reason = "columns share types and priorities")]
pub struct CloneSetSpec {
    /// Pods wanted. Default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Which Pods belong to the CloneSet; must match the template's labels and never changes.
    pub selector: LabelSelector,
    /// The Pod template.
    #[schemars(schema_with = "schema::schemaless")]
    pub template: Value,
    /// Templates of the claims that each Pod gets; a change alone updates no Pod (CS-64).
    #[serde(default, deserialize_with = "schema::null_as_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::schemaless")]
    pub volume_claim_templates: Vec<Value>,
    /// How Pods are created and deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_strategy: Option<ScaleStrategy>,
    /// How Pods move to a new template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_strategy: Option<UpdateStrategy>,
    /// Old revisions kept beside those in use (CS-20). Default 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision_history_limit: Option<i32>,
    /// Seconds that a Pod must have been ready to count as available. Default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_ready_seconds: Option<i32>,
    /// Hooks around the steps of a Pod's life.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Lifecycle>,
    /// Seconds after which a rollout without progress is reported as failed; absent or 2147483647: never (CS-80).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress_deadline_seconds: Option<i32>,
}

/// How Pods are created and deleted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScaleStrategy {
    /// Names of Pods to delete; the controller takes out those that are gone (CS-19).
    #[serde(default, deserialize_with = "schema::null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub pods_to_delete: Vec<String>,
    /// How many Pods may be unavailable while Pods are created: a number, or a percentage of `replicas` rounded up.
    /// Absent: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<IntOrString>,
    /// Whether a Pod that replaces one deleted by somebody else takes over its claims (CS-61). Default false.
    #[serde(rename = "enablePVCReuse", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kruise-default" = false))]
    pub enable_pvc_reuse: Option<bool>,
    /// Whether Pods that prepare for deletion are left out of the count of replicas (CS-36). Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude_preparing_delete: Option<bool>,
}

/// How Pods move to a new template.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateStrategy {
    /// `RollingUpdate` (default) or `OnDelete`.
    #[serde(
        rename = "type",
        default,
        deserialize_with = "schema::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub type_: String,
    /// Details of `RollingUpdate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolling_update: Option<RollingUpdate>,
}

/// Details of a rolling update.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollingUpdate {
    /// `ReCreate` (default), `InPlaceIfPossible` or `InPlaceOnly`.
    #[serde(default, deserialize_with = "schema::null_as_default", skip_serializing_if = "String::is_empty")]
    pub pod_update_policy: String,
    /// Pods to keep in old revisions: a number, or a percentage with fraction, `"12.5%"` (CS-30). Default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<IntOrString>,
    /// How many Pods may be unavailable during the update: a number or a percentage (CS-31). Default `20%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<IntOrString>,
    /// How many Pods may exist beyond `replicas` during the update: a number or a percentage (CS-31). Default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_surge: Option<IntOrString>,
    /// Stops updates, not scaling. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// Which Pods are updated first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_strategy: Option<PriorityStrategy>,
    /// Which Pods are spread over the update.
    #[serde(default, deserialize_with = "schema::null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub scatter_strategy: Vec<ScatterTerm>,
    /// How Pods are updated in place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_place_update_strategy: Option<InPlaceUpdateStrategy>,
}
