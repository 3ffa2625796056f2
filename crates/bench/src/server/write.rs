//! `create`, `update`, `patch` and `delete`, with the checks that optimistic concurrency needs.
//!
//! No schema, no admission, no grace periods: what is sent is stored, what is deleted is gone.

use http::{Response, StatusCode};
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::kinds::{Kind, StatusPart};
use super::reply::{self, Body, Refusal};
use super::route::Part;
use super::store::{Content, Store};
use super::{Shared, patch};
use crate::objects::Key;

/// Stores a new object.
pub(super) fn create(
    shared: &Shared,
    kind: Kind,
    namespace: Option<&str>,
    sent: &[u8],
) -> Result<Response<Body>, Refusal> {
    shared.meter.count("create", kind);
    let mut object = json(sent)?;
    let mut store = shared.store.lock();
    let name = match (text(&object, "name"), text(&object, "generateName")) {
        (Some(name), _) => name.to_owned(),
        (None, Some(prefix)) => format!("{prefix}{:05x}", store.version() & 0xf_ffff),
        (None, None) => {
            return Err(Refusal::invalid("metadata.name: Required value: name or generateName is required"));
        }
    };
    let key = Key::new(namespace.unwrap_or_default(), name);
    if store.get(kind, &key).is_some() {
        return Err(Refusal::already_exists(kind.names().plural, &key.name));
    }
    begin(&mut object, kind, &key, store.version());
    let text = put(&mut store, kind, key, object);
    drop(store);
    shared.tell();
    Ok(reply::whole(StatusCode::CREATED, text))
}

/// What the API server sets of a new object; what is there already stays.
fn begin(object: &mut Value, kind: Kind, key: &Key, version: u64) {
    let names = kind.names();
    let Some(members) = object.as_object_mut() else { return };
    members.insert("apiVersion".to_owned(), json!(names.api_version()));
    members.insert("kind".to_owned(), json!(names.kind));
    let metadata = members.entry("metadata").or_insert_with(|| json!({}));
    let Some(metadata) = metadata.as_object_mut() else { return };
    metadata.insert("name".to_owned(), json!(key.name));
    if !key.namespace.is_empty() {
        metadata.insert("namespace".to_owned(), json!(key.namespace));
    }
    metadata.entry("uid").or_insert_with(|| json!(format!("00000000-0000-4000-8000-{version:012x}")));
    let now = runtime::clock::Clock::system().now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    metadata.entry("creationTimestamp").or_insert_with(|| json!(now));
    if names.status == StatusPart::Apart {
        metadata.entry("generation").or_insert_with(|| json!(1));
    }
}

/// How an object is to change.
pub(super) enum Wish<'a> {
    /// It becomes what is sent.
    Replace(&'a [u8]),
    /// A patch of this content type is applied.
    Patch(&'a str, &'a [u8]),
}

/// Changes an object or its status.
pub(super) fn change(
    shared: &Shared,
    kind: Kind,
    key: Key,
    part: Part,
    wish: &Wish<'_>,
) -> Result<Response<Body>, Refusal> {
    let verb = match (wish, part) {
        (Wish::Replace(_), Part::Main) => "update",
        (Wish::Replace(_), Part::Status) => "update status of",
        (Wish::Patch(..), Part::Main) => "patch",
        (Wish::Patch(..), Part::Status) => "patch status of",
    };
    shared.meter.count(verb, kind);
    let plural = kind.names().plural;
    let mut store = shared.store.lock();
    let before = stored(&store, kind, &key).ok_or_else(|| Refusal::not_found(plural, &key.name))?;
    let (asked, mut after) = match wish {
        Wish::Replace(sent) => {
            let sent = json(sent)?;
            (sent.clone(), sent)
        }
        Wish::Patch(format, sent) => {
            let (sent, mut after) = (json(sent)?, before.clone());
            patch::apply(&mut after, &sent, format)?;
            (sent, after)
        }
    };
    for (member, why) in [
        ("uid", "Precondition failed: UID does not match"),
        (
            "resourceVersion",
            "the object has been modified; please apply your changes to the latest version and try again",
        ),
    ] {
        if text(&asked, member).is_some_and(|wanted| Some(wanted) != text(&before, member)) {
            return Err(Refusal::conflict(plural, &key.name, why));
        }
    }
    keep(&before, &mut after, kind, part);
    if after == before {
        return Ok(reply::whole(StatusCode::OK, before.to_string()));
    }
    let text = put(&mut store, kind, key, after);
    drop(store);
    shared.tell();
    Ok(reply::whole(StatusCode::OK, text))
}

