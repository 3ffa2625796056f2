//! The generated CRDs against the schema facts of the contract, `docs/spec/crd-fields.txt`.
//!
//! Each kind-version that `api::crds()` carries is held against its lines there: every path with its type and extras
//! must be in ours (which may have more), and the facts about the version must be equal. Kinds that are not there yet
//! are not asked for, so the test covers each as it arrives.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion,
};
use serde_json::{Value, json};

const FACTS: &str = include_str!("../../../docs/spec/crd-fields.txt");

#[test]
fn every_field_of_the_contract_is_in_the_generated_schema() {
    let mut missing = Vec::new();
    for (subject, crd, version) in versions() {
        let ours = paths(version);
        for fact in facts(&subject).filter(|fact| !fact.starts_with('@')) {
            let (path, rest) = fact.split_once(' ').unwrap_or((fact, ""));
            if ours.get(path).map(String::as_str) != Some(rest.trim()) {
                missing.push(format!("{subject} {path}: want {:?}, have {:?}", rest.trim(), ours.get(path)));
            }
        }
        assert!(facts(&subject).count() > 0, "the contract knows no {subject} ({:?})", crd.metadata.name);
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn columns_scale_scope_names_and_storage_are_those_of_the_contract() {
    for (subject, crd, version) in versions() {
        let want: BTreeSet<String> = facts(&subject).filter(|fact| fact.starts_with('@')).map(str::to_owned).collect();
        assert_eq!(version_facts(crd, version), want, "{subject}");
    }
}

#[test] // structural schemas: what kube-apiserver refuses in a CRD
fn schemas_are_structural() {
    for (subject, _, version) in versions() {
        let root = schema(version);
        let mut wrong = Vec::new();
        walk("", &root, &mut |path, node| {
            for banned in ["nullable", "$ref", "allOf", "oneOf", "anyOf", "not", "title", "enum", "minimum", "maximum"]
            {
                if node.get(banned).is_some() {
                    wrong.push(format!("{path} has {banned}"));
                }
            }
            let untyped = ["x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"]
                .iter()
                .any(|mark| node.get(mark) == Some(&Value::Bool(true)));
            if node.get("type").is_none() && !untyped {
                wrong.push(format!("{path} has no type"));
            }
            if node["type"] == "integer" && !["int32", "int64"].iter().any(|format| node["format"] == *format) {
                wrong.push(format!("{path} has format {}", node["format"]));
            }
        });
        assert!(wrong.is_empty(), "{subject}: {}", wrong.join(", "));
        assert_eq!(root["required"], json!(["spec"]), "{subject}");
    }
}

#[test] // CS section 1
fn cloneset_requires_what_the_page_says_and_nothing_else() {
    let common = [
        ("spec", vec!["selector", "template"]),
        ("status", vec!["availableReplicas", "readyReplicas", "replicas", "updatedReadyReplicas", "updatedReplicas"]),
        ("status.conditions[]", vec!["status", "type"]),
        ("spec.selector.matchExpressions[]", vec!["key", "operator"]),
    ];
    for (version, strategy) in [("v1alpha1", "spec.updateStrategy"), ("v1beta1", "spec.updateStrategy.rollingUpdate")] {
        let mut want: BTreeMap<String, Vec<&str>> =
            common.iter().map(|(path, names)| ((*path).to_owned(), names.clone())).collect();
        want.insert(format!("{strategy}.priorityStrategy.orderPriority[]"), vec!["orderedKey"]);
        want.insert(format!("{strategy}.priorityStrategy.weightPriority[]"), vec!["matchSelector", "weight"]);
        want.insert(
            format!("{strategy}.priorityStrategy.weightPriority[].matchSelector.matchExpressions[]"),
            vec!["key", "operator"],
        );
        want.insert(format!("{strategy}.scatterStrategy[]"), vec!["key", "value"]);
        want.insert(String::new(), vec!["spec"]);

        let (_, _, found) =
            versions().into_iter().find(|(subject, _, _)| *subject == format!("clonesets {version}")).unwrap();
        let mut have = BTreeMap::new();
        walk("", &schema(found), &mut |path, node| {
            if let Some(required) = node["required"].as_array() {
                let mut names: Vec<String> = required.iter().map(|name| name.as_str().unwrap().to_owned()).collect();
                names.sort();
                have.insert(path.trim_start_matches('.').to_owned(), names);
            }
        });
        let want: BTreeMap<String, Vec<String>> =
            want.into_iter().map(|(path, names)| (path, names.into_iter().map(str::to_owned).collect())).collect();
        assert_eq!(have, want, "{version}");
    }
}

#[test] // PL-49, CS section 1
fn kinds_with_two_versions_are_converted_by_our_webhook() {
    for crd in crds() {
        let conversion = serde_json::to_value(&crd.spec.conversion).unwrap();
        if crd.spec.versions.len() < 2 {
            continue;
        }
        assert_eq!(
            conversion,
            json!({
                "strategy": "Webhook",
                "webhook": {
                    "conversionReviewVersions": ["v1", "v1beta1"],
                    "clientConfig": {"service": {
                        "namespace": "kruise-system", "name": "kruise-webhook-service", "path": "/convert", "port": 443
                    }},
                },
            })
        );
        assert_eq!(crd.metadata.name, Some(format!("{}.{}", crd.spec.names.plural, crd.spec.group)));
        assert_eq!(crd.spec.names.list_kind, Some(format!("{}List", crd.spec.names.kind)));
    }
}

fn crds() -> Vec<CustomResourceDefinition> {
    api::crds()
}

/// `(plural version, CRD, version)` of all that is generated.
fn versions() -> Vec<(String, &'static CustomResourceDefinition, &'static CustomResourceDefinitionVersion)> {
    let all: &'static [CustomResourceDefinition] = crds().leak();
    all.iter()
        .flat_map(|crd| {
            crd.spec
                .versions
                .iter()
                .map(move |version| (format!("{} {}", crd.spec.names.plural, version.name), crd, version))
        })
        .collect()
}

/// The lines of one kind-version without their first two words.
fn facts(subject: &str) -> impl Iterator<Item = &'static str> {
    let prefix = format!("{subject} ");
    FACTS.lines().filter_map(move |line| line.strip_prefix(&prefix)).map(str::trim_end)
}

fn version_facts(crd: &CustomResourceDefinition, version: &CustomResourceDefinitionVersion) -> BTreeSet<String> {
    let words = |flag: bool| if flag { "True" } else { "False" };
    let subresources = version.subresources.clone().unwrap_or_default();
    let mut facts = BTreeSet::from([
        format!("@scope {}", crd.spec.scope),
        format!("@served {}", words(version.served)),
        format!("@storage {}", words(version.storage)),
        format!("@status {}", words(subresources.status.is_some())),
        format!("@short {}", crd.spec.names.short_names.clone().unwrap_or_default().join(",")).trim_end().to_owned(),
    ]);
    let scale = subresources.scale.map_or_else(
        || "null".to_owned(),
        |scale| {
            format!(
                r#"{{"labelSelectorPath": {}, "specReplicasPath": {}, "statusReplicasPath": {}}}"#,
                json!(scale.label_selector_path),
                json!(scale.spec_replicas_path),
                json!(scale.status_replicas_path)
            )
        },
    );
    facts.insert(format!("@scale {scale}"));
    for column in version.additional_printer_columns.iter().flatten() {
        facts.insert(format!(
            "@column {} {} {} {}",
            column.name,
            column.type_,
            column.json_path,
            column.priority.unwrap_or(0)
        ));
    }
    facts
}

fn schema(version: &CustomResourceDefinitionVersion) -> Value {
    serde_json::to_value(version.schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap()).unwrap()
}

/// Path to type and extras, in the words of the facts file.
fn paths(version: &CustomResourceDefinitionVersion) -> BTreeMap<String, String> {
    let mut paths = BTreeMap::new();
    walk("", &schema(version), &mut |path, node| {
        let type_ = match node["type"].as_str() {
            _ if node["x-kubernetes-int-or-string"] == true => "int-or-string",
            Some(name) => name,
            None => "any",
        };
        let mut extras = Vec::new();
        if node["x-kubernetes-preserve-unknown-fields"] == true {
            extras.push("preserve".to_owned());
        }
        if let Some(words) = node["enum"].as_array() {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            extras.push(format!("enum={}", words.join("|")));
        }
        if let Some(default) = node.get("default") {
            extras.push(format!("default={default}"));
        }
        paths.insert(path.to_owned(), format!("{type_} {}", extras.join(",")).trim().to_owned());
    });
    paths
}

/// Visits every schema with its path in the notation of the facts file: `.a.b[].c{}`.
fn walk(path: &str, node: &Value, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, node);
    for (name, inner) in node["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), inner, visit);
    }
    if node["items"].is_object() {
        walk(&format!("{path}[]"), &node["items"], visit);
    }
    if node["additionalProperties"].is_object() {
        walk(&format!("{path}{{}}"), &node["additionalProperties"], visit);
    }
}
