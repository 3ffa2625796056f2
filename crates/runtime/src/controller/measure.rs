//! `controller_runtime_*` metrics of one controller (platform section 13), and `kruise_slow_reconciles`.
//!
//! Names, labels and results are controller-runtime's; all of them exist from the start, at 0, so that a rate over
//! them is never "no data".

use std::sync::LazyLock;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use crate::metrics::{self, Histograms};

/// How a reconcile ended, as the label `result` says it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    Success,
    RequeueAfter,
    Error,
    Panic,
}

/// The meters of one controller.
#[derive(Clone)]
pub(super) struct Meters {
    /// Workers that are busy.
    pub(super) active: Gauge,
    /// Reconciles that take longer than they should, with or without a worker.
    pub(super) slow: Gauge,
    success: Counter,
    requeue_after: Counter,
    error: Counter,
    errors: Counter,
    panics: Counter,
    time: Histogram,
}

impl Meters {
    pub(super) fn of(controller: &'static str, workers: usize) -> Self {
        let label = Controller { controller };
        let total = |result| FAMILIES.total.get_or_create_owned(&Outcome { controller, result });
        FAMILIES.max_workers.get_or_create(&label).set(i64::try_from(workers).unwrap_or(i64::MAX));
        // For dashboards: an error of ours is never final, and a pass that comes again at once does not exist.
        drop(FAMILIES.terminal_errors.get_or_create(&label));
        drop(total("requeue"));
        Self {
            active: FAMILIES.active.get_or_create_owned(&label),
            slow: FAMILIES.slow.get_or_create_owned(&label),
            success: total("success"),
            requeue_after: total("requeue_after"),
            error: total("error"),
            errors: FAMILIES.errors.get_or_create_owned(&label),
            panics: FAMILIES.panics.get_or_create_owned(&label),
            time: FAMILIES.time.get_or_create_owned(&label),
        }
    }

    /// Counts a reconcile that ended.
    pub(super) fn ended(&self, ending: Ending, took: Duration) {
        self.time.observe(took.as_secs_f64());
        match ending {
            Ending::Success => self.success.inc(),
            Ending::RequeueAfter => self.requeue_after.inc(),
            Ending::Error => self.error.inc(),
            Ending::Panic => {
                self.panics.inc();
                self.error.inc()
            }
        };
        if matches!(ending, Ending::Error | Ending::Panic) {
            self.errors.inc();
        }
    }
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

struct Families {
    total: Family<Outcome, Counter>,
    errors: Family<Controller, Counter>,
    terminal_errors: Family<Controller, Counter>,
    panics: Family<Controller, Counter>,
    time: Histograms<Controller>,
    active: Family<Controller, Gauge>,
    max_workers: Family<Controller, Gauge>,
    slow: Family<Controller, Gauge>,
}

static FAMILIES: LazyLock<Families> = LazyLock::new(|| Families {
    total: metrics::counters("controller_runtime_reconcile", "Total number of reconciliations per controller"),
    errors: metrics::counters(
        "controller_runtime_reconcile_errors",
        "Total number of reconciliation errors per controller",
    ),
    terminal_errors: metrics::counters(
        "controller_runtime_terminal_reconcile_errors",
        "Total number of terminal reconciliation errors per controller",
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
    slow: metrics::gauges(
        "kruise_slow_reconciles",
        "Reconciles that run for more than 5 s, most of them without a worker, per controller",
    ),
});
