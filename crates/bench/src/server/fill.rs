//! Puts generated objects into the store, all at once.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::kinds::Kind;
use super::store::{Content, Store};
use super::write;
use crate::objects::{clonesets, nodes, pods::Layout};

/// Puts CloneSets in that want no Pods.
pub(super) fn clonesets(store: &mut Store, count: u32) {
    for owner in 0..count {
        write::put(store, Kind::CloneSet, clonesets::key(owner), clonesets::empty(owner));
    }
}

/// Puts Pods and Nodes in. CloneSets that are there get theirs: they want as many, and the Pods are of the revision that
/// the manager has written for them.
pub(super) fn pods(store: &mut Store, mut layout: Layout) -> Result<()> {
    let revisions = revisions_by_owner(store);
    for owner in 0..layout.owners() {
        let key = clonesets::key(owner);
        let Some(mut cloneset) = write::stored(store, Kind::CloneSet, &key) else {
            layout.revisions.push(None);
            continue;
        };
        let uid = cloneset.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
        let revision = revisions.get(uid).with_context(|| format!("{} has no revision yet", key.name))?;
        layout.revisions.push(Some(revision.clone()));
        set(&mut cloneset, "/spec/replicas", json!(layout.pods_of(owner)));
        let generation = cloneset.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0);
        set(&mut cloneset, "/metadata/generation", json!(generation + 1));
        write::put(store, Kind::CloneSet, key, cloneset);
    }
    store.lay_out(layout);
    let generated = store.generated();
    let layout = generated.pods.layout();
    for index in 0..layout.pods {
        store.put(Kind::Pod, generated.pods.key(index), |_| Content::Pod { index, beat: 0 });
    }
    for index in 0..layout.nodes {
        store.put(Kind::Node, nodes::key(index), |_| Content::Node { index, beat: 0 });
    }
    // So many changes at once are nothing to watch: who was there before lists again.
    store.forget();
    Ok(())
}

/// Names of revisions by the UID of the CloneSet that they belong to.
fn revisions_by_owner(store: &Store) -> HashMap<String, String> {
    let (revisions, _) = store.list(Kind::ControllerRevision, None, None, None);
    revisions
        .iter()
        .filter_map(|object| write::stored(store, Kind::ControllerRevision, &object.key))
        .filter_map(|revision| {
            let owner = revision.pointer("/metadata/ownerReferences/0/uid")?.as_str()?.to_owned();
            Some((owner, revision.pointer("/metadata/name")?.as_str()?.to_owned()))
        })
        .collect()
}

fn set(object: &mut Value, pointer: &str, value: Value) {
    if let Some(member) = object.pointer_mut(pointer) {
        *member = value;
    }
}
