//! The server's own part of a write, its rules, and the moment it is stored.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::call::{PatchFormat, Verb};
use super::core::{Answer, Core};
use super::draft::{Draft, Operation, Reply, check_version, typed, types};
use super::failure::{Failure, Result};
use super::kind::Resource;
use super::metadata::{self, finalizers, is_deleting, meta, meta_text};
use super::rules::{self, native, pod, schema};
use super::subresource;
use super::{draft, patch};

/// What came of a commit.
pub(super) enum Outcome {
    Done(Answer),
    /// The stored object is no longer the one that the draft began with.
    Changed,
}

impl Core {
    /// The object after the mutating hooks gets what only the server says of it, and is judged.
    pub(super) fn settle(&mut self, draft: &mut Draft<'_>) -> Result<()> {
        match draft.operation {
            Operation::Create => self.settle_new(draft),
            Operation::Update => settle_changed(draft, self.now()),
            Operation::Delete => Ok(()),
        }
    }

    fn settle_new(&mut self, draft: &mut Draft<'_>) -> Result<()> {
        let now = self.now();
        let Draft { resource, kind, object, key, .. } = draft;
        metadata::stamp_new(object, now, &mut self.rng)?;
        if resource.custom.is_some() || native::has_generation(kind) {
            metadata::metadata(object)?.remove("generation");
        }
        let prefix = meta_text(object, "generateName").to_owned();
        if meta_text(object, "name").is_empty() && !prefix.is_empty() {
            let name = self.free_name(resource, &key.namespace, &prefix);
            metadata::metadata(object)?.insert("name".to_owned(), json!(name));
        }
        meta_text(object, "name").clone_into(&mut key.name);
        if draft.call.verb != Verb::Patch(PatchFormat::Apply) {
            metadata::metadata(object)?.remove("managedFields");
        }
        let version = kind.version.as_str();
        let schema = resource.custom.as_ref().and_then(|custom| custom.schema(version));
        match schema {
            Some(schema) => schema::prepare_create(schema, object),
            None if native::is_known(kind) => native::prepare_create(kind, object),
            None => return Err(Failure::not_simulated(format!("creation of a {}", kind.kind))),
        }
        let mut causes = rules::metadata::on_create(kind, object);
        causes.extend(match schema {
            Some(schema) => schema::validate(schema, object),
            None => native::on_create(kind, object),
        });
        if causes.is_empty() { native::simulated(kind, object) } else { Err(rules::invalid(kind, &key.name, causes)) }
    }

    /// A name that nobody has; after some tries any, which is then refused.
    fn free_name(&mut self, resource: &Resource, namespace: &str, prefix: &str) -> String {
        let mut name = metadata::generated_name(prefix, &mut self.rng);
        for _ in 0..8 {
            if self.store.get(&resource.id, namespace, &name).is_none() {
                break;
            }
            name = metadata::generated_name(prefix, &mut self.rng);
        }
        name
    }

    /// Stores what was drafted, unless the stored object changed since.
    pub(super) fn commit(&mut self, draft: Draft<'_>) -> Result<Outcome> {
        let found = self.store.get(&draft.key.resource, &draft.key.namespace, &draft.key.name);
        match (found, &draft.before) {
            (Some(_), None) if draft.call.verb == Verb::Create => {
                return Err(Failure::already_exists(&draft.resource, &draft.key.name));
            }
            (None, None) => {}
            (Some(found), Some(before)) if Arc::ptr_eq(found, before) => {}
            _ => return Ok(Outcome::Changed),
        }
        match draft.operation {
            Operation::Delete => self.commit_deletion(draft).map(Outcome::Done),
            Operation::Create | Operation::Update => self.commit_object(draft).map(Outcome::Done),
        }
    }

