//! Lists: which objects, as of when, and in which pages.

use std::sync::Arc;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Map, Value, json};

use super::core::Core;
use super::failure::{Cause, Failure, Result};
use super::kind::{Kind, Resource};
use super::metadata::{meta_text, put_at};
use super::query::Query;
use super::selector::Selector;

/// A page of a list.
pub(super) struct Page {
    pub(super) kind: Kind,
    pub(super) custom: bool,
    pub(super) partial: bool,
    pub(super) metadata: Value,
    pub(super) items: Vec<Arc<Value>>,
}

impl Core {
    /// A page of objects.
    pub(super) fn list(&self, resource: &Resource, kind: &Kind, namespace: &str, query: &Query) -> Result<Page> {
        let selector = Selector::parse(resource, &query.labels, &query.fields)?;
        let current = self.store.version();
        let (version, after) = self.as_of(query)?;
        let mut objects: Vec<Arc<Value>> = if version == current {
            match (selector.name(), namespace.is_empty()) {
                (Some(name), false) => self.store.get(&resource.id, namespace, name).cloned().into_iter().collect(),
                _ => self.store.objects(&resource.id, namespace).cloned().collect(),
            }
        } else {
            let objects = self.store.objects_at(&resource.id, namespace, version);
            objects.ok_or_else(|| self.expired_page(&query.after))?
        };
        if let Some(after) = after {
            objects.retain(|object| place(object) > after);
        }
        objects.retain(|object| selector.fits(object));
        let mut metadata = json!({"resourceVersion": version.to_string()});
        // Lists from the watch cache, which "0" asks for, come whole.
        let limit = if query.version == "0" { 0 } else { query.limit };
        if limit > 0 && objects.len() > limit {
            let left = objects.len() - limit;
            objects.truncate(limit);
            if let Some(last) = objects.last() {
                let (namespace, name) = place(last);
                put_at(&mut metadata, &["continue"], json!(format!("{version}:{namespace}/{name}")));
            }
            if selector.is_empty() {
                put_at(&mut metadata, &["remainingItemCount"], json!(left));
            }
        }
        if resource.custom.is_some()
            && !query.partial
            && let Some(members) = metadata.as_object_mut()
        {
            members.entry("continue").or_insert_with(|| json!(""));
        }
        let items = objects.iter().map(|object| self.read(resource, object, kind)).collect::<Result<_>>()?;
        let (custom, partial) = (resource.custom.is_some(), query.partial);
        Ok(Page { kind: kind.clone(), custom, partial, metadata, items })
    }

    /// The version that a list is of, and what it comes after.
    fn as_of<'q>(&self, query: &'q Query) -> Result<(u64, Option<(&'q str, &'q str)>)> {
        let current = self.store.version();
        if !query.after.is_empty() {
            if !matches!(query.version.as_str(), "" | "0") {
                return Err(Failure::bad_request("specifying resource version is not allowed when using continue"));
            }
            let unreadable =
                || Failure::bad_request("invalid continue token: continue key is not valid: illegal base64 data");
            let (version, place) = query.after.split_once(':').ok_or_else(unreadable)?;
            let place = place.split_once('/').ok_or_else(unreadable)?;
            if version == INCONSISTENT {
                return Ok((current, Some(place)));
            }
            let version: u64 = version.parse().map_err(|_| unreadable())?;
            if self.store.is_expired(version) {
                return Err(self.expired_page(&query.after));
            }
            return Ok((version, Some(place)));
        }
        let asked = query.version()?;
        if asked > current {
            return Err(Failure::too_large_version(asked, current));
        }
        match (query.version_match.as_str(), asked) {
            ("Exact" | "NotOlderThan", _) if query.version.is_empty() => {
                Err(forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided"))
            }
            ("" | "NotOlderThan", _) => {
                // With a limit and a version of its own, a list without a match is of that very version.
                let exact = query.version_match.is_empty() && query.limit > 0 && asked > 0;
                if exact { self.exactly(asked) } else { Ok((current, None)) }
            }
            ("Exact", 0) => Err(forbidden("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"")),
            ("Exact", _) => self.exactly(asked),
            (other, _) => {
                let known = r#""Exact", "NotOlderThan", """#;
                Err(wrong_match(
                    "FieldValueNotSupported",
                    format!("Unsupported value: {other:?}: supported values: {known}"),
                ))
            }
        }
    }

    fn exactly<'q>(&self, version: u64) -> Result<(u64, Option<(&'q str, &'q str)>)> {
        if self.store.is_expired(version) {
            return Err(Failure::expired(format!("The resourceVersion for the provided list is too old: {version}")));
        }
        Ok((version, None))
    }

    /// The refusal of a page that can no longer be told as it was, with a token that goes on from there with what is now.
    fn expired_page(&self, after: &str) -> Failure {
        let place = after.split_once(':').map_or("", |(_, place)| place);
        let message = "The provided continue parameter is too old to display a consistent list result. You can start a new \
             list without the continue parameter, or use the continue token in this response to retrieve the remainder \
             of the results. Continuing with the provided token results in an inconsistent list - objects that were \
             created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";
        Failure { details: json!({"continue": format!("{INCONSISTENT}:{place}")}), ..Failure::expired(message) }
    }
}

/// In place of a version: what is now.
const INCONSISTENT: &str = "-1";

fn forbidden(why: &str) -> Failure {
    wrong_match("FieldValueForbidden", format!("Forbidden: {why}"))
}

fn wrong_match(reason: &'static str, message: String) -> Failure {
    Failure::options("ListOptions", &[Cause { reason, message, field: "resourceVersionMatch".to_owned() }])
}

fn place(object: &Value) -> (&str, &str) {
    (meta_text(object, "namespace"), meta_text(object, "name"))
}

impl Serialize for Page {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let (kind, version) = if self.partial {
            ("PartialObjectMetadata".to_owned(), PARTIAL_VERSION.to_owned())
        } else {
            (self.kind.kind.clone(), self.kind.api_version())
        };
        let mut page = serializer.serialize_map(Some(4))?;
        page.serialize_entry("kind", &format!("{kind}List"))?;
        page.serialize_entry("apiVersion", &version)?;
        page.serialize_entry("metadata", &self.metadata)?;
        if self.partial {
            page.serialize_entry("items", &self.items.iter().map(|item| partial(item)).collect::<Vec<_>>())?;
        } else if self.custom {
            page.serialize_entry("items", &self.items.iter().map(|item| &**item).collect::<Vec<_>>())?;
        } else {
            page.serialize_entry("items", &self.items.iter().map(|item| Item(item)).collect::<Vec<_>>())?;
        }
        page.end()
    }
}

/// An item of a list of a native kind does not say what it is.
struct Item<'a>(&'a Value);

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let members = self.0.as_object().into_iter().flatten();
        serializer.collect_map(members.filter(|(member, _)| !matches!(member.as_str(), "kind" | "apiVersion")))
    }
}

const PARTIAL_VERSION: &str = "meta.k8s.io/v1";

/// An object with its metadata only.
#[must_use]
pub(super) fn partial(object: &Value) -> Value {
    let mut members = Map::new();
    members.insert("kind".to_owned(), json!("PartialObjectMetadata"));
    members.insert("apiVersion".to_owned(), json!(PARTIAL_VERSION));
    members.insert("metadata".to_owned(), object.get("metadata").cloned().unwrap_or_else(|| json!({})));
    Value::Object(members)
}
