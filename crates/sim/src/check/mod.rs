//! What was promised, checked on every write.
//!
//! The checker keeps its own [`picture`] of the cluster, made of nothing but the writes, and knows of each manager what
//! its caches had been shown. Each rule stands in its own file and reads the statements of the specs by itself: not a
//! line of the planners is used, so that one mistake is not made twice. It never reads the server and never a clock.
//!
//! Rules are exact where the spec is; where a controller may act on what it saw a moment ago (a stale cache, a pass under
//! way, a slow request) they take the most lenient of all states that it could have acted on, [`GRACE`] back.

mod budget;
mod churn;
mod count;
mod identity;
mod inplace;
mod knowledge;
mod leader;
mod lenient;
mod number;
mod owner;
mod partition;
mod picture;
mod pod;
mod settled;
mod spec;
#[cfg(test)]
mod story;
mod view;

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use crate::server::call::Written;
use picture::{Picture, Step};

/// How long after its cache was shown something a manager may still act as if it was not: a pass under way, a request
/// that is retried or slow. Longer hides real faults of histories that are quick, shorter blames slow requests.
pub const GRACE: SignedDuration = SignedDuration::from_secs(30);

/// More violations than this are not kept: the first one matters, the others mostly follow from it.
const KEPT: usize = 50;

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When the write was applied.
    pub at: Timestamp,
    /// The rule: the name of its file.
    pub rule: &'static str,
    /// Who did what to which object, the numbers, and the statement of the spec.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, rule, text } = self;
        write!(f, "{at} {rule}: {text}")
    }
}

impl Violation {
    /// What kind of break it is, without the numbers and names: two histories that give the same are about the same.
    #[must_use]
    pub fn kind(&self) -> String {
        let plain = |word: &&str| word.chars().all(|letter| letter.is_ascii_alphabetic() || ",;:.".contains(letter));
        let words: Vec<_> = self.text.split_whitespace().filter(plain).take(12).collect();
        format!("{}: {}", self.rule, words.join(" "))
    }
}

type Rule = fn(&Picture, &Written, &Step) -> Option<String>;

/// The rules on single writes, by the names of their files.
const RULES: [(&str, Rule); 7] = [
    ("leader", leader::check),
    ("owner", owner::check),
    ("identity", identity::check),
    ("inplace", inplace::check),
    ("budget", budget::check),
    ("count", count::check),
    ("partition", partition::check),
];

/// Watches writes.
pub struct Checker {
    managers: Box<dyn Fn(&str) -> bool + Send>,
    picture: Picture,
    churn: churn::Churn,
    violations: Vec<Violation>,
}

impl Checker {
    /// Which callers are the controllers that are checked.
    #[must_use]
    pub fn new(managers: impl Fn(&str) -> bool + Send + 'static) -> Self {
        Self {
            managers: Box::new(managers),
            picture: Picture::new(GRACE),
            churn: churn::Churn::default(),
            violations: Vec::new(),
        }
    }

    /// With another grace than [`GRACE`]. Histories without slow, failing or lost requests have short passes and can be
    /// judged with a second or two, which finds faults in Pods that became ready a moment ago, too.
    #[must_use]
    pub fn with_grace(mut self, grace: SignedDuration) -> Self {
        self.picture = Picture::new(grace);
        self
    }

    /// What a manager's cache has been shown: every object of this resource as it was at this resourceVersion.
    pub fn shown(&mut self, at: Timestamp, caller: &str, resource: &str, version: u64) {
        self.picture.knowledge.shown(at, caller, resource, version);
    }

    /// A write that was applied; all of them, in order.
    pub fn saw(&mut self, written: &Written) {
        let ours = (self.managers)(&written.caller);
        let step = self.picture.apply(written, ours);
        let churn = self.churn.saw(&self.picture, written, ours);
        if !ours || self.violations.len() >= KEPT {
            return;
        }
        if let Some(text) = churn {
            self.blame(written, "churn", text);
        }
        for (name, rule) in RULES {
            if let Some(text) = rule(&self.picture, written, &step) {
                self.blame(written, name, text);
            }
        }
    }

    /// What was broken, in order. Later ones may follow from the first.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// What is not as the specs want it when nothing happens any more; `None`: everything is.
    #[must_use]
    pub fn unsettled(&self) -> Option<String> {
        settled::unsettled(&self.picture)
    }

    fn blame(&mut self, written: &Written, rule: &'static str, text: String) {
        let Written { caller, verb, resource, subresource, namespace, name, version, .. } = written;
        let part = if subresource.is_empty() { String::new() } else { format!("/{subresource}") };
        let text = format!("{caller}: {verb:?} {resource}{part} {namespace}/{name} (version {version}): {text}");
        self.violations.push(Violation { at: written.at, rule, text });
    }
}
