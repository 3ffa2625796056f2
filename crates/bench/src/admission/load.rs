//! Load as kube-apiserver makes it: HTTP/1.1 over TLS, on connections that are kept and opened as requests need them;
//! requests at fixed times whatever becomes of those before (open loop). Latency counts from the time at which a request
//! was due, so that a stall shows in every request that fell into it.
//!
//! A thread of its own keeps the time: the timer of the runtime counts in whole milliseconds, which is all the time
//! there is between two requests at 1,000 a second.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use webhook::certs::material::{certificates, provider};

use super::check::{Check, Expected};

/// Connections that are kept while nothing is asked.
const KEPT: usize = 25;
/// The time-out that the API server gives a request, as it stands in the address.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A server under load.
#[derive(Clone)]
pub(crate) struct Target {
    address: SocketAddr,
    tls: TlsConnector,
    idle: Arc<Mutex<Vec<SendRequest<Full<Bytes>>>>>,
    expected: Expected,
}

impl Target {
    /// Opens the first connection.
    pub(crate) async fn connect(address: SocketAddr, authority: &[u8], expected: Expected) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates(authority));
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let tls = TlsConnector::from(Arc::new(config));
        let target = Self { address, tls, idle: Arc::default(), expected };
        let first = target.open().await?;
        target.idle.lock().push(first);
        Ok(target)
    }

    async fn open(&self) -> Result<SendRequest<Full<Bytes>>> {
        let address = self.address;
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        let stream = self.tls.connect(ServerName::from(address.ip()), stream).await.context("TLS")?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    /// A connection that nobody uses, the one that was used last; a new one where all are in use.
    async fn connection(&self) -> Result<SendRequest<Full<Bytes>>> {
        loop {
            let Some(mut kept) = self.idle.lock().pop() else { return self.open().await };
            if kept.ready().await.is_ok() {
                return Ok(kept);
            }
        }
    }

    /// Asks one question; returns when it was answered, and says what is wrong with the answer.
    async fn ask(&self, nth: u64, due: Instant, check: &Check) -> (Instant, Result<(), String>) {
        let uid = format!("{:08x}-5d2f-4c4e-9b1a-{:012x}", nth >> 16, nth);
        let (which, text) = check.question(nth, &uid);
        let answered = async {
            let mut connection = self.connection().await.map_err(|err| format!("{err:#}"))?;
            let request = Request::post("/mutate-pod?timeout=10s")
                .header(header::HOST, self.address.to_string())
                .header(header::ACCEPT, "application/json, */*")
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::USER_AGENT, "kube-apiserver-admission")
                .body(Full::new(Bytes::from(text)))
                .map_err(|err| err.to_string())?;
            let response = connection.send_request(request).await.map_err(|err| err.to_string())?;
            let status = response.status();
            let body = response.into_body().collect().await.map_err(|err| err.to_string())?.to_bytes();
            let at = Instant::now();
            let mut idle = self.idle.lock();
            if idle.len() < KEPT {
                idle.push(connection);
            }
            drop(idle);
            if status != http::StatusCode::OK {
                return Err(format!("HTTP {status}"));
            }
            Ok::<_, String>((at, body))
        };
        let deadline = tokio::time::Instant::from_std(due + TIMEOUT);
        match tokio::time::timeout_at(deadline, answered).await {
            Ok(Ok((at, body))) => (at, check.answer(which, &uid, &body, self.expected)),
            Ok(Err(err)) => (Instant::now(), Err(err)),
            Err(_) => (Instant::now(), Err("time-out".to_owned())),
        }
    }
}

/// What came of the requests to one target.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Latencies of those that were answered rightly, ascending.
    latencies: Vec<Duration>,
    /// How late requests were sent: what the load generator itself adds.
    lateness: Vec<Duration>,
    /// How many others there were, by what was wrong.
    pub(crate) failures: BTreeMap<String, u64>,
    /// From the first request to the last answer.
    took: Duration,
}

impl Taken {
    /// The latency that this part of the requests did not exceed, in milliseconds.
    pub(crate) fn quantile(&self, part: f64) -> f64 {
        quantile(&self.latencies, part)
    }

    /// The same of how late requests were sent.
    pub(crate) fn late(&self, part: f64) -> f64 {
        quantile(&self.lateness, part)
    }

    /// Requests.
    pub(crate) fn count(&self) -> usize {
        self.lateness.len()
    }