    fn commit_object(&mut self, mut draft: Draft<'_>) -> Result<Answer> {
        let object = std::mem::take(&mut draft.object);
        let object = match draft.resource.stored() {
            Some(stored) if stored.version != draft.kind.version => {
                let mut object = self.convert(&draft.resource, object, stored)?;
                if let Some(schema) = draft.resource.custom.as_ref().and_then(|custom| custom.schema(&stored.version)) {
                    schema::prune(schema, &mut object);
                    schema::default(schema, &mut object);
                }
                object
            }
            _ => object,
        };
        let code = if draft.operation == Operation::Create { 201 } else { 200 };
        let (by, key, before) = (draft.by(), draft.key.clone(), draft.before.clone());
        let Some(before) = before else {
            if draft.call.options.dry_run {
                return self.answer(&draft, &Arc::new(object), code);
            }
            let object = self.put(by, &key, object);
            return self.answer(&draft, &object, code);
        };
        if *before == object {
            if !draft.call.options.dry_run {
                self.note(by, &key, Some(Arc::clone(&before)), Some(Arc::clone(&before)));
            }
            return self.answer(&draft, &before, code);
        }
        if draft.call.options.dry_run {
            return self.answer(&draft, &Arc::new(object), code);
        }
        if is_released(&draft.resource, &before, &object) {
            self.erase(by, &key, &before);
            return self.answer(&draft, &Arc::new(object), code);
        }
        let object = self.put(by, &key, object);
        self.answer(&draft, &object, code)
    }

    fn answer(&self, draft: &Draft<'_>, object: &Arc<Value>, code: u16) -> Result<Answer> {
        match draft.reply {
            Reply::Object => self.show(&draft.resource, object, &draft.kind, code),
            Reply::Scale => {
                let object = self.read(&draft.resource, object, &draft.kind)?;
                let body = Arc::new(subresource::scale_of(&draft.resource, &draft.kind, &object)?);
                Ok(Answer { code, body })
            }
            Reply::Success => Ok(subresource::success()),
        }
    }
}

/// Owners of fields are kept for objects that were ever applied; others have none.
fn track(draft: &mut Draft<'_>, old: &Value, now: Timestamp) -> Result<()> {
    if draft.call.verb == Verb::Patch(PatchFormat::Apply) {
        return Ok(());
    }
    if meta(old, "managedFields").as_array().is_none_or(Vec::is_empty) {
        metadata::metadata(&mut draft.object)?.remove("managedFields");
        return Ok(());
    }
    let mut object = std::mem::take(&mut draft.object);
    let api_version = draft.kind.api_version();
    let types = types(draft, &api_version)?;
    patch::apply::track(&types, old, &mut object, draft.manager(), &draft.call.subresource, now);
    draft.object = object;
    Ok(())
}

fn settle_changed(draft: &mut Draft<'_>, now: Timestamp) -> Result<()> {
    check_version(draft)?;
    let Some(old) = draft.old.clone() else { return Err(draft::not_found(draft)) };
    let Draft { resource, kind, object, key, call, .. } = draft;
    *object = typed(resource, kind, std::mem::take(object))?;
    metadata::restore(object, &old)?;
    let sub = call.subresource.as_str();
    let schema = resource.custom.as_ref().and_then(|custom| custom.schema(&kind.version));
    match (schema, sub) {
        (None, "status") => native::prepare_status(kind, object, &old),
        (None, "" | "scale") => native::prepare_update(kind, object, &old),
        (None, "resize") => pod::resize(object, &old)?,
        (None, "finalize") => keep(object, &old, "status"),
        (Some(_), "status") => schema::prepare_status(object, &old),
        (Some(schema), _) => schema::prepare_update(schema, object, &old),
        _ => {}
    }
    let mut causes = rules::metadata::on_update(kind, object, &old);
    causes.extend(match (schema, sub) {
        (Some(schema), "status") => schema::validate_status(schema, object),
        (Some(schema), _) => schema::validate(schema, object),
        (None, "status") => native::on_status(kind, object, &old),
        (None, "") => native::on_update(kind, object, &old),
        (None, _) => Vec::new(),
    });
    if !causes.is_empty() {
        return Err(rules::invalid(kind, &key.name, causes));
    }
    native::simulated(kind, object)?;
    track(draft, &old, now)
}

/// The member stays as it was.
fn keep(object: &mut Value, old: &Value, member: &str) {
    if let Some(members) = object.as_object_mut() {
        match old.get(member) {
            Some(value) => drop(members.insert(member.to_owned(), value.clone())),
            None => drop(members.remove(member)),
        }
    }
}

/// Whether nothing keeps a deleted object any longer.
fn is_released(resource: &Resource, before: &Value, object: &Value) -> bool {
    let grace = meta(before, "deletionGracePeriodSeconds").as_i64().unwrap_or_default();
    let held = resource.id == "namespaces" && subresource::namespace_is_held(object);
    is_deleting(before) && grace == 0 && !held && finalizers(object).next().is_none()
}
