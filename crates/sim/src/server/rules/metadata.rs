//! Metadata of objects: names, labels, annotations, owners, finalizers, and what of it never changes.
//!
//! Missing and wrong resourceVersions, names and namespaces that contradict the URL, and generated names are `core`'s.

use std::collections::BTreeSet;

use api::{
    field::{Denial, FieldPath},
    names,
};
use serde_json::{Value, json};

use super::{
    causes,
    look::{at, copy, entries, items, put, remove, text},
    native,
};
use crate::server::{failure::Cause, kind::Kind};

/// All annotations of an object together may not be larger than this many bytes.
const ANNOTATIONS_LIMIT: usize = 256 * 1024;
const IMMUTABLE: &str = "field is immutable";
/// Finalizers of Kubernetes without a domain.
const STANDARD_FINALIZERS: [&str; 3] = ["foregroundDeletion", "kubernetes", "orphan"];
const SERVICE_NAME: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
     character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is \
     '[a-z]([-a-z0-9]*[a-z0-9])?')";

/// What is wrong with the metadata of a new object.
#[must_use]
pub fn on_create(kind: &Kind, object: &Value) -> Vec<Cause> {
    let path = FieldPath::new("metadata");
    let mut out = Vec::new();
    let (prefix, name) = (text(object, "/metadata/generateName"), text(object, "/metadata/name"));
    let rule = name_rule(kind);
    if !prefix.is_empty()
        && let Err(detail) = rule(&without_dash(prefix))
    {
        out.push(path.child("generateName").invalid(prefix, detail));
    }
    if name.is_empty() && prefix.is_empty() {
        out.push(path.child("name").required("name or generateName is required"));
    } else if !name.is_empty()
        && let Err(detail) = rule(name)
    {
        out.push(path.child("name").invalid(name, detail));
    }
    let namespace = text(object, "/metadata/namespace");
    match (kind.namespaced, namespace) {
        (true, "") => out.push(path.child("namespace").required("")),
        (true, _) => {
            if let Err(detail) = names::dns_label(namespace) {
                out.push(path.child("namespace").invalid(namespace, detail));
            }
        }
        (false, "") => {}
        (false, _) => out.push(path.child("namespace").forbidden("not allowed on this type")),
    }
    content(object, &path, &mut out);
    standard_finalizers(kind, object, &path, &mut out);
    causes(out)
}

/// What is wrong with the metadata of a changed object, after [`restore`].
#[must_use]
pub fn on_update(kind: &Kind, new: &Value, old: &Value) -> Vec<Cause> {
    let path = FieldPath::new("metadata");
    let mut out = Vec::new();
    content(new, &path, &mut out);
    if !at(old, "/metadata/deletionTimestamp").is_null() {
        let had: BTreeSet<&str> = finalizers(old).collect();
        let added: BTreeSet<&str> = finalizers(new).filter(|name| !had.contains(name)).collect();
        if !added.is_empty() {
            let added: Vec<String> = added.iter().map(|name| format!("{name:?}")).collect();
            out.push(path.child("finalizers").forbidden(format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.join(", ")
            )));
        }
    }
    for member in ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        let value = of(new, member);
        if value != of(old, member) {
            out.push(path.child(member).invalid(value.clone(), IMMUTABLE));
        }
    }
    standard_finalizers(kind, new, &path, &mut out);
    causes(out)
}

/// What the server takes from the stored object before it looks at a changed one: members that clients may leave out,
/// and those that are not theirs to change.
pub fn restore(new: &mut Value, old: &Value) {
    let absent = |object: &Value, member: &str| {
        let value = of(object, member);
        value.is_null() || value == ""
    };
    let missing: Vec<&str> = ["uid", "deletionTimestamp", "deletionGracePeriodSeconds"]
        .into_iter()
        .filter(|member| absent(new, member))
        .collect();
    let Some(metadata) = new.get_mut("metadata") else { return };
    let stored = at(old, "/metadata");
    for member in missing.into_iter().chain(["creationTimestamp", "generation"]) {
        copy(metadata, stored, member);
    }
    // The time of an end that has begun is the server's.
    if stored.get("deletionTimestamp").is_some() {
        copy(metadata, stored, "deletionTimestamp");
    }
    remove(metadata, "selfLink");
}

/// What a client may not say of a new object: the server knows it itself. The generation is set by the kinds that count.
pub fn reset(object: &mut Value) {
    let Some(metadata) = object.get_mut("metadata") else { return };
    for member in ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
        remove(metadata, member);
    }
}

/// Counts a change of what is wanted.
pub fn next_generation(object: &mut Value) {
    let generation = at(object, "/metadata/generation").as_i64().unwrap_or(0);
    if let Some(metadata) = object.get_mut("metadata") {
        put(metadata, "generation", json!(generation + 1));
    }
}

