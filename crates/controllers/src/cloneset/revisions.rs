//! Which revisions a CloneSet is between, and the write that a new template needs (CS-14, RV-5, RV-6, RV-9).

use std::sync::Arc;

use api::{cloneset::CloneSet, k8s::ControllerRevision, keys};
use rules::{
    hash, pod,
    revision::{self, Choice, NewRevision},
    write::{CONTROLLER_REVISION, Patch, PatchFormat, Subresource, Verb, Write},
};
use serde_json::{Map, Value, json};

use super::{
    snapshot::{Revision, Revisions, owner_reference},
    writes,
};

/// What the newest template asks for.
#[derive(Debug, PartialEq)]
pub struct Settled {
    /// The revisions to plan with.
    pub revisions: Revisions,
    /// A revision to create or to give a new number, before anything else is done.
    pub write: Option<Write>,
}

/// Chooses the update revision among the stored ones, in order, or makes one; `collisions` is the present count.
#[must_use]
pub fn settle(cloneset: &CloneSet, history: Vec<Arc<ControllerRevision>>, collisions: i32) -> Settled {
    let template = &cloneset.spec.template;
    let stored_name = |at: usize| history.get(at).map(|stored| stored.metadata.name.to_string()).unwrap_or_default();
    let (name, write) = match revision::choose(&history, template) {
        Choice::Last(at) => (stored_name(at), None),
        Choice::Renumber { at, number } => {
            (stored_name(at), history.get(at).map(|stored| renumber(cloneset, stored, number)))
        }
        Choice::Create { number } => {
            let body = object(cloneset, number, collisions);
            let name = body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
            (name.clone(), Some(create(cloneset, name, body)))
        }
    };
    let update = Revision { name, template: template.clone() };
    let current = current(cloneset, &history).unwrap_or_else(|| update.clone());
    let current = if current.name == update.name { update.clone() } else { current };
    Settled { revisions: Revisions { current, update, history, collisions }, write }
}

/// The listed revision that the status names (RV-9).
fn current(cloneset: &CloneSet, history: &[Arc<ControllerRevision>]) -> Option<Revision> {
    let name = &cloneset.status.as_ref()?.current_revision;
    let stored = history.iter().find(|stored| stored.metadata.name == *name)?;
    Some(Revision { name: name.clone(), template: revision::template_of(stored)? })
}

fn claim_hash(cloneset: &CloneSet) -> String {
    let templates = &cloneset.spec.volume_claim_templates;
    if templates.is_empty() { String::new() } else { hash::claim_templates(templates) }
}

fn object(cloneset: &CloneSet, number: i64, collisions: i32) -> Value {
    let mut annotations: Map<String, Value> =
        cloneset.metadata.annotations.iter().map(|(key, value)| (key.to_string(), json!(value))).collect();
    annotations.insert(keys::CLAIM_HASH_ANNOTATION.to_owned(), json!(claim_hash(cloneset)));
    revision::object(&NewRevision {
        owner_name: cloneset.metadata.name.as_str(),
        namespace: cloneset.metadata.namespace.as_str(),
        owner: owner_reference(cloneset),
        template: &cloneset.spec.template,
        annotations,
        number,
        collisions,
    })
}

fn create(cloneset: &CloneSet, name: String, body: Value) -> Write {
    Write {
        resource: CONTROLLER_REVISION,
        namespace: Some(cloneset.metadata.namespace.to_string()),
        revision: Some(name.clone()),
        name,
        verb: Verb::Create { body },
        reason: "create revision",
        on_success: None,
        on_failure: None,
    }
}

/// An older equal revision becomes the newest one, with the present claim hash (RV-5, RV-6, CS-131). One that nobody
/// controls becomes the CloneSet's: else its events would wake nobody, and it would stay when the CloneSet goes.
fn renumber(cloneset: &CloneSet, stored: &ControllerRevision, number: i64) -> Write {
    let present = claim_hash(cloneset);
    let known = stored.metadata.annotations.get(keys::CLAIM_HASH_ANNOTATION);
    let mut metadata = Map::new();
    if known.is_none_or(|known| *known != present) {
        metadata.insert("annotations".to_owned(), json!({keys::CLAIM_HASH_ANNOTATION: present}));
    }
    if pod::owner_controller(&stored.metadata).is_none() {
        let mut owners = stored.metadata.owner_references.to_vec();
        owners.retain(|owner| owner.uid != cloneset.metadata.uid);
        owners.push(owner_reference(cloneset));
        metadata.insert("ownerReferences".to_owned(), json!(owners));
    }
    let mut body = json!({"revision": number});
    if let (false, Some(body)) = (metadata.is_empty(), body.as_object_mut()) {
        body.insert("metadata".to_owned(), metadata.into());
    }
    let verb = Verb::Patch {
        uid: Some(stored.metadata.uid.to_string()),
        resource_version: Some(stored.metadata.resource_version.to_string()),
        patches: vec![Patch { subresource: Subresource::None, format: PatchFormat::Merge, body }],
    };
    writes::write(CONTROLLER_REVISION, &stored.metadata, "renumber revision", verb)
}
