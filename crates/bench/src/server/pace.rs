//! Something that happens so many times a second, until it is replaced or the server ends.
//!
//! On a thread of its own: tokio's timer counts in milliseconds, and what wakes a controller must come evenly.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The longest sleep, so that an end is noticed.
const LONGEST: Duration = Duration::from_millis(50);

/// Ends what it paces when dropped.
#[derive(Debug)]
pub(super) struct Pace {
    over: Arc<AtomicBool>,
}

impl Pace {
    /// Calls `act` with 0, 1, 2 ... at a rate, at most `count` times.
    pub(super) fn start(per_second: f64, count: Option<u64>, act: impl FnMut(u64) + Send + 'static) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (seen, mut act) = (Arc::clone(&over), act);
        thread::spawn(move || {
            let start = Instant::now();
            let mut done = 0_u64;
            while !seen.load(Ordering::Relaxed) && count.is_none_or(|count| done < count) {
                let due = Duration::try_from_secs_f64(done as f64 / per_second).unwrap_or(Duration::MAX);
                match due.checked_sub(start.elapsed()) {
                    Some(wait) if !wait.is_zero() => thread::sleep(wait.min(LONGEST)),
                    _ => {
                        act(done);
                        done += 1;
                    }
                }
            }
        });
        Self { over }
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}
