//! Updates that the cache has yet to show, by UID of the object (PL-72).
//!
//! Nothing is kept for an object that is gone. An answer may come after the watch has shown that its object went: a write
//! is announced before it is sent, so that this is seen. What slips through all the same, because no cache ever held the
//! object, is swept out after an hour.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::scale::DOUBT_PAUSE;
use super::{Fate, Sight};

/// How long an expectation is kept that nobody asks for and no event meets.
const OLDEST: Duration = Duration::from_hours(1);
/// Fewer expectations than this are not worth a sweep.
const FEW: usize = 64;

/// Why an object must not be judged now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionWait {
    /// The cache shows the object as it was before our own write.
    Unmet {
        /// When it was first found unmet.
        since: Instant,
        /// When to look again at the latest.
        remaining: Duration,
        /// The resourceVersion that our write was answered with, or must exceed.
        expected: u64,
    },
    /// It did not show in time: check it live before the next pass (ruling 19), see [`super::LiveCheck`].
    Overdue {
        /// When it was first found unmet.
        since: Instant,
        /// The resourceVersion that our write was answered with, or must exceed.
        expected: u64,
    },
}

/// What it meant that an object was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Observed {
    /// Nothing was expected, or something later.
    #[default]
    Nothing,
    /// Our own write was seen, or its object is gone.
    Met,
    /// The same, and somebody was found waiting for it: wake them.
    Awaited,
}

/// Expected versions of all objects.
#[derive(Debug)]
pub struct VersionExpectations {
    timeout: Duration,
    all: Mutex<All>,
}

#[derive(Debug, Default)]
struct All {
    objects: HashMap<String, Held>,
    /// Expectations since the last sweep.
    since_sweep: usize,
}

#[derive(Debug)]
struct Held {
    /// What is expected; 0 is always met.
    version: u64,
    answer: Answer,
    unmet_since: Option<Instant>,
    at: Instant,
    /// Writes that are announced and not over.
    under_way: u32,
    presence: Presence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Known,
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Here,
    Gone,
}

impl Held {
    fn new(now: Instant) -> Self {
        let presence = Presence::Here;
        Self { version: 0, answer: Answer::Known, unmet_since: None, at: now, under_way: 0, presence }
    }

    fn is_met(&self, seen: &str) -> bool {
        // A version that is not a number cannot be compared: waiting for it would never end.
        seen.parse::<u64>().map_or(true, |seen| seen >= self.version)
    }

    fn meet(&mut self) -> Observed {
        let observed = match (self.version, self.unmet_since) {
            (0, _) => Observed::Nothing,
            (_, None) => Observed::Met,
            (_, Some(_)) => Observed::Awaited,
        };
        (self.version, self.answer, self.unmet_since) = (0, Answer::Known, None);
        observed
    }

    fn is_idle(&self) -> bool {
        self.version == 0 && self.under_way == 0
    }
}

/// A write to one object that is under way, while it lives.
#[derive(Debug)]
pub struct Writing<'a> {
    versions: &'a VersionExpectations,
    uid: &'a str,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.versions.all.lock().change(self.uid, |held| held.under_way = held.under_way.saturating_sub(1));
    }
}

