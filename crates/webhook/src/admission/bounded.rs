//! Text of others in our answers and logs: as much of it as fits on a line.

use std::fmt;

/// Bytes of a word: a name, a version. Names of objects have at most 253.
pub const WORD: usize = 256;
/// Bytes of a text that explains something.
pub const SENTENCE: usize = 1024;

/// The beginning of a text, and how long it was if that is not all.
#[derive(Clone, Copy)]
pub struct Bounded<'a> {
    kept: &'a str,
    /// Bytes of the whole.
    length: usize,
}

impl<'a> Bounded<'a> {
    /// At most `limit` bytes of a text, cut between characters.
    #[must_use]
    pub fn new(text: &'a str, limit: usize) -> Self {
        let kept = text.get(..text.floor_char_boundary(limit)).unwrap_or(text);
        Self { kept, length: text.len() }
    }
}

impl fmt::Display for Bounded<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.kept)?;
        if self.kept.len() < self.length {
            write!(to, "... ({} bytes)", self.length)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_shown_whole_and_what_does_not_says_how_long_it_is() {
        for (text, limit, want) in
            [("", 3, ""), ("web", 3, "web"), ("web-1", 3, "web... (5 bytes)"), ("aé", 2, "a... (3 bytes)")]
        {
            assert_eq!(Bounded::new(text, limit).to_string(), want);
        }
    }
}
