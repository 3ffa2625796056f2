//! From Rust types to CRD schemas that Kubernetes takes as structural.
//!
//! `schemars` speaks JSON Schema, where an optional member may be null and has a default; Kubernetes wants neither
//! (a schema default is written into stored objects, and `null` is dropped by the API server before we see it).
//! A default that is really meant is declared with `#[schemars(extend("x-kruise-default" = ...))]`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceConversion, CustomResourceDefinition, CustomResourceDefinitionVersion, CustomResourceValidation,
    JSONSchemaProps, ServiceReference, WebhookClientConfig, WebhookConversion,
};
use kube::CustomResourceExt;
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use crate::keys;

/// Marks a default that belongs into the CRD.
const DEFAULT_MARK: &str = "x-kruise-default";

/// The schema of a field that Kubernetes neither checks nor prunes: Pod and claim templates.
pub(crate) fn schemaless(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({"x-kubernetes-preserve-unknown-fields": true})
}

/// The schema of a time, as the API writes it.
pub(crate) fn time(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({"type": "string", "format": "date-time"})
}

/// Reads `null` as absence, so that a client's explicit null never makes an object unreadable.
pub(crate) fn null_as_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// One version of a kind. `storage` is true for exactly one version of a kind.
pub(crate) fn version<K: CustomResourceExt + JsonSchema>(storage: Storage) -> VersionedCrd {
    let mut crd = K::crd();
    let schema = structural_schema::<K>();
    for version in &mut crd.spec.versions {
        version.storage = storage == Storage::Stored;
        version.schema = Some(CustomResourceValidation { open_api_v3_schema: Some(schema.clone()) });
    }
    VersionedCrd(crd)
}

/// Whether objects are stored in this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    /// This is the storage version.
    Stored,
    /// Served only.
    Served,
}

/// A CRD that carries one version, as `kube` derives it.
pub(crate) struct VersionedCrd(CustomResourceDefinition);

/// Puts the versions of one kind into one CRD with conversion by our webhook (PL-49). The order of versions is kept;
/// names and scope come from the last one, the newest.
pub(crate) fn kind(versions: Vec<VersionedCrd>) -> Option<CustomResourceDefinition> {
    let mut all: Vec<CustomResourceDefinitionVersion> = Vec::new();
    let mut merged: Option<CustomResourceDefinition> = None;
    for VersionedCrd(mut crd) in versions {
        all.append(&mut crd.spec.versions);
        merged = Some(crd);
    }
    let mut crd = merged?;
    crd.spec.names.list_kind = Some(format!("{}List", crd.spec.names.kind));
    crd.spec.conversion = (all.len() > 1).then(webhook_conversion);
    crd.spec.versions = all;
    Some(crd)
}

/// Conversion by `kruise-webhook`; the CA is filled in by the webhook itself, in the cluster.
fn webhook_conversion() -> CustomResourceConversion {
    CustomResourceConversion {
        strategy: "Webhook".to_owned(),
        webhook: Some(WebhookConversion {
            client_config: Some(WebhookClientConfig {
                ca_bundle: None,
                service: Some(ServiceReference {
                    name: keys::WEBHOOK_SERVICE.to_owned(),
                    namespace: keys::SYSTEM_NAMESPACE.to_owned(),
                    path: Some("/convert".to_owned()),
                    port: Some(443),
                }),
                url: None,
            }),
            conversion_review_versions: vec!["v1".to_owned(), "v1beta1".to_owned()],
        }),
    }
}

fn structural_schema<K: JsonSchema>() -> JSONSchemaProps {
    let settings = SchemaSettings::openapi3().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<K>().to_value();
    make_structural(&mut schema);
    if let Some(root) = schema.as_object_mut() {
        describe_root(root);
    }
    // Every key that `make_structural` leaves is one that JSONSchemaProps reads; the tests generate all kinds.
    serde_json::from_value(schema).unwrap_or_default()
}

/// The API server checks `apiVersion`, `kind` and `metadata` itself; a schema may only say that they are there.
fn describe_root(root: &mut Map<String, Value>) {
    root.remove("title");
    if let Some(properties) = root.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("apiVersion".to_owned(), json!({"type": "string"}));
        properties.insert("kind".to_owned(), json!({"type": "string"}));
        properties.insert("metadata".to_owned(), json!({"type": "object"}));
    }
    root.insert("required".to_owned(), json!(["spec"]));
}

/// Rewrites a schema, and all schemas in it, to the structural form.
fn make_structural(schema: &mut Value) {
    let Some(node) = schema.as_object_mut() else { return };
    for key in ["nullable", "title", "$schema", "default", "examples", "minimum", "maximum"] {
        node.remove(key);
    }
    unwrap_optional(node);
    if let Some(default) = node.remove(DEFAULT_MARK) {
        node.insert("default".to_owned(), default);
    }
    if node.get("additionalProperties") == Some(&Value::Bool(false)) {
        node.remove("additionalProperties");
    }
    if let Some(properties) = node.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(make_structural);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = node.get_mut(key) {
            make_structural(inner);
        }
    }
}

/// `schemars` writes `Option<T>` as "T or null" in one of two shapes; Kubernetes wants plain T.
fn unwrap_optional(node: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = node.get("type") {
        let one = types.iter().find(|name| name.as_str() != Some("null")).cloned();
        if let Some(one) = one {
            node.insert("type".to_owned(), one);
        }
    }
    for key in ["anyOf", "allOf", "oneOf"] {
        let Some(Value::Array(choices)) = node.get(key) else { continue };
        let mut real = choices.iter().filter(|choice| !is_null_schema(choice));
        if let (Some(Value::Object(only)), None) = (real.next().cloned(), real.next()) {
            node.remove(key);
            for (name, value) in only {
                node.entry(name).or_insert(value);
            }
            node.remove("nullable");
            node.remove("title");
        }
    }
}

fn is_null_schema(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("null")
        || schema.get("enum").is_some_and(|allowed| *allowed == json!([null]))
}
