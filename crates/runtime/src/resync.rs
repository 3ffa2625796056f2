//! Looks at every object again from time to time, changed or not (flag `--sync-period`, platform section 3).
//!
//! Nothing here needs it to be right: no change is missed and no failure forgotten. It is the net below that promise, so
//! it stays in the background of the queue and spreads its keys. Which keys, is the controller's to say.

use std::time::Duration;

use tracing::{debug, warn};

use crate::flags;
use crate::informer::ObjectKey;
use crate::queue::{Queue, Urgency};
use crate::shutdown::Shutdown;

/// How often every object is looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resync {
    /// Once in this time.
    Every(Duration),
    /// When it changes only.
    Never,
}

impl Default for Resync {
    /// Every 10 hours (platform section 3).
    fn default() -> Self {
        Self::Every(Duration::from_hours(10))
    }
}

impl Resync {
    /// A shorter period is raised to this, as in client-go: it would only keep the workers busy.
    const SHORTEST: Duration = Duration::from_secs(1);

    /// Reads the flag: empty is the default, `0` is never; what is no duration is logged and ignored.
    #[must_use]
    pub fn from_flag(text: &str) -> Self {
        match flags::duration(text) {
            _ if text.is_empty() => Self::default(),
            Ok(Duration::ZERO) => Self::Never,
            Ok(period) => Self::Every(period.max(Self::SHORTEST)),
            Err(err) => {
                warn!(%err, instead = ?Self::default(), "ignore --sync-period");
                Self::default()
            }
        }
    }
}

/// Queues all keys in the background each time the period ends, spread over half of the next one, until the end is
/// asked for.
pub async fn run(resync: Resync, keys: impl Fn() -> Vec<ObjectKey>, queue: Queue, shutdown: Shutdown) {
    let Resync::Every(period) = resync else { return };
    loop {
        tokio::select! {
            biased;
            () = shutdown.requested() => return,
            () = tokio::time::sleep(period) => {}
        }
        let keys = keys();
        debug!(queue = queue.name(), objects = keys.len(), "resync");
        for (pause, key) in pauses(keys.len(), period / 2).zip(keys) {
            queue.add_after(key, Urgency::Background, pause);
        }
    }
}

/// When each of so many comes, evenly over a time: the first at once.
fn pauses(count: usize, over: Duration) -> impl Iterator<Item = Duration> {
    let gap = u32::try_from(count).ok().and_then(|count| over.checked_div(count)).unwrap_or_default();
    (0..u32::MAX).map(move |nth| gap.saturating_mul(nth))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::queue::RateLimit;

    const SECS: fn(u64) -> Duration = Duration::from_secs;

    // Platform section 3
    #[test]
    fn the_flag_gives_a_period_or_never_and_the_default_if_it_is_empty_or_wrong() {
        for (text, want) in [
            ("", Resync::Every(SECS(36_000))),
            ("0", Resync::Never),
            ("0s", Resync::Never),
            ("10m", Resync::Every(SECS(600))),
            ("3ms", Resync::Every(SECS(1))),
            ("10", Resync::Every(SECS(36_000))),
            ("-5m", Resync::Every(SECS(36_000))),
            ("soon", Resync::Every(SECS(36_000))),
        ] {
            assert_eq!(Resync::from_flag(text), want, "{text}");
        }
    }

    /// Which keys come at which second, of three objects, in the first `until` seconds.
    async fn seen(resync: Resync, until: u64) -> Vec<(u64, String)> {
        let (queue, start) = (Queue::new("resync-controller", RateLimit::default()), clock::instant());
        let keys = || ["a", "b", "c"].map(|name| ObjectKey::new("shop", name)).to_vec();
        let resyncing = tokio::spawn(run(resync, keys, queue.clone(), Shutdown::manual()));
        let mut seen = Vec::new();
        while let Ok(Some(item)) = tokio::time::timeout_at((start + SECS(until)).into(), queue.next()).await {
            seen.push(((clock::instant() - start).as_secs(), item.key().name.to_string()));
        }
        resyncing.abort();
        seen
    }

    // Platform section 3
    #[tokio::test(start_paused = true)]
    async fn each_period_every_object_comes_again_spread_over_half_of_the_next() {
        let want = [(60, "a"), (70, "b"), (80, "c"), (120, "a"), (130, "b"), (140, "c")];
        assert_eq!(seen(Resync::Every(SECS(60)), 170).await, want.map(|(at, name)| (at, name.to_owned())));
    }

    // Platform section 3
    #[tokio::test(start_paused = true)]
    async fn without_a_period_nothing_comes_again() {
        assert_eq!(seen(Resync::Never, 1_000_000).await, []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_goes_before_a_resync() {
        let queue = Queue::new("resync-controller", RateLimit::default());
        let keys = || vec![ObjectKey::new("shop", "old")];
        let shutdown = Shutdown::manual();
        let resyncing = tokio::spawn(run(Resync::Every(SECS(60)), keys, queue.clone(), shutdown.clone()));
        tokio::time::sleep(SECS(61)).await;
        queue.add(ObjectKey::new("shop", "changed"));
        assert_eq!(queue.next().await.unwrap().key().name, "changed");
        assert_eq!(queue.next().await.unwrap().key().name, "old");
        shutdown.request();
        resyncing.await.unwrap();
    }
}
