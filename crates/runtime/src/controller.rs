//! Workers of one controller: take a key, reconcile it, decide when it comes again.
//!
//! A reconcile that fails or panics is tried again with back-off (PL-31); neither ends a worker. What to do for a key
//! is the controller's own; this is the loop that all share.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::LazyLock;
use std::time::Duration;

use futures::FutureExt;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use tokio::task::JoinSet;
use tracing::{Instrument, debug, error, info_span, warn};

use crate::clock;
use crate::informer::ObjectKey;
use crate::metrics::{self, Histograms};
use crate::queue::{Item, Queue, Urgency};
use crate::shutdown::Shutdown;

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

/// Runs workers until the end is asked for; returns when the last one has finished the object at hand.
pub async fn run<R, F>(who: Identity, workers: usize, queue: Queue, reconcile: R, shutdown: Shutdown)
where
    R: Fn(ObjectKey) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Requeue, anyhow::Error>> + Send + 'static,
{
    let label = Controller { controller: who.name };
    METERS.max_workers.get_or_create(&label).set(i64::try_from(workers).unwrap_or(i64::MAX));
    // They exist from the start, at 0.
    METERS.active.get_or_create(&label).set(0);
    METERS.errors.get_or_create(&label).inc_by(0);
    let mut running = JoinSet::new();
    for _ in 0..workers {
        let (queue, reconcile) = (queue.clone(), reconcile.clone());
        running.spawn(async move {
            while let Some(item) = queue.next().await {
                work_on(who, &queue, item, &reconcile).await;
            }
        });
    }
    shutdown.requested().await;
    queue.close();
    while running.join_next().await.is_some() {}
}

async fn work_on<R, F>(who: Identity, queue: &Queue, item: Item, reconcile: &R)
where
    R: Fn(ObjectKey) -> F,
    F: Future<Output = Result<Requeue, anyhow::Error>> + Send + 'static,
{
    let label = Controller { controller: who.name };
    let key = item.key().clone();
    let span =
        info_span!("reconcile", kind = who.kind, object = %key, reconcile_id = format!("{:08x}", fastrand::u32(..)));
    let active = METERS.active.get_or_create_owned(&label);
    active.inc();
    let started = clock::instant();
    // The closure itself may panic too, before it gives a future.
    let outcome =
        AssertUnwindSafe(async { reconcile(key.clone()).await }).catch_unwind().instrument(span.clone()).await;
    let took = clock::instant().saturating_duration_since(started);
    active.dec();
    METERS.time.get_or_create(&label).observe(took.as_secs_f64());
    let result = span.in_scope(|| settle(queue, key, outcome, took, &label));
    METERS.total.get_or_create(&Outcome { controller: who.name, result }).inc();
}

/// Queues the key as the outcome demands; returns the word for the metric.
fn settle(
    queue: &Queue,
    key: ObjectKey,
    outcome: Result<Result<Requeue, anyhow::Error>, Box<dyn Any + Send>>,
    took: Duration,
    label: &Controller,
) -> &'static str {
    match outcome {
        Ok(Ok(Requeue::Done)) => {
            queue.forget(&key);
            debug!(?took, "reconciled");
            "success"
        }
        Ok(Ok(Requeue::After(delay))) => {
            queue.forget(&key);
            debug!(?took, ?delay, "reconciled, come again");
            queue.add_after(key, Urgency::Fresh, delay);
            "requeue_after"
        }
        Ok(Err(err)) => {
            METERS.errors.get_or_create(label).inc();
            warn!(err = format!("{err:#}"), failures = queue.failures(&key) + 1, "reconcile failed, try again");
            queue.add_rate_limited(key);
            "error"
        }
        Err(panic) => {
            METERS.errors.get_or_create(label).inc();
            METERS.panics.get_or_create(label).inc();
            error!(panic = words_of(panic.as_ref()), "reconcile panicked, try again");
            queue.add_rate_limited(key);
            "error"
        }
    }
}

