//! What waits, what is worked on, what is due later. Synchronous; the time is an argument.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use crate::informer::ObjectKey;

/// The queue's contents.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Ready, oldest first; each key once, none that is worked on.
    ready: VecDeque<(ObjectKey, Instant)>,
    /// Keys in `ready`, and keys to be made ready once they are done.
    wanted: HashSet<ObjectKey>,
    working: HashMap<ObjectKey, Instant>,
    /// Due later, soonest first. An entry counts only if `due_at` holds the same time.
    later: BinaryHeap<Reverse<(Instant, ObjectKey)>>,
    due_at: HashMap<ObjectKey, Instant>,
    closed: bool,
}

/// What a worker is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Popped {
    /// Work on this.
    Key {
        key: ObjectKey,
        /// Since it became ready.
        waited: Duration,
        /// Whether another worker has something to wait for.
        more: bool,
        /// How many keys came due with this call.
        due: usize,
    },
    /// Nothing is ready; something may be at this time.
    Wait(Option<Instant>),
    /// There will be nothing.
    Closed,
}

impl State {
    /// Returns how many keys became ready or wanted: 0 or 1.
    pub(super) fn add(&mut self, key: ObjectKey, now: Instant) -> usize {
        if self.closed || self.wanted.contains(&key) {
            return 0;
        }
        self.wanted.insert(key.clone());
        if self.working.contains_key(&key) {
            return 0; // Counted when it is done.
        }
        self.ready.push_back((key, now));
        1
    }

    pub(super) fn add_at(&mut self, key: ObjectKey, due: Instant) {
        if self.closed || self.due_at.get(&key).is_some_and(|earlier| *earlier <= due) {
            return;
        }
        self.due_at.insert(key.clone(), due);
        self.later.push(Reverse((due, key)));
    }

    pub(super) fn pop(&mut self, now: Instant) -> Popped {
        if self.closed {
            return Popped::Closed;
        }
        let due = self.move_due(now);
        let Some((key, since)) = self.ready.pop_front() else {
            return Popped::Wait(self.later.peek().map(|Reverse((due, _))| *due));
        };
        self.wanted.remove(&key);
        self.working.insert(key.clone(), now);
        let more = !self.ready.is_empty() || !self.later.is_empty();
        Popped::Key { key, waited: now.saturating_duration_since(since), more, due }
    }

    /// Returns how many keys became ready: 0 or 1.
    pub(super) fn done(&mut self, key: &ObjectKey, now: Instant) -> usize {
        self.working.remove(key);
        if self.closed || !self.wanted.contains(key) {
            return 0;
        }
        self.ready.push_back((key.clone(), now));
        1
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// When each key that is worked on was handed out.
    pub(super) fn working_since(&self) -> impl Iterator<Item = Instant> + '_ {
        self.working.values().copied()
    }

    fn move_due(&mut self, now: Instant) -> usize {
        let mut moved = 0;
        while let Some(Reverse((due, _))) = self.later.peek()
            && *due <= now
        {
            let Some(Reverse((due, key))) = self.later.pop() else { break };
            // A superseded entry: the key was due earlier.
            if self.due_at.get(&key) == Some(&due) {
                self.due_at.remove(&key);
                moved += self.add(key, now);
            }
        }
        moved
    }
}
