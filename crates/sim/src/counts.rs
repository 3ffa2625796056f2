//! What really happened in a history, in numbers, and a digest of all of it: the same seed gives the same digest.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::server::call::Written;

/// Numbers of one history; clones share them.
#[derive(Clone, Default)]
pub struct Counts {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    numbers: BTreeMap<&'static str, u64>,
    /// resourceVersion of the last write, by resource.
    latest: BTreeMap<String, u64>,
    digest: DefaultHasher,
    /// Lines of the log, where they are kept.
    lines: Option<Vec<String>>,
}

impl Counts {
    /// Keeps the lines of the log too.
    #[must_use]
    pub fn with_lines() -> Self {
        let counts = Self::default();
        counts.inner.lock().lines = Some(Vec::new());
        counts
    }

    /// Counts one more.
    pub fn add(&self, what: &'static str) {
        *self.inner.lock().numbers.entry(what).or_default() += 1;
    }

    /// All numbers.
    #[must_use]
    pub fn numbers(&self) -> BTreeMap<&'static str, u64> {
        self.inner.lock().numbers.clone()
    }

    /// Notes a write.
    pub fn saw(&self, written: &Written) {
        let mut inner = self.inner.lock();
        match inner.latest.get_mut(&written.resource) {
            Some(latest) => *latest = written.version,
            None => drop(inner.latest.insert(written.resource.clone(), written.version)),
        }
    }

    /// The version of the last write to a resource.
    #[must_use]
    pub fn latest(&self, resource: &str) -> u64 {
        self.inner.lock().latest.get(resource).copied().unwrap_or_default()
    }

    /// Notes a line; `more` is added where lines are kept.
    pub fn log(&self, line: &str, more: impl FnOnce() -> String) {
        let mut inner = self.inner.lock();
        inner.digest.write(line.as_bytes());
        if let Some(lines) = &mut inner.lines {
            lines.push(format!("{line}{}", more()));
        }
    }

    /// Of all lines so far.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.inner.lock().digest.finish()
    }

    /// The lines that were kept.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.inner.lock().lines.clone().unwrap_or_default()
    }
}
