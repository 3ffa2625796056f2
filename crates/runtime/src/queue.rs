//! Work queue of object keys: no duplicates, one worker a key, changes before start-up work, delays, and a rate limit
//! for retries (PL-31).
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
use crate::informer::{Change, ObjectKey};

mod limiter;
mod measure;
mod state;

pub(crate) use limiter::Bucket;
use limiter::Limiter;
pub use limiter::RateLimit;
use measure::Meters;
pub use state::Urgency;
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

    /// Adds a key that changed, unless it waits already. One that waits in the background moves up.
    pub fn add(&self, key: ObjectKey) {
        self.push(key, Urgency::Fresh);
    }

    /// Adds the key of an object that a change concerns. What the first list of a cache shows is no change.
    pub fn add_for<T>(&self, change: &Change<T>, key: ObjectKey) {
        let initial = matches!(change, Change::Added { initial: true, .. });
        self.push(key, if initial { Urgency::Background } else { Urgency::Fresh });
    }

    /// Adds a key after a pause. Of several pauses of one key the earliest end counts, and the highest urgency.
    pub fn add_after(&self, key: ObjectKey, urgency: Urgency, pause: Duration) {
        if urgency == Urgency::Fresh {
            // As client-go counts: each delayed return of a key, not only those after a failure.
            self.shared.meters.retries.inc();
        }
        if pause.is_zero() {
            return self.push(key, urgency);
        }
        // A pause beyond the clock's range is no pause that anybody will see the end of.
        let Some(due) = clock::instant().checked_add(pause) else { return };
        self.shared.state.lock().add_at(key, urgency, due);
        self.shared.changed.notify_one();
    }

    /// Adds a key after a failure, as late as the limiter says (PL-31): its change is not dealt with, so it is fresh.
    pub fn add_rate_limited(&self, key: ObjectKey) {
        let pause = self.shared.limiter.lock().delay(&key, clock::instant());
        self.add_after(key, Urgency::Fresh, pause);
    }

    fn push(&self, key: ObjectKey, urgency: Urgency) {
        self.shared.state.lock().add(key, urgency, clock::instant());
        self.shared.changed.notify_one();
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
                Popped::Key { key, waited, more } => {
                    if more {
                        self.shared.changed.notify_one();
                    }
                    self.shared.meters.waited.observe(waited.as_secs_f64());
                    return Some(Item { key, since: now, shared: Arc::clone(&self.shared) });
                }
                Popped::Wait(None) => self.shared.changed.notified().await,
                Popped::Wait(Some(due)) => {
                    tokio::select! {
                        biased;
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
        if self.shared.state.lock().done(&self.key) {
            self.shared.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
