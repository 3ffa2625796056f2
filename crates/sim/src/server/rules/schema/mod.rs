//! Structural schemas of CRDs: what is dropped, what is filled in, what is refused.
//!
//! `check` refuses a CRD with keywords that are not played here; `prune` drops what the schema does not know,
//! `default` fills in and drops nulls that mean nothing, `validate` tells what is wrong. All take the schema of the
//! version that is asked ([`of`]). Order of a write: prune, default, admission, prune, `prepare_*`, validate.

mod check;
mod default;
mod prune;
mod scale;
mod validate;

pub use check::check;
pub use default::default;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion,
};
pub use prune::prune;
use serde_json::Value;
pub use validate::{validate, validate_status};

use super::{
    look::{at, copy, remove},
    metadata,
};

/// The schema of a version, ready to be used again and again; an empty one where the CRD has none.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    root: Value,
    /// The paths of the scale subresource: wanted and actual replicas.
    scale: Option<(String, String)>,
    /// Whether status is a subresource.
    pub has_status: bool,
}

impl Schema {
    /// `openAPIV3Schema`, for those who look at single fields.
    #[must_use]
    pub fn root(&self) -> &Value {
        &self.root
    }
}

/// The schema of a version of a CRD.
#[must_use]
pub fn of(crd: &CustomResourceDefinition, version: &str) -> Option<Schema> {
    crd.spec.versions.iter().find(|served| served.name == version).map(of_version)
}

fn of_version(version: &CustomResourceDefinitionVersion) -> Schema {
    let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
    let subresources = version.subresources.as_ref();
    Schema {
        root: schema.and_then(|schema| serde_json::to_value(schema).ok()).unwrap_or_default(),
        scale: subresources
            .and_then(|parts| parts.scale.as_ref())
            .map(|scale| (scale.spec_replicas_path.clone(), scale.status_replicas_path.clone())),
        has_status: subresources.is_some_and(|parts| parts.status.is_some()),
    }
}

/// A new object has no status where that is a subresource, and the first generation.
pub fn prepare_create(schema: &Schema, object: &mut Value) {
    if schema.has_status {
        remove(object, "status");
    }
    metadata::next_generation(object);
}

/// A plain write does not touch the status where that is a subresource; any other change outside of metadata is counted.
pub fn prepare_update(schema: &Schema, new: &mut Value, old: &Value) {
    if schema.has_status {
        copy(new, old, "status");
    }
    let members = |object: &Value| object.as_object().map_or(0, serde_json::Map::len);
    let same =
        new.as_object().into_iter().flatten().all(|(name, value)| name == "metadata" || old.get(name) == Some(value));
    if !same || members(new) != members(old) {
        metadata::next_generation(new);
    }
}

/// A write of the status touches nothing else; managed fields are kept as they come.
pub fn prepare_status(new: &mut Value, old: &Value) {
    let status = remove(new, "status");
    let managed = new.get_mut("metadata").and_then(|metadata| remove(metadata, "managedFields"));
    *new = old.clone();
    match status {
        Some(status) => super::look::put(new, "status", status),
        None => drop(remove(new, "status")),
    }
    if let (Some(managed), Some(metadata)) = (managed, new.get_mut("metadata")) {
        super::look::put(metadata, "managedFields", managed);
    }
}

/// What stands at a path of the scale subresource: `.spec.replicas`.
fn at_path<'a>(object: &'a Value, path: &str) -> &'a Value {
    at(object, &path.replace('.', "/"))
}

#[cfg(test)]
#[path = "../tests/schema.rs"]
mod tests;
