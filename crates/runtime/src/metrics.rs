//! The process-wide metric registry and its text form (IN-85, platform section 13).
//!
//! Each part registers its own families once, in a `LazyLock`; what is measured stays with the part.
//! `process_*` is read from `/proc` on each scrape, see `process.rs`.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::LazyLock;

use parking_lot::{Mutex, MutexGuard};
use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::Registry;

mod process;

static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(|| {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(process::Process));
    Mutex::new(registry)
});

/// The registry of this process. Hold the guard only to register: a scrape waits for it.
pub fn registry() -> MutexGuard<'static, Registry> {
    REGISTRY.lock()
}

/// All metrics in the OpenMetrics text form, which readers of the Prometheus text form understand too.
///
/// # Errors
/// Fails where a metric cannot be encoded.
pub fn encode() -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry())?;
    Ok(text)
}

/// What a label set must be able to do.
pub trait Labels: EncodeLabelSet + Clone + Hash + Eq + Debug + Send + Sync + 'static {}
impl<L: EncodeLabelSet + Clone + Hash + Eq + Debug + Send + Sync + 'static> Labels for L {}

/// Registers counters; `_total` is appended to the name on the endpoint.
pub fn counters<L: Labels>(name: &str, help: &str) -> Family<L, Counter> {
    let family = Family::default();
    registry().register(name, help, family.clone());
    family
}

/// Registers counters whose names have no `_total` on OpenKruise's endpoint, so dashboards keep working (IN-85).
pub fn bare_counters<L: Labels>(name: &str, help: &str) -> Family<L, BareCounter> {
    let family = Family::default();
    registry().register(name, help, family.clone());
    family
}

/// Registers gauges.
pub fn gauges<L: Labels>(name: &str, help: &str) -> Family<L, Gauge> {
    let family = Family::default();
    registry().register(name, help, family.clone());
    family
}

/// A family of histograms with buckets of its own.
pub type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// Registers histograms in seconds, or whatever unit the name ends with.
pub fn histograms<L: Labels>(name: &str, help: &str, make: fn() -> Histogram) -> Histograms<L> {
    let family = Family::new_with_constructor(make);
    registry().register(name, help, family.clone());
    family
}

/// A counter that shows under its bare name. The text form calls its type `unknown`, since a counter must be called
/// `_total` there.
#[derive(Clone, Debug, Default)]
pub struct BareCounter(Counter);

impl BareCounter {
    /// Adds one.
    pub fn inc(&self) {
        self.0.inc();
    }

    /// The count so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

impl TypedMetric for BareCounter {
    const TYPE: MetricType = MetricType::Unknown;
}

impl EncodeMetric for BareCounter {
    fn encode(&self, mut encoder: MetricEncoder) -> Result<(), std::fmt::Error> {
        encoder.encode_gauge(&self.get())
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // IN-85
    #[test]
    fn a_bare_counter_keeps_its_name() {
        let counters = bare_counters::<Vec<(String, String)>>("test_leakage", "Test");
        counters.get_or_create(&vec![("namespace".to_owned(), "shop".to_owned())]).inc();
        let text = encode().unwrap();
        assert!(text.contains("test_leakage{namespace=\"shop\"} 1\n"), "{text}");
    }

    #[test]
    fn a_counter_ends_in_total() {
        let counters = counters::<Vec<(String, String)>>("test_adds", "Test");
        counters.get_or_create(&vec![("name".to_owned(), "x".to_owned())]).inc();
        let text = encode().unwrap();
        assert!(text.contains("test_adds_total{name=\"x\"} 1\n"), "{text}");
    }

    #[test]
    fn the_process_reports_itself() {
        let text = encode().unwrap();
        for name in [
            "process_resident_memory_bytes ",
            "process_virtual_memory_bytes ",
            "process_cpu_seconds_total ",
            "process_start_time_seconds ",
            "process_open_fds ",
            "process_max_fds ",
        ] {
            assert!(text.lines().any(|line| line.starts_with(name)), "{name} in {text}");
        }
    }
}
