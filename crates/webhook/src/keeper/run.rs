//! When passes run (PL-40): on a change of one of the objects, once a minute, sooner after a failure, and later after
//! writes that never come to rest.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use runtime::shutdown::Shutdown;
use tokio::sync::{Notify, watch};
use tracing::{debug, warn};

use super::{Keeper, KeeperError, Mode, Outcome, wake};
use crate::certs::store::Store;

/// Pause after a pass that found nothing to do (PL-40).
const REGULAR: Duration = Duration::from_secs(60);
/// First pause after a failure; doubles with each (PL-31). The regular pass is the limit.
const FIRST_RETRY: Duration = Duration::from_millis(5);
/// For how long a failure is not repeated though something changed, at most: what the pass failed for may be right now.
const DEAF: Duration = Duration::from_secs(1);
/// Pause after a pass that wrote; doubles with each in a row. Its own writes wake the loop at once, and so would those
/// of a foreign writer that insists on something else: two that disagree must not write without end.
const FIRST_DAMPING: Duration = Duration::from_millis(100);
/// Longest pause after writes: a foreign change is put right within seconds.
const LONGEST_DAMPING: Duration = Duration::from_secs(10);

/// How long to wait, decided after each pass.
#[derive(Debug, PartialEq, Eq)]
struct Pace {
    retry: Duration,
    damping: Duration,
}

/// The next pass runs after `at_least`, when something changed, and in any case after `at_most`.
#[derive(Debug, PartialEq, Eq)]
struct Wait {
    at_least: Duration,
    at_most: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { retry: FIRST_RETRY, damping: FIRST_DAMPING }
    }
}

impl Pace {
    fn after_success(&mut self, wrote: bool, due: Option<Duration>) -> Wait {
        self.retry = FIRST_RETRY;
        let at_least = if wrote { self.damping } else { Duration::ZERO };
        self.damping = if wrote { (self.damping * 2).min(LONGEST_DAMPING) } else { FIRST_DAMPING };
        Wait { at_least, at_most: due.map_or(REGULAR, |due| due.min(REGULAR)).max(at_least) }
    }

    fn after_failure(&mut self) -> Wait {
        let wait = Wait { at_least: self.retry.min(DEAF), at_most: self.retry };
        self.retry = (self.retry * 2).min(REGULAR);
        wait
    }
}

/// Runs passes until shutdown. `initialised` turns true after the first pass with a certificate that is served (PL-41).
pub async fn run(mut keeper: Keeper, client: Client, initialised: watch::Sender<bool>, shutdown: Shutdown) {
    let changed = Arc::new(Notify::new());
    let secret = match &keeper.store {
        Store::Secret { name, .. } => Some((keeper.settings.namespace.as_str(), name.as_str())),
        Store::Files { .. } => None,
    };
    wake::watch(&client, secret, &keeper.kinds, &changed, &shutdown);
    let mut pace = Pace::default();
    let mut last_failure = String::new();
    while !shutdown.is_requested() {
        let now = runtime::clock::Clock::system().now();
        let wait = match keeper.pass(now).await {
            Ok(Outcome { wrote, again }) => {
                last_failure.clear();
                if keeper.serving.is_some() {
                    initialised.send_replace(true);
                }
                let due = again.map(|again| Duration::try_from(again.duration_since(now)).unwrap_or_default());
                pace.after_success(wrote, due)
            }
            Err(err) => {
                report(&keeper, &err, &mut last_failure);
                pace.after_failure()
            }
        };
        tokio::select! {
            () = shutdown.requested() => return,
            () = tokio::time::sleep(wait.at_least) => {}
        }
        tokio::select! {
            () = shutdown.requested() => return,
            () = changed.notified() => {}
            () = tokio::time::sleep(wait.at_most.saturating_sub(wait.at_least)) => {}
        }
    }
}

/// Warns once per reason; repetitions are for the curious.
fn report(keeper: &Keeper, err: &KeeperError, last: &mut String) {
    let text = chain(err);
    if text == *last {
        debug!(err = text, "certificate and configuration pass fails again");
        return;
    }
    match keeper.mode {
        Mode::Own => warn!(err = text, "certificate and configuration pass failed, try again"),
        Mode::External => warn!(err = text, "wait for external certificates"),
    }
    *last = text;
}

/// An error with its causes, each once.
pub fn chain(err: &dyn std::error::Error) -> String {
    let mut text = err.to_string();
    let mut source = err.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        // Some libraries repeat the cause in their own text.
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // PL-40
    fn a_quiet_loop_passes_once_a_minute_and_at_once_on_a_change() {
        assert_eq!(
            Pace::default().after_success(false, None),
            Wait { at_least: Duration::ZERO, at_most: Duration::from_secs(60) }
        );
    }

    #[test] // ruling 21
    fn a_switch_that_is_due_shortens_the_wait() {
        let due = Some(Duration::from_secs(5));
        assert_eq!(Pace::default().after_success(false, due).at_most, Duration::from_secs(5));
    }

    #[test] // PL-31
    fn failures_are_retried_ever_more_slowly_until_one_succeeds() {
        let mut pace = Pace::default();
        let waits: Vec<u128> = (0..4).map(|_| pace.after_failure().at_most.as_millis()).collect();
        assert_eq!(waits, [5, 10, 20, 40]);
        for _ in 0..20 {
            pace.after_failure();
        }
        assert_eq!(pace.after_failure().at_most, REGULAR);
        let _ = pace.after_success(false, None);
        assert_eq!(pace.after_failure().at_most, FIRST_RETRY);
    }

    #[test] // IN-38
    fn a_change_cuts_the_wait_after_many_failures_short() {
        let mut pace = Pace::default();
        for _ in 0..20 {
            pace.after_failure();
        }
        assert_eq!(pace.after_failure(), Wait { at_least: DEAF, at_most: REGULAR });
    }

    #[test] // PL-E1
    fn a_foreign_writer_that_insists_is_answered_ever_more_slowly_but_within_seconds() {
        let mut pace = Pace::default();
        for _ in 0..20 {
            let _ = pace.after_success(true, None);
        }
        assert_eq!(pace.after_success(true, None).at_least, LONGEST_DAMPING);
        assert_eq!(pace.after_success(false, None).at_least, Duration::ZERO);
        assert_eq!(pace.after_success(true, None).at_least, FIRST_DAMPING);
    }
}
