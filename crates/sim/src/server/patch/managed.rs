//! `metadata.managedFields`: who owns which fields, read and written.

use serde_json::{Map, Value, json};

use super::fields::Fields;

/// How a manager got its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    Apply,
    Update,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) manager: String,
    pub(crate) operation: Operation,
    pub(crate) api_version: String,
    pub(crate) subresource: String,
    /// In whole seconds; empty for none.
    pub(crate) time: String,
    pub(crate) fields: Fields,
}

impl Entry {
    /// Whether both stand for the same manager: an applier keeps its entry over versions.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.manager == other.manager
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    /// As messages name it.
    pub(crate) fn shown(&self) -> String {
        let mut text = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            text = format!("{text} with subresource {:?}", self.subresource);
        }
        if self.operation == Operation::Update {
            text = format!("{text} using {}", self.api_version);
        }
        text
    }

    fn to_json(&self) -> Value {
        let mut out = Map::new();
        let operation = if self.operation == Operation::Apply { "Apply" } else { "Update" };
        let texts = [("manager", self.manager.as_str()), ("operation", operation), ("apiVersion", &self.api_version)];
        let more = [("time", self.time.as_str()), ("subresource", &self.subresource), ("fieldsType", "FieldsV1")];
        for (name, text) in texts.into_iter().chain(more).filter(|(_, text)| !text.is_empty()) {
            out.insert(name.to_owned(), text.into());
        }
        out.insert("fieldsV1".to_owned(), self.fields.to_json());
        Value::Object(out)
    }

    fn from_json(entry: &Value) -> Option<Self> {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let operation = match text("operation").as_str() {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return None,
        };
        let entry = Self {
            manager: text("manager"),
            operation,
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: text("time"),
            fields: Fields::from_json(entry.get("fieldsV1").unwrap_or(&Value::Null)),
        };
        (!entry.api_version.is_empty()).then_some(entry)
    }
}

/// The entries of an object; `None` where one is no entry.
pub(crate) fn read(object: &Value) -> Option<Vec<Entry>> {
    let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    entries.into_iter().flatten().map(Entry::from_json).collect()
}

/// Whether the object asks for its entries to be forgotten: an empty list, or one empty entry.
pub(crate) fn resets(object: &Value) -> bool {
    let entries = object.pointer("/metadata/managedFields");
    entries.is_some_and(|entries| *entries == json!([]) || *entries == json!([{}]))
}

/// Takes the entries out of an object.
pub(crate) fn strip(object: &mut Value) {
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.remove("managedFields");
    }
}

/// Writes the entries into an object, in order.
pub(crate) fn write(object: &mut Value, mut entries: Vec<Entry>) {
    strip(object);
    if entries.is_empty() {
        return;
    }
    entries.sort_by(|left, right| {
        let key = |entry: &Entry| {
            (
                entry.operation,
                entry.time.clone(),
                entry.manager.clone(),
                entry.api_version.clone(),
                entry.subresource.clone(),
            )
        };
        key(left).cmp(&key(right))
    });
    let entries = entries.iter().map(Entry::to_json).collect();
    let Value::Object(object) = object else {
        return;
    };
    if let Value::Object(metadata) = object.entry("metadata").or_insert_with(|| json!({})) {
        metadata.insert("managedFields".to_owned(), Value::Array(entries));
    }
}

/// Most entries for updates that an object has.
const MOST: usize = 10;

/// Puts the oldest updates of a version together where there are too many.
pub(crate) fn cap(entries: &mut Vec<Entry>) {
    let updates = |entries: &[Entry]| entries.iter().filter(|entry| entry.operation == Operation::Update).count();
    let identity = |entry: &Entry| {
        // The order of the server's identifiers for entries of the same second.
        let bare = entry.subresource.is_empty();
        (entry.time.clone(), entry.manager.clone(), entry.api_version.clone(), bare, entry.subresource.clone())
    };
    while updates(entries) > MOST {
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.retain(|index| entries.get(*index).is_some_and(|entry| entry.operation == Operation::Update));
        order.sort_by_key(|index| entries.get(*index).map(identity));
        let version = |index: &usize| entries.get(*index).map(|entry| entry.api_version.clone());
        let pair = order.iter().enumerate().find_map(|(at, later)| {
            let first = order.iter().take(at).find(|first| version(first) == version(later))?;
            Some((*first, *later))
        });
        let Some((first, later)) = pair else {
            return;
        };
        let Some(merged) = entries.get(later).cloned() else {
            return;
        };
        if let Some(bucket) = entries.get_mut(first) {
            bucket.fields.add(&merged.fields);
            bucket.time = merged.time;
            "ancient-changes".clone_into(&mut bucket.manager);
            bucket.subresource.clear();
        }
        entries.remove(later);
    }
}
