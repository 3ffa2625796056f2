//! Which schemas can be played: structural ones with the keywords that are listed here.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use super::of_version;
use crate::server::{
    failure::{Failure, Result},
    rules::look::{entries, text},
};

/// Keywords that are played, or say nothing about objects.
const KEYWORDS: [&str; 25] = [
    "additionalProperties",
    "default",
    "description",
    "enum",
    "example",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "externalDocs",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "nullable",
    "properties",
    "required",
    "title",
    "type",
    "uniqueItems",
    "anyOf",
];
const EXTENSIONS: [&str; 6] = [
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
];
const FORMATS: [&str; 5] = ["int32", "int64", "float", "double", "date-time"];

/// Refuses a CRD whose schemas have keywords that are not played.
///
/// # Errors
/// 501, with the place of the keyword.
pub fn check(crd: &CustomResourceDefinition) -> Result<()> {
    if crd.spec.preserve_unknown_fields == Some(true) {
        return Err(Failure::not_simulated("spec.preserveUnknownFields of CRDs"));
    }
    for version in &crd.spec.versions {
        let schema = of_version(version).root;
        if schema.is_null() {
            return Err(Failure::not_simulated(format!("version {} of a CRD without a schema", version.name)));
        }
        one(&schema, &version.name)?;
    }
    Ok(())
}

fn one(schema: &Value, path: &str) -> Result<()> {
    let refuse = |what: &str| Err(Failure::not_simulated(format!("{what} in the schema at {path}")));
    for (keyword, value) in entries(schema, "") {
        let known = KEYWORDS.contains(&keyword) || EXTENSIONS.contains(&keyword);
        if !known && !value.is_null() {
            return refuse(keyword);
        }
    }
    let both = schema.get("x-kubernetes-int-or-string") == Some(&json!(true));
    if schema.get("anyOf").is_some_and(|any| !both || any != &json!([{"type": "integer"}, {"type": "string"}])) {
        return refuse("anyOf");
    }
    if schema.get("uniqueItems") == Some(&json!(true)) {
        return refuse("uniqueItems");
    }
    let shape = text(schema, "/format");
    if !shape.is_empty() && !FORMATS.contains(&shape) {
        return refuse(&format!("format {shape}"));
    }
    if schema.get("items").is_some_and(Value::is_array)
        || schema.get("additionalProperties").is_some_and(Value::is_boolean)
    {
        return refuse("items of several schemas, or additionalProperties that is no schema,");
    }
    for (name, property) in entries(schema, "/properties") {
        one(property, &format!("{path}.{name}"))?;
    }
    for member in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get(member) {
            one(inner, &format!("{path}[{member}]"))?;
        }
    }
    Ok(())
}
