//! The readers' side of a cache: lookups by key and by index. Objects are shared, never copied (PL-36).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use api::k8s::Text;
use foldhash::fast::RandomState;
use parking_lot::RwLock;

use super::{Cached, Index, ObjectKey};

/// A view of one cache; cheap to clone.
pub struct Store<T> {
    pub(super) inner: Arc<RwLock<Inner<T>>>,
}

impl<T> Clone for Store<T> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<T> fmt::Debug for Store<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("objects", &self.inner.read().objects.len()).finish()
    }
}

impl<T: Cached> Store<T> {
    /// One object.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<T>> {
        self.inner.read().objects.get(key).cloned()
    }

    /// The objects with a value in an index, ordered by key. An index that was not declared finds nothing.
    #[must_use]
    pub fn by_index(&self, name: &str, value: &str) -> Vec<Arc<T>> {
        let inner = self.inner.read();
        let index = inner.indices.iter().find(|held| held.index.name == name);
        debug_assert!(index.is_some(), "index {name} is not declared");
        index.and_then(|held| held.found.get(value)).cloned().unwrap_or_default()
    }

    /// How many objects stand under some values of an index.
    pub(super) fn count(&self, name: &str, values: &[String]) -> usize {
        let inner = self.inner.read();
        let index = inner.indices.iter().find(|held| held.index.name == name);
        debug_assert!(index.is_some(), "index {name} is not declared");
        let found = |value: &String| index.and_then(|held| held.found.get(value.as_str())).map_or(0, Vec::len);
        values.iter().map(found).sum()
    }

    /// Every object, ordered by key.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<T>> {
        let mut all: Vec<_> = self.inner.read().objects.values().cloned().collect();
        all.sort_unstable_by(|a, b| order(a.as_ref()).cmp(&order(b.as_ref())));
        all
    }

    /// How many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.read().objects.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Objects and their indices, always consistent with each other while the lock is free.
pub(super) struct Inner<T> {
    pub(super) objects: HashMap<ObjectKey, Arc<T>, RandomState>,
    indices: Vec<Held<T>>,
}

struct Held<T> {
    index: Index<T>,
    /// Sorted by key: one pointer an entry, and a reader's copy needs no sorting.
    found: HashMap<Text, Vec<Arc<T>>, RandomState>,
}

impl<T: Cached> Inner<T> {
    pub(super) fn new(indices: Vec<Index<T>>) -> Self {
        let mut inner = Self { objects: HashMap::default(), indices: Vec::new() };
        indices.into_iter().for_each(|index| inner.index(index));
        inner
    }

    /// Adds an index, unless there is one of that name.
    pub(super) fn index(&mut self, index: Index<T>) {
        if self.indices.iter().any(|held| held.index.name == index.name) {
            return;
        }
        let mut held = Held { index, found: HashMap::default() };
        self.objects.values().for_each(|object| held.put_in(object));
        self.indices.push(held);
    }

    /// Puts an object in and returns the one that it replaces.
    pub(super) fn put(&mut self, key: ObjectKey, new: Arc<T>) -> Option<Arc<T>> {
        let old = self.objects.insert(key, Arc::clone(&new));
        for held in &mut self.indices {
            held.take_out(old.as_deref());
            held.put_in(&new);
        }
        old
    }

    /// Takes an object out.
    pub(super) fn remove(&mut self, key: &ObjectKey) -> Option<Arc<T>> {
        let old = self.objects.remove(key);
        for held in &mut self.indices {
            held.take_out(old.as_deref());
        }
        old
    }

    #[cfg(test)]
    pub(super) fn index_sizes(&self) -> Vec<usize> {
        self.indices.iter().map(|held| held.found.len()).collect()
    }
}

impl<T: Cached> Held<T> {
    fn values(&self, object: &T) -> Vec<Text> {
        let mut values = (self.index.values)(object);
        values.sort_unstable();
        values.dedup();
        values
    }

    fn take_out(&mut self, old: Option<&T>) {
        let Some(old) = old else { return };
        for value in self.values(old) {
            let Some(found) = self.found.get_mut(&value) else { continue };
            if let Ok(at) = found.binary_search_by(|other| order(other.as_ref()).cmp(&order(old))) {
                found.remove(at);
            }
            if found.is_empty() {
                self.found.remove(&value);
            }
        }
    }

    fn put_in(&mut self, new: &Arc<T>) {
        for value in self.values(new) {
            let found = self.found.entry(value).or_default();
            match found.binary_search_by(|other| order(other.as_ref()).cmp(&order(new.as_ref()))) {
                Ok(at) => {
                    if let Some(other) = found.get_mut(at) {
                        *other = Arc::clone(new);
                    }
                }
                Err(at) => found.insert(at, Arc::clone(new)),
            }
        }
    }
}

fn order<T: Cached>(object: &T) -> (&str, &str) {
    let metadata = object.metadata();
    (&metadata.namespace, &metadata.name)
}
