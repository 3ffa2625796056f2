//! Server-side apply: what a manager applies it owns; what it no longer applies goes, unless somebody else owns it.
//!
//! `apply` is one apply request, `track` keeps the owners right when somebody writes without applying. Names against URLs,
//! defaults and validation of the result are for others. Owners that wrote another version of the kind are not simulated.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::changes::{Changes, compare};
use super::fields::Fields;
use super::managed::{self, Entry, Operation};
use super::structured::{check, drop_nulls, fields_of, merge, remove};
use super::types::Types;
use crate::server::failure::{Failure, Result};

/// The object after the apply, with its managedFields. Equal to the live one where nothing changed.
///
/// # Errors
/// 400 for a wrong type or managedFields in the body, 409 for conflicts, 500 for a body that does not fit its schema, 501 for
/// subresources other than the status and for owners in other versions.
pub fn apply(
    types: &Types<'_>,
    live: Option<&Value>,
    applied: &Value,
    manager: &str,
    subresource: &str,
    force: bool,
    now: Timestamp,
) -> Result<Value> {
    if !matches!(subresource, "" | "status") {
        return Err(Failure::not_simulated(format_args!("apply to {subresource}")));
    }
    acceptable(types, live, applied)?;
    let mut entries = match live.map(managed::read) {
        None => Vec::new(),
        Some(Some(entries)) => entries,
        Some(None) => return Err(Failure::new(500, "", "failed to decode managed fields")),
    };
    let mut before = live.cloned().unwrap_or_else(|| types.empty());
    managed::strip(&mut before);
    if entries.is_empty() {
        let first = entry(types, "before-first-apply", Operation::Update, subresource);
        note(types, &types.empty(), &before, &mut entries, first, now);
    }
    if let Some(other) = entries.iter().find(|entry| entry.api_version != types.api_version) {
        let (ours, theirs) = (types.api_version, &other.api_version);
        return Err(Failure::not_simulated(format_args!("apply in {ours} next to fields managed in {theirs}")));
    }

    let mut ours = entry(types, manager, Operation::Apply, subresource);
    let last = match entries.iter().position(|entry| entry.same(&ours)) {
        Some(index) => entries.remove(index),
        None => ours.clone(),
    };
    ours.fields = fields_of(types.root, applied);
    reset(types, subresource, &mut ours.fields);
    ours.time = last.time;

    let merged = merge(types.root, Some(&before), Some(applied)).unwrap_or_default();
    let mut after = prune(types, &merged, &last.fields, &ours.fields, &entries).unwrap_or(merged);
    let mut changes = compare(types.root, &before, &after, true);
    filter(types, subresource, &mut changes);
    give_way(&mut entries, &changes, force)?;
    unowned(&mut ours.fields);

    if live.is_none() || after != before {
        ours.time = seconds(now);
    }
    if after != before {
        drop_nulls(types.root, &mut after);
    }
    if !ours.fields.is_empty() {
        entries.push(ours);
    }
    managed::write(&mut after, entries);
    Ok(after)
}

/// Keeps managedFields right over a plain write: changed fields move to the writer's entry, removed ones leave all.
///
/// `before` is null for an object that is created: then the writer owns all of it. An object without managedFields keeps
/// being one. What the written object says about managedFields counts only where it is not a subresource that is written.
pub fn track(types: &Types<'_>, before: &Value, after: &mut Value, manager: &str, subresource: &str, now: Timestamp) {
    let written = if subresource.is_empty() { managed::read(after).unwrap_or_default() } else { Vec::new() };
    let mut entries = match managed::read(before) {
        _ if subresource.is_empty() && managed::resets(after) => Vec::new(),
        live if written.is_empty() => live.unwrap_or_default(),
        _ => written,
    };
    managed::strip(after);
    if entries.is_empty() && !before.is_null() {
        return;
    }
    let empty = types.empty();
    let mut before = if before.is_null() { empty } else { before.clone() };
    managed::strip(&mut before);
    let manager = if manager.is_empty() { "unknown" } else { manager };
    let writer = entry(types, manager, Operation::Update, subresource);
    note(types, &before, after, &mut entries, writer, now);
    managed::write(after, entries);
}

/// The change from one object to the other, as a write of this manager.
fn note(types: &Types<'_>, before: &Value, after: &Value, entries: &mut Vec<Entry>, writer: Entry, now: Timestamp) {
    let mut changes = compare(types.root, before, after, false);
    filter(types, &writer.subresource, &mut changes);
    let mut taken = changes.modified.union(&changes.added);
    let lost = taken.clone().union(&changes.removed);
    for entry in entries.iter_mut() {
        entry.fields = entry.fields.without(&lost);
    }
    entries.retain(|entry| !entry.fields.is_empty());
    unowned(&mut taken);
    if taken.is_empty() {
        return;
    }
    let time = seconds(now);
    match entries.iter_mut().find(|entry| entry.same(&writer)) {
        Some(entry) => {
            entry.fields.add(&taken);
            entry.time = time;
        }
        None => entries.push(Entry { fields: taken, time, ..writer }),
    }
    managed::cap(entries);
}

