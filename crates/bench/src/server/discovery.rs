//! What the stand-in says about itself: its version, and which kinds it serves.

use serde_json::{Value, json};

use super::kinds::{Kind, Scope, StatusPart};

/// `/version`.
pub(super) fn version() -> Value {
    json!({
        "major": "1", "minor": "34", "gitVersion": "v1.34.1", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "2025-09-09T00:00:00Z", "goVersion": "", "compiler": "", "platform": "linux/amd64",
    })
}

/// `/api`.
pub(super) fn core_versions() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// `/apis`.
pub(super) fn groups() -> Value {
    let groups: Vec<Value> = Kind::ALL
        .into_iter()
        .map(Kind::names)
        .filter(|names| !names.group.is_empty())
        .map(|names| {
            let version = json!({"groupVersion": names.api_version(), "version": names.version});
            json!({"name": names.group, "versions": [version], "preferredVersion": version})
        })
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/api/v1` and `/apis/<group>/<version>`; nothing where no kind is served.
pub(super) fn resources(group: &str, version: &str) -> Option<Value> {
    let verbs = ["create", "delete", "get", "list", "patch", "update", "watch"];
    let mut resources = Vec::new();
    let mut api_version = None;
    for names in Kind::ALL.into_iter().map(Kind::names) {
        if (names.group, names.version) != (group, version) {
            continue;
        }
        api_version = Some(names.api_version());
        let namespaced = names.scope == Scope::Namespaced;
        let entry = |name: String, verbs: &[&str]| json!({"name": name, "singularName": "", "kind": names.kind, "namespaced": namespaced, "verbs": verbs});
        resources.push(entry(names.plural.to_owned(), &verbs));
        if names.status == StatusPart::Apart {
            resources.push(entry(format!("{}/status", names.plural), &["get", "patch", "update"]));
        }
    }
    Some(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version?, "resources": resources,
    }))
}
