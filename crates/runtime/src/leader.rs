//! Leader election over a Lease, compatible with client-go's in both directions (PL-10, PL-11, IN-52).
//!
//! The rules are in `election.rs`. A leader that cannot renew within the deadline has lost, whatever the API server says
//! later; a process that lost must end, see [`Leadership::lost`]. At the end of the process the Lease is released as
//! soon as the writes under way are done, so the next leader need not wait.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use anyhow::Context;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::PostParams;
use kube::{Api, Client};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use rules::write::Severity;
use tokio::sync::{OwnedRwLockReadGuard, RwLock, watch};
use tracing::{debug, error, info, warn};

use crate::ambient::Ambient;
use crate::events::{Recorder, Reference};
use crate::shutdown::Shutdown;
use crate::{client, clock, metrics};

mod config;
mod election;

pub use config::{Config, identity};
use election::{Election, Step};

/// How long a write may take where no Lease limits it: the API server itself gives webhooks up to 30 s.
pub(crate) const LONGEST_WRITE: Duration = Duration::from_secs(34);

/// Where this process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Another replica leads, or nobody does yet.
    Waiting,
    /// This replica leads until this time, unless it renews.
    Leading { until: Instant },
    /// It led, or waited, and will never lead again.
    Over(End),
}

/// Why a process does not lead any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Lost,
    Released,
}

/// Whether this process may write; clones share it.
#[derive(Clone, Debug)]
pub struct Leadership {
    standing: watch::Receiver<Standing>,
    write_timeout: Duration,
    /// Readers are writes under way; the elector takes it for itself before it releases the Lease.
    writes: Arc<RwLock<()>>,
}

/// Allows one write; the Lease is not released while it lives.
#[must_use = "allows a write only while it lives"]
#[derive(Debug)]
pub struct Permit {
    _guard: Option<OwnedRwLockReadGuard<()>>,
}

impl Leadership {
    /// Leadership that is always held: election is switched off.
    #[must_use]
    pub fn always() -> Self {
        // Without a sender the standing stays as it is. A century is beyond any process.
        let now = clock::instant();
        let until = now.checked_add(Duration::from_hours(24 * 365 * 100)).unwrap_or(now);
        let standing = watch::channel(Standing::Leading { until }).1;
        Self { standing, write_timeout: LONGEST_WRITE, writes: Arc::default() }
    }

    /// Leadership that is over, for tests of those who ask.
    #[cfg(test)]
    pub(crate) fn over_already() -> Self {
        Self { standing: watch::channel(Standing::Over(End::Lost)).1, ..Self::always() }
    }

    /// Whether this process leads now.
    #[must_use]
    pub fn is_held(&self) -> bool {
        matches!(*self.standing.borrow(), Standing::Leading { until } if clock::instant() < until)
    }

    /// How long a write may take from the moment at which its permit was given.
    #[must_use]
    pub fn write_timeout(&self) -> Duration {
        self.write_timeout
    }

    /// Permission for one write, if this process leads now.
    #[must_use]
    pub fn permit(&self) -> Option<Permit> {
        let guard = Arc::clone(&self.writes).try_read_owned().ok()?;
        self.is_held().then_some(Permit { _guard: Some(guard) })
    }

    /// Returns once this process leads: true; or once it never will: false.
    pub async fn acquired(&self) -> bool {
        let mut standing = self.standing.clone();
        let settled = standing.wait_for(|standing| !matches!(standing, Standing::Waiting)).await;
        matches!(settled.as_deref(), Ok(Standing::Leading { .. }))
    }

