//! Room for the bodies of requests: how many bytes are held at once, and how many are worked on at once.
//!
//! The container has 512 MiB. What arrives is bounded here, whoever sends it; what does not fit waits, and its sender is
//! not read from meanwhile. Small bodies have room of their own, taken byte by byte as they arrive, so that neither large
//! ones nor those that are announced and never sent keep an everyday review waiting. A large body gets its whole length at
//! once or waits for it: two that hold half each would wait for each other. It has to show itself first: until it has
//! sent [`SMALL`] bytes it counts as a small one.

use std::sync::Arc;

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::metrics;

/// Longest body in bytes that is small: read and answered at once, in one or two milliseconds.
pub const SMALL: usize = 128 << 10;

/// Sizes in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Longest body.
    pub longest: usize,
    /// Small bodies together.
    pub small: usize,
    /// Large bodies together.
    pub large: usize,
    /// Large bodies that are worked on at the same time, together. An object in memory is many times its text, and with
    /// conversion the answer is as long as the question.
    pub work: usize,
}

/// Admission. A review holds the object twice, and the API server takes requests up to 3 MiB.
pub const ADMISSION: Sizes = Sizes { longest: 8 << 20, small: 32 << 20, large: 32 << 20, work: 8 << 20 };
/// Conversion. A review holds all objects of a list, 8,000 of 12 KiB; one such at a time.
pub const CONVERSION: Sizes = Sizes { longest: 100 << 20, small: 16 << 20, large: 128 << 20, work: 100 << 20 };

/// The time was up before there was room.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

/// Room for one kind of requests. Each pool is at least as large as the largest request to it.
pub struct Room {
    sizes: Sizes,
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
    work: Arc<Semaphore>,
    gauge: Gauge,
}

impl Room {
    /// Room of these sizes, shown in the metrics under a name.
    pub fn new(name: &'static str, sizes: Sizes) -> Self {
        let pool = |bytes| Arc::new(Semaphore::new(bytes));
        let gauge = metrics::held(name);
        Self { sizes, small: pool(sizes.small), large: pool(sizes.large), work: pool(sizes.work), gauge }
    }

    /// Longest body in bytes.
    pub fn longest(&self) -> usize {
        self.sizes.longest
    }

    /// Room for nothing yet.
    pub fn nothing(&self) -> Held {
        Held { permit: None, is_large: false, gauge: self.gauge.clone() }
    }

    /// Makes `held` at least `bytes` large, no more than [`SMALL`].
    pub async fn small(&self, held: &mut Held, bytes: usize, deadline: Instant) -> Result<(), Full> {
        let more = bytes.saturating_sub(held.bytes());
        if more > 0 {
            held.take(take(&self.small, more, deadline).await?);
        }
        Ok(())
    }

    /// Turns `held` into room for a large body of this length.
    pub async fn large(&self, held: &mut Held, bytes: usize, deadline: Instant) -> Result<(), Full> {
        let permit = take(&self.large, bytes, deadline).await?;
        held.give_back(0);
        held.take(permit);
        held.is_large = true;
        Ok(())
    }

    /// Leave to work on a large body.
    pub async fn work(&self, bytes: usize, deadline: Instant) -> Result<OwnedSemaphorePermit, Full> {
        take(&self.work, bytes.min(self.sizes.work), deadline).await
    }
}

async fn take(pool: &Arc<Semaphore>, bytes: usize, deadline: Instant) -> Result<OwnedSemaphorePermit, Full> {
    let bytes = u32::try_from(bytes).map_err(|_| Full)?;
    match timeout_at(deadline, Arc::clone(pool).acquire_many_owned(bytes)).await {
        Ok(Ok(permit)) => Ok(permit),
        // The pools are never closed.
        Ok(Err(_)) | Err(_) => Err(Full),
    }
}

/// The room that one body has; given back when dropped.
#[derive(Debug)]
pub struct Held {
    permit: Option<OwnedSemaphorePermit>,
    is_large: bool,
    gauge: Gauge,
}

impl Held {
    /// How much it is.
    pub fn bytes(&self) -> usize {
        self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Whether it is room for a large body.
    pub fn is_large(&self) -> bool {
        self.is_large
    }

    /// Gives back all but this much.
    pub fn give_back(&mut self, keep: usize) {
        let Some(mut permit) = self.permit.take() else { return };
        let before = permit.num_permits();
        self.permit = if keep == 0 { None } else { permit.split(keep.min(before)) };
        drop(permit);
        self.gauge.dec_by(count(before.saturating_sub(self.bytes())));
    }

    fn take(&mut self, more: OwnedSemaphorePermit) {
        self.gauge.inc_by(count(more.num_permits()));
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.give_back(0);
    }
}

fn count(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SIZES: Sizes = Sizes { longest: 100, small: 20, large: 128, work: 100 };

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(9)
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_large_body_waits_until_the_first_is_gone() {
        let room = Room::new("a-test", SIZES);
        let (mut first, mut second) = (room.nothing(), room.nothing());
        room.large(&mut first, 100, soon()).await.unwrap();
        assert_eq!(room.large(&mut second, 100, soon()).await, Err(Full));
        assert_eq!(second.bytes(), 0);
        drop(first);
        room.large(&mut second, 100, soon()).await.unwrap();
        assert_eq!((second.bytes(), second.is_large()), (100, true));
    }

    #[tokio::test(start_paused = true)]
    async fn small_bodies_find_room_while_large_ones_wait() {
        let room = Room::new("b-test", SIZES);
        let (mut first, mut small) = (room.nothing(), room.nothing());
        room.large(&mut first, 128, soon()).await.unwrap();
        room.small(&mut small, 4, soon()).await.unwrap();
        room.small(&mut small, 20, soon()).await.unwrap();
        assert_eq!(small.bytes(), 20);
        assert_eq!(room.small(&mut room.nothing(), 1, soon()).await, Err(Full));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_turns_out_large_gives_its_small_room_back() {
        let room = Room::new("c-test", SIZES);
        let mut held = room.nothing();
        room.small(&mut held, 20, soon()).await.unwrap();
        room.large(&mut held, 100, soon()).await.unwrap();
        room.small(&mut room.nothing(), 20, soon()).await.unwrap();
        held.give_back(30);
        assert_eq!(held.bytes(), 30);
        room.large(&mut room.nothing(), 98, soon()).await.unwrap();
        let text = runtime::metrics::encode().unwrap();
        assert!(text.contains(r#"kruise_webhook_held_bytes{endpoint="c-test"} 30"#), "{text}");
        drop(held);
        let text = runtime::metrics::encode().unwrap();
        assert!(text.contains(r#"kruise_webhook_held_bytes{endpoint="c-test"} 0"#), "{text}");
    }
}
