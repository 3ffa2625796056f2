//! Time. Below the shell of a process the time of day is a value that is handed on, so that a simulation can own it; time
//! for intervals is tokio's, which tests pause.

use std::time::Instant;

use jiff::Timestamp;

/// Where the time of day comes from; clones tell the same.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Copy, Debug)]
enum Source {
    System,
    /// It was this time at that moment of tokio's.
    Simulated(Timestamp, Instant),
}

impl Clock {
    /// The clock of the machine. For the shell of a process, and for what looks at the process itself, such as its log.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that shows `start` now and goes with tokio's time: it stands still while that is paused.
    #[must_use]
    pub fn simulated(start: Timestamp) -> Self {
        Self(Source::Simulated(start, instant()))
    }

    /// The time of day, for what is written to the cluster and for ages of objects.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one reader of the wall clock")]
    pub fn now(&self) -> Timestamp {
        match self.0 {
            Source::System => Timestamp::now(),
            Source::Simulated(start, since) => {
                start.saturating_add(instant().saturating_duration_since(since)).unwrap_or(Timestamp::MAX)
            }
        }
    }
}

/// The time since some moment, for intervals within this process: it never jumps, and stands still in tests that
/// pause tokio's time.
#[must_use]
pub fn instant() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_simulated_clock_goes_with_tokios_time_and_only_with_it() {
        let clock = Clock::simulated("2026-02-28T23:59:59Z".parse().unwrap());
        let copy = clock.clone();
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(copy.now().to_string(), "2026-03-01T00:00:00.5Z");
        assert_eq!(copy.now(), clock.now());
    }
}
