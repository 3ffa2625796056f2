//! The forms of kinds: the generated definitions of ours, Kubernetes' own types for Pods, claims and metadata.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::json::Json;

/// Texts that are dates.
pub const DATES: [&str; 2] = ["2024-01-01T00:00:00Z", "2026-02-28T23:59:59Z"];

/// The form of a value.
#[derive(Clone, Debug)]
pub enum Schema {
    /// Named members, in order.
    Object(Vec<Member>),
    /// Any names, one form.
    Map(Box<Self>),
    /// A list.
    List(Box<Self>),
    /// A text.
    Text,
    /// A date.
    Date,
    /// A whole number of so many bits.
    Integer(u32),
    /// Any number.
    Number,
    /// A flag.
    Flag,
    /// A whole number or a text.
    IntOrText,
    /// Anything.
    Any,
}

/// A member of an object.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its form.
    pub schema: Schema,
    /// Whether it must be there.
    pub required: bool,
}

/// The forms that inputs are made of and judged by.
#[derive(Debug)]
pub struct Schemas {
    /// Pod.
    pub pod: Schema,
    /// CloneSet `v1alpha1`, with its templates.
    pub alpha: Schema,
    /// CloneSet `v1beta1`, with its templates.
    pub beta: Schema,
}

impl Schemas {
    /// Reads them.
    ///
    /// # Errors
    /// Fails where a definition has a shape that Kubernetes does not take.
    pub fn new() -> Result<Self> {
        Ok(Self {
            pod: native::<Pod>()?,
            alpha: cloneset("v1alpha1", Templates::Typed)?,
            beta: cloneset("v1beta1", Templates::Typed)?,
        })
    }
}

/// The form of metadata of objects.
///
/// # Errors
/// Fails where Kubernetes' own type has another shape than all others.
pub fn metadata() -> Result<Schema> {
    native::<ObjectMeta>()
}

/// How templates in a kind of ours are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Templates {
    /// By Kubernetes' types: for making them.
    Typed,
    /// As anything: for judging them.
    Any,
}

/// The form of a CloneSet in a version, by its generated definition.
///
/// # Errors
/// Fails where there is no such version.
pub fn cloneset(version: &str, templates: Templates) -> Result<Schema> {
    let crds = api::crds();
    let crd = crds.iter().find(|crd| crd.spec.names.kind == "CloneSet").context("no definition of CloneSet")?;
    let version = crd.spec.versions.iter().find(|found| found.name == version).context("no such version")?;
    let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref()).context("no schema")?;
    let mut schema = read(&serde_json::to_value(schema)?)?;
    schema.put("metadata", native::<ObjectMeta>()?);
    // The definition leaves it to kube-apiserver, which sends no object without.
    if let Schema::Object(members) = &mut schema {
        members.iter_mut().filter(|member| member.name == "metadata").for_each(|member| member.required = true);
    }
    if let Some(spec) = schema.member_mut("spec") {
        let (template, claim) = match templates {
            Templates::Typed => (native::<PodTemplateSpec>()?, native::<PersistentVolumeClaim>()?),
            Templates::Any => (Schema::Any, Schema::Any),
        };
        spec.put("template", template);
        spec.put("volumeClaimTemplates", Schema::List(Box::new(claim)));
    }
    Ok(schema)
}

fn native<T: JsonSchema>() -> Result<Schema> {
    let settings = SchemaSettings::openapi3().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    read(&settings.into_generator().into_root_schema_for::<T>().to_value())
}

fn read(node: &Value) -> Result<Schema> {
    let is_set = |mark: &str| node.get(mark) == Some(&Value::Bool(true));
    if is_set("x-kubernetes-int-or-string") {
        return Ok(Schema::IntOrText);
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        let real = node.get(key).and_then(Value::as_array).into_iter().flatten();
        if let Some(one) = real.into_iter().find(|choice| choice.get("type").is_none_or(|t| t != "null")) {
            return read(one);
        }
    }
    let types = node.get("type");
    let name = types.and_then(Value::as_array).map_or(types, |types| types.iter().find(|name| *name != "null"));
    Ok(match name.and_then(Value::as_str) {
        Some("object") => match (node.get("properties").and_then(Value::as_object), node.get("additionalProperties")) {
            (Some(properties), _) => {
                let required = node.get("required").and_then(Value::as_array);
                let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|found| found == name));
                let members = properties.iter().map(|(name, schema)| {
                    Ok(Member { name: name.clone(), schema: read(schema)?, required: is_required(name) })
                });
                Schema::Object(members.collect::<Result<_>>()?)
            }
            (None, Some(values @ Value::Object(_))) => Schema::Map(Box::new(read(values)?)),
            (None, _) => Schema::Any,
        },
        Some("array") => Schema::List(Box::new(read(node.get("items").context("a list of nothing")?)?)),
        Some("string") if node.get("format").is_some_and(|format| format == "date-time") => Schema::Date,
        Some("string") => Schema::Text,
        Some("integer") => {
            Schema::Integer(if node.get("format").is_some_and(|format| format == "int32") { 32 } else { 64 })
        }
        Some("number") => Schema::Number,
        Some("boolean") => Schema::Flag,
        _ => Schema::Any,
    })
}

