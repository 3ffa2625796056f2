//! Who says the same in ever other words: of events that differ by their message alone, nine within ten minutes stand for
//! themselves and the others for all, as with Kubernetes' own recorders.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::correlate::Group;

/// How many different messages are one too many.
const MANY: usize = 10;
/// A pause of a group after which its messages are forgotten.
const WITHIN: Duration = Duration::from_mins(10);
/// How many groups are watched; beyond it those that have paused are forgotten.
const WATCHED: usize = 4_096;

/// How an event stands to others that are like it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kinship {
    /// It stands for itself.
    OneOfFew,
    /// It is told together with others.
    OneOfMany,
}

/// Messages of each group, lately.
#[derive(Debug, Default)]
pub(super) struct Similar {
    groups: HashMap<Group, Said>,
}

#[derive(Debug)]
struct Said {
    /// Each once, the oldest first.
    messages: VecDeque<String>,
    last: Instant,
}

impl Similar {
    pub(super) fn kinship(&mut self, group: &Group, message: &str, now: Instant) -> Kinship {
        if self.groups.len() >= WATCHED {
            self.groups.retain(|_, said| now.saturating_duration_since(said.last) <= WITHIN);
            if self.groups.len() >= WATCHED {
                self.groups.clear();
            }
        }
        let said = self.groups.entry(group.clone()).or_insert_with(|| Said { messages: VecDeque::new(), last: now });
        if now.saturating_duration_since(said.last) > WITHIN {
            said.messages.clear();
        }
        said.last = now;
        if !said.messages.iter().any(|known| known == message) {
            said.messages.push_back(message.to_owned());
        }
        if said.messages.len() < MANY {
            return Kinship::OneOfFew;
        }
        said.messages.pop_front();
        Kinship::OneOfMany
    }
}

#[cfg(test)]
mod tests {
    use rules::write::Severity;

    use super::super::Reference;
    use super::*;

    #[test]
    fn a_message_that_was_said_lately_is_no_new_one_and_a_pause_forgets_all() {
        let (mut similar, now) = (Similar::default(), Instant::now());
        let group = Group {
            component: "cloneset-controller".into(),
            about: Reference::default(),
            severity: Severity::Normal,
            reason: "SuccessfulCreate".to_owned(),
        };
        let mut says = |message: u32, after: Duration| similar.kinship(&group, &message.to_string(), now + after);
        for _ in 0..3 {
            assert!((1..=9).all(|message| says(message, Duration::ZERO) == Kinship::OneOfFew));
        }
        assert_eq!(says(10, WITHIN), Kinship::OneOfMany);
        assert_eq!(says(9, WITHIN * 2), Kinship::OneOfFew);
        assert_eq!(says(11, WITHIN * 2), Kinship::OneOfMany);
        assert_eq!(says(12, WITHIN * 3 + Duration::from_secs(1)), Kinship::OneOfFew);
    }
}
