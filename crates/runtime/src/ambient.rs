//! What a process takes from outside beside the cluster: the time of day and chance.
//!
//! Handed on from the shell, never fetched: who simulates a process gives it a clock and a seed, and everything that it
//! writes, waits for or names is the same again.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::clock::Clock;

/// The time of day and chance; clones share both.
#[derive(Clone, Debug)]
pub struct Ambient {
    /// The time of day.
    pub clock: Clock,
    /// Chance.
    pub chance: Chance,
}

impl Ambient {
    /// The machine's clock, and chance that nobody can foresee.
    #[must_use]
    pub fn system() -> Self {
        Self { clock: Clock::system(), chance: Chance::from_entropy() }
    }

    /// A clock that shows `start` now and goes with tokio's time, and chance from a seed.
    #[must_use]
    pub fn simulated(start: Timestamp, seed: u64) -> Self {
        Self { clock: Clock::simulated(start), chance: Chance::seeded(seed) }
    }
}

/// Random numbers for names, pauses and choices that need not be secret; clones draw from one sequence.
#[derive(Clone, Debug)]
pub struct Chance(Arc<Mutex<fastrand::Rng>>);

impl Chance {
    /// A sequence that differs from process to process.
    #[must_use]
    pub fn from_entropy() -> Self {
        let (high, low) = Uuid::new_v4().as_u64_pair();
        Self::seeded(high ^ low)
    }

    /// The sequence of a seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// Any number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.0.lock().u64(..)
    }

    /// A number from 0 up to, but not, 1.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        self.0.lock().f64()
    }

    /// A pause that is longer than `base` by up to `part` of it, so that not all come at once.
    #[must_use]
    pub fn stretched(&self, base: Duration, part: f64) -> Duration {
        base.mul_f64(1.0 + part * self.fraction())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_fixes_the_sequence_and_clones_draw_from_it() {
        let drawn = |chance: &Chance| [chance.number(), chance.clone().number(), chance.number()];
        let first = drawn(&Chance::seeded(7));
        assert_eq!(first, drawn(&Chance::seeded(7)));
        assert_ne!(first, drawn(&Chance::seeded(8)));
        assert!(first[0] != first[1] && first[1] != first[2]);
        assert_ne!(drawn(&Chance::from_entropy()), drawn(&Chance::from_entropy()));
    }
}
