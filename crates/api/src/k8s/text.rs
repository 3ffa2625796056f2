//! Text that many objects have in common is held once: label keys, images, node names, condition types.
//!
//! A cache of 100,000 Pods holds a few thousand different words a million times. What is the object's own (name, UID,
//! version, container id) is better not looked up here. The pool forgets words that nobody holds any more, a part of
//! its growth at a time, so it stays in proportion to what the caches hold.

use std::{collections::HashSet, fmt, sync::LazyLock};

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

/// Immutable text of one machine word; clones share it, and the empty one takes no memory.
pub use arcstr::ArcStr as Text;

/// Below this many words looking for forgotten ones is not worth it.
const SMALL: usize = 4_096;

static POOL: LazyLock<Mutex<Pool>> = LazyLock::new(|| Mutex::new(Pool { held: HashSet::default(), sweep_at: SMALL }));

struct Pool {
    /// Every text of every object is looked up here: the standard hash would take a tenth of all decoding.
    held: HashSet<Text, RandomState>,
    /// At how many words those that only the pool holds are dropped.
    sweep_at: usize,
}

impl Pool {
    fn share(&mut self, text: &str) -> Text {
        if let Some(held) = self.held.get(text) {
            return held.clone();
        }
        if self.held.len() >= self.sweep_at {
            self.held.retain(|held| Text::strong_count(held).is_none_or(|holders| holders > 1));
            self.held.shrink_to_fit();
            self.sweep_at = SMALL.max(2 * self.held.len());
        }
        let text = Text::from(text);
        self.held.insert(text.clone());
        text
    }
}

/// The one copy of a text in this process.
#[must_use]
pub fn share(text: &str) -> Text {
    if text.is_empty() { Text::new() } else { POOL.lock().share(text) }
}

/// Reads a text that many objects have in common; `null` reads as empty.
///
/// # Errors
/// Fails where there is no text.
pub(super) fn shared<'de, D: Deserializer<'de>>(from: D) -> Result<Text, D::Error> {
    struct Word;
    impl Visitor<'_> for Word {
        type Value = Text;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
            Ok(share(text))
        }
        fn visit_unit<E: Error>(self) -> Result<Text, E> {
            Ok(Text::new())
        }
    }
    from.deserialize_any(Word)
}

/// A text that is read as [`shared`], for lists and maps of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Shared(pub(super) Text);

impl<'de> Deserialize<'de> for Shared {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        shared(from).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one() {
        let (one, other) = (share("app.kubernetes.io/name"), share("app.kubernetes.io/name"));
        assert!(Text::ptr_eq(&one, &other));
        let read: Shared = serde_json::from_str("\"app.kubernetes.io/name\"").unwrap();
        assert!(Text::ptr_eq(&one, &read.0));
    }

    #[test]
    fn words_that_nobody_holds_are_forgotten() {
        let mut pool = Pool { held: HashSet::default(), sweep_at: SMALL };
        let kept: Vec<Text> = (0..10).map(|number| pool.share(&format!("kept-{number}"))).collect();
        for number in 0..10 * SMALL {
            pool.share(&format!("passing-{number}"));
        }
        assert!(pool.held.len() <= SMALL + kept.len(), "{} words are held", pool.held.len());
        assert!(kept.iter().all(|text| pool.held.contains(text)));
    }

    #[test]
    fn only_text_and_null_are_read() {
        assert_eq!(serde_json::from_str::<Shared>("null").unwrap().0, "");
        assert!(serde_json::from_str::<Shared>("1").is_err());
    }
}
