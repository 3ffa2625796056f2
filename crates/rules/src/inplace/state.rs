//! What an update in place leaves on the Pod: the state and grace annotations (section 2 of the page).
//!
//! The same bytes as OpenKruise 1.9 writes, so that an update under way goes on under either (ruling 3).

use std::collections::BTreeMap;

use api::{
    k8s::{Metadata, Pod, Text},
    keys,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Annotation `apps.kruise.io/inplace-update-state`; member order is part of the format.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct State {
    /// Revision that the Pod moves to.
    pub revision: String,
    /// Start of the update, RFC 3339 in UTC, whole seconds.
    pub update_timestamp: String,
    /// Image id of each changed container before the change; `null` when empty.
    pub last_container_statuses: Option<BTreeMap<String, LastStatus>>,
    /// Some environment comes from changed metadata.
    #[serde(skip_serializing_if = "is_false")]
    pub update_env_from_metadata: bool,
    /// Resources are part of the update.
    #[serde(skip_serializing_if = "is_false")]
    pub update_resources: bool,
    /// Images are part of the update.
    #[serde(skip_serializing_if = "is_false")]
    pub update_images: bool,
    /// Images left for later batches.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub next_container_images: BTreeMap<String, String>,
    /// Metadata that feeds environments, left for later batches.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub next_container_ref_metadata: BTreeMap<String, Value>,
    /// Resources left for later batches.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub next_container_resources: BTreeMap<String, Value>,
    /// What the next batch waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pre_check_before_next: Option<PreCheck>,
    /// One entry per batch written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub container_batches_record: Vec<Batch>,
}

/// Image id of a container before its image was changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LastStatus {
    /// Image id.
    #[serde(rename = "imageID")]
    pub image_id: String,
}

/// Containers that must be ready before the next batch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreCheck {
    /// Sorted names.
    #[serde(default)]
    pub containers_required_ready: Vec<String>,
}

/// One batch that was written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// When.
    pub timestamp: String,
    /// Which containers, sorted.
    #[serde(default)]
    pub containers: Vec<String>,
}

/// Annotation `apps.kruise.io/inplace-update-grace`: the stored plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Grace {
    /// Revision that the Pod moves to.
    pub revision: String,
    /// Image by container.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub container_images: BTreeMap<String, String>,
    /// Metadata that feeds environments, by container.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub container_ref_metadata: BTreeMap<String, Value>,
    /// Changed resources by container.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub container_resources: BTreeMap<String, Value>,
    /// Base64 of a strategic merge patch.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub meta_data_patch: String,
    /// Some environment comes from changed metadata.
    #[serde(skip_serializing_if = "is_false")]
    pub update_env_from_metadata: bool,
    /// Length of the grace period, in seconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub grace_seconds: i32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(value: &i32) -> bool {
    *value == 0
}

/// An annotation under its key or the key that older versions used.
fn annotation<'a>(metadata: &'a Metadata, key: &str, older: &str) -> Option<&'a str> {
    metadata.annotations.get(key).or_else(|| metadata.annotations.get(older)).map(Text::as_str)
}

/// The state annotation's text.
pub(super) fn state_text(pod: &Pod) -> Option<&str> {
    annotation(&pod.metadata, keys::INPLACE_STATE_ANNOTATION, keys::INPLACE_STATE_ANNOTATION_OLD)
}

/// The grace annotation's text, where it is not empty.
pub(super) fn grace_text(pod: &Pod) -> Option<&str> {
    annotation(&pod.metadata, keys::INPLACE_GRACE_ANNOTATION, keys::INPLACE_GRACE_ANNOTATION_OLD)
        .filter(|text| !text.is_empty())
}

/// Whether a Pod was ever updated in place: then what its containers run decides whether that is complete (IU-51).
#[must_use]
pub fn has_state(pod: &Pod) -> bool {
    state_text(pod).is_some()
}

/// Whether a Pod waits for its grace period: marked unready, containers still the old ones (IU-30, IU-31).
#[must_use]
pub fn is_waiting_for_grace(pod: &Pod) -> bool {
    grace_text(pod).is_some()
}

/// A time as the annotations carry it: RFC 3339 in UTC, whole seconds.
pub(crate) fn seconds_text(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
