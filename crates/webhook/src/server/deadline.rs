//! Until when a request must be answered. The API server says in the query how long it waits (`?timeout=10s`); an answer
//! that comes later is read by nobody, and the user is told of a time-out instead of the reason.

use std::time::Duration;

use runtime::flags::duration;
use tokio::time::Instant;
use tracing::debug;

/// How long the API server waits for an admission webhook that names no time-out.
pub const ADMISSION: Duration = Duration::from_secs(10);
/// How long it waits for a conversion; also the longest time-out that an entry of a configuration may have.
pub const LONGEST: Duration = Duration::from_secs(30);
/// The part of the time that is kept for the way back: a tenth, but no more than this.
const WAY_BACK: Duration = Duration::from_millis(500);

/// When the answer must be given. A time-out that is absent or senseless is `usual`: how an API server writes its wish
/// is no reason to leave its question unanswered.
pub fn of(query: Option<&str>, usual: Duration, now: Instant) -> Instant {
    let pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let wanted = pairs.filter(|(name, _)| *name == "timeout").find_map(|(_, value)| match duration(value) {
        Ok(time) => Some(time).filter(|time| !time.is_zero()),
        Err(err) => {
            debug!(%err, "unreadable time-out in the query");
            None
        }
    });
    let time = wanted.unwrap_or(usual).min(LONGEST);
    now + (time - (time / 10).min(WAY_BACK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)] // IN-49
    async fn the_answer_is_due_a_little_before_the_time_out_of_the_query() {
        let now = Instant::now();
        for (query, millis) in [
            (Some("timeout=10s"), 9_500),
            (Some("timeout=1s"), 900),
            (Some("x=y&timeout=1m0s"), 29_500),
            (Some("timeout=2562047h47m16.854775807s"), 29_500),
            (Some("timeout=1500ms&z"), 1_350),
            (None, 9_500),
            (Some("timeout=0s"), 9_500),
            (Some("timeout=-3s"), 9_500),
            (Some("timeout=soon"), 9_500),
            (Some("timeout"), 9_500),
            (Some(""), 9_500),
        ] {
            assert_eq!(of(query, ADMISSION, now) - now, Duration::from_millis(millis), "{query:?}");
        }
        assert_eq!(of(None, LONGEST, now) - now, Duration::from_millis(29_500));
    }
}
