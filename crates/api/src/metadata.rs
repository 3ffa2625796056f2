//! Object metadata as kube-apiserver checks it, for kinds that the webhook validates.
//!
//! The API server does the same for every custom resource; it is repeated here because a webhook's answer must not
//! depend on the order in which the two run. Labels and annotations are also those of Pod templates.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    field::{Denial, FieldPath},
    look::{EMPTY, Node},
    names,
};

/// All annotations of an object together may not be larger than this many bytes.
const ANNOTATIONS_LIMIT: usize = 256 * 1024;

const IMMUTABLE: &str = "field is immutable";

/// Metadata of a namespaced object whose name is a DNS subdomain.
pub(crate) fn validate(object: &Value, out: &mut Vec<Denial>) {
    let metadata = object.get("metadata").filter(|metadata| metadata.is_object()).unwrap_or(&EMPTY);
    let metadata = Node::new(FieldPath::new("metadata"), metadata);

    let prefix = metadata.text("generateName", out);
    if !prefix.is_empty()
        && let Err(detail) = names::dns_subdomain(&masked(prefix))
    {
        out.push(metadata.at("generateName").invalid(prefix, detail));
    }
    let name = metadata.text("name", out);
    if name.is_empty() && prefix.is_empty() {
        out.push(metadata.at("name").required("name or generateName is required"));
    } else if !name.is_empty()
        && let Err(detail) = names::dns_subdomain(name)
    {
        out.push(metadata.at("name").invalid(name, detail));
    }
    let namespace = metadata.required_text("namespace", out);
    if !namespace.is_empty()
        && let Err(detail) = names::dns_label(namespace)
    {
        out.push(metadata.at("namespace").invalid(namespace, detail));
    }
    metadata.not_negative("generation", out);
    labels_and_annotations(&metadata, out);
    owner_references(&metadata, out);
    for (path, finalizer) in metadata.texts("finalizers", out) {
        if let Err(detail) = names::qualified_name(finalizer) {
            out.push(path.invalid(finalizer, detail));
        }
    }
}

/// What may not change with an update.
pub(crate) fn validate_update(new: &Value, old: &Value, out: &mut Vec<Denial>) {
    let metadata = FieldPath::new("metadata");
    let member = |object: &Value, name: &str| {
        object.get("metadata").and_then(|metadata| metadata.get(name)).filter(|value| !value.is_null()).cloned()
    };
    if member(new, "resourceVersion").is_none_or(|version| version == "") {
        out.push(metadata.child("resourceVersion").invalid("", "must be specified for an update"));
    }
    for name in ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        let value = member(new, name);
        if value != member(old, name) {
            out.push(metadata.child(name).invalid(value.unwrap_or(Value::Null), IMMUTABLE));
        }
    }
    let generation = |object| member(object, "generation").and_then(|number| number.as_i64()).unwrap_or(0);
    if generation(new) < generation(old) {
        out.push(metadata.child("generation").invalid(generation(new), "must not be decremented"));
    }
}

/// The labels and annotations of an object's or a template's metadata.
pub(crate) fn labels_and_annotations(metadata: &Node<'_>, out: &mut Vec<Denial>) {
    labels(metadata, "labels", out);
    let path = metadata.at("annotations");
    let annotations = metadata.text_map("annotations", out);
    for (key, _) in &annotations {
        if let Err(detail) = names::qualified_name(&key.to_ascii_lowercase()) {
            out.push(path.invalid(*key, detail));
        }
    }
    if annotations.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > ANNOTATIONS_LIMIT {
        out.push(path.too_long(ANNOTATIONS_LIMIT));
    }
}

/// A member that is a map of labels.
pub(crate) fn labels(node: &Node<'_>, member: &str, out: &mut Vec<Denial>) {
    let path = node.at(member);
    for (key, value) in node.text_map(member, out) {
        if let Err(detail) = names::qualified_name(key) {
            out.push(path.invalid(key, detail));
        }
        if let Err(detail) = names::label_value(value) {
            out.push(path.invalid(value, detail));
        }
    }
}