/// Puts back what this request may not change, and counts the generation.
fn keep(before: &Value, after: &mut Value, kind: Kind, part: Part) {
    if part == Part::Status {
        let status = after.get("status").cloned();
        *after = before.clone();
        set(after, "status", status);
        return;
    }
    for member in ["uid", "creationTimestamp", "resourceVersion", "generation", "name", "namespace"] {
        let kept = before.pointer("/metadata").and_then(|metadata| metadata.get(member)).cloned();
        if let Some(metadata) = after.get_mut("metadata") {
            set(metadata, member, kept);
        }
    }
    if kind.names().status == StatusPart::Apart {
        set(after, "status", before.get("status").cloned());
        if before.get("spec") != after.get("spec") {
            let generation = before.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0);
            if let Some(metadata) = after.get_mut("metadata") {
                set(metadata, "generation", Some(json!(generation + 1)));
            }
        }
    }
}

fn set(object: &mut Value, member: &str, value: Option<Value>) {
    let Some(object) = object.as_object_mut() else { return };
    match value {
        Some(value) => object.insert(member.to_owned(), value),
        None => object.remove(member),
    };
}

/// Takes an object away.
pub(super) fn delete(shared: &Shared, kind: Kind, key: &Key, options: &[u8]) -> Result<Response<Body>, Refusal> {
    shared.meter.count("delete", kind);
    let plural = kind.names().plural;
    let options = if options.is_empty() { Value::Null } else { json(options)? };
    let mut store = shared.store.lock();
    let before = stored(&store, kind, key).ok_or_else(|| Refusal::not_found(plural, &key.name))?;
    for member in ["uid", "resourceVersion"] {
        let wanted = options.pointer("/preconditions").and_then(|wanted| wanted.get(member)).and_then(Value::as_str);
        if wanted.is_some_and(|wanted| Some(wanted) != text(&before, member)) {
            return Err(Refusal::conflict(plural, &key.name, "the precondition does not hold"));
        }
    }
    let uid = text(&before, "uid").unwrap_or_default().to_owned();
    store.remove(kind, key, |version, _| encode(before, version));
    drop(store);
    shared.tell();
    let details = json!({"name": key.name, "kind": plural, "uid": uid});
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
    Ok(reply::whole(StatusCode::OK, status.to_string()))
}

/// An object as JSON.
pub(super) fn stored(store: &Store, kind: Kind, key: &Key) -> Option<Value> {
    let mut text = Vec::new();
    store.generated().render(&store.get(kind, key)?, &mut text);
    serde_json::from_slice(&text).ok()
}

/// Stores an object at the next version and returns its text.
pub(super) fn put(store: &mut Store, kind: Kind, key: Key, object: Value) -> Bytes {
    let mut text = Bytes::new();
    store.put(kind, key, |version| {
        let content = encode(object, version);
        if let Content::Encoded(encoded) = &content {
            text = encoded.clone();
        }
        content
    });
    text
}

fn encode(mut object: Value, version: u64) -> Content {
    if let Some(metadata) = object.get_mut("metadata") {
        set(metadata, "resourceVersion", Some(json!(version.to_string())));
    }
    Content::Encoded(object.to_string().into())
}

fn json(sent: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(sent).map_err(|err| Refusal::bad_request(format!("the body is not JSON: {err}")))
}

/// A member of the metadata that is a text.
fn text<'a>(object: &'a Value, member: &str) -> Option<&'a str> {
    object.get("metadata")?.get(member)?.as_str().filter(|text| !text.is_empty())
}
