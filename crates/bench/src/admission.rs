//! `bench admission`: what a review of a Pod costs the webhook, beside a handler that does nothing in the same server.
//!
//! The real program answers, started against a real API server, so that it has certificates, configurations and, where a
//! handler reads them, caches of what is stored there: CloneSets that the Pods could belong to. Both servers get the
//! same questions in turn. The load is `load`, whether answers are right `check`, the measure `noop`; how it fares
//! while the manager rolls out Pods is `rollout`, with `kubelet` in the place of nodes.

mod check;
pub(crate) mod kubelet;
mod load;
pub(crate) mod noop;
mod rollout;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use runtime::flags::duration;

use crate::harness::{Bench, Process, Server as _, Table, Webhook, median, say};
use crate::objects::reviews::reviews;
use crate::real::RealServer;
use crate::server::Streaming;
use check::{Check, Expected};
use load::{Pace, Stop, Taken, Target, load};

/// Before anything counts: connections, branch predictors, allocator.
const WARM_UP: Duration = Duration::from_secs(1);
/// Reviews a second of `--flat` and `--rollout`, unless others are asked for.
const CALM_RATE: u32 = 200;
/// How often `--flat` looks.
const MINUTE: Duration = Duration::from_secs(60);

/// Sizes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Reviews a second, one after the other; --flat and --rollout take the first
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_values_t = [CALM_RATE, 1_000], value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rates: Vec<u32>,
    /// CloneSets stored, one number after the other; --flat takes the last
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_values_t = [0, 10, 1_000])]
    pub(crate) objects: Vec<u32>,
    /// Runs of each server, in turn; the median counts
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,
    /// How long each run is
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub(crate) duration: Duration,
    /// Hold the first rate for this long, and show memory each minute
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "rollout")]
    pub(crate) flat: Option<Duration>,
    /// Measure while the manager rolls out Pods: created, then updated in place
    #[arg(long)]
    pub(crate) rollout: bool,
    /// Pods of --rollout
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) pods: u32,
    /// How long a Pod of --rollout takes to start, to restart and to end
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    pub(crate) start: Duration,
}

/// Measures, and shows.
pub(crate) async fn run(bench: &Bench, options: &Options) -> Result<()> {
    say("admission: start kube-apiserver");
    let server = RealServer::start(Streaming::Offered).await?;
    server.admission().await.context("install the webhook configurations")?;
    match options.flat {
        Some(length) => flat(bench, &server, options, length).await,
        None if options.rollout => rollout::run(bench, &server, options).await,
        None => beside(bench, &server, options).await,
    }
}

/// A server that answers, and the connections to it.
struct Subject {
    webhook: Webhook,
    target: Target,
}

impl Subject {
    async fn product(bench: &Bench, server: &RealServer) -> Result<Self> {
        Self::new(bench.webhook(server).await?, Expected::Decision).await
    }

    async fn noop(server: &RealServer) -> Result<Self> {
        Self::new(Webhook::noop(server.dir()).await?, Expected::Nothing).await
    }

    async fn new(webhook: Webhook, expected: Expected) -> Result<Self> {
        let target = Target::connect(webhook.address, &webhook.authority, expected).await?;
        Ok(Self { webhook, target })
    }

    fn process(&self) -> Process {
        self.webhook.process()
    }

    /// Loads it alone.
    async fn load(&mut self, check: &Arc<Check>, rate: u32, duration: Duration) -> Result<(Taken, Duration)> {
        let before = self.process().cpu()?;
        let pace = Pace { rate, duration: Some(duration) };
        let taken = load(std::slice::from_ref(&self.target), check, pace, &Stop::default()).await?;
        self.webhook.check()?;
        let cpu = self.process().cpu()?.saturating_sub(before);
        Ok((taken.into_iter().next().context("no load")?, cpu))
    }
}

/// What was found in the runs of one server: a value of each run.
#[derive(Default)]
struct Found {
    p50: Vec<f64>,
    p99: Vec<f64>,
    max: Vec<f64>,
    late: Vec<f64>,
    rate: Vec<f64>,
    /// Milliseconds for 1,000 reviews.
    cpu: Vec<f64>,
    failed: u64,
    resident: u64,
    peak: u64,
}

impl Found {
    fn add(&mut self, taken: &Taken, cpu: Duration, failures: &mut BTreeMap<String, u64>) {
        self.p50.push(taken.quantile(0.5));
        self.p99.push(taken.quantile(0.99));
        self.max.push(taken.quantile(1.0));
        self.late.push(taken.late(0.99));
        self.rate.push(taken.rate());
        self.cpu.push(cpu.as_secs_f64() * 1e6 / taken.count() as f64);
        self.failed += taken.failed();
        for (what, count) in &taken.failures {
            *failures.entry(what.clone()).or_default() += count;
        }
    }

    fn look(&mut self, process: Process) -> Result<()> {
        (self.resident, self.peak) = (process.resident()?, process.peak()?);
        Ok(())
    }

    fn medians(&self) -> [f64; 4] {
        [&self.p50, &self.p99, &self.max, &self.cpu].map(|values| median(values))
    }

    fn row(&self, what: [String; 3]) -> [String; 12] {
        let ([p50, p99, max, cpu], [objects, rate, handler]) = (self.medians(), what);
        [
            objects,
            rate,
            handler,
            ms(p50),
            ms(p99),
            ms(max),
            ms(median(&self.late)),
            self.failed.to_string(),
            format!("{:.0}", median(&self.rate)),
            format!("{cpu:.0} ms"),
            mib(self.resident),
            mib(self.peak),
        ]
    }
}

