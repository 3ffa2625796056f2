//! Updates that the cache has yet to show, by UID of the object (PL-72).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Why an object must not be judged now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionWait {
    /// The cache shows the object as it was before our own write.
    Unmet {
        /// When it was first found unmet.
        since: Instant,
        /// When to look again at the latest.
        remaining: Duration,
        /// The resourceVersion that our write was answered with.
        expected: String,
    },
    /// It did not show in time and is expected no longer: check it live before the next pass (ruling 19).
    Overdue {
        /// When it was first found unmet.
        since: Instant,
        /// The resourceVersion that our write was answered with.
        expected: String,
    },
}

/// What it meant that a version was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    /// Nothing was expected, or something later.
    Nothing,
    /// Our own write was seen.
    Met,
    /// Our own write was seen, and somebody was found waiting for it: wake them.
    Awaited,
}

/// Expected versions of all objects.
#[derive(Debug)]
pub struct VersionExpectations {
    timeout: Duration,
    objects: Mutex<HashMap<String, Held>>,
}

#[derive(Debug)]
struct Held {
    version: u64,
    unmet_since: Option<Instant>,
}

impl VersionExpectations {
    /// Expects nothing yet.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        Self { timeout, objects: Mutex::default() }
    }

    /// Expects the version that a write was answered with. One that is not a number counts as met.
    pub fn expect(&self, uid: &str, resource_version: &str) {
        let Ok(version) = resource_version.parse::<u64>() else { return };
        let mut objects = self.objects.lock();
        match objects.get_mut(uid) {
            Some(held) if held.version >= version => {}
            Some(held) => held.version = version,
            None => {
                objects.insert(uid.to_owned(), Held { version, unmet_since: None });
            }
        }
    }

    /// Meets the expectation if the version seen is the expected one or a later one.
    pub fn observe(&self, uid: &str, resource_version: &str) -> Observed {
        let mut objects = self.objects.lock();
        let Some(held) = objects.get(uid).filter(|held| is_met(held, resource_version)) else {
            return Observed::Nothing;
        };
        let observed = if held.unmet_since.is_some() { Observed::Awaited } else { Observed::Met };
        objects.remove(uid);
        observed
    }

    /// What has to be waited for before an object that was seen at `seen` may be judged.
    pub fn waiting(&self, uid: &str, seen: &str, now: Instant) -> Option<VersionWait> {
        let mut objects = self.objects.lock();
        let held = objects.get_mut(uid)?;
        if is_met(held, seen) {
            objects.remove(uid);
            return None;
        }
        let since = *held.unmet_since.get_or_insert(now);
        let expected = held.version.to_string();
        let remaining = self.timeout.saturating_sub(now.saturating_duration_since(since));
        if remaining.is_zero() {
            objects.remove(uid);
            return Some(VersionWait::Overdue { since, expected });
        }
        Some(VersionWait::Unmet { since, remaining, expected })
    }

    /// Drops the expectation of an object that is gone.
    pub fn forget(&self, uid: &str) {
        self.objects.lock().remove(uid);
    }
}

fn is_met(held: &Held, seen: &str) -> bool {
    // A version that is not a number cannot be compared: waiting for it would never end.
    seen.parse::<u64>().map_or(true, |seen| seen >= held.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(300);

    // PL-72
    #[test]
    fn an_object_waits_until_it_is_seen_at_our_version_or_later() {
        let (versions, now) = (VersionExpectations::new(TIMEOUT), Instant::now());
        versions.expect("u", "100");
        assert!(versions.waiting("u", "99", now).is_some());
        assert_eq!(versions.waiting("u", "100", now), None);
        versions.expect("u", "200");
        versions.observe("u", "199");
        assert!(versions.waiting("u", "199", now).is_some());
        versions.observe("u", "201");
        assert_eq!(versions.waiting("u", "199", now), None);
    }

    // PL-72
    #[test]
    fn versions_compare_as_numbers_and_the_highest_counts() {
        let (versions, now) = (VersionExpectations::new(TIMEOUT), Instant::now());
        versions.expect("u", "1000");
        versions.expect("u", "999");
        assert!(versions.waiting("u", "999", now).is_some());
    }

    // PL-72
    #[test]
    fn a_version_that_is_not_a_number_is_met() {
        let (versions, now) = (VersionExpectations::new(TIMEOUT), Instant::now());
        versions.expect("u", "not-a-number");
        assert_eq!(versions.waiting("u", "1", now), None);
        versions.expect("u", "10");
        assert_eq!(versions.waiting("u", "not-a-number", now), None);
    }

    // Ruling 19
    #[test]
    fn an_overdue_version_is_told_once() {
        let (versions, now) = (VersionExpectations::new(TIMEOUT), Instant::now());
        versions.expect("u", "10");
        let wait = versions.waiting("u", "9", now);
        assert_eq!(wait, Some(VersionWait::Unmet { since: now, remaining: TIMEOUT, expected: "10".to_owned() }));
        let wait = versions.waiting("u", "9", now + TIMEOUT);
        assert_eq!(wait, Some(VersionWait::Overdue { since: now, expected: "10".to_owned() }));
        assert_eq!(versions.waiting("u", "9", now + TIMEOUT), None);
    }
}
