//! CloneSet: N interchangeable Pods of one template, each with its own claims (page `cloneset.md`).
//!
//! `v1beta1` is the stored version and the only one that controllers see; `v1alpha1` is what OpenKruise 1.9.0 served.
//! What is accepted is decided by `validation`, what is filled in by `defaults`; both work on JSON in the version that
//! the client sent. Who calls them, and the look-ups that need the cluster, belong to the webhook.

pub mod types;
pub mod v1alpha1;
pub mod v1beta1;

#[cfg(feature = "conversion")]
pub mod conversion;
pub mod defaults;
pub mod validation;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    k8s::{Metadata, part_of},
    schema::{self, Storage},
};

/// The kind's name.
pub const KIND: &str = "CloneSet";

/// Value of `updateStrategy.type`: Pods move to a new template by themselves.
pub const ROLLING_UPDATE: &str = "RollingUpdate";
/// Value of `updateStrategy.type`: Pods move when somebody deletes them.
pub const ON_DELETE: &str = "OnDelete";
/// Update policy: a Pod is deleted and made anew.
pub const RE_CREATE: &str = "ReCreate";
/// Update policy: in place where the change allows it, else as [`RE_CREATE`].
pub const IN_PLACE_IF_POSSIBLE: &str = "InPlaceIfPossible";
/// Update policy: in place, or not at all.
pub const IN_PLACE_ONLY: &str = "InPlaceOnly";

/// A CloneSet as caches hold it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct CloneSet {
    /// Metadata.
    pub metadata: Metadata,
    /// What is wanted.
    pub spec: v1beta1::CloneSetSpec,
    /// What was reported.
    #[serde(default)]
    pub status: Option<types::CloneSetStatus>,
}
part_of!(CloneSet, v1beta1::CloneSet);

/// The versions of the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// As OpenKruise 1.9.0 served it.
    V1alpha1,
    /// The stored version.
    V1beta1,
}

impl Version {
    /// Reads `v1beta1` or `apps.kruise.io/v1beta1`.
    #[must_use]
    pub fn parse(version: &str) -> Option<Self> {
        match version.strip_prefix("apps.kruise.io/").unwrap_or(version) {
            "v1alpha1" => Some(Self::V1alpha1),
            "v1beta1" => Some(Self::V1beta1),
            _ => None,
        }
    }

    /// The `apiVersion` of objects in this version.
    #[must_use]
    pub fn api_version(self) -> &'static str {
        match self {
            Self::V1alpha1 => "apps.kruise.io/v1alpha1",
            Self::V1beta1 => "apps.kruise.io/v1beta1",
        }
    }
}

/// Whether an object can be read as a CloneSet of this version: what the API answers with 400 when it cannot. The text
/// of the error names the member.
///
/// # Errors
/// Fails where a member has another type than the version gives it.
pub fn check_form(object: &Value, version: Version) -> Result<(), FormError> {
    match version {
        Version::V1alpha1 => serde_path_to_error::deserialize::<_, v1alpha1::CloneSet>(object).map(drop),
        Version::V1beta1 => serde_path_to_error::deserialize::<_, v1beta1::CloneSet>(object).map(drop),
    }
}

/// Which member of an object has not the form of its version, and why: `spec.replicas: invalid type: ...`.
pub type FormError = serde_path_to_error::Error<serde_json::Error>;

/// The CRD with both versions (page section 1).
pub(crate) fn crd() -> Option<CustomResourceDefinition> {
    schema::kind(vec![
        schema::version::<v1alpha1::CloneSet>(Storage::Served),
        schema::version::<v1beta1::CloneSet>(Storage::Stored),
    ])
}
