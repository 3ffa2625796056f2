//! Where a generator's choices come from: chance, a tape of earlier choices, or bytes.
//!
//! Every choice is noted, so that an input is its tape: shortening the tape gives a smaller input of the same kind.
//! The first of several choices is the plainest one; a tape that ends answers with it.

/// Choices of one input.
pub struct Source {
    chance: Option<fastrand::Rng>,
    given: Vec<u16>,
    tape: Vec<u16>,
}

impl Source {
    /// Chance from a seed.
    pub fn chance(seed: u64) -> Self {
        Self { chance: Some(fastrand::Rng::with_seed(seed)), given: Vec::new(), tape: Vec::new() }
    }

    /// The choices of a tape.
    pub fn replay(given: &[u16]) -> Self {
        Self { chance: None, given: given.to_vec(), tape: Vec::new() }
    }

    /// Choices from bytes, two a choice.
    pub fn bytes(bytes: &[u8]) -> Self {
        let given: Vec<u16> = bytes
            .chunks(2)
            .map(|pair| pair.iter().rev().fold(0, |number, byte| (number << 8) | u16::from(*byte)))
            .collect();
        Self { chance: None, given, tape: Vec::new() }
    }

    /// What was chosen.
    pub fn tape(self) -> Vec<u16> {
        self.tape
    }

    /// A number below `bound`; 0 where `bound` is 0.
    pub fn below(&mut self, bound: u16) -> u16 {
        if bound < 2 {
            return 0;
        }
        let drawn = match &mut self.chance {
            Some(chance) => chance.u16(..bound),
            None => self.given.get(self.tape.len()).copied().unwrap_or(0) % bound,
        };
        self.tape.push(drawn);
        drawn
    }

    /// An index below `len`.
    pub fn index(&mut self, len: usize) -> usize {
        usize::from(self.below(u16::try_from(len).unwrap_or(u16::MAX)))
    }

    /// True in so many of a hundred cases; the plainest answer is no.
    pub fn percent(&mut self, percent: u16) -> bool {
        self.below(100) >= 100 - percent.min(100)
    }

    /// One of them; the plainest is the first.
    ///
    /// # Panics
    /// If there is none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let index = self.index(from.len());
        from.get(index).unwrap_or_else(|| unreachable!("picked from nothing"))
    }

    /// How often to do something: mostly a few times, at most `most`.
    pub fn times(&mut self, percent: u16, most: usize) -> usize {
        (0..most).take_while(|_| self.percent(percent)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(source: &mut Source) -> Vec<u16> {
        (2..40).map(|bound| source.below(bound)).collect()
    }

    #[test]
    fn a_tape_gives_the_same_choices_again() {
        let mut first = Source::chance(7);
        let drawn = draw(&mut first);
        let mut again = Source::replay(&first.tape());
        assert_eq!(draw(&mut again), drawn);
        assert_ne!(draw(&mut Source::chance(8)), drawn);
    }

    #[test]
    fn a_tape_that_ends_gives_the_plainest_choice() {
        let mut source = Source::bytes(&[5, 0, 1]);
        assert_eq!((source.below(10), source.below(10), source.below(10), source.percent(99)), (5, 1, 0, false));
    }
}
