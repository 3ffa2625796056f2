//! What is read of a Pod before anybody decides to change it: metadata, borrowed from the text.
//!
//! A stage that decides by more adds it here; what is here is paid for by every Pod of the cluster.

use serde::Deserialize;

use crate::admission::form::{Pairs, Text, list, members};

/// The part of a Pod that stages decide by. It must be readable of every Pod (PW-4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct View<'a> {
    /// Metadata.
    #[serde(borrow, deserialize_with = "members")]
    pub metadata: Metadata<'a>,
    #[serde(rename = "spec", deserialize_with = "members")]
    _spec: Spec,
}

/// Nothing yet, but it must be there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
struct Spec {}

/// The read part of a Pod's metadata. Absent text is empty, absent lists are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata<'a> {
    /// Name; empty where the server will make one.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// What the server will make a name from.
    #[serde(borrow)]
    pub generate_name: Text<'a>,
    /// Namespace; it may be empty, see [`Draft::namespace`](super::draft::Draft::namespace).
    #[serde(borrow)]
    pub namespace: Text<'a>,
    /// Labels.
    #[serde(borrow)]
    pub labels: Pairs<'a>,
    /// Annotations.
    #[serde(borrow)]
    pub annotations: Pairs<'a>,
    /// Owners.
    #[serde(borrow, deserialize_with = "list")]
    pub owner_references: Vec<Owner<'a>>,
}

/// One owner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Owner<'a> {
    /// Group and version.
    #[serde(borrow)]
    pub api_version: Text<'a>,
    /// Kind.
    #[serde(borrow)]
    pub kind: Text<'a>,
    /// Name.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// UID.
    #[serde(borrow)]
    pub uid: Text<'a>,
    /// Whether it controls the Pod.
    pub controller: Option<bool>,
}

impl Owner<'_> {
    /// API group; empty for core.
    #[must_use]
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }
}

impl<'a> View<'a> {
    /// The owner that controls the Pod, if any.
    #[must_use]
    pub fn controller(&self) -> Option<&Owner<'a>> {
        self.metadata.owner_references.iter().find(|owner| owner.controller == Some(true))
    }

    /// Whether the suite owns the Pod: its controller's API group is `apps.kruise.io`, in any version (PW-8).
    #[must_use]
    pub fn is_owned_by_suite(&self) -> bool {
        self.controller().is_some_and(|owner| owner.group() == api::keys::APPS_GROUP)
    }
}
