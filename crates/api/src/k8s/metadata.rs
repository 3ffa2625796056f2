//! Object metadata as caches hold it: no `managedFields`, no copy of the last applied manifest, common text once.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    pairs::Pairs,
    text::{Shared, Text, shared},
};

/// The read part of an object's metadata. Absent text is empty, absent lists are empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// Name.
    pub name: Text,
    /// Namespace; empty for cluster-scoped objects.
    #[serde(deserialize_with = "shared", skip_serializing_if = "Text::is_empty")]
    pub namespace: Text,
    /// Tells two objects of one name apart.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub uid: Text,
    /// Changes with each write.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub resource_version: Text,
    /// Grows with each change of what is wanted.
    pub generation: i64,
    /// When the object was made.
    pub creation_timestamp: Option<Timestamp>,
    /// When the object is to be gone; set once deletion was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_timestamp: Option<Timestamp>,
    /// Labels.
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    pub labels: Pairs,
    /// Annotations, without kubectl's copy of the whole manifest.
    #[serde(deserialize_with = "annotations", skip_serializing_if = "Pairs::is_empty")]
    pub annotations: Pairs,
    /// Owners.
    #[serde(deserialize_with = "list", skip_serializing_if = "no_items")]
    pub owner_references: Box<[OwnerReference]>,
    /// What must be done before the object may go.
    #[serde(deserialize_with = "texts", skip_serializing_if = "no_items")]
    pub finalizers: Box<[Text]>,
}

/// One owner of an object: all that an owner reference has, so that a list of them can be written back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OwnerReference {
    /// Group and version of the owner.
    #[serde(deserialize_with = "shared")]
    pub api_version: Text,
    /// Kind of the owner.
    #[serde(deserialize_with = "shared")]
    pub kind: Text,
    /// Name of the owner.
    #[serde(deserialize_with = "shared")]
    pub name: Text,
    /// UID of the owner.
    #[serde(deserialize_with = "shared")]
    pub uid: Text,
    /// Whether this owner controls the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controller: Option<bool>,
    /// Whether the owner stays until the object is gone, when it is deleted in the foreground.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_owner_deletion: Option<bool>,
}

fn annotations<'de, D: Deserializer<'de>>(from: D) -> Result<Pairs, D::Error> {
    Pairs::read(from, |key| key != "kubectl.kubernetes.io/last-applied-configuration")
}

/// Reads a list; `null` reads as an empty one.
pub(super) fn list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Box<[T]>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<Box<[Text]>, D::Error> {
    Ok(list::<Shared, D>(from)?.into_iter().map(|Shared(text)| text).collect())
}

fn no_items<T>(list: &[T]) -> bool {
    list.is_empty()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_but_managed_fields_and_the_last_applied_manifest_is_kept() {
        let kept = json!({
            "name": "web-1", "namespace": "shop", "uid": "u", "resourceVersion": "7", "generation": 3,
            "creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-01-02T00:00:00Z",
            "labels": {"app": "web"}, "annotations": {"a": "1"}, "finalizers": ["f"],
            "ownerReferences": [{"apiVersion": "apps.kruise.io/v1beta1", "kind": "CloneSet", "name": "web", "uid": "o",
                "controller": true, "blockOwnerDeletion": false}],
        });
        let mut sent = kept.clone();
        sent["managedFields"] = json!([{"manager": "kubelet"}]);
        sent["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = json!("{}");
        let read: Metadata = serde_json::from_value(sent).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), kept);
    }

    #[test]
    fn nulls_read_as_nothing() {
        let read: Metadata = serde_json::from_value(json!({
            "name": "a", "namespace": null, "creationTimestamp": null, "labels": null, "annotations": null,
            "ownerReferences": null, "finalizers": null,
        }))
        .unwrap();
        assert_eq!(read, Metadata { name: "a".into(), ..Metadata::default() });
    }
}