/// Labels, annotations, owners and the form of finalizers, at a path: also of objects inside of others.
pub(super) fn content(object: &Value, path: &FieldPath, out: &mut Vec<Denial>) {
    labels(object, "/metadata/labels", &path.child("labels"), out);
    let annotations = path.child("annotations");
    let mut size = 0;
    for (key, value) in entries(object, "/metadata/annotations") {
        size += key.len() + value.as_str().map_or(0, str::len);
        if let Err(detail) = names::qualified_name(&key.to_lowercase()) {
            out.push(annotations.invalid(key, detail));
        }
    }
    if size > ANNOTATIONS_LIMIT {
        out.push(annotations.too_long(ANNOTATIONS_LIMIT));
    }
    owners(object, &path.child("ownerReferences"), out);
    for name in finalizers(object) {
        if let Err(detail) = names::qualified_name(name) {
            out.push(path.child("finalizers").invalid(name, detail));
        }
    }
}

/// A map of labels.
pub(super) fn labels(object: &Value, pointer: &str, path: &FieldPath, out: &mut Vec<Denial>) {
    for (key, value) in entries(object, pointer) {
        if let Err(detail) = names::qualified_name(key) {
            out.push(path.invalid(key, detail));
        }
        let value = value.as_str().unwrap_or_default();
        if let Err(detail) = names::label_value(value) {
            out.push(path.invalid(value, detail));
        }
    }
}

fn owners(object: &Value, path: &FieldPath, out: &mut Vec<Denial>) {
    let list = items(object, "/metadata/ownerReferences");
    let mut controller: Option<String> = None;
    for owner in list {
        let version = text(owner, "/apiVersion");
        if version.is_empty() || version.ends_with('/') || version.matches('/').count() > 1 {
            out.push(path.child("apiVersion").invalid(version, "version must not be empty"));
        }
        for member in ["kind", "name", "uid"] {
            if owner.get(member).and_then(Value::as_str).unwrap_or_default().is_empty() {
                out.push(path.child(member).invalid("", "must not be empty"));
            }
        }
        if version == "v1" && text(owner, "/kind") == "Event" {
            out.push(path.invalid(owner.clone(), "/v1, Kind=Event is disallowed from being an owner"));
        }
        if at(owner, "/controller") != &json!(true) {
            continue;
        }
        let this = format!("{}/{}", text(owner, "/kind"), text(owner, "/name"));
        match &controller {
            Some(first) => out.push(path.invalid(
                Value::Array(list.to_vec()),
                format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
                ),
            )),
            None => controller = Some(this),
        }
    }
}

/// Native kinds take a finalizer without a domain only from Kubernetes itself; custom resources take any.
fn standard_finalizers(kind: &Kind, object: &Value, path: &FieldPath, out: &mut Vec<Denial>) {
    if ["orphan", "foregroundDeletion"].iter().all(|policy| finalizers(object).any(|name| name == *policy)) {
        let all = at(object, "/metadata/finalizers").clone();
        let detail = "finalizer orphan and foregroundDeletion cannot be both set";
        out.push(path.child("finalizers").invalid(all, detail));
    }
    if !native::is_known(kind) {
        return;
    }
    for (index, name) in finalizers(object).enumerate() {
        if !name.contains('/') && !STANDARD_FINALIZERS.contains(&name) {
            out.push(
                path.child("finalizers")
                    .index(index)
                    .invalid(name, "name is neither a standard finalizer name nor is it fully qualified"),
            );
        }
    }
}

fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    items(object, "/metadata/finalizers").iter().filter_map(Value::as_str)
}

fn of<'a>(object: &'a Value, member: &str) -> &'a Value {
    at(at(object, "/metadata"), &format!("/{member}"))
}

fn name_rule(kind: &Kind) -> fn(&str) -> names::Check {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Namespace") => names::dns_label,
        ("", "Service") => service_name,
        _ => names::dns_subdomain,
    }
}

fn service_name(name: &str) -> names::Check {
    if name.len() > 63 {
        return names::dns_label(name);
    }
    if names::dns_label(name).is_ok() && name.starts_with(|c: char| c.is_ascii_lowercase()) {
        Ok(())
    } else {
        Err(SERVICE_NAME.to_owned())
    }
}

/// A generated name is the prefix and more, so a dash at its end is fine.
fn without_dash(prefix: &str) -> String {
    prefix.strip_suffix('-').map_or_else(|| prefix.to_owned(), |rest| format!("{rest}a"))
}

#[cfg(test)]
#[path = "tests/metadata.rs"]
mod tests;
