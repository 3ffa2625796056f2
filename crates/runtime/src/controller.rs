//! Workers of one controller: take a key, reconcile it, decide when it comes again.
//!
//! A reconcile that fails or panics is tried again with back-off (PL-31); neither ends a worker. One that takes long
//! gives its worker back and goes on beside, so a few objects that wait for something never stop all others. What to do
//! for a key is the controller's own; this is the loop that all share.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tracing::{Instrument, debug, error, info, info_span, warn};

use crate::ambient::Chance;
use crate::clock;
use crate::informer::ObjectKey;
use crate::queue::{Item, Queue, Urgency};
use crate::shutdown::Shutdown;

mod measure;

use measure::{Ending, Meters};

/// A reconcile that runs longer gives its worker back. One reads caches and sends some writes, each answered within
/// milliseconds: what takes this long waits for an API server that throttles or does not answer, or sends very many
/// writes. Shorter, and ordinary passes under load would exceed the number of workers that was asked for; longer, and a
/// few such objects delay all others noticeably.
const SLOW: Duration = Duration::from_secs(5);

/// How many slow reconciles of one controller go on without a worker. Each holds a snapshot and has writes under way,
/// so their number bounds memory and the load on an API server that is in trouble already.
const ASIDE: usize = 100;

/// Who reconciles what.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// For example `cloneset-controller`: label of the metrics.
    pub name: &'static str,
    /// For example `CloneSet`: field of the log lines.
    pub kind: &'static str,
}

/// When an object that was reconciled comes again, beside changes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requeue {
    /// When it changes.
    Done,
    /// After a pause (PL-32).
    After(Duration),
}

/// Reconciles up to `workers` objects at once, slow ones not counted, until the end is asked for; returns when the last
/// one has finished the object at hand.
pub async fn run<R, F>(who: Identity, workers: usize, queue: Queue, chance: Chance, reconcile: R, shutdown: Shutdown)
where
    R: Fn(ObjectKey) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Requeue, anyhow::Error>> + Send + 'static,
{
    let meters = Meters::of(who.name, workers);
    let free = Arc::new(Semaphore::new(workers.min(Semaphore::MAX_PERMITS)));
    let team = Arc::new(Team { who, queue, chance, reconcile, aside: Semaphore::new(ASIDE), meters });
    let mut running = JoinSet::new();
    let hand_out = async {
        while let Ok(worker) = Arc::clone(&free).acquire_owned().await
            && let Some(item) = team.queue.next().await
        {
            let (team, worker) = (Arc::clone(&team), Worker::busy(worker, &team.meters));
            running.spawn(async move { team.work_on(item, worker).await });
            while running.try_join_next().is_some() {}
        }
    };
    tokio::select! {
        biased;
        () = shutdown.requested() => {}
        () = hand_out => {}
    }
    team.queue.close();
    while running.join_next().await.is_some() {}
}

/// One of the workers, while it is busy.
struct Worker {
    _permit: OwnedSemaphorePermit,
    active: Gauge,
}

impl Worker {
    fn busy(permit: OwnedSemaphorePermit, meters: &Meters) -> Self {
        meters.active.inc();
        Self { _permit: permit, active: meters.active.clone() }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.active.dec();
    }
}

/// What the workers of a controller share.
struct Team<R> {
    who: Identity,
    queue: Queue,
    /// For the ids of passes.
    chance: Chance,
    reconcile: R,
    /// Room for slow reconciles without a worker.
    aside: Semaphore,
    meters: Meters,
}

impl<R, F> Team<R>
where
    R: Fn(ObjectKey) -> F,
    F: Future<Output = Result<Requeue, anyhow::Error>> + Send + 'static,
{
    /// Reconciles one object; its key is done at the end of this, slow or not, so no two reconciles of it ever overlap.
    async fn work_on(&self, item: Item, worker: Worker) {
        let key = item.key().clone();
        let id = format!("{:08x}", self.chance.number() >> 32);
        let span = info_span!("reconcile", kind = self.who.kind, object = %key, reconcile_id = id);
        let started = clock::instant();
        // The closure itself may panic too, before it gives a future.
        let pass = AssertUnwindSafe(async { (self.reconcile)(key.clone()).await }).catch_unwind();
        let outcome = self.wait_for(pass, worker).instrument(span.clone()).await;
        let took = clock::instant().saturating_duration_since(started);
        let ending = span.in_scope(|| settle(&self.queue, key, outcome, took));
        self.meters.ended(ending, took);
    }

    /// Waits for a pass with its worker, and on without it if it is slow and there is room.
    async fn wait_for<T>(&self, pass: impl Future<Output = T>, worker: Worker) -> T {
        let mut pass = pin!(pass);
        if let Ok(outcome) = tokio::time::timeout(SLOW, &mut pass).await {
            return outcome;
        }
        self.meters.slow.inc();
        warn!(after = ?SLOW, "reconcile is slow, others go on meanwhile");
        let outcome = tokio::select! {
            biased;
            outcome = &mut pass => outcome,
            _room = self.aside.acquire() => {
                drop(worker);
                pass.await
            }
        };
        self.meters.slow.dec();
        info!("slow reconcile has ended");
        outcome
    }
}

/// Queues the key as the outcome demands.
fn settle(
    queue: &Queue,
    key: ObjectKey,
    outcome: Result<Result<Requeue, anyhow::Error>, Box<dyn Any + Send>>,
    took: Duration,
) -> Ending {
    match outcome {
        Ok(Ok(Requeue::Done)) => {
            queue.forget(&key);
            debug!(?took, "reconciled");
            Ending::Success
        }
        Ok(Ok(Requeue::After(delay))) => {
            queue.forget(&key);
            debug!(?took, ?delay, "reconciled, come again");
            queue.add_after(key, Urgency::Fresh, delay);
            Ending::RequeueAfter
        }
        Ok(Err(err)) => {
            warn!(err = format!("{err:#}"), failures = queue.failures(&key) + 1, "reconcile failed, try again");
            queue.add_rate_limited(key);
            Ending::Error
        }
        Err(panic) => {
            error!(panic = words_of(panic.as_ref()), "reconcile panicked, try again");
            queue.add_rate_limited(key);
            Ending::Panic
        }
    }
}

fn words_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests;
