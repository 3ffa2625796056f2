//! Chance with a seed, in the few forms that making a history takes.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Draws; equal seeds draw the same.
pub(super) struct Draw(fastrand::Rng);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// One row of a table, as often as the weight before it says. The table is not empty, nor are all weights 0.
    pub(super) fn weighted<T: Copy + Default>(&mut self, table: &[(u32, T)]) -> T {
        let all: u32 = table.iter().map(|(weight, _)| weight).sum();
        let mut ticket = self.0.u32(..all.max(1));
        for (weight, row) in table {
            match ticket.checked_sub(*weight) {
                Some(left) => ticket = left,
                None => return *row,
            }
        }
        T::default()
    }

    /// One of several, each as often.
    pub(super) fn one_of<T: Copy + Default>(&mut self, choices: &[T]) -> T {
        self.0.choice(choices).copied().unwrap_or_default()
    }

    pub(super) fn number(&mut self, range: RangeInclusive<u32>) -> u32 {
        self.0.u32(range)
    }

    pub(super) fn seconds(&mut self, range: RangeInclusive<u64>) -> Duration {
        Duration::from_secs(self.0.u64(range))
    }

    /// True this often.
    pub(super) fn percent(&mut self, often: u32) -> bool {
        self.0.u32(..100) < often
    }
}
