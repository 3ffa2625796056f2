//! Creations and deletions that the cache has yet to show, by owner (PL-70).
//!
//! A creation is met once the cache has passed it: it shows the object, a later state of its name, or that it is gone.
//! What the watch tells of a predecessor is older than the creation and meets nothing. A deletion is met once the object
//! is terminating, gone, or replaced. Both are looked up in the cache too, so an event that came before the expectation,
//! or never, leaves nobody waiting.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use api::k8s::Text;
use parking_lot::Mutex;

use super::{ObjectId, OwnerId, Sight, State};
use crate::informer::ObjectKey;

/// How soon an owner looks again while the write engine finds out what became of a write without an answer.
pub(super) const DOUBT_PAUSE: Duration = Duration::from_secs(1);

/// What is expected to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// The object appears.
    Create,
    /// The object is on its way out: the watch shows it terminating or gone.
    Delete,
}

/// One expected event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Expected {
    /// What is to show.
    pub action: Action,
    /// Of which object.
    pub object: ObjectId,
}

/// Why an owner must not scale now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The cache has yet to show these.
    Unmet {
        /// When they were first found unmet.
        since: Instant,
        /// When to look again at the latest.
        remaining: Duration,
        /// One action of those that are unmet.
        action: Action,
        /// The names that it waits for.
        names: Vec<Text>,
    },
    /// These did not show in time: check each live before the next pass (ruling 19), see [`super::LiveCheck`].
    Overdue {
        /// When they were first found unmet.
        since: Instant,
        /// All that is expected.
        objects: Vec<Expected>,
    },
}

/// What a live read says of an expected event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The write was carried out: the cache is behind.
    Due,
    /// The write was not carried out, or its object has come and gone.
    Void,
}

/// Expected creations and deletions of all owners.
#[derive(Debug)]
pub struct ScaleExpectations {
    timeout: Duration,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    owners: HashMap<ObjectKey, Owner>,
    /// Who expects something of an object.
    expecting: HashMap<ObjectId, ObjectKey>,
}

#[derive(Debug)]
struct Owner {
    uid: Text,
    expected: BTreeMap<Expected, Progress>,
    unmet_since: Option<Instant>,
}

/// What is known of a write and of its object since.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Progress {
    /// A creation without an answer so far, and the last that was seen under its name meanwhile.
    Creates(Option<Sight>, Answer),
    /// A creation: the object as it was made, or as it was found.
    Made(Sight),
    /// A deletion of this UID.
    Deletes(Text, Answer),
}

/// Whether the API server answered the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Awaited,
    Lost,
}

impl Progress {
    /// Whether the cache, or the watch, has passed the write, given what it shows under the name.
    fn is_met_by(&self, sight: &Sight) -> bool {
        match self {
            Self::Creates(..) => false,
            Self::Made(made) => sight.uid == made.uid || sight.reaches(made.version),
            Self::Deletes(uid, _) => sight.uid != *uid || sight.state != State::Live,
        }
    }

    /// The same where the cache shows nothing. What is deleted was in the cache; what is created was not.
    fn is_met_by_nothing(&self) -> bool {
        matches!(self, Self::Deletes(..))
    }

    fn is_lost(&self) -> bool {
        matches!(self, Self::Creates(_, Answer::Lost) | Self::Deletes(_, Answer::Lost))
    }

    fn fate(&self, live: Option<&Sight>) -> Fate {
        match (self, live) {
            (Self::Deletes(uid, _), Some(live)) if live.uid == *uid && live.state == State::Live => Fate::Void,
            (Self::Creates(..) | Self::Made(_), None) => Fate::Void,
            (Self::Deletes(..), _) | (Self::Creates(..) | Self::Made(_), Some(_)) => Fate::Due,
        }
    }
}

