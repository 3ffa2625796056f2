//! `workqueue_*` metrics, labelled by `name` and `controller`, both the queue's name (platform section 13).
//!
//! What a queue holds is read from it on each scrape; what happened is observed as it happens. Names, labels and meaning
//! are client-go's, so its dashboards fit; `kruise_queue_background_depth` is ours.

use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use super::Shared;
use super::state::Census;
use crate::clock;
use crate::metrics::{self, Histograms};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Name {
    name: &'static str,
    controller: &'static str,
}

impl Name {
    fn of(queue: &'static str) -> Self {
        Self { name: queue, controller: queue }
    }
}

/// The meters of one queue.
pub(super) struct Meters {
    pub(super) retries: Counter,
    /// Seconds between being added, or falling due, and being handed out.
    pub(super) waited: Histogram,
    /// Seconds between being handed out and being done.
    pub(super) worked: Histogram,
}

struct Families {
    retries: Family<Name, Counter>,
    waited: Histograms<Name>,
    worked: Histograms<Name>,
    queues: Arc<Queues>,
}

static FAMILIES: LazyLock<Families> = LazyLock::new(|| {
    let queues = Arc::new(Queues::default());
    metrics::registry().register_collector(Box::new(Arc::clone(&queues)));
    Families {
        retries: metrics::counters("workqueue_retries", "Total number of retries handled by workqueue"),
        waited: metrics::histograms(
            "workqueue_queue_duration_seconds",
            "How long in seconds an item stays in workqueue before being requested",
            decades,
        ),
        worked: metrics::histograms(
            "workqueue_work_duration_seconds",
            "How long in seconds processing an item from workqueue takes",
            decades,
        ),
        queues,
    }
});

/// From 10 microseconds to 1,000 seconds: below is noise, above is a stuck worker, which has gauges of its own.
fn decades() -> Histogram {
    Histogram::new(exponential_buckets(1e-5, 10.0, 9))
}

impl Meters {
    pub(super) fn of(name: &'static str) -> Self {
        let label = Name::of(name);
        Self {
            retries: FAMILIES.retries.get_or_create_owned(&label),
            waited: FAMILIES.waited.get_or_create_owned(&label),
            worked: FAMILIES.worked.get_or_create_owned(&label),
        }
    }
}

/// Lets scrapes see what this queue holds and what its workers are at.
pub(super) fn watch(queue: &Arc<Shared>) {
    FAMILIES.queues.0.lock().push(Arc::downgrade(queue));
}

#[derive(Default)]
struct Queues(Mutex<Vec<Weak<Shared>>>);

impl std::fmt::Debug for Queues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Queues")
    }
}

impl Collector for Queues {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let now = clock::instant();
        let mut readings = Vec::new();
        self.0.lock().retain(|queue| {
            let Some(queue) = queue.upgrade() else { return false };
            readings.push((Name::of(queue.name), queue.state.lock().census(now)));
            true
        });
        let mut scrape = Scrape { encoder: &mut encoder, readings: &readings };
        scrape.add("workqueue_depth", "Current depth of workqueue", |census| gauge(census.waiting))?;
        scrape.add(
            "kruise_queue_background_depth",
            "Keys in the workqueue that wait after all changes: first list, resync",
            |census| gauge(census.background),
        )?;
        scrape.add("workqueue_adds", "Total number of adds handled by workqueue", |census| {
            ConstCounter::new(census.added)
        })?;
        scrape.add(
            "workqueue_unfinished_work_seconds",
            "How many seconds of work has been done that is in progress and has not been observed by work_duration",
            |census| ConstGauge::new(census.working.iter().sum::<Duration>().as_secs_f64()),
        )?;
        scrape.add(
            "workqueue_longest_running_processor_seconds",
            "How many seconds has the longest running processor for workqueue been running",
            |census| ConstGauge::new(census.working.iter().max().copied().unwrap_or_default().as_secs_f64()),
        )
    }
}

/// One scrape of all queues.
struct Scrape<'a, 'e> {
    encoder: &'a mut DescriptorEncoder<'e>,
    readings: &'a [(Name, Census)],
}

impl Scrape<'_, '_> {
    /// Adds a family with one metric a queue.
    fn add<M: EncodeMetric>(&mut self, name: &str, help: &str, of: fn(&Census) -> M) -> Result<(), std::fmt::Error> {
        let metrics: Vec<_> = self.readings.iter().map(|(label, census)| (label, of(census))).collect();
        let Some((_, first)) = metrics.first() else { return Ok(()) };
        let mut family = self.encoder.encode_descriptor(name, help, None, first.metric_type())?;
        metrics.iter().try_for_each(|(label, metric)| metric.encode(family.encode_family(*label)?))
    }
}

fn gauge(count: usize) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX))
}