/// The product and the measure in turn, for each number of objects and each rate.
async fn beside(bench: &Bench, server: &RealServer, options: &Options) -> Result<()> {
    let mut table = Table::with_head([
        "stored",
        "a second",
        "handler",
        "p50",
        "p99",
        "max",
        "sent late p99",
        "failed",
        "answered",
        "CPU of 1,000",
        "resident",
        "peak",
    ]);
    let Options { rates, objects, runs, duration, .. } = options;
    let (mut failures, mut held) = (BTreeMap::new(), 0);
    for count in objects.iter().copied() {
        let mut product = Subject::product(bench, server).await?;
        let idle = product.process().resident()?;
        // Through the webhook, as everybody's.
        server.clonesets(held..count).await?;
        held = held.max(count);
        let mut noop = Subject::noop(server).await?;
        let check = Arc::new(Check::new(reviews(count)));
        let first = rates.first().copied().unwrap_or(CALM_RATE);
        for subject in [&mut product, &mut noop] {
            subject.load(&check, first, WARM_UP.min(*duration)).await?;
        }
        for rate in rates.iter().copied() {
            let (mut of_product, mut of_noop) = (Found::default(), Found::default());
            for run in 1..=*runs {
                say(format_args!("admission: {count} CloneSets, {rate} a second, run {run} of {runs}"));
                for (subject, found) in [(&mut product, &mut of_product), (&mut noop, &mut of_noop)] {
                    let (taken, cpu) = subject.load(&check, rate, *duration).await?;
                    found.add(&taken, cpu, &mut failures);
                }
            }
            of_product.look(product.process())?;
            of_noop.look(noop.process())?;
            let what = |handler: &str| [count.to_string(), rate.to_string(), handler.to_owned()];
            let mut cells = of_product.row(what("product"));
            if Some(&rate) == rates.first() {
                cells[10] = format!("{} (idle {})", cells[10], mib(idle));
            }
            table.row(cells);
            table.row(of_noop.row(what("no-op")));
            let [p50, p99, max, cpu] = {
                let (product, noop) = (of_product.medians(), of_noop.medians());
                [0, 1, 2, 3].map(|at: usize| times(product.get(at), noop.get(at)))
            };
            let mut ratio = <[String; 12]>::default();
            for (at, cell) in [(2, "ratio".to_owned()), (3, p50), (4, p99), (5, max), (9, cpu)] {
                if let Some(place) = ratio.get_mut(at) {
                    *place = cell;
                }
            }
            table.row(ratio);
        }
        product.webhook.end().await?;
        noop.webhook.end().await?;
    }
    let title = format!("admission of Pods, medians of {runs} runs of {} s", duration.as_secs());
    let command = format!(
        "admission --rates {} --objects {} --runs {runs} --duration {}s",
        listed(rates),
        listed(objects),
        duration.as_secs()
    );
    bench.show(&title, &table, &command);
    ensure!(failures.is_empty(), "requests failed: {failures:?}");
    Ok(())
}

/// One rate for a long time.
async fn flat(bench: &Bench, server: &RealServer, options: &Options, length: Duration) -> Result<()> {
    let rate = options.rates.first().copied().unwrap_or(CALM_RATE);
    let objects = options.objects.last().copied().unwrap_or_default();
    let mut product = Subject::product(bench, server).await?;
    server.clonesets(0..objects).await?;
    let check = Arc::new(Check::new(reviews(objects)));
    let mut table = Table::with_head(["after", "resident", "peak", "p50", "p99", "max", "failed", "CPU of 1,000"]);
    let idle = [mib(product.process().resident()?), mib(product.process().peak()?)];
    let [resident, peak] = idle;
    table.row([
        "start".to_owned(),
        resident,
        peak,
        String::new(),
        String::new(),
        String::new(),
        String::new(),
        String::new(),
    ]);
    let (mut passed, mut failures) = (Duration::ZERO, BTreeMap::new());
    while passed < length {
        let part = MINUTE.min(length - passed);
        let (taken, cpu) = product.load(&check, rate, part).await?;
        passed += part;
        let mut found = Found::default();
        found.add(&taken, cpu, &mut failures);
        found.look(product.process())?;
        let [p50, p99, max, cpu] = found.medians();
        say(format_args!("admission: {passed:?}: resident {}, p99 {}", mib(found.resident), ms(p99)));
        table.row([
            format!("{} s", passed.as_secs()),
            mib(found.resident),
            mib(found.peak),
            ms(p50),
            ms(p99),
            ms(max),
            found.failed.to_string(),
            format!("{cpu:.0} ms"),
        ]);
    }
    product.webhook.end().await?;
    let title = format!("admission of {rate} Pods a second, {objects} CloneSets stored");
    let command = format!("admission --flat {}s --rates {rate} --objects {objects}", length.as_secs());
    bench.show(&title, &table, &command);
    ensure!(failures.is_empty(), "requests failed: {failures:?}");
    Ok(())
}

fn listed(numbers: &[u32]) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

fn ms(value: f64) -> String {
    format!("{value:.2} ms")
}

fn mib(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}

fn times(one: Option<&f64>, other: Option<&f64>) -> String {
    one.zip(other).map(|(one, other)| format!("{:.2} x", one / other)).unwrap_or_default()
}
