//! Which event object an event becomes, as with Kubernetes' own recorders. Synchronous; time is in the event.
//!
//! A repeat raises the count of its object. Events that differ by their message alone become one object once there are
//! too many of them, see `similar.rs`. About an object that is talked about too much no more is told for a while, see
//! `spam.rs`; it is counted all the same, and the next that is told shows how often it was.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rules::write::Severity;

use super::similar::{Kinship, Similar};
use super::spam::Spam;
use super::{Event, Reference};

/// How long a repeat is counted on the same object: the API server keeps an event for an hour.
const REPEATS_FOR: Duration = Duration::from_mins(50);
/// How many events are remembered.
const REMEMBERED: usize = 4_096;

/// The event object to write. One of count 1 is new, any other should be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) message: String,
    pub(super) count: u32,
    pub(super) first: Timestamp,
}

/// What events have in common that differ by message alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Group {
    pub(super) component: Arc<str>,
    pub(super) about: Reference,
    pub(super) severity: Severity,
    pub(super) reason: String,
}

/// Events of a group with one message, or with any.
type Identity = (Group, Option<String>);

#[derive(Debug)]
struct Known {
    name: String,
    count: u32,
    first: Timestamp,
    last: Instant,
}

/// What was told lately.
#[derive(Debug, Default)]
pub(super) struct Correlator {
    known: HashMap<Identity, Known>,
    similar: Similar,
    spam: Spam,
}

impl Correlator {
    /// Takes an event; `None` where it is not to be told. `name` makes the name of a new object.
    pub(super) fn take(&mut self, event: &Event, name: impl FnOnce() -> String) -> Option<Entry> {
        let Event { component, about, severity, reason, message, at, instant } = event;
        let group = Group {
            component: Arc::clone(component),
            about: about.clone(),
            severity: *severity,
            reason: reason.clone(),
        };
        let (identity, message) = match self.similar.kinship(&group, message, *instant) {
            Kinship::OneOfFew => ((group, Some(message.clone())), message.clone()),
            Kinship::OneOfMany => ((group, None), format!("(combined from similar events): {message}")),
        };
        self.make_room(*instant);
        let known =
            self.known.entry(identity).or_insert_with(|| Known { name: name(), count: 0, first: *at, last: *instant });
        known.count = known.count.saturating_add(1);
        known.last = *instant;
        let entry = Entry { name: known.name.clone(), message, count: known.count, first: known.first };
        self.spam.lets_pass(component, about, *instant).then_some(entry)
    }

    fn make_room(&mut self, now: Instant) {
        if self.known.len() < REMEMBERED {
            return;
        }
        self.known.retain(|_, known| now.saturating_duration_since(known.last) < REPEATS_FOR);
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::about;
    use super::*;

    const START: &str = "2026-01-01T00:00:00Z";

    struct Teller {
        correlator: Correlator,
        start: Instant,
        names: u32,
    }

    impl Teller {
        fn new() -> Self {
            Self { correlator: Correlator::default(), start: Instant::now(), names: 0 }
        }

        fn tell(&mut self, name: &str, message: &str, after: Duration) -> Option<Entry> {
            let event = Event {
                component: "cloneset-controller".into(),
                about: Reference { name: name.to_owned(), ..about("shop") },
                severity: Severity::Normal,
                reason: "SuccessfulCreate".to_owned(),
                message: message.to_owned(),
                at: START.parse::<Timestamp>().unwrap() + after,
                instant: self.start + after,
            };
            self.names += 1;
            let name = format!("event-{}", self.names);
            self.correlator.take(&event, || name)
        }
    }

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn a_repeat_keeps_the_name_and_the_first_time() {
        let mut teller = Teller::new();
        let entry = |count| {
            let first = START.parse().unwrap();
            Some(Entry { name: "event-1".to_owned(), message: "no room".to_owned(), count, first })
        };
        assert_eq!(teller.tell("web", "no room", S(0)), entry(1));
        assert_eq!(teller.tell("web", "no room", S(60)), entry(2));
        let other = teller.tell("web", "other", S(61)).unwrap();
        assert_eq!((other.name.as_str(), other.count), ("event-3", 1));
        assert_eq!(teller.tell("web", "no room", S(62)), entry(3));
    }

    #[test]
    fn similar_events_become_one_from_the_tenth_on() {
        let mut teller = Teller::new();
        for pod in 1..=9 {
            assert_eq!(teller.tell("web", &format!("made pod {pod}"), S(pod)).unwrap().count, 1);
        }
        let tenth = teller.tell("web", "made pod 10", S(10)).unwrap();
        assert_eq!((tenth.message.as_str(), tenth.count), ("(combined from similar events): made pod 10", 1));
        let next = teller.tell("web", "made pod 11", S(11)).unwrap();
        assert_eq!((next.message.as_str(), next.count), ("(combined from similar events): made pod 11", 2));
        assert_eq!((next.name, next.first), (tenth.name, START.parse::<Timestamp>().unwrap() + S(10)));
        assert_eq!(teller.tell("other", "made pod 12", S(12)).unwrap().count, 1, "another object");
    }

    #[test]
    fn what_is_not_told_is_counted() {
        let mut teller = Teller::new();
        let told: Vec<_> = (0..40).filter_map(|_| teller.tell("web", "no room", S(0))).collect();
        assert_eq!((told.len(), told[24].count), (25, 25));
        assert_eq!(teller.tell("web", "no room", S(300)).unwrap().count, 41);
    }

    #[test]
    fn memory_is_bounded() {
        let mut teller = Teller::new();
        for object in 0..3 * REMEMBERED {
            teller.tell(&format!("web-{object}"), "no room", S(0));
        }
        assert!(teller.correlator.known.len() <= REMEMBERED);
        assert!(teller.correlator.spam.watched() <= REMEMBERED);
    }
}
