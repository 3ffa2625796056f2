//! Creations and deletions that the cache has yet to show, by owner (PL-70).

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::informer::ObjectKey;

/// How soon an owner looks again while the write engine finds out what became of a write without an answer.
const DOUBT_PAUSE: Duration = Duration::from_secs(1);

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
    /// Plural of the resource.
    pub resource: &'static str,
    /// Name of the object, in the owner's namespace.
    pub name: String,
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
        names: Vec<String>,
    },
    /// These did not show in time and are expected no longer: check each live before the next pass (ruling 19).
    Overdue {
        /// When they were first found unmet.
        since: Instant,
        /// All that was expected.
        objects: Vec<Expected>,
    },
}

/// Expected creations and deletions of all owners.
#[derive(Debug)]
pub struct ScaleExpectations {
    timeout: Duration,
    owners: Mutex<HashMap<ObjectKey, Owner>>,
}

#[derive(Debug, Default)]
struct Owner {
    expected: BTreeMap<Expected, Answer>,
    unmet_since: Option<Instant>,
}

/// Whether the API server answered the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Awaited,
    Lost,
}

impl ScaleExpectations {
    /// Expects nothing yet.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        Self { timeout, owners: Mutex::default() }
    }

    /// Expects an event. Call before the write: its event may come before its answer.
    pub fn expect(&self, owner: &ObjectKey, action: Action, resource: &'static str, name: &str) {
        let expected = Expected { action, resource, name: name.to_owned() };
        self.owners.lock().entry(owner.clone()).or_default().expected.insert(expected, Answer::Awaited);
    }

    /// Meets an expectation: the watch showed the event.
    pub fn observe(&self, owner: &ObjectKey, action: Action, resource: &'static str, name: &str) {
        let mut owners = self.owners.lock();
        let Some(held) = owners.get_mut(owner) else { return };
        held.expected.remove(&Expected { action, resource, name: name.to_owned() });
        if held.expected.is_empty() {
            owners.remove(owner);
        }
    }

    /// Takes an expectation back: the write failed, there will be no event.
    pub fn withdraw(&self, owner: &ObjectKey, action: Action, resource: &'static str, name: &str) {
        self.observe(owner, action, resource, name);
    }

    /// Marks an expectation whose write got no answer. It stays, as the write may have been done, and the owner looks
    /// again soon, as it may not. Does nothing where the event was seen already.
    pub fn doubt(&self, owner: &ObjectKey, action: Action, resource: &'static str, name: &str) {
        let expected = Expected { action, resource, name: name.to_owned() };
        if let Some(answer) = self.owners.lock().get_mut(owner).and_then(|held| held.expected.get_mut(&expected)) {
            *answer = Answer::Lost;
        }
    }

    /// Whether an event is still expected.
    #[must_use]
    pub fn is_expected(&self, owner: &ObjectKey, action: Action, resource: &'static str, name: &str) -> bool {
        let expected = Expected { action, resource, name: name.to_owned() };
        self.owners.lock().get(owner).is_some_and(|held| held.expected.contains_key(&expected))
    }

    /// What the owner has to wait for; `None` lets it scale.
    pub fn waiting(&self, owner: &ObjectKey, now: Instant) -> Option<Wait> {
        let mut owners = self.owners.lock();
        let held = owners.get_mut(owner)?;
        let since = *held.unmet_since.get_or_insert(now);
        let remaining = self.timeout.saturating_sub(now.saturating_duration_since(since));
        if remaining.is_zero() {
            let objects = owners.remove(owner)?.expected.into_keys().collect();
            return Some(Wait::Overdue { since, objects });
        }
        let action = held.expected.keys().next()?.action;
        let of_action = held.expected.keys().filter(|expected| expected.action == action);
        let names = of_action.map(|expected| expected.name.clone()).collect();
        let doubt = held.expected.values().any(|answer| *answer == Answer::Lost);
        let remaining = if doubt { remaining.min(DOUBT_PAUSE) } else { remaining };
        Some(Wait::Unmet { since, remaining, action, names })
    }

    /// Drops all expectations of an owner that is gone.
    pub fn forget(&self, owner: &ObjectKey) {
        self.owners.lock().remove(owner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(300);

    fn owner() -> ObjectKey {
        ObjectKey::new("shop", "web")
    }

    fn expecting(names: &[&str]) -> ScaleExpectations {
        let scale = ScaleExpectations::new(TIMEOUT);
        for name in names {
            scale.expect(&owner(), Action::Create, "pods", name);
        }
        scale
    }

    // PL-70
    #[test]
    fn an_owner_waits_until_every_event_was_seen() {
        let (scale, now) = (expecting(&["a", "b"]), Instant::now());
        scale.observe(&owner(), Action::Create, "pods", "a");
        scale.observe(&owner(), Action::Delete, "pods", "b");
        let wait = scale.waiting(&owner(), now);
        let names = vec!["b".to_owned()];
        assert_eq!(wait, Some(Wait::Unmet { since: now, remaining: TIMEOUT, action: Action::Create, names }));
        scale.observe(&owner(), Action::Create, "pods", "b");
        assert_eq!(scale.waiting(&owner(), now), None);
        assert!(scale.owners.lock().is_empty(), "an owner without expectations takes no memory");
    }

    // PL-70
    #[test]
    fn resources_of_one_name_do_not_meet_each_other() {
        let (scale, now) = (expecting(&["a"]), Instant::now());
        scale.observe(&owner(), Action::Create, "persistentvolumeclaims", "a");
        assert!(scale.waiting(&owner(), now).is_some());
    }

    // PL-70
    #[test]
    fn a_failed_write_is_expected_no_longer() {
        let (scale, now) = (expecting(&["a"]), Instant::now());
        scale.withdraw(&owner(), Action::Create, "pods", "a");
        assert_eq!(scale.waiting(&owner(), now), None);
    }

    // Platform section 11.1: the timer starts at the first check that finds an unmet expectation.
    #[test]
    fn the_time_starts_with_the_first_check_and_ends_in_a_list_to_check_live() {
        let (scale, now) = (expecting(&["a"]), Instant::now());
        scale.expect(&owner(), Action::Delete, "pods", "b");
        let first = now + TIMEOUT * 2;
        assert!(matches!(scale.waiting(&owner(), first), Some(Wait::Unmet { .. })));
        let Some(Wait::Unmet { remaining, .. }) = scale.waiting(&owner(), first + TIMEOUT / 4) else { panic!() };
        assert_eq!(remaining, TIMEOUT * 3 / 4);
        let Some(Wait::Overdue { since, objects }) = scale.waiting(&owner(), first + TIMEOUT) else { panic!() };
        assert_eq!(since, first);
        let expected = |action, name: &str| Expected { action, resource: "pods", name: name.to_owned() };
        assert_eq!(objects, [expected(Action::Create, "a"), expected(Action::Delete, "b")]);
        assert_eq!(scale.waiting(&owner(), first + TIMEOUT), None, "ruling 19: dropped");
    }

    #[test]
    fn met_in_between_the_time_starts_anew() {
        let (scale, now) = (expecting(&["a"]), Instant::now());
        assert!(scale.waiting(&owner(), now).is_some());
        scale.observe(&owner(), Action::Create, "pods", "a");
        scale.expect(&owner(), Action::Create, "pods", "b");
        assert!(matches!(scale.waiting(&owner(), now + TIMEOUT), Some(Wait::Unmet { .. })));
    }

    #[test]
    fn a_write_without_an_answer_makes_the_owner_look_again_soon() {
        let (scale, now) = (expecting(&["a", "b"]), Instant::now());
        scale.doubt(&owner(), Action::Create, "pods", "b");
        scale.doubt(&owner(), Action::Create, "pods", "never-expected");
        let Some(Wait::Unmet { remaining, names, .. }) = scale.waiting(&owner(), now) else { panic!() };
        assert_eq!((remaining, names.len()), (DOUBT_PAUSE, 2));
        scale.observe(&owner(), Action::Create, "pods", "b");
        let Some(Wait::Unmet { remaining, .. }) = scale.waiting(&owner(), now) else { panic!() };
        assert_eq!(remaining, TIMEOUT);
    }

    #[test]
    fn a_deleted_owner_waits_for_nothing() {
        let scale = expecting(&["a"]);
        scale.forget(&owner());
        assert_eq!(scale.waiting(&owner(), Instant::now()), None);
    }
}
