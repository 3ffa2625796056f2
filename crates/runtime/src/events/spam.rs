//! Who talks too much: at most 25 events about one object at once, then one every five minutes, as Kubernetes' own
//! recorders do.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::Reference;

/// Events about one object that pass at once.
const BURST: u32 = 25;
/// How long until one more may pass.
const PER_EVENT: Duration = Duration::from_mins(5);
/// How many objects are watched; beyond it those that have recovered are forgotten.
const WATCHED: usize = 4_096;

/// Events about each object, lately.
#[derive(Debug, Default)]
pub(super) struct Spam {
    /// When each object will have all its events back.
    full_at: HashMap<Reference, Instant>,
}

impl Spam {
    pub(super) fn lets_pass(&mut self, about: &Reference, now: Instant) -> bool {
        if self.full_at.len() >= WATCHED {
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        let full_at = self.full_at.entry(about.clone()).or_insert(now);
        let next = (*full_at).max(now) + PER_EVENT;
        if next.saturating_duration_since(now) > PER_EVENT * BURST {
            return false;
        }
        *full_at = next;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_25_events_at_once_and_one_more_every_five_minutes() {
        let (mut spam, now) = (Spam::default(), Instant::now());
        let web = Reference { name: "web".to_owned(), ..Reference::default() };
        let other = Reference { name: "other".to_owned(), ..Reference::default() };
        assert_eq!((0..40).filter(|_| spam.lets_pass(&web, now)).count(), 25);
        assert!(spam.lets_pass(&other, now));
        assert_eq!((0..40).filter(|_| spam.lets_pass(&web, now + PER_EVENT)).count(), 1);
        assert_eq!((0..40).filter(|_| spam.lets_pass(&web, now + PER_EVENT * 100)).count(), 25);
    }
}
