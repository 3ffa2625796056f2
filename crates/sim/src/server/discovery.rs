//! Discovery: which groups, versions and kinds are served.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::failure::Result;
use super::kind::{Kind, Kinds, Resource};
use super::metadata::put_at;
use super::route;

/// `/version`.
pub(super) fn version() -> Value {
    json!({"major": "1", "minor": "34", "gitVersion": "v1.34.4", "gitCommit": "simulated", "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z", "goVersion": "go1.24", "compiler": "gc", "platform": "linux/amd64"})
}

/// `/api`.
pub(super) fn core_versions() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// `/apis`.
pub(super) fn groups(kinds: &Kinds) -> Value {
    let groups: Vec<Value> = by_group(kinds).iter().map(|(name, versions)| group_of(name, versions)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/<group>`.
pub(super) fn group(kinds: &Kinds, name: &str) -> Result<Value> {
    let groups = by_group(kinds);
    let mut group = group_of(name, groups.get(name).ok_or_else(route::unknown)?);
    put_at(&mut group, &["kind"], json!("APIGroup"));
    put_at(&mut group, &["apiVersion"], json!("v1"));
    Ok(group)
}

/// `/api/v1`, `/apis/<group>/<version>`.
pub(super) fn resources(kinds: &Kinds, group: &str, version: &str) -> Result<Value> {
    let served = |resource: &Resource| resource.group() == group;
    let mut list = Vec::new();
    let mut api_version = String::new();
    for resource in kinds.all().filter(|resource| served(resource)) {
        if let Some(kind) = resource.kind(version) {
            api_version = kind.api_version();
            entries(resource, kind, &mut list);
        }
    }
    if list.is_empty() {
        return Err(route::unknown());
    }
    Ok(json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": list}))
}

fn entries(resource: &Resource, kind: &Kind, list: &mut Vec<Value>) {
    let Kind { kind: name, plural, namespaced, .. } = kind;
    let verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
    list.push(json!({"name": plural, "singularName": resource.singular, "namespaced": namespaced, "kind": name,
        "verbs": verbs}));
    let part = |name: &str, kind: &str, verbs: &[&str], other: Option<(&str, &str)>| {
        let mut part = json!({"name": format!("{plural}/{name}"), "singularName": "", "namespaced": namespaced,
            "kind": kind, "verbs": verbs});
        if let Some((group, version)) = other {
            put_at(&mut part, &["group"], json!(group));
            put_at(&mut part, &["version"], json!(version));
        }
        part
    };
    if resource.id == "pods" {
        list.push(part("binding", "Binding", &["create"], None));
        list.push(part("eviction", "Eviction", &["create"], Some(("policy", "v1"))));
        list.push(part("resize", name, &["get", "patch", "update"], None));
    }
    if resource.id == "namespaces" {
        list.push(part("finalize", name, &["update"], None));
    }
    if resource.traits.scale {
        list.push(part("scale", "Scale", &["get", "patch", "update"], Some(("autoscaling", "v1"))));
    }
    if resource.traits.status {
        list.push(part("status", name, &["get", "patch", "update"], None));
    }
}

/// Versions by group, the stored one first; without the core group.
fn by_group(kinds: &Kinds) -> BTreeMap<&str, Vec<&str>> {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for kind in kinds.all().flat_map(|resource| &resource.kinds).filter(|kind| !kind.group.is_empty()) {
        let versions = groups.entry(&kind.group).or_default();
        if !versions.contains(&kind.version.as_str()) {
            versions.push(&kind.version);
        }
    }
    groups
}

fn group_of(name: &str, versions: &[&str]) -> Value {
    let version = |version: &&str| json!({"groupVersion": format!("{name}/{version}"), "version": version});
    let versions: Vec<Value> = versions.iter().map(version).collect();
    json!({"name": name, "preferredVersion": versions.first(), "versions": versions})
}
