//! Metrics of the webhook server, under the names that dashboards know (platform page, section 13).

use std::sync::LazyLock;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use runtime::metrics::{Histograms, counters, gauges, histograms};

/// Upper ends of the latency buckets in seconds: from a fast answer to the longest time-out an entry may have (30 s).
const LATENCY_BUCKETS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Path {
    webhook: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PathAndCode {
    webhook: String,
    code: u16,
}

struct Families {
    requests: Family<PathAndCode, Counter>,
    latency: Histograms<Path>,
    in_flight: Family<Path, Gauge>,
    late: Family<Path, Counter>,
    held: Family<Vec<(&'static str, &'static str)>, Gauge>,
    connections: Family<Vec<(&'static str, &'static str)>, Gauge>,
}

static FAMILIES: LazyLock<Families> = LazyLock::new(|| Families {
    requests: counters("controller_runtime_webhook_requests", "Requests of the webhook by path and HTTP status"),
    latency: histograms("controller_runtime_webhook_latency_seconds", "Time to answer a request, by path", || {
        Histogram::new(LATENCY_BUCKETS)
    }),
    in_flight: gauges("controller_runtime_webhook_requests_in_flight", "Requests being answered, by path"),
    late: counters("kruise_webhook_late", "Requests whose handler did not finish in time, by path"),
    held: gauges("kruise_webhook_held_bytes", "Bytes of request bodies that are held, by kind of endpoint"),
    connections: gauges("kruise_webhook_connections", "Open connections of the webhook server"),
});

/// Makes the series of a path exist: 200 and 500 are there from the start.
pub fn announce(webhook: &str) {
    let path = Path { webhook: webhook.to_owned() };
    for code in [200, 500] {
        drop(FAMILIES.requests.get_or_create(&PathAndCode { webhook: webhook.to_owned(), code }));
    }
    drop(FAMILIES.latency.get_or_create(&path));
    drop(FAMILIES.in_flight.get_or_create(&path));
    drop(FAMILIES.late.get_or_create(&path));
}

/// A handler did not finish in time.
pub fn late(webhook: &str) {
    FAMILIES.late.get_or_create(&Path { webhook: webhook.to_owned() }).inc();
}

/// How many bytes of bodies are held.
pub fn held(endpoint: &'static str) -> Gauge {
    FAMILIES.held.get_or_create(&vec![("endpoint", endpoint)]).clone()
}

/// How many connections are open.
pub fn connections() -> Gauge {
    FAMILIES.connections.get_or_create(&Vec::new()).clone()
}

/// One request in flight; counted on [`InFlight::answered`], or as 500 where it ends without an answer.
pub struct InFlight {
    path: Path,
    begun: std::time::Instant,
    code: u16,
}

impl InFlight {
    /// A request has begun.
    pub fn begin(webhook: &str) -> Self {
        let path = Path { webhook: webhook.to_owned() };
        FAMILIES.in_flight.get_or_create(&path).inc();
        Self { path, begun: runtime::clock::instant(), code: 500 }
    }

    /// The request was answered with an HTTP status.
    pub fn answered(mut self, code: u16) {
        self.code = code;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let seconds = runtime::clock::instant().duration_since(self.begun).as_secs_f64();
        FAMILIES.in_flight.get_or_create(&self.path).dec();
        FAMILIES.latency.get_or_create(&self.path).observe(seconds);
        let labels = PathAndCode { webhook: self.path.webhook.clone(), code: self.code };
        FAMILIES.requests.get_or_create(&labels).inc();
    }
}
