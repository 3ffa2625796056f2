//! Pod templates in the form that revision data has (RV-1), and the tolerant comparison of two of them (ruling 12).
//!
//! Which members are optional, which are always written and which are pointers (so that `false` or `""` is a value of
//! its own) are facts of the Kubernetes 1.32 API, listed below by member name. Members that API does not know are kept
//! as they are (ruling 17).

use api::quantity::Quantity;
use serde_json::{Map, Value, json};

use crate::json::canonical;

/// Maps with free keys: left out when empty, their keys are never member names.
const MAPS: [&str; 9] = [
    "labels",
    "annotations",
    "nodeSelector",
    "matchLabels",
    "limits",
    "requests",
    "overhead",
    "volumeAttributes",
    "options",
];
/// Lists that are written even when empty.
const REQUIRED_LISTS: [&str; 3] = ["containers", "nodeSelectorTerms", "sources"];
/// Plain booleans: `false` is the same as absent. All other booleans are pointers.
const PLAIN_BOOLS: [&str; 7] = ["hostNetwork", "hostPID", "hostIPC", "stdin", "stdinOnce", "tty", "readOnly"];
/// Plain numbers: 0 is the same as absent.
const PLAIN_NUMBERS: [&str; 7] = [
    "hostPort",
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
    "partition",
];
/// Optional strings that are pointers: `""` is a value.
const POINTER_STRINGS: [&str; 12] = [
    "storageClassName",
    "volumeMode",
    "volumeAttributesClassName",
    "runtimeClassName",
    "apiGroup",
    "procMount",
    "localhostProfile",
    "gmsaCredentialSpec",
    "gmsaCredentialSpecName",
    "runAsUserName",
    "preemptionPolicy",
    "service",
];
/// Members that hold one quantity.
const QUANTITIES: [&str; 2] = ["sizeLimit", "divisor"];
/// Members that hold a map of quantities.
const QUANTITY_MAPS: [&str; 3] = ["limits", "requests", "overhead"];

/// A Pod template as the typed API of Kubernetes 1.32 would write it, plus what that API does not know (RV-1).
#[must_use]
pub fn canonical_template(template: &Value) -> Value {
    let mut out = match written("template", template) {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    };
    always_metadata(&mut out);
    let spec = out.entry("spec").or_insert_with(|| json!({}));
    if let Some(spec) = spec.as_object_mut() {
        spec.entry("containers").or_insert(Value::Null);
        for list in ["containers", "initContainers"] {
            for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                complete_container(container);
            }
        }
        for volume in spec.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten() {
            complete_volume(volume);
        }
    }
    Value::Object(out)
}

/// A claim's spec in canonical form; `resources` is always there.
#[must_use]
pub fn canonical_claim_spec(spec: Option<&Value>) -> Value {
    let mut spec = spec.and_then(|spec| written("spec", spec)).unwrap_or_else(|| json!({}));
    if let Some(spec) = spec.as_object_mut() {
        spec.entry("resources").or_insert_with(|| json!({}));
    }
    spec
}

/// A claim's spec as text with members in the order of the API's type, which the claim hash was made from.
#[must_use]
pub fn claim_spec_in_api_order(spec: &Value) -> String {
    const ORDER: [&str; 9] = [
        "accessModes",
        "selector",
        "resources",
        "volumeName",
        "storageClassName",
        "volumeMode",
        "dataSource",
        "dataSourceRef",
        "volumeAttributesClassName",
    ];
    let members: Vec<String> =
        ORDER.iter().filter_map(|key| spec.get(key).map(|value| format!("\"{key}\":{}", canonical(value)))).collect();
    format!("{{{}}}", members.join(","))
}

/// What the API would write for a member, `None` where it writes nothing.
fn written(key: &str, value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Bool(false) if PLAIN_BOOLS.contains(&key) => None,
        Value::Number(number) if PLAIN_NUMBERS.contains(&key) && number.as_f64() == Some(0.0) => None,
        Value::String(_) | Value::Number(_) if QUANTITIES.contains(&key) => Some(quantity(value)),
        Value::String(text) if text.is_empty() && !POINTER_STRINGS.contains(&key) && key != "type" => None,
        Value::Array(items) => {
            let items: Vec<Value> =
                items.iter().map(|item| written("", item).unwrap_or_else(|| item.clone())).collect();
            (!items.is_empty() || REQUIRED_LISTS.contains(&key)).then_some(Value::Array(items))
        }
        Value::Object(members) if MAPS.contains(&key) => {
            let kept: Map<String, Value> = members
                .iter()
                .map(|(name, value)| {
                    (name.clone(), if QUANTITY_MAPS.contains(&key) { quantity(value) } else { value.clone() })
                })
                .collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Object(members) => Some(Value::Object(
            members.iter().filter_map(|(name, value)| Some((name.clone(), written(name, value)?))).collect(),
        )),
        kept => Some(kept.clone()),
    }
}

