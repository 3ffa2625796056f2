//! Sets of fields: the `fieldsV1` of managedFields, and what can be done with two of them.
//!
//! A path element is kept as its text there: `f:name`, `k:{"name":"a"}`, `v:"x"`. Keys are written in order and without
//! spaces, so that equal elements have equal texts.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::types::Node;

/// A set of paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields(BTreeMap<String, Entry>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    member: bool,
    below: Fields,
}

/// The element of a field.
pub(crate) fn field(name: &str) -> String {
    format!("f:{name}")
}

/// The element of a set's value.
pub(crate) fn value(value: &Value) -> String {
    format!("v:{value}")
}

/// The element of an item with these key fields.
pub(crate) fn key(fields: &BTreeMap<&str, Value>) -> String {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{}:{value}", Value::from(*name))).collect();
    format!("k:{{{}}}", fields.join(","))
}

/// The element as messages name it: `.name`, `[name="a"]`, `[="x"]`.
pub(crate) fn shown(element: &str) -> String {
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    match element.split_at_checked(2) {
        Some(("f:", name)) => format!(".{name}"),
        Some(("v:", text)) => format!("[={}]", json(text)),
        Some(("k:", text)) => {
            let fields = json(text);
            let fields = fields.as_object().into_iter().flatten();
            let fields: BTreeMap<_, _> = fields.collect();
            let fields: Vec<String> = fields.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("[{}]", fields.join(","))
        }
        _ => element.to_owned(),
    }
}

impl Fields {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds an element with what is below it; nothing where there is nothing to add.
    pub(crate) fn put(&mut self, element: &str, member: bool, below: Self) {
        if !member && below.is_empty() {
            return;
        }
        let entry = self.0.entry(element.to_owned()).or_default();
        entry.member |= member;
        if entry.below.is_empty() {
            entry.below = below;
        } else {
            entry.below.add(&below);
        }
    }

    pub(crate) fn has(&self, element: &str) -> bool {
        self.0.get(element).is_some_and(|entry| entry.member)
    }

    /// What is below an element.
    pub(crate) fn below(&self, element: &str) -> Option<&Self> {
        self.0.get(element).map(|entry| &entry.below).filter(|below| !below.is_empty())
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (element, entry) in &other.0 {
            let ours = self.0.entry(element.clone()).or_default();
            ours.member |= entry.member;
            ours.below.add(&entry.below);
        }
    }

    pub(crate) fn union(mut self, other: &Self) -> Self {
        self.add(other);
        self
    }

    pub(crate) fn without(&self, other: &Self) -> Self {
        self.combine(other, |ours, theirs| ours && !theirs, Self::without, true)
    }

    pub(crate) fn common(&self, other: &Self) -> Self {
        self.combine(other, |ours, theirs| ours && theirs, Self::common, false)
    }

    fn combine(
        &self,
        other: &Self,
        member: fn(bool, bool) -> bool,
        below: fn(&Self, &Self) -> Self,
        rest: bool,
    ) -> Self {
        let mut out = Self::default();
        for (element, ours) in &self.0 {
            match other.0.get(element) {
                Some(theirs) => {
                    out.put(element, member(ours.member, theirs.member), below(&ours.below, &theirs.below));
                }
                None if rest => drop(out.0.insert(element.clone(), ours.clone())),
                None => {}
            }
        }
        out
    }

    /// Without these fields and all that is below them.
    pub(crate) fn prune(&mut self, path: &[&str]) {
        let Some((first, rest)) = path.split_first() else {
            return;
        };
        let element = field(first);
        if rest.is_empty() {
            self.0.remove(&element);
        } else if let Some(entry) = self.0.get_mut(&element) {
            entry.below.prune(rest);
            if !entry.member && entry.below.is_empty() {
                self.0.remove(&element);
            }
        }
    }

    /// Without this one path; what is below it stays.
    pub(crate) fn remove(&mut self, path: &[&str]) {
        let Some((first, rest)) = path.split_first() else {
            return;
        };
        let element = field(first);
        if let Some(entry) = self.0.get_mut(&element) {
            if rest.is_empty() {
                entry.member = false;
            } else {
                entry.below.remove(rest);
            }
            if !entry.member && entry.below.is_empty() {
                self.0.remove(&element);
            }
        }
    }

    /// With the fields on the way to every path, where the type names them.
    pub(crate) fn with_named(&self, node: Node<'_>) -> Self {
        let mut out = Self::default();
        for (element, entry) in &self.0 {
            let child = element.strip_prefix("f:").and_then(|name| node.field(name));
            let named = child.is_some_and(|child| child.declared) && !entry.below.is_empty();
            let node = child.map_or_else(|| node.item(), |child| child.node);
            out.put(element, entry.member || named, entry.below.with_named(node));
        }
        out
    }

    /// All paths as messages name them: those that end here first, then those further below.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut entries: Vec<_> = self.0.iter().collect();
        entries.sort_by_cached_key(|(element, _)| rank(element));
        let ends = entries.iter().filter(|(_, entry)| entry.member).map(|(element, _)| shown(element));
        let mut out: Vec<String> = ends.collect();
        for (element, entry) in entries {
            let here = shown(element);
            out.extend(entry.below.paths().into_iter().map(|path| format!("{here}{path}")));
        }
        out
    }

    /// As `fieldsV1`.
    pub(crate) fn to_json(&self) -> Value {
        let mut out = Map::new();
        for (element, entry) in &self.0 {
            let mut below = entry.below.to_json();
            if let (true, false, Value::Object(map)) = (entry.member, entry.below.is_empty(), &mut below) {
                map.insert(".".to_owned(), Value::Object(Map::new()));
            }
            out.insert(element.clone(), below);
        }
        Value::Object(out)
    }

    /// From `fieldsV1`; elements of unknown form are left out.
    pub(crate) fn from_json(fields: &Value) -> Self {
        let mut out = Self::default();
        for (text, below) in fields.as_object().into_iter().flatten() {
            let Some(element) = normal(text) else {
                continue;
            };
            let member = below.get(".").is_some() || below.as_object().is_none_or(Map::is_empty);
            out.put(&element, member, Self::from_json(below));
        }
        out
    }
}

/// Where an element stands among others: numbers in keys and values count as numbers.
fn rank(element: &str) -> (String, Vec<(String, i64, String)>) {
    let (form, text) = element.split_at_checked(2).unwrap_or_default();
    let one = |name: &str, value: &Value| (name.to_owned(), value.as_i64().unwrap_or(i64::MAX), value.to_string());
    let fields = match (form, serde_json::from_str::<Value>(text)) {
        ("k:", Ok(Value::Object(fields))) => {
            let mut fields: Vec<_> = fields.iter().map(|(name, value)| one(name, value)).collect();
            fields.sort_unstable();
            fields
        }
        ("v:", Ok(value)) => vec![one("", &value)],
        _ => vec![(text.to_owned(), 0, String::new())],
    };
    (form.to_owned(), fields)
}

/// An element in the one form that equal elements share.
fn normal(text: &str) -> Option<String> {
    match text.split_at_checked(2)? {
        ("f:" | "i:", _) => Some(text.to_owned()),
        ("v:", json) => serde_json::from_str(json).ok().map(|json| value(&json)),
        ("k:", json) => {
            let json: Value = serde_json::from_str(json).ok()?;
            Some(key(&json.as_object()?.iter().map(|(name, value)| (name.as_str(), value.clone())).collect()))
        }
        _ => None,
    }
}
