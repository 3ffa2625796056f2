//! Who talks too much: at most 25 events of one source about one object at once, then one every five minutes, as
//! Kubernetes' own recorders do.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Reference;

/// Events about one object that pass at once.
const BURST: u32 = 25;
/// How long until one more may pass.
const PER_EVENT: Duration = Duration::from_mins(5);
/// How many objects are watched; beyond it those that have recovered are forgotten, or all.
const WATCHED: usize = 4_096;

/// Events about each object, lately.
#[derive(Debug, Default)]
pub(super) struct Spam {
    /// When each source will have all its events about an object back.
    full_at: HashMap<(Arc<str>, Reference), Instant>,
}

impl Spam {
    pub(super) fn lets_pass(&mut self, component: &Arc<str>, about: &Reference, now: Instant) -> bool {
        if self.full_at.len() >= WATCHED {
            self.full_at.retain(|_, full_at| *full_at > now);
            // Better to say too much than to keep everybody for hours, and to look through them each time.
            if self.full_at.len() >= WATCHED {
                self.full_at.clear();
            }
        }
        let full_at = self.full_at.entry((Arc::clone(component), about.clone())).or_insert(now);
        let next = (*full_at).max(now) + PER_EVENT;
        if next.saturating_duration_since(now) > PER_EVENT * BURST {
            return false;
        }
        *full_at = next;
        true
    }

    #[cfg(test)]
    pub(super) fn watched(&self) -> usize {
        self.full_at.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_25_events_about_an_object_at_once_and_one_more_every_five_minutes() {
        let (mut spam, now) = (Spam::default(), Instant::now());
        let named = |name: &str| Reference { name: name.to_owned(), ..Reference::default() };
        let (web, cloneset, other) =
            (named("web"), Arc::from("cloneset-controller"), Arc::from("sidecarset-controller"));
        let mut passes = |source, about: &Reference, after| spam.lets_pass(source, about, now + after);
        assert_eq!((0..40).filter(|_| passes(&cloneset, &web, Duration::ZERO)).count(), 25);
        assert!(passes(&cloneset, &named("other"), Duration::ZERO));
        assert!(passes(&other, &web, Duration::ZERO));
        assert_eq!((0..40).filter(|_| passes(&cloneset, &web, PER_EVENT)).count(), 1);
        assert_eq!((0..40).filter(|_| passes(&cloneset, &web, PER_EVENT * 100)).count(), 25);
    }
}