impl ScaleExpectations {
    /// Expects nothing yet.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        Self { timeout, held: Mutex::default() }
    }

    /// How long is waited before a live check.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Expects an object to appear. Call before the write: its event may come before its answer.
    pub fn expect_creation(&self, owner: &OwnerId, object: &ObjectId) {
        self.held.lock().expect(owner, Action::Create, object, Progress::Creates(None, Answer::Awaited));
    }

    /// Expects the object of this UID to go. Call before the write.
    pub fn expect_deletion(&self, owner: &OwnerId, object: &ObjectId, uid: &str) {
        self.held.lock().expect(owner, Action::Delete, object, Progress::Deletes(uid.into(), Answer::Awaited));
    }

    /// The creation was answered with this object, or it was found carried out. Its event may have been seen already.
    pub fn created(&self, owner: &OwnerId, object: &ObjectId, made: Sight) {
        let mut held = self.held.lock();
        let Some(progress @ Progress::Creates(..)) = held.progress(owner, Action::Create, object) else { return };
        let before = std::mem::replace(progress, Progress::Made(made));
        if let Progress::Creates(Some(seen), _) = before
            && progress.is_met_by(&seen)
        {
            held.remove(&owner.key, Action::Create, object);
        }
    }

    /// Meets what the watch shows of an object. Returns the owner that was found waiting for it and for nothing else.
    pub fn observe(&self, object: &ObjectId, sight: &Sight) -> Option<ObjectKey> {
        let mut held = self.held.lock();
        let key = held.expecting.get(object)?.clone();
        let was_waiting = held.owners.get(&key)?.unmet_since.is_some();
        for action in [Action::Create, Action::Delete] {
            let expected = Expected { action, object: object.clone() };
            let Some(progress) = held.owners.get_mut(&key).and_then(|owner| owner.expected.get_mut(&expected)) else {
                continue;
            };
            if let Progress::Creates(seen, _) = progress {
                *seen = Some(sight.clone());
            } else if progress.is_met_by(sight) {
                held.remove(&key, action, object);
            }
        }
        (was_waiting && !held.owners.contains_key(&key)).then_some(key)
    }

    /// Takes an expectation back: the write failed, there will be no event.
    pub fn withdraw(&self, owner: &OwnerId, action: Action, object: &ObjectId) {
        let mut held = self.held.lock();
        if held.progress(owner, action, object).is_some() {
            held.remove(&owner.key, action, object);
        }
    }

    /// Marks an expectation whose write got no answer. It stays, as the write may have been done, and the owner looks
    /// again soon, as it may not. Does nothing where the event was seen already.
    pub fn doubt(&self, owner: &OwnerId, action: Action, object: &ObjectId) {
        let mut held = self.held.lock();
        if let Some(Progress::Creates(_, answer) | Progress::Deletes(_, answer)) = held.progress(owner, action, object)
        {
            *answer = Answer::Lost;
        }
    }

    /// Whether an event is still expected.
    #[must_use]
    pub fn is_expected(&self, owner: &OwnerId, action: Action, object: &ObjectId) -> bool {
        self.held.lock().progress(owner, action, object).is_some()
    }

    /// What the owner has to wait for; `None` lets it scale. `look` tells what the cache shows under a name; it must not
    /// ask these expectations, which are locked meanwhile.
    pub fn waiting(&self, owner: &OwnerId, now: Instant, look: impl Fn(&ObjectId) -> Option<Sight>) -> Option<Wait> {
        let mut held = self.held.lock();
        if held.owners.get(&owner.key)?.uid != owner.uid {
            held.forget(&owner.key);
            return None;
        }
        held.meet(&owner.key, look);
        let owner = held.owners.get_mut(&owner.key)?;
        let since = *owner.unmet_since.get_or_insert(now);
        let remaining = self.timeout.saturating_sub(now.saturating_duration_since(since));
        if remaining.is_zero() {
            return Some(Wait::Overdue { since, objects: owner.expected.keys().cloned().collect() });
        }
        let action = owner.expected.keys().next()?.action;
        let of_action = owner.expected.keys().filter(|expected| expected.action == action);
        let names = of_action.map(|expected| expected.object.key.name.clone()).collect();
        let doubt = owner.expected.values().any(Progress::is_lost);
        let remaining = if doubt { remaining.min(DOUBT_PAUSE) } else { remaining };
        Some(Wait::Unmet { since, remaining, action, names })
    }

    /// What a live read that shows this under the name says of an expected event; `None` where it was met meanwhile.
    #[must_use]
    pub fn fate(&self, owner: &OwnerId, expected: &Expected, live: Option<&Sight>) -> Option<Fate> {
        let mut held = self.held.lock();
        held.progress(owner, expected.action, &expected.object).map(|progress| progress.fate(live))
    }

    /// Takes in what a live read shows under the name: what is due stays expected, what is void does not.
    pub fn check(&self, owner: &OwnerId, expected: &Expected, live: Option<Sight>) {
        let Expected { action, object } = expected;
        match (self.fate(owner, expected, live.as_ref()), action, live) {
            (Some(Fate::Void), ..) => self.withdraw(owner, *action, object),
            (Some(Fate::Due), Action::Create, Some(live)) => self.created(owner, object, live),
            (Some(Fate::Due), Action::Delete, _) => {
                if let Some(Progress::Deletes(_, answer)) = self.held.lock().progress(owner, *action, object) {
                    *answer = Answer::Awaited;
                }
            }
            (Some(Fate::Due), Action::Create, None) | (None, ..) => {}
        }
    }

    /// Gives what is still expected as long again, after it was checked.
    pub fn wait_on(&self, owner: &OwnerId, now: Instant) {
        if let Some(held) = self.held.lock().owners.get_mut(&owner.key).filter(|held| held.uid == owner.uid) {
            held.unmet_since = Some(now);
        }
    }

    /// Drops all expectations of an owner that is gone.
    pub fn forget(&self, owner: &ObjectKey) {
        self.held.lock().forget(owner);
    }
}

