//! Kinds of CustomResourceDefinitions: which versions they have, and what their schemas do to an object.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use serde_json::Value;

use super::failure::{Failure, Result};
use super::kind::{Kind, Resource, Traits};
use super::rules::schema::{self, Schema};

/// What a CRD says beyond the names.
#[derive(Clone, Debug)]
pub struct Custom {
    versions: Vec<Version>,
    /// Whether versions differ only in their name.
    pub converts_by_name: bool,
}

#[derive(Clone, Debug)]
struct Version {
    name: String,
    schema: Schema,
    /// The same as it stands in the CRD, for the owners of fields.
    fields: Value,
    scale: Option<Scale>,
}

/// Where the `scale` subresource finds its fields, as JSON pointers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Wanted replicas.
    pub spec_replicas: String,
    /// Replicas that are there.
    pub status_replicas: String,
    /// Label selector as text; empty for none.
    pub selector: String,
}

impl Custom {
    /// The schema of a version.
    #[must_use]
    pub fn schema(&self, version: &str) -> Option<&Schema> {
        self.version(version).map(|version| &version.schema)
    }

    /// The schema of a version as it stands in the CRD; null for none.
    #[must_use]
    pub fn fields(&self, version: &str) -> &Value {
        self.version(version).map_or(&Value::Null, |version| &version.fields)
    }

    /// The scale subresource of a version.
    #[must_use]
    pub fn scale(&self, version: &str) -> Option<&Scale> {
        self.version(version)?.scale.as_ref()
    }

    fn version(&self, name: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.name == name)
    }
}

/// The resource that a CRD describes.
///
/// # Errors
/// Fails where the CRD uses what is not simulated, or has no stored version.
pub fn resource(crd: &CustomResourceDefinition) -> Result<Resource> {
    schema::check(crd)?;
    let spec = &crd.spec;
    let namespaced = spec.scope == "Namespaced";
    let mut served: Vec<_> = spec.versions.iter().filter(|version| version.served || version.storage).collect();
    served.sort_by_key(|version| !version.storage);
    let Some(stored) = served.first().filter(|version| version.storage) else {
        return Err(Failure::new(
            422,
            "Invalid",
            "spec.versions: must have exactly one version marked as storage version",
        ));
    };
    let subresources = stored.subresources.as_ref();
    let traits = Traits {
        status: subresources.is_some_and(|sub| sub.status.is_some()),
        scale: subresources.is_some_and(|sub| sub.scale.is_some()),
        ..Traits::default()
    };
    let kinds = served.iter().map(|version| Kind {
        group: spec.group.clone(),
        version: version.name.clone(),
        kind: spec.names.kind.clone(),
        plural: spec.names.plural.clone(),
        namespaced,
    });
    let kinds: Vec<Kind> = kinds.collect();
    let versions = served.iter().filter_map(|version| {
        let scale = version.subresources.as_ref().and_then(|parts| parts.scale.as_ref());
        let scale = scale.map(|scale| Scale {
            spec_replicas: pointer(&scale.spec_replicas_path),
            status_replicas: pointer(&scale.status_replicas_path),
            selector: scale.label_selector_path.as_deref().map(pointer).unwrap_or_default(),
        });
        let fields = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
        let fields = serde_json::to_value(fields).unwrap_or_default();
        Some(Version { name: version.name.clone(), schema: schema::of(crd, &version.name)?, fields, scale })
    });
    let custom = Custom {
        versions: versions.collect(),
        converts_by_name: spec.conversion.as_ref().is_none_or(|conversion| conversion.strategy == "None"),
    };
    let id = format!("{}.{}", spec.names.plural, spec.group);
    let singular = spec.names.singular.clone().unwrap_or_else(|| spec.names.kind.to_ascii_lowercase());
    Ok(Resource { id, kinds, singular, traits, custom: Some(custom.into()) })
}

/// `.spec.replicas` as `/spec/replicas`.
fn pointer(json_path: &str) -> String {
    json_path.replace('.', "/")
}
