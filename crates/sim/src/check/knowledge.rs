//! What each manager's caches had been shown, and when.
//!
//! A manager that has been shown version 40 a grace ago may act on anything from version 40 on: rules ask for this
//! lowest version and take the most lenient state since.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

/// What was shown to whom.
#[derive(Debug)]
pub(super) struct Knowledge {
    grace: SignedDuration,
    shown: BTreeMap<String, BTreeMap<String, VecDeque<(Timestamp, u64)>>>,
}

impl Knowledge {
    /// With this much time until something that was shown must have been understood.
    pub(super) const fn new(grace: SignedDuration) -> Self {
        Self { grace, shown: BTreeMap::new() }
    }

    /// A manager's cache was shown a resource up to a version. Versions never go back: a list from the past does not
    /// make a cache forget.
    pub(super) fn shown(&mut self, at: Timestamp, caller: &str, resource: &str, version: u64) {
        if !self.shown.contains_key(caller) {
            self.shown.insert(caller.to_owned(), BTreeMap::new());
        }
        let Some(resources) = self.shown.get_mut(caller) else { return };
        if !resources.contains_key(resource) {
            resources.insert(resource.to_owned(), VecDeque::new());
        }
        let Some(told) = resources.get_mut(resource) else { return };
        if told.back().is_some_and(|(_, known)| *known >= version) {
            return;
        }
        match told.back_mut() {
            // Many lines in one moment are one.
            Some(last) if last.0 == at => last.1 = version,
            _ => told.push_back((at, version)),
        }
        // The first one that is old enough stays: it answers for everything before the second.
        while told.get(1).is_some_and(|(then, _)| old(*then, at, self.grace)) {
            told.pop_front();
        }
    }

    /// The version that this manager's cache must have taken in when it wrote at this time. A cache that was shown
    /// nothing a grace ago has acted on its first list at the earliest; one that was never shown anything may act on
    /// anything (0).
    pub(super) fn understood(&self, at: Timestamp, caller: &str, resource: &str) -> u64 {
        let Some(told) = self.shown.get(caller).and_then(|resources| resources.get(resource)) else { return 0 };
        let known = told.iter().rev().find(|(then, _)| old(*then, at, self.grace)).or_else(|| told.front());
        known.map_or(0, |(_, version)| *version)
    }

    /// The moment that a pass may have taken for now.
    pub(super) fn pass_began(&self, at: Timestamp) -> Timestamp {
        at.checked_sub(self.grace).unwrap_or(at)
    }
}

fn old(then: Timestamp, at: Timestamp, grace: SignedDuration) -> bool {
    at.duration_since(then) >= grace
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(s: i64) -> Timestamp {
        Timestamp::from_second(s).unwrap()
    }

    #[test]
    fn what_was_shown_counts_after_the_grace() {
        let mut known = Knowledge::new(SignedDuration::from_secs(30));
        assert_eq!(known.understood(second(0), "m", "pods"), 0);
        for (at, version) in [(0, 5), (10, 7), (10, 8)] {
            known.shown(second(at), "m", "pods", version);
        }
        assert_eq!(known.understood(second(12), "m", "pods"), 5);
        assert_eq!(known.understood(second(40), "m", "pods"), 8);
        known.shown(second(50), "m", "pods", 9);
        known.shown(second(50), "m", "pods", 6);
        assert_eq!(known.understood(second(79), "m", "pods"), 8);
        assert_eq!(known.understood(second(80), "m", "pods"), 9);
        assert_eq!(known.understood(second(80), "m", "clonesets.apps.kruise.io"), 0);
    }

    #[test]
    fn old_knowledge_is_forgotten_but_for_the_last() {
        let mut known = Knowledge::new(SignedDuration::from_secs(30));
        for n in 0..1000 {
            known.shown(second(n), "m", "pods", n.unsigned_abs());
        }
        assert!(known.shown["m"]["pods"].len() <= 32);
        assert_eq!(known.understood(second(999), "m", "pods"), 969);
    }
}