fn quantity(value: &Value) -> Value {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Quantity::parse(&text).map_or_else(|| value.clone(), |quantity| Value::String(quantity.to_string()))
}

fn always_metadata(object: &mut Map<String, Value>) {
    let metadata = object.entry("metadata").or_insert_with(|| json!({}));
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.insert("creationTimestamp".to_owned(), Value::Null);
    }
}

fn complete_container(container: &mut Value) {
    let Some(container) = container.as_object_mut() else { return };
    container.entry("resources").or_insert_with(|| json!({}));
    container.entry("name").or_insert_with(|| json!(""));
    for variable in container.get_mut("env").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(source) = variable.pointer_mut("/valueFrom/resourceFieldRef").and_then(Value::as_object_mut) {
            source.entry("divisor").or_insert_with(|| json!("0"));
        }
    }
}

fn complete_volume(volume: &mut Value) {
    let projected = volume.pointer("/projected/sources").and_then(Value::as_array).map_or(0, Vec::len);
    let mut lists = vec!["/downwardAPI/items".to_owned()];
    lists.extend((0..projected).map(|at| format!("/projected/sources/{at}/downwardAPI/items")));
    for list in lists {
        for item in volume.pointer_mut(&list).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(source) = item.get_mut("resourceFieldRef").and_then(Value::as_object_mut) {
                source.entry("divisor").or_insert_with(|| json!("0"));
            }
        }
    }
    if let Some(claim) = volume.pointer_mut("/ephemeral/volumeClaimTemplate").and_then(Value::as_object_mut) {
        always_metadata(claim);
        let spec = canonical_claim_spec(claim.get("spec"));
        claim.insert("spec".to_owned(), spec);
    }
}

/// Whether two templates mean the same: null, absent and empty members are alike (RV-2, ruling 12).
#[must_use]
pub fn same_meaning(left: &Value, right: &Value) -> bool {
    meaning("", left) == meaning("", right)
}

/// A template without the members that the Kubernetes 1.32 API did not have: what OpenKruise 1.9 kept of it (ruling 17).
/// A template that is not of the API's form is returned as it is.
#[must_use]
pub fn known_to_1_32(template: &Value) -> Value {
    let typed = serde_json::from_value::<k8s_openapi::api::core::v1::PodTemplateSpec>(template.clone());
    let Ok(mut known) = typed.map_err(|_| ()).and_then(|typed| serde_json::to_value(typed).map_err(|_| ())) else {
        return template.clone();
    };
    remove_newer_members(&mut known);
    known
}