    /// Returns when leadership was lost to a missed renewal: the process must end (PL-10). Never returns otherwise,
    /// not after a release either.
    pub async fn lost(&self) {
        let mut standing = self.standing.clone();
        if standing.wait_for(|standing| *standing == Standing::Over(End::Lost)).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Returns once leadership is over, lost or released: a process may exit then.
    pub async fn over(&self) {
        let mut standing = self.standing.clone();
        // An error means that the elector is gone, or never was.
        let _ = standing.wait_for(|standing| matches!(standing, Standing::Over(_))).await;
    }
}

/// Stands for election until the end is asked for, then releases the Lease. Returns at once.
#[must_use]
pub fn run(client: Client, config: Config, recorder: &Recorder, ambient: Ambient, shutdown: Shutdown) -> Leadership {
    let (tell, standing) = watch::channel(Standing::Waiting);
    let leadership = Leadership { standing, write_timeout: config.write_timeout(), writes: Arc::default() };
    let elector = Elector {
        leases: Api::namespaced(client, &config.namespace),
        election: Election::new(config.clone()),
        recorder: recorder.with_component(&config.identity),
        writes: Arc::clone(&leadership.writes),
        gauges: Gauges::of(&config.name),
        config,
        ambient,
        tell,
    };
    tokio::spawn(elector.run(shutdown));
    leadership
}

struct Elector {
    leases: Api<Lease>,
    election: Election,
    config: Config,
    ambient: Ambient,
    recorder: Recorder,
    writes: Arc<RwLock<()>>,
    gauges: Gauges,
    tell: watch::Sender<Standing>,
}

impl Elector {
    async fn run(mut self, shutdown: Shutdown) {
        self.gauges.set(false);
        loop {
            tokio::select! {
                biased;
                // An attempt that is broken off may have been carried out: the Lease is given back then too.
                () = shutdown.requested() => return self.release(true).await,
                () = self.attempt_until_deadline() => {}
            }
            if matches!(*self.tell.borrow(), Standing::Over(_)) {
                return;
            }
            tokio::select! {
                biased;
                () = shutdown.requested() => return self.release(false).await,
                () = self.deadline() => self.lose(),
                () = tokio::time::sleep(self.pause()) => {}
            }
        }
    }

    /// Leaders renew at an even pace; those who wait spread out, so they do not all come at once.
    fn pause(&self) -> Duration {
        match *self.tell.borrow() {
            Standing::Leading { .. } => self.config.retry_period,
            Standing::Waiting | Standing::Over(_) => self.ambient.chance.stretched(self.config.retry_period, 0.2),
        }
    }

    /// Returns when a leader's time is over without a renewal.
    async fn deadline(&self) {
        let standing = *self.tell.borrow();
        match standing {
            Standing::Leading { until } => tokio::time::sleep_until(until.into()).await,
            Standing::Waiting | Standing::Over(_) => std::future::pending().await,
        }
    }

    /// One attempt. A leader's ends with its time, whether or not the API server has answered.
    async fn attempt_until_deadline(&mut self) {
        let standing = *self.tell.borrow();
        // Half, so that one request without an answer leaves time for another.
        let limit = clock::instant() + self.config.renew_deadline / 2;
        let limit = match standing {
            Standing::Leading { until } => until.min(limit),
            Standing::Waiting | Standing::Over(_) => limit,
        };
        match tokio::time::timeout_at(limit.into(), self.attempt()).await {
            Ok(Ok(Some(sent))) => self.lead(sent),
            Ok(Ok(None)) => {
                if matches!(standing, Standing::Leading { .. }) {
                    // Somebody else holds the Lease: it was taken while we could not renew.
                    self.lose();
                }
            }
            Ok(Err(err)) => warn!(err = format!("{err:#}"), "leader election failed, try again"),
            Err(_) => warn!("leader election got no answer in time"),
        }
        if matches!(standing, Standing::Leading { until } if clock::instant() >= until) && !self.is_leading() {
            self.lose();
        }
    }

    fn is_leading(&self) -> bool {
        matches!(*self.tell.borrow(), Standing::Leading { until } if clock::instant() < until)
    }

    /// Reads the Lease and writes it if it is ours or free. Returns when the successful write was sent: leadership
    /// counts from then, as others count from when they see it, which is later.
    async fn attempt(&mut self) -> anyhow::Result<Option<Instant>> {
        let live = self.leases.get_opt(&self.config.name).await.map_err(worded).context("cannot read lease")?;
        let step = self.election.step(live, clock::instant(), self.ambient.clock.now());
        let sent = clock::instant();
        let lease = match step {
            Step::Wait { holder } => {
                debug!(holder, "another replica leads");
                return Ok(None);
            }
            Step::Create(lease) => self.leases.create(&PostParams::default(), &lease).await,
            Step::Replace(lease) => self.leases.replace(&self.config.name, &PostParams::default(), &lease).await,
        };
        self.election.saw(&lease.map_err(worded).context("cannot write lease")?, clock::instant());
        Ok(Some(sent))
    }