impl VersionExpectations {
    /// Expects nothing yet.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        Self { timeout, all: Mutex::default() }
    }

    /// How long is waited before a live check.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Announces a write. Until it is over, that the object goes is remembered.
    #[must_use = "the write is announced only while it lives"]
    pub fn begin<'a>(&'a self, uid: &'a str, now: Instant) -> Writing<'a> {
        self.all.lock().objects.entry(uid.to_owned()).or_insert_with(|| Held::new(now)).under_way += 1;
        Writing { versions: self, uid }
    }

    /// Expects the version that a write was answered with. One that is not a number counts as met.
    pub fn expect(&self, uid: &str, resource_version: &str, now: Instant) {
        if let Ok(version) = resource_version.parse() {
            self.put(uid, version, Answer::Known, now);
        }
    }

    /// Expects a later version than the one that a write was sent on, as it may have been carried out; whoever waits
    /// looks again soon, as it may not.
    pub fn doubt(&self, uid: &str, sent_on: &str, now: Instant) {
        if let Ok(version) = sent_on.parse::<u64>() {
            self.put(uid, version.saturating_add(1), Answer::Lost, now);
        }
    }

    /// Meets the expectation if the version seen is the expected one or a later one.
    pub fn observe(&self, uid: &str, resource_version: &str) -> Observed {
        self.all.lock().change(uid, |held| if held.is_met(resource_version) { held.meet() } else { Observed::Nothing })
    }

    /// What has to be waited for before an object that was seen at `seen` may be judged.
    pub fn waiting(&self, uid: &str, seen: &str, now: Instant) -> Option<VersionWait> {
        self.all.lock().change(uid, |held| {
            if held.is_met(seen) {
                held.meet();
                return None;
            }
            let (since, expected) = (*held.unmet_since.get_or_insert(now), held.version);
            let remaining = self.timeout.saturating_sub(now.saturating_duration_since(since));
            Some(match (remaining, held.answer) {
                (Duration::ZERO, _) => VersionWait::Overdue { since, expected },
                (remaining, Answer::Known) => VersionWait::Unmet { since, remaining, expected },
                (remaining, Answer::Lost) => {
                    VersionWait::Unmet { since, remaining: remaining.min(DOUBT_PAUSE), expected }
                }
            })
        })
    }

    /// Whether a version is still expected.
    #[must_use]
    pub fn is_expected(&self, uid: &str) -> bool {
        self.all.lock().objects.get(uid).is_some_and(|held| held.version > 0)
    }

    /// What a live read that shows this says of the expectation; `None` where it was met meanwhile. `live` is `None`
    /// where the object is gone, also if another one has its name: that the cache has yet to show.
    #[must_use]
    pub fn fate(&self, uid: &str, live: Option<&Sight>) -> Option<Fate> {
        let all = self.all.lock();
        let held = all.objects.get(uid).filter(|held| held.version > 0)?;
        // Older than what we wrote: the server was set back in time, and nothing we know of it holds.
        let is_void = live.is_some_and(|live| !live.reaches(Some(held.version)));
        Some(if is_void { Fate::Void } else { Fate::Due })
    }

    /// Expects the cache to be as new as a live read that came after a patch without an answer.
    pub fn see(&self, uid: Option<&str>, live: Option<&Sight>, now: Instant) {
        if let Some(Sight { uid, version: Some(version), .. }) = live {
            self.put(uid, *version, Answer::Known, now);
        }
        if let Some(uid) = uid {
            self.check(uid, live);
        }
    }

    /// Takes in what a live read shows: what is due stays expected, what is void does not.
    pub fn check(&self, uid: &str, live: Option<&Sight>) {
        self.all.lock().change(uid, |held| match (held.answer, live.map(|live| live.version)) {
            (_, None) => held.answer = Answer::Known,
            // Which of the versions since is ours, if any, is not known: the cache must be as new as the server.
            (Answer::Lost, Some(Some(version))) => (held.version, held.answer) = (version, Answer::Known),
            (Answer::Known, Some(Some(version))) if version >= held.version => {}
            (Answer::Known | Answer::Lost, Some(_)) => {
                held.meet();
            }
        });
    }

    /// Gives what is still expected as long again, after it was checked.
    pub fn wait_on(&self, uid: &str, now: Instant) {
        self.all.lock().change(uid, |held| held.unmet_since = held.unmet_since.map(|_| now));
    }

    /// Drops the expectation of an object that is gone.
    pub fn forget(&self, uid: &str) -> Observed {
        self.all.lock().change(uid, |held| {
            held.presence = Presence::Gone;
            held.meet()
        })
    }

    fn put(&self, uid: &str, version: u64, answer: Answer, now: Instant) {
        let mut all = self.all.lock();
        all.sweep(now, OLDEST.max(self.timeout * 2));
        let held = all.objects.entry(uid.to_owned()).or_insert_with(|| Held::new(now));
        // The answer came after the event that the object went.
        if held.presence == Presence::Here && version > held.version {
            (held.version, held.answer, held.at) = (version, answer, now);
        }
        all.change(uid, |_| ());
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.all.lock().objects.len()
    }
}

impl All {
    /// Changes what is held of an object, if anything is, and keeps it only if it still says something.
    fn change<T: Default>(&mut self, uid: &str, change: impl FnOnce(&mut Held) -> T) -> T {
        let Some(held) = self.objects.get_mut(uid) else { return T::default() };
        let result = change(held);
        if held.is_idle() {
            self.objects.remove(uid);
        }
        result
    }

    /// Once for as many expectations as are held, so that each costs a fixed share.
    fn sweep(&mut self, now: Instant, oldest: Duration) {
        self.since_sweep += 1;
        if self.since_sweep < self.objects.len().max(FEW) {
            return;
        }
        self.since_sweep = 0;
        self.objects.retain(|_, held| held.under_way > 0 || now.saturating_duration_since(held.at) < oldest);
        self.objects.shrink_to(self.objects.len() * 2);
    }
}

#[cfg(test)]
mod tests;
