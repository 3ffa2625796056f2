//! Places for connections. Without a free one nothing is accepted: who comes waits in the kernel's queue, where it costs
//! us nothing, until a connection ends.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::warn;

use super::connection::Bounds;
use super::metrics;

/// Pause after an accept that failed, for example for want of file descriptors (IN-55).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// All places.
pub(super) struct Places {
    bounds: Bounds,
    open: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
}

impl Places {
    pub(super) fn new(bounds: Bounds) -> Self {
        let places = |count: usize| Arc::new(Semaphore::new(count));
        Self { bounds, open: places(bounds.open), handshakes: places(bounds.handshakes) }
    }

    /// The next connection, once there is a place for it. Nothing is lost where this is dropped half-way.
    pub(super) async fn accept(&self, listener: &TcpListener) -> (TcpStream, Place) {
        loop {
            let permits =
                (Arc::clone(&self.open).acquire_owned().await, Arc::clone(&self.handshakes).acquire_owned().await);
            let (Ok(open), Ok(handshake)) = permits else {
                // They are never closed.
                return std::future::pending().await;
            };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let gauge = metrics::connections();
                    gauge.inc();
                    let (bounds, all) = (self.bounds, Arc::clone(&self.open));
                    return (stream, Place { bounds, all, gauge, handshake: Some(handshake), _open: open });
                }
                Err(err) => {
                    warn!(%err, "accept connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// How many are taken.
    pub(super) fn open(&self) -> usize {
        self.bounds.open.saturating_sub(self.open.available_permits())
    }

    /// Returns once none is taken.
    pub(super) async fn all_free(&self) {
        let all = u32::try_from(self.bounds.open).unwrap_or(u32::MAX);
        // They are never closed, so this only fails to be granted while one is taken.
        drop(self.open.acquire_many(all).await);
    }
}

/// The place of one connection.
pub(super) struct Place {
    pub(super) bounds: Bounds,
    all: Arc<Semaphore>,
    gauge: Gauge,
    handshake: Option<OwnedSemaphorePermit>,
    _open: OwnedSemaphorePermit,
}

impl Place {
    /// The handshake is over.
    pub(super) fn shake_hands(mut self) -> Self {
        self.handshake = None;
        self
    }

    /// Whether few places are free.
    pub(super) fn is_scarce(&self) -> bool {
        self.all.available_permits() <= self.bounds.open / 4
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}
