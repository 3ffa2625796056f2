//! The words of one line, taken from the left, and the error that says which of them is wrong.

use std::str::FromStr;
use std::time::Duration;

use serde_json::Value;

use super::Target;

/// A text that is not a history.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, word {word} (`{found}`): {expected} expected")]
pub struct Malformed {
    /// Line, from 1.
    pub line: usize,
    /// Word of the line, from 1.
    pub word: usize,
    /// What stands there; empty at the end of the line.
    pub found: String,
    /// What should.
    pub expected: String,
}

pub(super) type Result<T> = std::result::Result<T, Malformed>;

/// What is left of a line.
pub(super) struct Words<'a> {
    line: usize,
    taken: usize,
    rest: &'a str,
}

impl<'a> Words<'a> {
    pub(super) fn new(line: usize, text: &'a str) -> Self {
        Self { line, taken: 0, rest: text.trim() }
    }

    /// Neither empty nor a comment.
    pub(super) fn is_step(&self) -> bool {
        !self.is_at_end() && !self.rest.starts_with('#')
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn end(&mut self) -> Result<()> {
        let found = self.next();
        if found.is_empty() { Ok(()) } else { Err(self.wrong(found, "the end of the line")) }
    }

    /// One of these words.
    pub(super) fn word(&mut self, allowed: &[&'static str]) -> Result<&'static str> {
        let found = self.next();
        let known = allowed.iter().copied().find(|word| *word == found);
        known.ok_or_else(|| self.wrong(found, allowed.join(" or ")))
    }

    /// Any word.
    pub(super) fn name(&mut self, what: &str) -> Result<String> {
        let found = self.next();
        if found.is_empty() { Err(self.wrong(found, what)) } else { Ok(found.to_owned()) }
    }

    pub(super) fn target(&mut self) -> Result<Target> {
        Ok(Target { kind: self.name("a kind")?, name: self.name("a name")? })
    }

    pub(super) fn parsed<T: FromStr>(&mut self, what: &str) -> Result<T> {
        let found = self.next();
        found.parse().map_err(|_| self.wrong(found, what))
    }

    /// Which one of several, from 1.
    pub(super) fn ordinal(&mut self) -> Result<u32> {
        let found = self.next();
        let number = found.parse().ok().filter(|number| *number > 0);
        number.ok_or_else(|| self.wrong(found, "a number from 1"))
    }

    pub(super) fn time(&mut self) -> Result<Duration> {
        let found = self.next();
        let time = match (found.strip_suffix("ms"), found.strip_suffix('s')) {
            (Some(millis), _) => millis.parse().ok().map(Duration::from_millis),
            (None, Some(seconds)) => seconds.parse().ok().map(Duration::from_secs),
            (None, None) => None,
        };
        time.ok_or_else(|| self.wrong(found, "a time such as 90s or 1500ms"))
    }

    /// The rest of the line.
    pub(super) fn json(&mut self) -> Result<Value> {
        self.taken += 1;
        let found = std::mem::take(&mut self.rest);
        serde_json::from_str(found).map_err(|error| self.wrong(found, format!("JSON ({error})")))
    }

    fn next(&mut self) -> &'a str {
        let (word, rest) = self.rest.split_once(char::is_whitespace).unwrap_or((self.rest, ""));
        self.rest = rest.trim_start();
        self.taken += 1;
        word
    }

    fn wrong(&self, found: &str, expected: impl Into<String>) -> Malformed {
        Malformed { line: self.line, word: self.taken, found: found.to_owned(), expected: expected.into() }
    }
}
