//! The rules of a cache: what each watch event changes and what is told about it. Synchronous; the only writer.
//!
//! Deletions carry the last state. Those missed while the watch was down show when a list ends without the object. An
//! object that was replaced unseen by one of the same name is told as deleted, then added: they are not the same Pod.
//! An object that cannot be read stays as it was last known: taking it for gone would delete what belongs to it.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use foldhash::fast::RandomState;
use kube::runtime::watcher::Event;
use parking_lot::RwLock;

use super::store::Inner;
use super::wire::{self, Seen};
use super::{Cached, Change, Index, ObjectKey, Store};

/// The writers' side of a cache.
pub struct Cache<T: Cached> {
    inner: Arc<RwLock<Inner<T>>>,
    phase: Phase,
    /// Whether a list was ever complete.
    complete: bool,
}

enum Phase {
    /// A list is coming in; these were in it so far.
    Listing(HashSet<ObjectKey, RandomState>),
    /// The watch tells what changes.
    Watching,
}

impl<T: Cached> fmt::Debug for Cache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("objects", &self.inner.read().objects.len()).finish_non_exhaustive()
    }
}

impl<T: Cached> Cache<T> {
    /// An empty cache.
    #[must_use]
    pub fn new(indices: Vec<Index<T>>) -> Self {
        Self { inner: Arc::new(RwLock::new(Inner::new(indices))), phase: Phase::Watching, complete: false }
    }

    /// The readers' side.
    #[must_use]
    pub fn store(&self) -> Store<T> {
        Store { inner: Arc::clone(&self.inner) }
    }

    /// Adds an index, unless there is one of that name; objects that are held already are put into it.
    pub fn index(&mut self, index: Index<T>) {
        self.inner.write().index(index);
    }

    /// Takes one event in and returns what it changed. When it returns, readers see the change.
    pub fn apply(&mut self, event: Event<T>) -> Vec<Change<T>> {
        self.take(wire::map(event, Seen::Object))
    }

    /// As [`Cache::apply`], of objects that may be unreadable.
    pub(super) fn take(&mut self, event: Event<Seen<T>>) -> Vec<Change<T>> {
        match event {
            Event::Init => {
                self.phase = Phase::Listing(HashSet::default());
                Vec::new()
            }
            Event::InitApply(seen) => {
                if let Phase::Listing(listed) = &mut self.phase {
                    listed.insert(match &seen {
                        Seen::Object(object) => ObjectKey::of(object),
                        Seen::Unreadable { key, .. } => key.clone(),
                    });
                }
                self.put(seen)
            }
            Event::InitDone => self.drop_unlisted(),
            Event::Apply(seen) => self.put(seen),
            Event::Delete(seen) => self.remove(seen),
        }
    }

    fn put(&self, seen: Seen<T>) -> Vec<Change<T>> {
        let Seen::Object(object) = seen else { return Vec::new() };
        let (key, new) = (ObjectKey::of(&object), Arc::new(object));
        let mut inner = self.inner.write();
        if inner.objects.get(&key).is_some_and(|held| !is_newer(new.as_ref(), held)) {
            return Vec::new();
        }
        let old = inner.put(key, Arc::clone(&new));
        drop(inner);
        let initial = !self.complete;
        match old {
            None => vec![Change::Added { new, initial }],
            Some(old) if is_same(old.as_ref(), new.as_ref()) => vec![Change::Updated { old, new }],
            Some(old) => vec![Change::Deleted { last: old }, Change::Added { new, initial }],
        }
    }

    fn remove(&self, seen: Seen<T>) -> Vec<Change<T>> {
        match seen {
            Seen::Object(object) => {
                let old = self.inner.write().remove(&ObjectKey::of(&object));
                // The event holds the state at deletion, newer than what the cache held.
                old.map(|_| Change::Deleted { last: Arc::new(object) }).into_iter().collect()
            }
            Seen::Unreadable { key, .. } => {
                let old = self.inner.write().remove(&key);
                old.map(|last| Change::Deleted { last }).into_iter().collect()
            }
        }
    }

    fn drop_unlisted(&mut self) -> Vec<Change<T>> {
        self.complete = true;
        let Phase::Listing(listed) = std::mem::replace(&mut self.phase, Phase::Watching) else { return Vec::new() };
        let mut inner = self.inner.write();
        let mut gone: Vec<_> = inner.objects.keys().filter(|key| !listed.contains(key)).cloned().collect();
        gone.sort_unstable();
        gone.iter().filter_map(|key| inner.remove(key)).map(|last| Change::Deleted { last }).collect()
    }
}

/// Whether both are the same object, not two of the same name.
fn is_same<T: Cached>(old: &T, new: &T) -> bool {
    old.metadata().uid == new.metadata().uid
}

/// Whether `new` must replace `held`. A list may repeat what the watch told already, or be older than it.
fn is_newer<T: Cached>(new: &T, held: &T) -> bool {
    if !is_same(held, new) {
        return true;
    }
    let (held, new) = (&held.metadata().resource_version, &new.metadata().resource_version);
    match (held.parse::<u64>(), new.parse::<u64>()) {
        (Ok(held), Ok(new)) => new > held,
        _ => held.is_empty() || held != new,
    }
}
