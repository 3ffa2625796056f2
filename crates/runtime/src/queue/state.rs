//! What waits, what is worked on, what is due later. Synchronous; the time is an argument.
//!
//! Fresh keys go before those in the background, but never all of them: a share of the workers' time is the
//! background's, so it ends however much changes.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::{Duration, Instant};

use crate::informer::ObjectKey;

/// How many fresh keys are handed out before one of the background, while both wait. It sets the background's share,
/// one in eleven: less would let a start with thousands of objects take hours under steady change, more would let the
/// start hold up those who wait for their change.
const FRESH_IN_A_ROW: u32 = 10;

/// Why a key waits, and so when it is its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Something changed, failed or fell due: somebody may be waiting for it.
    Fresh,
    /// Nothing is known to have changed: the first list after a start, a resync.
    Background,
}

/// The queue's contents.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Ready, each lane oldest first; each key once, none that is worked on.
    ready: BTreeMap<Place, ObjectKey>,
    /// Keys in `ready`, and keys to be made ready once they are done.
    wanted: HashMap<ObjectKey, Wanted>,
    working: HashMap<ObjectKey, Instant>,
    /// Due later, soonest first. An entry counts only if `due_at` holds the same time.
    later: BinaryHeap<Reverse<(Instant, ObjectKey)>>,
    due_at: HashMap<ObjectKey, (Instant, Urgency)>,
    /// The next place in a lane.
    next_place: u64,
    /// Keys that began to wait so far.
    added: u64,
    fresh_in_a_row: u32,
    closed: bool,
}

type Place = (Urgency, u64);

#[derive(Debug)]
struct Wanted {
    place: Place,
    /// When it began to wait.
    since: Instant,
}

/// What a worker is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Popped {
    /// Work on this.
    Key {
        key: ObjectKey,
        /// Since it was added, or fell due.
        waited: Duration,
        /// Whether another worker has something to wait for.
        more: bool,
    },
    /// Nothing is ready; something may be at this time.
    Wait(Option<Instant>),
    /// There will be nothing.
    Closed,
}

/// The contents in numbers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Census {
    /// Keys that began to wait so far.
    pub(super) added: u64,
    /// Keys that wait, those that wait for their own worker included.
    pub(super) waiting: usize,
    /// Those of them that wait in the background.
    pub(super) background: usize,
    /// How long each key that is worked on has been.
    pub(super) working: Vec<Duration>,
}

impl State {
    /// Lets a key wait, unless it does; one that waits in the background moves up if it is fresh now.
    pub(super) fn add(&mut self, key: ObjectKey, urgency: Urgency, now: Instant) {
        if self.closed {
            return;
        }
        let place = (urgency, self.next_place);
        self.next_place += 1;
        match self.wanted.entry(key) {
            Entry::Occupied(mut held) => {
                let before = held.get().place;
                if before.0 <= urgency {
                    return;
                }
                held.get_mut().place = place;
                // A key that is worked on has no place among the ready ones yet.
                if let Some(key) = self.ready.remove(&before) {
                    self.ready.insert(place, key);
                }
            }
            Entry::Vacant(free) => {
                if !self.working.contains_key(free.key()) {
                    self.ready.insert(place, free.key().clone());
                }
                free.insert(Wanted { place, since: now });
                self.added += 1;
            }
        }
    }

    /// Lets a key wait from `due` on. Of several times the earliest counts, and of several urgencies the highest.
    pub(super) fn add_at(&mut self, key: ObjectKey, urgency: Urgency, due: Instant) {
        if self.closed {
            return;
        }
        let (earliest, highest) = match self.due_at.get(&key) {
            Some((at, held)) => (due.min(*at), urgency.min(*held)),
            None => (due, urgency),
        };
        let before = self.due_at.insert(key.clone(), (earliest, highest));
        if before.is_none_or(|(at, _)| due < at) {
            self.later.push(Reverse((due, key)));
        }
    }

    pub(super) fn pop(&mut self, now: Instant) -> Popped {
        if self.closed {
            return Popped::Closed;
        }
        self.move_due(now);
        let Some((key, waiting)) = self.take_ready() else {
            return Popped::Wait(self.later.peek().map(|Reverse((due, _))| *due));
        };
        self.working.insert(key.clone(), now);
        let more = !self.ready.is_empty() || !self.later.is_empty();
        Popped::Key { key, waited: now.saturating_duration_since(waiting.since), more }
    }

    /// Ends the work on a key. Whether it is ready again, because it was added meanwhile.
    pub(super) fn done(&mut self, key: &ObjectKey) -> bool {
        self.working.remove(key);
        let Some(wanted) = self.wanted.get(key).filter(|_| !self.closed) else { return false };
        self.ready.insert(wanted.place, key.clone());
        true
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn census(&self, now: Instant) -> Census {
        // What fell due counts as waiting although no worker has had time to ask.
        let due = self.due_at.iter().filter(|(key, (at, _))| *at <= now && !self.wanted.contains_key(*key));
        let due: Vec<Urgency> = due.map(|(_, (_, urgency))| *urgency).collect();
        let waiting = self.wanted.values().map(|wanted| wanted.place.0).chain(due.iter().copied());
        Census {
            added: self.added + due.len() as u64,
            waiting: self.wanted.len() + due.len(),
            background: waiting.filter(|urgency| *urgency == Urgency::Background).count(),
            working: self.working.values().map(|since| now.saturating_duration_since(*since)).collect(),
        }
    }

    /// The key whose turn it is.
    fn take_ready(&mut self) -> Option<(ObjectKey, Wanted)> {
        let of_background = (Urgency::Background, 0)..;
        let (first, background) = (self.ready.keys().next(), self.ready.range(of_background).map(|(at, _)| at).next());
        let place = *background.filter(|_| self.fresh_in_a_row >= FRESH_IN_A_ROW).or(first)?;
        let passed_over = background.is_some() && place.0 == Urgency::Fresh;
        self.fresh_in_a_row = if passed_over { self.fresh_in_a_row + 1 } else { 0 };
        let key = self.ready.remove(&place)?;
        self.wanted.remove_entry(&key)
    }

    fn move_due(&mut self, now: Instant) {
        while let Some(Reverse((due, _))) = self.later.peek()
            && *due <= now
        {
            let Some(Reverse((due, key))) = self.later.pop() else { break };
            // A superseded entry: the key was due earlier.
            if let Some((at, urgency)) = self.due_at.get(&key).copied()
                && at == due
            {
                self.due_at.remove(&key);
                self.add(key, urgency, due);
            }
        }
    }
}