fn words_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Controller {
    controller: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    controller: &'static str,
    result: &'static str,
}

struct Meters {
    total: Family<Outcome, Counter>,
    errors: Family<Controller, Counter>,
    panics: Family<Controller, Counter>,
    time: Histograms<Controller>,
    active: Family<Controller, Gauge>,
    max_workers: Family<Controller, Gauge>,
}

static METERS: LazyLock<Meters> = LazyLock::new(|| Meters {
    total: metrics::counters("controller_runtime_reconcile", "Total number of reconciliations per controller"),
    errors: metrics::counters(
        "controller_runtime_reconcile_errors",
        "Total number of reconciliation errors per controller",
    ),
    panics: metrics::counters(
        "controller_runtime_reconcile_panics",
        "Total number of reconciliation panics per controller",
    ),
    time: metrics::histograms(
        "controller_runtime_reconcile_time_seconds",
        "Length of time per reconciliation per controller",
        // From 1 ms, a pass over caches, to 65 s, a rollout's worth of writes.
        || Histogram::new(exponential_buckets(0.001, 2.0, 17)),
    ),
    active: metrics::gauges("controller_runtime_active_workers", "Number of currently used workers per controller"),
    max_workers: metrics::gauges(
        "controller_runtime_max_concurrent_reconciles",
        "Maximum number of concurrent reconciles per controller",
    ),
});

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;
    use crate::queue::RateLimit;

    const WHO: Identity = Identity { name: "test-controller", kind: "Test" };

    /// Runs one worker over key `a`; the n-th call takes the n-th answer. Returns the times of the calls.
    async fn calls(answers: Vec<fn() -> Result<Requeue, anyhow::Error>>) -> Vec<Duration> {
        let queue = Queue::new(WHO.name, RateLimit::default());
        let (start, shutdown) = (clock::instant(), Shutdown::manual());
        let times = Arc::new(Mutex::new(Vec::new()));
        queue.add(ObjectKey::new("shop", "a"));
        let (log, stop) = (Arc::clone(&times), shutdown.clone());
        let reconcile = move |_| {
            let mut log = log.lock();
            let answer = answers[log.len()];
            log.push(clock::instant() - start);
            if log.len() == answers.len() {
                stop.request();
            }
            drop(log);
            async move { answer() }
        };
        run(WHO, 1, queue, reconcile, shutdown).await;
        let times = times.lock();
        times.clone()
    }

    #[tokio::test(start_paused = true)]
    async fn failures_and_panics_come_again_with_back_off() {
        let times =
            calls(vec![|| anyhow::bail!("no"), || panic!("a bug in one reconcile"), || anyhow::bail!("no"), || {
                Ok(Requeue::Done)
            }])
            .await;
        assert_eq!(times, [0, 5, 15, 35].map(Duration::from_millis));
    }

    // PL-31, PL-32
    #[tokio::test(start_paused = true)]
    async fn a_success_resets_the_back_off_and_may_ask_to_come_again() {
        let times = calls(vec![
            || anyhow::bail!("no"),
            || Ok(Requeue::After(Duration::from_millis(100))),
            || anyhow::bail!("no"),
            || Ok(Requeue::Done),
        ])
        .await;
        assert_eq!(times, [0, 5, 105, 110].map(Duration::from_millis));
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_waits_for_the_object_at_hand() {
        let queue = Queue::new(WHO.name, RateLimit::default());
        let shutdown = Shutdown::manual();
        let finished = Arc::new(Mutex::new(false));
        queue.add(ObjectKey::new("shop", "a"));
        let (mark, stop) = (Arc::clone(&finished), shutdown.clone());
        let reconcile = move |_| {
            let (mark, stop) = (Arc::clone(&mark), stop.clone());
            async move {
                stop.request();
                tokio::time::sleep(Duration::from_secs(1)).await;
                *mark.lock() = true;
                Ok(Requeue::Done)
            }
        };
        run(WHO, 2, queue, reconcile, shutdown).await;
        assert!(*finished.lock());
    }
}