/// Takes from the others what this apply changes, or refuses to.
fn give_way(entries: &mut Vec<Entry>, changes: &Changes, force: bool) -> Result<()> {
    let taken = changes.modified.clone().union(&changes.added);
    let identity = |entry: &Entry| (entry.manager.clone(), entry.operation, entry.api_version.clone());
    entries.sort_by_key(|entry| (identity(entry), entry.subresource.is_empty(), entry.subresource.clone()));
    let conflicts: Vec<(String, Vec<String>)> = entries
        .iter()
        .map(|entry| (entry.shown(), entry.fields.common(&taken).paths()))
        .filter(|(_, paths)| !paths.is_empty())
        .collect();
    if !force && !conflicts.is_empty() {
        return Err(conflict(conflicts));
    }
    let lost = taken.union(&changes.removed);
    for entry in entries.iter_mut() {
        entry.fields = entry.fields.without(&lost);
    }
    entries.retain(|entry| !entry.fields.is_empty());
    Ok(())
}

/// Without what this manager applied before and applies no longer, where nobody else owns it; `None` without such.
fn prune(types: &Types<'_>, merged: &Value, last: &Fields, ours: &Fields, others: &[Entry]) -> Option<Value> {
    if last.without(ours).is_empty() {
        return None;
    }
    let owned = others.iter().fold(ours.clone(), |owned, entry| owned.union(&entry.fields));
    // An item of a list stays, with its key, as long as anything in it is owned.
    let gone = last.with_named(types.root).without(&owned.with_named(types.root));
    Some(remove(types.root, merged, &gone))
}

/// Refuses what may not be applied at all.
fn acceptable(types: &Types<'_>, live: Option<&Value>, applied: &Value) -> Result<()> {
    let text = |pointer: &str| applied.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind, name) = (text("/apiVersion"), text("/kind"), text("/metadata/name"));
    if !applied.is_object() || api_version != types.api_version || kind != types.kind {
        return Err(bad(format!("invalid object type: {}, Kind={kind}", group_version(api_version, kind))));
    }
    if applied.pointer("/metadata/managedFields").is_some_and(|entries| !entries.is_null()) {
        return Err(bad("metadata.managedFields must be nil".to_owned()));
    }
    let mut errors = Vec::new();
    check(types.root, applied, "", &mut errors);
    if !errors.is_empty() {
        let errors = match errors.as_slice() {
            [error] => error.clone(),
            errors => format!("errors:\n  {}", errors.join("\n  ")),
        };
        let what = format!("{}/{name}; {}, Kind={kind}", text("/metadata/namespace"), group_version(api_version, kind));
        return Err(Failure::new(500, "", format!("failed to create typed patch object ({what}): {errors}")));
    }
    if live.is_none() && name.is_empty() {
        return Err(bad("name must be provided".to_owned()));
    }
    Ok(())
}

/// The version as Go prints it in front of a kind.
fn group_version(api_version: &str, kind: &str) -> String {
    match api_version {
        "" if kind.is_empty() => "/".to_owned(),
        core if !core.contains('/') => format!("/{core}"),
        other => other.to_owned(),
    }
}

fn conflict(conflicts: Vec<(String, Vec<String>)>) -> Failure {
    let mut causes = Vec::new();
    for (manager, paths) in &conflicts {
        for path in paths {
            let message = format!("conflict with {manager}");
            causes.push(json!({"reason": "FieldManagerConflict", "message": message, "field": path}));
        }
    }
    let text = match (conflicts.as_slice(), causes.len()) {
        ([(manager, paths)], 1) => format!("1 conflict: conflict with {manager}: {}", paths.concat()),
        (conflicts, count) => {
            let lines = conflicts.iter().flat_map(|(manager, paths)| {
                std::iter::once(format!("conflicts with {manager}:"))
                    .chain(paths.iter().map(|path| format!("- {path}")))
            });
            format!("{count} conflicts: {}", lines.collect::<Vec<_>>().join("\n"))
        }
    };
    Failure { details: json!({"causes": causes}), ..Failure::new(409, "Conflict", format!("Apply failed with {text}")) }
}

fn entry(types: &Types<'_>, manager: &str, operation: Operation, subresource: &str) -> Entry {
    Entry {
        manager: manager.to_owned(),
        operation,
        api_version: types.api_version.to_owned(),
        subresource: subresource.to_owned(),
        time: String::new(),
        fields: Fields::default(),
    }
}

/// Leaves out what a write to this part of the object cannot change.
fn reset(types: &Types<'_>, subresource: &str, fields: &mut Fields) {
    match subresource {
        "" if types.status => fields.prune(&["status"]),
        "status" => {
            fields.prune(&["spec"]);
            if types.kind == "Pod" {
                fields.prune(&["metadata", "deletionTimestamp"]);
                fields.prune(&["metadata", "ownerReferences"]);
            } else if types.kind == "Deployment" {
                fields.prune(&["metadata", "labels"]);
            }
        }
        _ => {}
    }
}

fn filter(types: &Types<'_>, subresource: &str, changes: &mut Changes) {
    for fields in [&mut changes.added, &mut changes.modified, &mut changes.removed] {
        reset(types, subresource, fields);
    }
}

/// Leaves out what nobody owns: identity, and what the server itself writes.
fn unowned(fields: &mut Fields) {
    for top in ["apiVersion", "kind", "metadata"] {
        fields.remove(&[top]);
    }
    for name in [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    ] {
        fields.remove(&["metadata", name]);
    }
}

fn seconds(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn bad(text: String) -> Failure {
    Failure::new(400, "BadRequest", text)
}