impl Schema {
    /// The form of a member.
    pub fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|member| member.name == name).map(|member| &member.schema),
            Self::Map(values) => Some(values),
            _ => None,
        }
    }

    fn member_mut(&mut self, name: &str) -> Option<&mut Self> {
        let Self::Object(members) = self else { return None };
        members.iter_mut().find(|member| member.name == name).map(|member| &mut member.schema)
    }

    fn put(&mut self, name: &str, schema: Self) {
        if let Some(present) = self.member_mut(name) {
            *present = schema;
        }
    }

    /// Whether a value has this form, as far as types go. `null` is absence; unknown members are let be.
    pub fn fits(&self, value: &Json) -> bool {
        match (self, value) {
            (Self::Any, _) => true,
            (Self::Object(members), Json::Object(found)) => {
                let fits = |(name, value): &(String, Json)| {
                    *value == Json::Null || self.member(name).is_none_or(|schema| schema.fits(value))
                };
                members.iter().all(|member| !member.required || value.some(&member.name).is_some())
                    && found.iter().all(fits)
            }
            (Self::Map(values), Json::Object(found)) => found.iter().all(|(_, value)| values.fits(value)),
            (Self::List(items), Json::List(found)) => found.iter().all(|item| items.fits(item)),
            (Self::Text, Json::Text(_)) | (Self::Flag, Json::Bool(_)) | (Self::IntOrText, Json::Text(_)) => true,
            (Self::Date, Json::Text(text)) => DATES.contains(&text.as_str()),
            (Self::Integer(64) | Self::Number, Json::Number(text)) => text != "-0" && text.parse::<i64>().is_ok(),
            (Self::Integer(_) | Self::IntOrText, Json::Number(text)) => text != "-0" && text.parse::<i32>().is_ok(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_both_versions_and_of_pods_are_known() {
        let schemas = Schemas::new().unwrap();
        let at = |schema: &Schema, path: &str| {
            let found = path.split('.').try_fold(schema, |schema, name| match schema {
                Schema::List(items) => items.member(name),
                _ => schema.member(name),
            });
            format!("{:?}", found.unwrap_or_else(|| panic!("{path}")))
        };
        assert_eq!(at(&schemas.beta, "spec.updateStrategy.rollingUpdate.partition"), "IntOrText");
        assert_eq!(at(&schemas.alpha, "spec.scaleStrategy.disablePVCReuse"), "Flag");
        assert_eq!(at(&schemas.beta, "spec.template.spec.containers.ports.hostPort"), "Integer(32)");
        assert_eq!(at(&schemas.pod, "metadata.ownerReferences.controller"), "Flag");
        assert_eq!(at(&schemas.beta, "spec.volumeClaimTemplates.spec.resources.requests"), "Map(IntOrText)");
        assert_eq!(at(&schemas.beta, "status.conditions.lastUpdateTime"), "Date");
    }

    #[test]
    fn types_decide_whether_a_value_fits() {
        let schema = cloneset("v1beta1", Templates::Any).unwrap();
        for (text, want) in [
            (r#"{"metadata":{},"spec":{"selector":{},"template":{"odd":1},"replicas":null,"someday":[]}}"#, true),
            (r#"{"spec":{"selector":{},"template":{}}}"#, false),
            (r#"{"metadata":{},"spec":{"selector":{},"template":{},"replicas":"1"}}"#, false),
            (r#"{"metadata":{},"spec":{"selector":{},"template":{},"replicas":3000000000}}"#, false),
            (r#"{"metadata":{},"spec":{"template":{}}}"#, false),
            (r#"{"metadata":{"creationTimestamp":"today"},"spec":{"selector":{},"template":{}}}"#, false),
        ] {
            assert_eq!(schema.fits(&Json::read(text.as_bytes()).unwrap()), want, "{text}");
        }
    }
}
