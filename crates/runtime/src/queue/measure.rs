//! `workqueue_*` metrics, labelled by `name` and `controller`, both the queue's name (platform section 13).

use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use super::Shared;
use crate::clock;
use crate::metrics::{self, Histograms};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Name {
    name: &'static str,
    controller: &'static str,
}

/// The meters of one queue.
pub(super) struct Meters {
    pub(super) depth: Gauge,
    pub(super) adds: Counter,
    pub(super) retries: Counter,
    /// Seconds between becoming ready and being handed out.
    pub(super) waited: Histogram,
    /// Seconds between being handed out and being done.
    pub(super) worked: Histogram,
}

struct Families {
    depth: Family<Name, Gauge>,
    adds: Family<Name, Counter>,
    retries: Family<Name, Counter>,
    waited: Histograms<Name>,
    worked: Histograms<Name>,
    queues: Arc<Queues>,
}

static FAMILIES: LazyLock<Families> = LazyLock::new(|| {
    let queues = Arc::new(Queues::default());
    metrics::registry().register_collector(Box::new(Arc::clone(&queues)));
    Families {
        depth: metrics::gauges("workqueue_depth", "Current depth of workqueue"),
        adds: metrics::counters("workqueue_adds", "Total number of adds handled by workqueue"),
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
        let label = Name { name, controller: name };
        Self {
            depth: FAMILIES.depth.get_or_create_owned(&label),
            adds: FAMILIES.adds.get_or_create_owned(&label),
            retries: FAMILIES.retries.get_or_create_owned(&label),
            waited: FAMILIES.waited.get_or_create_owned(&label),
            worked: FAMILIES.worked.get_or_create_owned(&label),
        }
    }
}

/// Lets scrapes see what this queue's workers are at.
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
            let ages: Vec<f64> = queue
                .state
                .lock()
                .working_since()
                .map(|since| now.saturating_duration_since(since).as_secs_f64())
                .collect();
            readings.push((queue.name, ages.iter().sum::<f64>(), ages.iter().copied().fold(0.0, f64::max)));
            true
        });
        let mut family = |name: &str, help: &str, of: fn(&(&'static str, f64, f64)) -> f64| {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for reading in &readings {
                let label = Name { name: reading.0, controller: reading.0 };
                ConstGauge::new(of(reading)).encode(metric.encode_family(&label)?)?;
            }
            Ok(())
        };
        family(
            "workqueue_unfinished_work_seconds",
            "How many seconds of work has been done that is in progress and has not been observed by work_duration",
            |reading| reading.1,
        )?;
        family(
            "workqueue_longest_running_processor_seconds",
            "How many seconds has the longest running processor for workqueue been running",
            |reading| reading.2,
        )
    }
}