    fn lead(&mut self, sent: Instant) {
        let until = sent + self.config.renew_deadline;
        let before = self.tell.send_replace(Standing::Leading { until });
        if before == Standing::Waiting {
            self.gauges.set(true);
            info!(lease = %self.lease(), identity = self.config.identity, "lead");
            self.event("became leader");
        }
    }

    fn lose(&mut self) {
        if matches!(self.tell.send_replace(Standing::Over(End::Lost)), Standing::Over(_)) {
            return;
        }
        self.gauges.set(false);
        error!(lease = %self.lease(), identity = self.config.identity, "lost leadership, the process must end");
        self.event("stopped leading");
    }

    /// No new write from now on; those under way end; then the Lease is free at once (IN-52).
    async fn release(self, may_hold: bool) {
        let led = matches!(self.tell.send_replace(Standing::Waiting), Standing::Leading { .. });
        self.gauges.set(false);
        if led || may_hold {
            // Longer than any write takes.
            let wait = self.config.promised().saturating_sub(self.config.renew_deadline);
            let quiet = tokio::time::timeout(wait, Arc::clone(&self.writes).write_owned()).await;
            if quiet.is_err() {
                warn!("writes are still under way, leave the lease to expire");
            } else {
                match tokio::time::timeout(wait, self.give_back()).await.unwrap_or_else(|err| Err(err.into())) {
                    Ok(true) => {
                        info!(lease = %self.lease(), "released lease");
                        self.event("stopped leading");
                    }
                    Ok(false) => debug!(lease = %self.lease(), "lease is not ours"),
                    Err(err) => warn!(err = format!("{err:#}"), "cannot release lease, it will expire"),
                }
            }
        }
        self.tell.send_replace(Standing::Over(End::Released));
    }

    /// Whether the Lease was ours.
    async fn give_back(&self) -> anyhow::Result<bool> {
        let Some(live) = self.leases.get_opt(&self.config.name).await.map_err(worded)? else { return Ok(false) };
        let Some(lease) = self.election.released(live, self.ambient.clock.now()) else { return Ok(false) };
        self.leases.replace(&self.config.name, &PostParams::default(), &lease).await.map_err(worded)?;
        Ok(true)
    }

    fn lease(&self) -> String {
        format!("{}/{}", self.config.namespace, self.config.name)
    }

    fn event(&self, what: &str) {
        let about = Reference {
            api_version: "coordination.k8s.io/v1".to_owned(),
            kind: "Lease".to_owned(),
            namespace: self.config.namespace.clone(),
            name: self.config.name.clone(),
            uid: self.election.uid().unwrap_or_default().to_owned(),
        };
        let message = format!("{} {what}", self.config.identity);
        self.recorder.record(&about, Severity::Normal, "LeaderElection", &message);
    }
}

fn worded(err: kube::Error) -> anyhow::Error {
    anyhow::anyhow!(client::words(&err))
}

/// Both gauges show the same (PL-11).
struct Gauges {
    own: Gauge,
    general: Gauge,
}

type ByName = Vec<(&'static str, String)>;

static OWN: LazyLock<Gauge> = LazyLock::new(|| {
    let gauge = Gauge::default();
    metrics::registry().register("kruise_manager_is_leader", "Whether this replica leads", gauge.clone());
    gauge
});
static GENERAL: LazyLock<Family<ByName, Gauge>> = LazyLock::new(|| {
    metrics::gauges("leader_election_master_status", "Whether this replica holds the lease of that name")
});
impl Gauges {
    fn of(name: &str) -> Self {
        let label = vec![("name", name.to_owned())];
        Self { own: OWN.clone(), general: GENERAL.get_or_create_owned(&label) }
    }

    fn set(&self, leads: bool) {
        self.own.set(i64::from(leads));
        self.general.set(i64::from(leads));
    }
}

#[cfg(test)]
mod tests;
