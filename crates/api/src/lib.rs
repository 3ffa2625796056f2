//! The kinds that kruise-rs adds to Kubernetes, and the parts of native kinds that it reads.
//!
//! One folder per kind: types, defaults, validation and conversion between versions. CRD manifests are generated
//! from here. Nothing in this crate does I/O: it has no client, no runtime and no clock.

pub mod cloneset;
pub mod template;

#[cfg(feature = "conversion")]
pub mod conversion;
pub mod field;
pub mod k8s;
pub mod keys;
pub mod names;
pub mod percent;
pub mod quantity;
#[cfg(feature = "conversion")]
pub mod raw;

mod fill;
mod labels;
mod look;
mod metadata;
mod schema;
#[cfg(test)]
mod tests;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

/// The CRDs of all kinds, each with all its versions.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    [cloneset::crd()].into_iter().flatten().collect()
}
