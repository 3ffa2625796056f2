//! What is stored: objects by kind, namespace and name, one counter of versions, and the log of what happened.
//!
//! No rule of any kind is here. The log is what watches read, and what a consistent page of a list is reckoned from: the
//! objects of now with everything undone that came later.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use hyper::body::Bytes;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;

/// Objects of one kind.
type Objects = BTreeMap<String, BTreeMap<String, Arc<Value>>>;

/// One change.
#[derive(Debug)]
pub(super) struct Event {
    /// resourceVersion of the server after it.
    pub(super) version: u64,
    /// As it was; `None` where it is new.
    pub(super) before: Option<Arc<Value>>,
    /// As it is, or as it was when it went, with this version.
    pub(super) object: Arc<Value>,
    /// Whether it is gone.
    pub(super) gone: bool,
    /// Its lines as watches tell them, each written once.
    pub(super) lines: Mutex<Vec<(Form, Bytes)>>,
}

/// In which form a line of a watch is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// `ADDED` ...
    pub(super) told: &'static str,
    /// Which of the kind's versions.
    pub(super) version: usize,
    /// Metadata only.
    pub(super) partial: bool,
}

/// One kind's part of the store.
#[derive(Default)]
struct Table {
    objects: Objects,
    log: Vec<Arc<Event>>,
    /// The last change that has been forgotten.
    forgotten: u64,
    /// Tells watches that something happened.
    bell: watch::Sender<u64>,
}

/// The store.
pub(super) struct Store {
    tables: BTreeMap<String, Table>,
    version: u64,
    /// The version up to which the log has been forgotten.
    compacted: u64,
}

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// `pods`, `clonesets.apps.kruise.io`.
    pub(super) resource: String,
    /// Empty for cluster-scoped objects.
    pub(super) namespace: String,
    /// Name.
    pub(super) name: String,
}

impl Default for Store {
    fn default() -> Self {
        Self { tables: BTreeMap::new(), version: 1, compacted: 0 }
    }
}

impl Store {
    /// The latest version.
    #[must_use]
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// One object.
    #[must_use]
    pub(super) fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<&Arc<Value>> {
        self.tables.get(resource)?.objects.get(namespace)?.get(name)
    }

    /// Objects of a kind, of all namespaces for an empty text, by namespace and name.
    pub(super) fn objects<'a>(&'a self, resource: &str, namespace: &'a str) -> impl Iterator<Item = &'a Arc<Value>> {
        let range = if namespace.is_empty() {
            (Bound::Unbounded, Bound::Unbounded)
        } else {
            (Bound::Included(namespace), Bound::Included(namespace))
        };
        let objects = self.tables.get(resource).map(|table| table.objects.range::<str, _>(range));
        objects.into_iter().flatten().flat_map(|(_, names)| names.values())
    }

    /// Objects as they were at a version, by namespace and name; `None` where that has been forgotten.
    #[must_use]
    pub(super) fn objects_at(&self, resource: &str, namespace: &str, version: u64) -> Option<Vec<Arc<Value>>> {
        let later = self.since(resource, version)?;
        let mut objects = BTreeMap::new();
        for object in self.objects(resource, namespace) {
            objects.insert(place(object), Arc::clone(object));
        }
        for event in later.iter().rev() {
            let place = place(&event.object);
            if !namespace.is_empty() && place.0 != namespace {
                continue;
            }
            match &event.before {
                Some(before) => drop(objects.insert(place, Arc::clone(before))),
                None => drop(objects.remove(&place)),
            }
        }
        Some(objects.into_values().collect())
    }

    /// What happened to objects of a kind after a version; `None` where that has been forgotten.
    #[must_use]
    pub(super) fn since(&self, resource: &str, version: u64) -> Option<&[Arc<Event>]> {
        let Some(table) = self.tables.get(resource) else { return Some(&[]) };
        if version < table.forgotten {
            return None;
        }
        let from = table.log.partition_point(|event| event.version <= version);
        table.log.get(from..)
    }

    /// Whether a watch or a list can no longer begin at a version.
    #[must_use]
    pub(super) fn is_expired(&self, version: u64) -> bool {
        version < self.compacted
    }

    /// Rings when something happens to objects of a kind.
    pub(super) fn bell(&mut self, resource: &str) -> watch::Receiver<u64> {
        self.table(resource).bell.subscribe()
    }

    /// The version that the next write gets.
    #[must_use]
    pub(super) fn next_version(&self) -> u64 {
        self.version + 1
    }

    /// Puts an object, which carries the next version already, in its place.
    pub(super) fn put(&mut self, key: &Key, object: Arc<Value>) {
        self.version += 1;
        let version = self.version;
        let table = self.table(&key.resource);
        let before =
            table.objects.entry(key.namespace.clone()).or_default().insert(key.name.clone(), Arc::clone(&object));
        table.log.push(Arc::new(Event { version, before, object, gone: false, lines: Mutex::default() }));
        table.bell.send_replace(version);
    }

    /// Takes an object away. `last` is how it was, with the next version.
    pub(super) fn remove(&mut self, key: &Key, last: Arc<Value>) {
        self.version += 1;
        let version = self.version;
        let table = self.table(&key.resource);
        let before = table.objects.get_mut(&key.namespace).and_then(|names| names.remove(&key.name));
        table.log.push(Arc::new(Event { version, before, object: last, gone: true, lines: Mutex::default() }));
        table.bell.send_replace(version);
    }

    /// Forgets the log.
    pub(super) fn compact(&mut self) {
        self.compacted = self.version;
        for table in self.tables.values_mut() {
            table.forgotten = table.log.last().map_or(table.forgotten, |event| event.version);
            table.log.clear();
        }
    }

    fn table(&mut self, resource: &str) -> &mut Table {
        self.tables.entry(resource.to_owned()).or_default()
    }
}

/// Namespace and name of an object.
#[must_use]
pub(super) fn place(object: &Value) -> (String, String) {
    let text = |field: &str| object.get("metadata").and_then(|metadata| metadata.get(field)).and_then(Value::as_str);
    (text("namespace").unwrap_or_default().to_owned(), text("name").unwrap_or_default().to_owned())
}
