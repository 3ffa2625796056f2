//! `get` and `list`: one object, or pages of them.
//!
//! A page shows objects as they are now, under the version at which its list began: what changed in between comes again
//! with the watch that starts there.

use std::sync::Arc;

use http::{Response, StatusCode};
use hyper::body::Bytes;
use serde_json::Value;

use super::kinds::Kind;
use super::reply::{self, Body, Refusal};
use super::route::{Query, Token};
use super::store::{Generated, More, Object};
use super::{CHUNK, Shared};
use crate::objects::Key;

/// One object.
pub(super) fn get(shared: &Shared, kind: Kind, key: &Key) -> Result<Response<Body>, Refusal> {
    shared.meter.count("get", kind);
    let store = shared.store.lock();
    let object = store.get(kind, key).ok_or_else(|| Refusal::not_found(kind.names().plural, &key.name))?;
    let mut text = Vec::new();
    store.generated().render(&object, &mut text);
    Ok(reply::whole(StatusCode::OK, text))
}

/// A page of objects, or all of them.
pub(super) fn list(
    shared: &Shared,
    kind: Kind,
    namespace: Option<&str>,
    query: &Query,
) -> Result<Response<Body>, Refusal> {
    if query.field_selector.is_some() {
        return Err(Refusal::bad_request("field selectors are not served here"));
    }
    shared.meter.count(if query.after.is_some() { "list more" } else { "list" }, kind);
    let store = shared.store.lock();
    let version = query.after.as_ref().map_or(store.version(), |token| token.version);
    store.check(kind, version).map_err(|expired| Refusal::expired(version, expired))?;
    let after = query.after.as_ref().map(|token| &token.after);
    let (mut objects, more) = store.list(kind, namespace, after, query.limit);
    let generated = store.generated();
    drop(store);
    if let Some(selector) = &query.label_selector {
        let wanted = equalities(selector)?;
        objects.retain(|object| has_labels(&generated, object, &wanted));
    }
    let next = objects.last().filter(|_| more == More::Yes).map(|last| Token { version, after: (*last.key).clone() });
    Ok(reply::made(Page::new(kind, version, next.as_ref(), objects, generated)))
}

/// `key=value` pairs; nothing else is understood.
fn equalities(selector: &str) -> Result<Vec<(&str, &str)>, Refusal> {
    let mut wanted = Vec::new();
    for part in selector.split(',') {
        match part.split_once('=') {
            Some((key, value)) if !key.ends_with('!') && !value.starts_with('=') => wanted.push((key, value)),
            _ => return Err(Refusal::bad_request(format!("only key=value is served here, not {part}"))),
        }
    }
    Ok(wanted)
}

fn has_labels(generated: &Generated, object: &Object, wanted: &[(&str, &str)]) -> bool {
    let mut text = Vec::new();
    generated.render(object, &mut text);
    let object: Value = serde_json::from_slice(&text).unwrap_or_default();
    let labels = object.pointer("/metadata/labels");
    wanted.iter().all(|(key, value)| {
        labels.and_then(|labels| labels.get(key)).and_then(Value::as_str).is_some_and(|label| label == *value)
    })
}

/// The text of a list, made as it is sent.
struct Page {
    ahead: Vec<u8>,
    objects: std::vec::IntoIter<Object>,
    generated: Arc<Generated>,
    at: At,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    First,
    Further,
    End,
}

impl Page {
    fn new(kind: Kind, version: u64, next: Option<&Token>, objects: Vec<Object>, generated: Arc<Generated>) -> Self {
        let names = kind.names();
        let more = next.map_or_else(String::new, |token| format!(r#","continue":"{}""#, token.text()));
        let ahead = format!(
            r#"{{"kind":"{}List","apiVersion":"{}","metadata":{{"resourceVersion":"{version}"{more}}},"items":["#,
            names.kind,
            names.api_version()
        );
        Self { ahead: ahead.into_bytes(), objects: objects.into_iter(), generated, at: At::First }
    }
}

impl Iterator for Page {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.at == At::End {
            return None;
        }
        let mut text = std::mem::take(&mut self.ahead);
        text.reserve(CHUNK + CHUNK / 4);
        while text.len() < CHUNK {
            let Some(object) = self.objects.next() else {
                text.extend_from_slice(b"]}\n");
                self.at = At::End;
                break;
            };
            if self.at == At::Further {
                text.push(b',');
            }
            self.at = At::Further;
            self.generated.render(&object, &mut text);
        }
        Some(text.into())
    }
}
