//! The only place that reads a clock. Everything that decides takes the time as an argument.

use std::time::Instant;

use jiff::Timestamp;

/// The time of day, for what is written to the cluster and for ages of objects.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one reader of the wall clock")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The time since some moment, for intervals within this process: it never jumps, and stands still in tests that
/// pause tokio's time.
#[must_use]
pub fn instant() -> Instant {
    tokio::time::Instant::now().into_std()
}
