//! What the garbage collector and the namespace controller would do next.
//!
//! A pure look at the store: every call is for the objects as they are now, with their uid and version as preconditions,
//! so it fails rather than hits another. When they are made is the caller's choice.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::call::{Call, PatchFormat, Verb};
use super::core::Core;
use super::delete::{FOREGROUND, ORPHAN};
use super::kind::Resource;
use super::metadata::{at, finalizers, is_deleting, meta, meta_text, put_at, text_at};
use super::store::place;

/// How an owner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// It is there.
    Solid,
    /// It is not.
    Absent,
    /// It waits for its dependents to go.
    Waiting,
}

/// All objects, with their resource.
type All = Vec<(Arc<Resource>, Arc<Value>)>;

impl Core {
    /// The next calls, in order.
    pub(super) fn garbage(&self) -> Vec<Call> {
        let mut all = All::new();
        for resource in self.kinds.all() {
            all.extend(self.store.objects(&resource.id, "").map(|object| (Arc::clone(resource), Arc::clone(object))));
        }
        let mut calls = Vec::new();
        for (resource, object) in &all {
            if is_deleting(object) {
                self.end(resource, object, &all, &mut calls);
            } else {
                self.collect(resource, object, &all, &mut calls);
            }
        }
        calls
    }

    /// An object that is being deleted: finalizers that the cluster itself owns.
    fn end(&self, resource: &Resource, object: &Value, all: &All, calls: &mut Vec<Call>) {
        let has = |name: &str| finalizers(object).any(|finalizer| finalizer == name);
        if resource.id == "namespaces" {
            self.end_namespace(object, all, calls);
        }
        if has(ORPHAN) {
            let dependents: Vec<_> = dependents(object, all).collect();
            for (resource, dependent, _) in &dependents {
                calls.push(without_owners(resource, dependent, |owner| owner == meta_text(object, "uid")));
            }
            if dependents.is_empty() {
                calls.push(without_finalizer(resource, object, ORPHAN));
            }
        }
        if has(FOREGROUND) && !dependents(object, all).any(|(_, _, blocks)| blocks) {
            calls.push(without_finalizer(resource, object, FOREGROUND));
        }
    }

    /// An object that nobody deleted: its owners may be gone.
    fn collect(&self, resource: &Resource, object: &Value, all: &All, calls: &mut Vec<Call>) {
        let owners = owners(object).map(|owner| (self.owner(object, owner), text_at(owner, &["uid"])));
        let owners: Vec<(Owner, &str)> = owners.filter_map(|(state, uid)| Some((state?, uid))).collect();
        let is = |wanted: Owner| owners.iter().any(|(state, _)| *state == wanted);
        let unknown = owners.len() < self::owners(object).count();
        if is(Owner::Solid) || unknown {
            if is(Owner::Absent) || is(Owner::Waiting) {
                let goes = |uid: &str| owners.iter().any(|(state, other)| *other == uid && *state != Owner::Solid);
                calls.push(without_owners(resource, object, goes));
            }
        } else if is(Owner::Waiting) && dependents(object, all).next().is_some() {
            calls.push(deletion(resource, object, "Foreground"));
        } else if !owners.is_empty() {
            let has = |name: &str| finalizers(object).any(|finalizer| finalizer == name);
            let policy = match (has(ORPHAN), has(FOREGROUND)) {
                (true, _) => "Orphan",
                (false, true) => "Foreground",
                (false, false) => "Background",
            };
            calls.push(deletion(resource, object, policy));
        }
    }

    /// How an owner is; `None` where its kind is unknown, which holds the object.
    fn owner(&self, object: &Value, reference: &Value) -> Option<Owner> {
        let (version, kind) = (text_at(reference, &["apiVersion"]), text_at(reference, &["kind"]));
        let resource = self.kinds.of_kind(version, kind)?;
        let namespace = if resource.namespaced() { meta_text(object, "namespace") } else { "" };
        let owner = self.store.get(&resource.id, namespace, text_at(reference, &["name"]));
        let owner = owner.filter(|owner| meta_text(owner, "uid") == text_at(reference, &["uid"]));
        Some(match owner {
            None => Owner::Absent,
            Some(owner) if is_deleting(owner) && finalizers(owner).any(|name| name == FOREGROUND) => Owner::Waiting,
            Some(_) => Owner::Solid,
        })
    }

    /// The content of a namespace goes, then the namespace.
    fn end_namespace(&self, namespace: &Value, all: &All, calls: &mut Vec<Call>) {
        let name = meta_text(namespace, "name");
        let inside = all.iter().filter(|(_, object)| meta_text(object, "namespace") == name);
        let mut empty = true;
        for (resource, object) in inside {
            empty = false;
            if !is_deleting(object) {
                calls.push(deletion(resource, object, "Background"));
            }
        }
        if empty {
            let mut body = namespace.clone();
            put_at(&mut body, &["spec", "finalizers"], json!([]));
            calls.push(Call::new(Verb::Update, "namespaces").at("", name).sub("finalize").with(body));
        }
    }
}

fn owners(object: &Value) -> impl Iterator<Item = &Value> {
    meta(object, "ownerReferences").as_array().into_iter().flatten()
}

/// Objects with this owner, and whether they block its deletion.
fn dependents<'a>(
    owner: &'a Value,
    all: &'a All,
) -> impl Iterator<Item = (&'a Arc<Resource>, &'a Arc<Value>, bool)> + 'a {
    let uid = meta_text(owner, "uid");
    all.iter().filter_map(move |(resource, object)| {
        let reference = owners(object).find(|reference| text_at(reference, &["uid"]) == uid)?;
        Some((resource, object, at(reference, &["blockOwnerDeletion"]).as_bool().unwrap_or_default()))
    })
}

fn on(verb: Verb, resource: &Resource, object: &Value) -> Call {
    let (namespace, name) = place(object);
    Call::new(verb, &resource.id).at(&namespace, &name)
}

fn deletion(resource: &Resource, object: &Value, policy: &str) -> Call {
    let preconditions = json!({"uid": meta(object, "uid"), "resourceVersion": meta(object, "resourceVersion")});
    on(Verb::Delete, resource, object).with(json!({"propagationPolicy": policy, "preconditions": preconditions}))
}

fn change(resource: &Resource, object: &Value, member: &str, value: Value) -> Call {
    let mut metadata = Map::new();
    metadata.insert("uid".to_owned(), meta(object, "uid").clone());
    metadata.insert("resourceVersion".to_owned(), meta(object, "resourceVersion").clone());
    metadata.insert(member.to_owned(), value);
    on(Verb::Patch(PatchFormat::Merge), resource, object).with(json!({"metadata": metadata}))
}

fn without_finalizer(resource: &Resource, object: &Value, name: &str) -> Call {
    let left: Vec<&str> = finalizers(object).filter(|finalizer| *finalizer != name).collect();
    change(resource, object, "finalizers", json!(left))
}

fn without_owners(resource: &Resource, object: &Value, goes: impl Fn(&str) -> bool) -> Call {
    let left: Vec<&Value> = owners(object).filter(|owner| !goes(text_at(owner, &["uid"]))).collect();
    change(resource, object, "ownerReferences", json!(left))
}
