//! When the process is to end: one flag that everybody can wait for (step 14 of the start-up sequence).
//!
//! What to finish before ending is up to each part; the flag only says that the end was asked for.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

/// A flag that turns once from running to stopping. Clones share it.
#[derive(Clone, Debug)]
pub struct Shutdown {
    flag: Arc<watch::Sender<bool>>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::manual()
    }
}

impl Shutdown {
    /// A flag that only [`Shutdown::request`] turns.
    #[must_use]
    pub fn manual() -> Self {
        Self { flag: Arc::new(watch::Sender::new(false)) }
    }

    /// Asks everything that holds this flag to stop.
    pub fn request(&self) {
        self.flag.send_replace(true);
    }

    /// Whether the end was asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.flag.borrow()
    }

    /// Returns once the end was asked for.
    pub async fn requested(&self) {
        // An error would mean that no sender is left, but `self` holds one.
        let _ = self.flag.subscribe().wait_for(|stopping| *stopping).await;
    }
}

/// A flag turned by SIGTERM or SIGINT; a second signal ends the process at once with code 1.
///
/// Where the signals cannot be caught, the flag never turns and the kernel's default applies: the process ends at the
/// first signal.
#[must_use]
pub fn on_signal() -> Shutdown {
    let shutdown = Shutdown::manual();
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(terminate), Ok(interrupt)) => {
            tokio::spawn(turn_on_signal(shutdown.clone(), terminate, interrupt));
        }
        (Err(err), _) | (_, Err(err)) => warn!(%err, "cannot catch signals"),
    }
    shutdown
}

async fn turn_on_signal(shutdown: Shutdown, mut terminate: Signal, mut interrupt: Signal) {
    let name = either(&mut terminate, &mut interrupt).await;
    info!(signal = name, "stop");
    shutdown.request();
    let name = either(&mut terminate, &mut interrupt).await;
    warn!(signal = name, "second signal, end at once");
    std::process::exit(1);
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_clone_sees_the_request() {
        let shutdown = Shutdown::manual();
        let other = shutdown.clone();
        let waiter = tokio::spawn(async move { other.requested().await });
        assert!(!shutdown.is_requested());
        shutdown.request();
        waiter.await.unwrap();
        assert!(shutdown.is_requested());
    }
}