impl Held {
    fn expect(&mut self, owner: &OwnerId, action: Action, object: &ObjectId, progress: Progress) {
        if self.owners.get(&owner.key).is_some_and(|held| held.uid != owner.uid) {
            self.forget(&owner.key);
        }
        let fresh = || Owner { uid: owner.uid.clone(), expected: BTreeMap::new(), unmet_since: None };
        let held = self.owners.entry(owner.key.clone()).or_insert_with(fresh);
        held.expected.insert(Expected { action, object: object.clone() }, progress);
        self.expecting.insert(object.clone(), owner.key.clone());
    }

    fn progress(&mut self, owner: &OwnerId, action: Action, object: &ObjectId) -> Option<&mut Progress> {
        let held = self.owners.get_mut(&owner.key).filter(|held| held.uid == owner.uid)?;
        held.expected.get_mut(&Expected { action, object: object.clone() })
    }

    /// Drops what the cache shows to be met.
    fn meet(&mut self, key: &ObjectKey, look: impl Fn(&ObjectId) -> Option<Sight>) {
        let Some(owner) = self.owners.get(key) else { return };
        let is_met = |(expected, progress): &(&Expected, &Progress)| match look(&expected.object) {
            Some(sight) => progress.is_met_by(&sight),
            None => progress.is_met_by_nothing(),
        };
        let met: Vec<Expected> = owner.expected.iter().filter(is_met).map(|(expected, _)| expected.clone()).collect();
        for Expected { action, object } in met {
            self.remove(key, action, &object);
        }
    }

    fn remove(&mut self, key: &ObjectKey, action: Action, object: &ObjectId) {
        let Some(owner) = self.owners.get_mut(key) else { return };
        owner.expected.remove(&Expected { action, object: object.clone() });
        let expects_more = owner.expected.keys().any(|expected| expected.object == *object);
        if !expects_more && self.expecting.get(object) == Some(key) {
            self.expecting.remove(object);
        }
        if owner.expected.is_empty() {
            self.owners.remove(key);
        }
    }

    fn forget(&mut self, key: &ObjectKey) {
        self.owners.remove(key);
        self.expecting.retain(|_, owner| owner != key);
    }
}

#[cfg(test)]
mod tests;