fn owner_references(metadata: &Node<'_>, out: &mut Vec<Denial>) {
    let mut controllers = BTreeSet::new();
    for owner in metadata.objects("ownerReferences", out) {
        for member in ["apiVersion", "kind", "name", "uid"] {
            if owner.text(member, out).is_empty() {
                out.push(owner.at(member).invalid("", "must not be empty"));
            }
        }
        if owner.flag("controller", out) {
            controllers.insert(owner.text("name", &mut Vec::new()));
        }
    }
    if controllers.len() > 1 {
        let names: Vec<&str> = controllers.into_iter().collect();
        out.push(
            metadata
                .at("ownerReferences")
                .invalid(names.join(", "), "only one reference can have controller set to true"),
        );
    }
}

/// A generated name is the prefix and more, so a dash at its end is fine.
fn masked(prefix: &str) -> String {
    match prefix.strip_suffix('-') {
        Some(rest) => format!("{rest}a"),
        None => prefix.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn denials(check: impl FnOnce(&mut Vec<Denial>)) -> Vec<String> {
        let mut out = Vec::new();
        check(&mut out);
        out.iter().map(ToString::to_string).map(|line| line.split(": a ").next().unwrap().to_owned()).collect()
    }

    #[test] // CS 5.2, row `metadata`
    fn bad_metadata_is_named_by_its_field() {
        for (metadata, want) in [
            (json!({"name": "web", "namespace": "shop"}), vec![]),
            (json!({"generateName": "web-", "namespace": "shop"}), vec![]),
            (json!({"namespace": "shop"}), vec!["metadata.name: Required value: name or generateName is required"]),
            (json!({"name": "Web", "namespace": "shop"}), vec![r#"metadata.name: Invalid value: "Web""#]),
            (json!({"name": "web"}), vec!["metadata.namespace: Required value"]),
            (
                json!({"name": "web", "namespace": "shop", "labels": {"a": 1}}),
                vec!["metadata.labels[a]: Invalid value: 1: must be a string"],
            ),
            (
                json!({"name": "web", "namespace": "shop", "annotations": {"/x": ""}}),
                vec![r#"metadata.annotations: Invalid value: "/x": prefix part must be non-empty"#],
            ),
            (
                json!({"name": "web", "namespace": "shop", "ownerReferences": [
                    {"apiVersion": "v1", "kind": "A", "name": "a", "uid": "1", "controller": true},
                    {"apiVersion": "v1", "kind": "A", "name": "b", "uid": "", "controller": true}]}),
                vec![
                    r#"metadata.ownerReferences[1].uid: Invalid value: "": must not be empty"#,
                    r#"metadata.ownerReferences: Invalid value: "a, b": only one reference can have controller set to true"#,
                ],
            ),
        ] {
            assert_eq!(denials(|out| validate(&json!({"metadata": metadata}), out)), want, "{metadata}");
        }
    }

    #[test]
    fn annotations_have_a_common_limit() {
        let object = json!({"metadata": {"name": "a", "namespace": "b", "annotations": {"x": "y".repeat(256 * 1024)}}});
        assert_eq!(
            denials(|out| validate(&object, out)),
            ["metadata.annotations: Too long: may not be more than 262144 bytes"]
        );
    }

    #[test] // CS 5.2, UPDATE
    fn identity_does_not_change_with_an_update() {
        let old = json!({"metadata": {"name": "web", "namespace": "shop", "uid": "1", "resourceVersion": "5", "generation": 3}});
        assert!(denials(|out| validate_update(&old, &old, out)).is_empty());
        let new = json!({"metadata": {"name": "web", "namespace": "shop", "uid": "2", "generation": 2}});
        assert_eq!(
            denials(|out| validate_update(&new, &old, out)),
            [
                r#"metadata.resourceVersion: Invalid value: "": must be specified for an update"#,
                r#"metadata.uid: Invalid value: "2": field is immutable"#,
                "metadata.generation: Invalid value: 2: must not be decremented",
            ]
        );
    }
}
