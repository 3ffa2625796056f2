//! What the stand-in holds: objects by kind and key, one counter of versions, and the recent changes of each kind.
//!
//! Synchronous and without HTTP. Objects are encoded text or the number of a generated one; whoever sends one renders it
//! then, so that a hundred thousand Pods cost a few megabytes.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use hyper::body::Bytes;

use super::kinds::Kind;
use crate::objects::{Key, nodes::Nodes, pods::Layout, pods::Pods};

/// Changes kept per kind; a watch that falls further behind has to list again.
const KEPT_CHANGES: usize = 100_000;
/// The first version: with as many digits as in a cluster that has been there for a while.
const FIRST_VERSION: u64 = 40_000_000;

/// What an object is.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// Its text, with its version in it.
    Encoded(Bytes),
    /// A generated Pod, re-sent so many times.
    Pod { index: u32, beat: u32 },
    /// A generated Node after so many heartbeats.
    Node { index: u32, beat: u32 },
}

/// One object as it was at one version.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) key: Arc<Key>,
    pub(crate) version: u64,
    pub(crate) content: Content,
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Added,
    Modified,
    Deleted,
}

impl Action {
    /// Its name in watch events.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// One change; an object that was deleted has the version of its deletion.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) action: Action,
    pub(crate) object: Object,
}

/// Whether a list goes on behind the last object that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum More {
    Yes,
    No,
}

/// The version that somebody wants to go on from is no longer known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expired {
    /// The oldest version from which one can go on.
    pub(crate) oldest: u64,
}

/// How generated objects become text.
#[derive(Debug)]
pub(crate) struct Generated {
    pub(crate) pods: Pods,
    nodes: Nodes,
}

impl Generated {
    /// Appends an object's text.
    pub(crate) fn render(&self, object: &Object, out: &mut Vec<u8>) {
        match &object.content {
            Content::Encoded(text) => out.extend_from_slice(text),
            Content::Pod { index, beat } => self.pods.render(*index, object.version, *beat, out),
            Content::Node { index, beat } => self.nodes.render(*index, object.version, *beat, out),
        }
    }
}

#[derive(Debug, Default)]
struct Table {
    objects: BTreeMap<Arc<Key>, Object>,
    changes: VecDeque<Change>,
    /// Changes up to this version are forgotten.
    forgotten: u64,
}

/// Everything.
#[derive(Debug)]
pub(crate) struct Store {
    version: u64,
    /// Grows when all watches have to end.
    epoch: u64,
    tables: BTreeMap<Kind, Table>,
    generated: Arc<Generated>,
}

impl Default for Store {
    fn default() -> Self {
        let generated = Generated { pods: Pods::new(Layout::default()), nodes: Nodes::default() };
        Self { version: FIRST_VERSION, epoch: 0, tables: BTreeMap::new(), generated: Arc::new(generated) }
    }
}

impl Store {
    /// The version of the last change.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// In which era a watch began; it ends with the era.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How to render objects now.
    pub(crate) fn generated(&self) -> Arc<Generated> {
        Arc::clone(&self.generated)
    }

    /// Changes how generated Pods look; those that are there already change too, so follow it with [`Self::forget`].
    pub(crate) fn lay_out(&mut self, layout: Layout) {
        self.generated = Arc::new(Generated { pods: Pods::new(layout), nodes: Nodes::default() });
    }

    /// One object.
    pub(crate) fn get(&self, kind: Kind, key: &Key) -> Option<Object> {
        self.tables.get(&kind)?.objects.get(key).cloned()
    }

    /// How many objects of a kind there are.
    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.tables.get(&kind).map_or(0, |table| table.objects.len())
    }

    /// Objects in the order of their keys: in a namespace if one is named, behind a key, at most so many; and whether
    /// there are more.
    pub(crate) fn list(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        after: Option<&Key>,
        limit: Option<usize>,
    ) -> (Vec<Object>, More) {
        let Some(table) = self.tables.get(&kind) else { return (Vec::new(), More::No) };
        let first = Key::new(namespace.unwrap_or_default(), "");
        let from = after.map_or(Bound::Included(&first), Bound::Excluded);
        let in_namespace = |key: &Key| namespace.is_none_or(|namespace| key.namespace == namespace);
        let mut rest =
            table.objects.range::<Key, _>((from, Bound::Unbounded)).take_while(|(key, _)| in_namespace(key.as_ref()));
        let found = rest.by_ref().take(limit.unwrap_or(usize::MAX)).map(|(_, object)| object.clone()).collect();
        (found, if rest.next().is_some() { More::Yes } else { More::No })
    }

    /// Stores an object at the next version, which `content` is told.
    pub(crate) fn put(&mut self, kind: Kind, key: Key, content: impl FnOnce(u64) -> Content) -> Object {
        self.version += 1;
        let table = self.tables.entry(kind).or_default();
        let (key, action) = match table.objects.get_key_value(&key) {
            Some((key, _)) => (Arc::clone(key), Action::Modified),
            None => (Arc::new(key), Action::Added),
        };
        let object = Object { key: Arc::clone(&key), version: self.version, content: content(self.version) };
        table.objects.insert(key, object.clone());
        table.remember(Change { action, object: object.clone() });
        object
    }

    /// Takes an object away; `last` gives its last state at the version of the deletion.
    pub(crate) fn remove(
        &mut self,
        kind: Kind,
        key: &Key,
        last: impl FnOnce(u64, Object) -> Content,
    ) -> Option<Object> {
        let table = self.tables.get_mut(&kind)?;
        let object = table.objects.remove(key)?;
        self.version += 1;
        let object =
            Object { key: Arc::clone(&object.key), version: self.version, content: last(self.version, object) };
        table.remember(Change { action: Action::Deleted, object: object.clone() });
        Some(object)
    }

    /// Changes of a kind after a version, at most so many.
    pub(crate) fn changes(&self, kind: Kind, after: u64, limit: usize) -> Result<Vec<Change>, Expired> {
        let Some(table) = self.tables.get(&kind) else { return Ok(Vec::new()) };
        if after < table.forgotten {
            return Err(Expired { oldest: table.forgotten });
        }
        let from = table.changes.partition_point(|change| change.object.version <= after);
        Ok(table.changes.iter().skip(from).take(limit).cloned().collect())
    }

    /// Whether a list that began at a version can go on.
    pub(crate) fn check(&self, kind: Kind, version: u64) -> Result<(), Expired> {
        match self.tables.get(&kind) {
            Some(table) if version < table.forgotten => Err(Expired { oldest: table.forgotten }),
            _ => Ok(()),
        }
    }

    /// Ends all watches and forgets all changes: whoever wants to go on has to list again.
    pub(crate) fn forget(&mut self) {
        self.epoch += 1;
        self.version += 1;
        for kind in Kind::ALL {
            let table = self.tables.entry(kind).or_default();
            table.changes.clear();
            table.forgotten = self.version;
        }
    }
}

impl Table {
    fn remember(&mut self, change: Change) {
        self.changes.push_back(change);
        if self.changes.len() > KEPT_CHANGES
            && let Some(oldest) = self.changes.pop_front()
        {
            self.forgotten = oldest.object.version;
        }
    }
}
