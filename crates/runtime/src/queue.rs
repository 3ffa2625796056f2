//! Work queue of object keys: no duplicates, one worker a key, delays, and a rate limit for retries (PL-31).
//!
//! The rules are in `state.rs` and `limiter.rs`, which take the time as an argument; here are locking, waiting and
//! metrics. A key added while it is worked on comes again afterwards, so no change is missed and no two workers ever
//! act on one object.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::clock;
use crate::informer::ObjectKey;

mod limiter;
mod measure;
mod state;

pub(crate) use limiter::Bucket;
use limiter::Limiter;
pub use limiter::RateLimit;
use measure::Meters;
use state::{Popped, State};

/// A queue; clones share it.
#[derive(Clone)]
pub struct Queue {
    shared: Arc<Shared>,
}

struct Shared {
    name: &'static str,
    state: Mutex<State>,
    limiter: Mutex<Limiter>,
    /// Wakes one waiting worker. Whoever takes an item wakes the next if there is more to wait for.
    changed: Notify,
    meters: Meters,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

impl Queue {
    /// An empty queue, named as its controller in the metrics.
    #[must_use]
    pub fn new(name: &'static str, limit: RateLimit) -> Self {
        let shared = Arc::new(Shared {
            name,
            state: Mutex::new(State::default()),
            limiter: Mutex::new(Limiter::new(limit)),
            changed: Notify::new(),
            meters: Meters::of(name),
        });
        measure::watch(&shared);
        Self { shared }
    }

    /// The name given at the start.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.shared.name
    }

    /// Adds a key, unless it waits already.
    pub fn add(&self, key: ObjectKey) {
        let added = self.shared.state.lock().add(key, clock::instant());
        self.shared.note(added);
        self.shared.changed.notify_one();
    }

    /// Adds a key after a pause; of several pauses of one key the earliest end counts.
    pub fn add_after(&self, key: ObjectKey, delay: Duration) {
        if delay.is_zero() {
            return self.add(key);
        }
        // A pause beyond the clock's range is no pause that anybody will see the end of.
        let Some(due) = clock::instant().checked_add(delay) else { return };
        self.shared.state.lock().add_at(key, due);
        self.shared.changed.notify_one();
    }

    /// Adds a key after a failure, as late as the limiter says (PL-31).
    pub fn add_rate_limited(&self, key: ObjectKey) {
        let delay = self.shared.limiter.lock().delay(&key, clock::instant());
        self.shared.meters.retries.inc();
        self.add_after(key, delay);
    }

    /// Forgets the failures of a key.
    pub fn forget(&self, key: &ObjectKey) {
        self.shared.limiter.lock().forget(key);
    }

    /// How often a key failed since it was forgotten.
    #[must_use]
    pub fn failures(&self, key: &ObjectKey) -> u32 {
        self.shared.limiter.lock().failures(key)
    }

    /// Hands out no more keys: [`Queue::next`] returns `None` from now on.
    pub fn close(&self) {
        self.shared.state.lock().close();
        self.shared.changed.notify_one();
    }

    /// The next key to work on, or `None` once the queue is closed. The key is done when the item is dropped.
    pub async fn next(&self) -> Option<Item> {
        loop {
            let now = clock::instant();
            let popped = self.shared.state.lock().pop(now);
            match popped {
                Popped::Key { key, waited, more, due } => {
                    if more {
                        self.shared.changed.notify_one();
                    }
                    self.shared.note(due);
                    self.shared.meters.depth.dec();
                    self.shared.meters.waited.observe(waited.as_secs_f64());
                    return Some(Item { key, since: now, shared: Arc::clone(&self.shared) });
                }
                Popped::Wait(None) => self.shared.changed.notified().await,
                Popped::Wait(Some(due)) => {
                    tokio::select! {
                        () = self.shared.changed.notified() => {}
                        () = tokio::time::sleep_until(due.into()) => {}
                    }
                }
                Popped::Closed => {
                    self.shared.changed.notify_one();
                    return None;
                }
            }
        }
    }
}

impl Shared {
    /// Counts keys that began to wait.
    fn note(&self, added: usize) {
        if added > 0 {
            self.meters.adds.inc_by(added as u64);
            self.meters.depth.inc_by(i64::try_from(added).unwrap_or(i64::MAX));
        }
    }
}

/// A key that is being worked on.
#[must_use = "the key is done when the item is dropped"]
pub struct Item {
    key: ObjectKey,
    since: Instant,
    shared: Arc<Shared>,
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Item").field(&self.key).finish()
    }
}

impl Item {
    /// The object's key.
    #[must_use]
    pub fn key(&self) -> &ObjectKey {
        &self.key
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        let now = clock::instant();
        self.shared.meters.worked.observe(now.saturating_duration_since(self.since).as_secs_f64());
        let again = self.shared.state.lock().done(&self.key, now);
        self.shared.note(again);
        if again > 0 {
            self.shared.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