    /// Failures.
    pub(crate) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Right answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }
}

fn quantile(ascending: &[Duration], part: f64) -> f64 {
    let last = ascending.len().saturating_sub(1);
    let at = (last as f64 * part).round() as usize;
    ascending.get(at).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
}

/// When requests are due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Requests a second to each target.
    pub(crate) rate: u32,
    /// For how long; until told otherwise where there is none.
    pub(crate) duration: Option<Duration>,
}

/// Ends a load that has no end.
#[derive(Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// No request is due from now on.
    pub(crate) fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A load on targets in turn: each gets the rate of the pace, evenly between those of the others.
pub(crate) async fn load(targets: &[Target], check: &Arc<Check>, pace: Pace, stop: &Stop) -> Result<Vec<Taken>> {
    let mut due = clock(targets.len(), pace, Arc::clone(&stop.0))?;
    let mut taken: Vec<Taken> = targets.iter().map(|_| Taken::default()).collect();
    let mut asked = JoinSet::new();
    let begun = Instant::now();
    while let Some((nth, at)) = due.recv().await {
        let which = (nth % targets.len().max(1) as u64) as usize;
        let Some(target) = targets.get(which) else { break };
        let (target, check) = (target.clone(), Arc::clone(check));
        // Of each target the questions go around by themselves.
        let nth = nth / targets.len().max(1) as u64;
        asked.spawn(async move {
            let late = at.elapsed();
            let (answered, outcome) = target.ask(nth, at, &check).await;
            Asked { which, late, latency: answered.saturating_duration_since(at), outcome }
        });
        while let Some(done) = asked.try_join_next() {
            note(&mut taken, done?);
        }
    }
    while let Some(done) = asked.join_next().await {
        note(&mut taken, done?);
    }
    for taken in &mut taken {
        taken.took = begun.elapsed();
        taken.latencies.sort_unstable();
        taken.lateness.sort_unstable();
    }
    Ok(taken)
}

/// One request, done.
struct Asked {
    which: usize,
    late: Duration,
    latency: Duration,
    outcome: Result<(), String>,
}

fn note(taken: &mut [Taken], asked: Asked) {
    let Some(taken) = taken.get_mut(asked.which) else { return };
    taken.lateness.push(asked.late);
    match asked.outcome {
        Ok(()) => taken.latencies.push(asked.latency),
        Err(wrong) => *taken.failures.entry(wrong).or_default() += 1,
    }
}

/// Says number and time of each request, when it is due.
fn clock(targets: usize, pace: Pace, stopped: Arc<AtomicBool>) -> Result<mpsc::UnboundedReceiver<(u64, Instant)>> {
    let (tell, due) = mpsc::unbounded_channel();
    let gap = Duration::from_secs(1) / pace.rate.max(1) / u32::try_from(targets.max(1))?;
    let keep = move || {
        let begun = Instant::now();
        let end = pace.duration.map(|duration| begun + duration);
        let mut at = begun;
        for nth in 0.. {
            if end.is_some_and(|end| at >= end) || stopped.load(Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            if tell.send((nth, at)).is_err() {
                return;
            }
            at += gap;
        }
    };
    std::thread::Builder::new().name("clock".to_owned()).spawn(keep).context("cannot start a thread")?;
    Ok(due)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_sorted_latencies() {
        let hundred: Vec<Duration> = (0..=100).map(Duration::from_millis).collect();
        assert_eq!((quantile(&hundred, 0.5), quantile(&hundred, 0.99), quantile(&hundred, 1.0)), (50.0, 99.0, 100.0));
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[tokio::test]
    async fn requests_are_due_at_fixed_times_whether_or_not_somebody_takes_them() {
        let pace = Pace { rate: 1_000, duration: Some(Duration::from_millis(10)) };
        let mut due = clock(2, pace, Arc::default()).unwrap();
        let mut all = Vec::new();
        while let Some(one) = due.recv().await {
            all.push(one);
        }
        assert_eq!(all.len(), 20);
        assert!(all.windows(2).all(|pair| pair[1].1 - pair[0].1 == Duration::from_micros(500)));
    }

    #[tokio::test]
    async fn a_load_without_end_ends_when_it_is_told() {
        let stop = Stop::default();
        let mut due = clock(1, Pace { rate: 1_000, duration: None }, Arc::clone(&stop.0)).unwrap();
        assert!(due.recv().await.is_some());
        stop.now();
        while due.recv().await.is_some() {}
    }
}