/// Drops the members that came between Kubernetes 1.33 and the version of our types.
fn remove_newer_members(value: &mut Value) {
    const NEWER: [&str; 5] = ["hostnameOverride", "restartPolicyRules", "stopSignal", "fileKeyRef", "podCertificate"];
    match value {
        Value::Object(members) => {
            for newer in NEWER {
                members.remove(newer);
            }
            for (key, member) in members.iter_mut() {
                if !MAPS.contains(&key.as_str()) {
                    remove_newer_members(member);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(remove_newer_members),
        _ => {}
    }
}

/// A value without its null and empty members; quantities in canonical form, zero divisors dropped.
fn meaning(key: &str, value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text)
            if key == "divisor" && Quantity::parse(text).is_some_and(|divisor| divisor.nanos() == 0) =>
        {
            None
        }
        Value::Array(items) if items.is_empty() => None,
        Value::Array(items) => {
            Some(Value::Array(items.iter().map(|item| meaning("", item).unwrap_or_default()).collect()))
        }
        Value::Object(members) => {
            let kept: Map<String, Value> = members
                .iter()
                .filter_map(|(name, value)| {
                    let value = if QUANTITY_MAPS.contains(&key) { quantity(value) } else { value.clone() };
                    Some((name.clone(), meaning(name, &value)?))
                })
                .collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        kept => Some(kept.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{canonical_template, known_to_1_32, same_meaning};
    use crate::json::canonical;

    #[test] // RV-1
    fn members_that_the_api_always_writes_are_added() {
        let template = json!({"metadata": {"labels": {"foo": "bar"}}, "spec": {"containers": [{"name": "nginx", "image": "nginx:1.9.1"}]}});
        assert_eq!(
            canonical(&canonical_template(&template)),
            r#"{"metadata":{"creationTimestamp":null,"labels":{"foo":"bar"}},"spec":{"containers":[{"image":"nginx:1.9.1","name":"nginx","resources":{}}]}}"#
        );
    }

    #[test] // RV-1
    fn empty_optional_members_are_dropped_and_pointers_kept() {
        let spec = canonical_template(&json!({"spec": {
            "hostNetwork": false, "shareProcessNamespace": false, "nodeSelector": {}, "securityContext": {}, "tolerations": [],
            "terminationGracePeriodSeconds": 0, "hostname": "", "runtimeClassName": "",
            "volumes": [{"name": "h", "hostPath": {"path": "/x", "type": ""}}, {"name": "e", "emptyDir": {}}],
            "containers": [{"name": "a", "tty": false, "env": [{"name": "E", "value": ""}],
                "livenessProbe": {"initialDelaySeconds": 0, "tcpSocket": {"port": 80}},
                "resources": {"limits": {"cpu": "1000m", "memory": 1073741824}, "requests": {}}}]
        }}));
        assert_eq!(
            spec["spec"],
            json!({
                "shareProcessNamespace": false, "securityContext": {}, "terminationGracePeriodSeconds": 0, "runtimeClassName": "",
                "volumes": [{"name": "h", "hostPath": {"path": "/x", "type": ""}}, {"name": "e", "emptyDir": {}}],
                "containers": [{"name": "a", "env": [{"name": "E"}], "livenessProbe": {"tcpSocket": {"port": 80}},
                    "resources": {"limits": {"cpu": "1", "memory": "1073741824"}}}]
            })
        );
    }

    #[test] // ruling 17
    fn members_newer_than_our_types_are_kept() {
        let template = canonical_template(
            &json!({"spec": {"containers": [{"name": "a", "newField": {"deep": [1, {"er": true}]}}], "fancy": 7}}),
        );
        assert_eq!(template["spec"]["containers"][0]["newField"], json!({"deep": [1, {"er": true}]}));
        assert_eq!(template["spec"]["fancy"], json!(7));
    }

    #[test] // RV-2, ruling 12
    fn null_absent_and_empty_mean_the_same() {
        let ours =
            json!({"metadata": {"creationTimestamp": null}, "spec": {"containers": [{"name": "a", "resources": {}}]}});
        let theirs =
            json!({"metadata": {}, "spec": {"nodeSelector": {}, "containers": [{"name": "a", "livenessProbe": null}]}});
        assert!(same_meaning(&ours, &theirs));
        assert!(!same_meaning(&ours, &json!({"spec": {"containers": [{"name": "b"}]}})));
    }

    #[test] // ruling 17
    fn members_newer_than_1_32_can_be_told_apart() {
        let newer = json!({"metadata": {"labels": {"stopSignal": "a label, not a member"}}, "spec": {"hostnameOverride": "h", "fancy": 7,
            "containers": [{"name": "a", "image": "x:1", "newField": 1, "lifecycle": {"stopSignal": "SIGUSR1"}}]}});
        let known = json!({"metadata": {"labels": {"stopSignal": "a label, not a member"}}, "spec": {"containers": [{"name": "a", "image": "x:1"}]}});
        assert!(same_meaning(&known_to_1_32(&newer), &known));
    }

    #[test] // RV-1
    fn canonical_form_is_stable() {
        let once = canonical_template(
            &json!({"spec": {"containers": [{"name": "a", "env": [{"name": "C", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}]}]}}),
        );
        assert_eq!(once["spec"]["containers"][0]["env"][0]["valueFrom"]["resourceFieldRef"]["divisor"], json!("0"));
        assert_eq!(canonical_template(&once), once);
    }
}
