//! The processes of the manager: the real one, over a network that fails. One that dies is started again, as a kubelet
//! would.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use kruise_manager::args::Args;
use kruise_manager::replica::Replica;
use parking_lot::Mutex;
use runtime::ambient::{Ambient, Chance};
use runtime::client::Connection;
use runtime::clock;
use runtime::flags::Limits;
use runtime::leader;
use runtime::shutdown::Shutdown;
use serde_json::Value;

use crate::counts::Counts;
use crate::link::{Link, Shown, Wire};
use crate::server::Server;

/// How callers that are managers begin.
pub const CALLER: &str = "kruise-manager-";
/// Namespace and name of the Lease.
const LEASE: (&str, &str) = ("kruise-system", "kruise-manager");
/// The longest time until a process that ended is started again.
const LONGEST_RESTART: Duration = Duration::from_secs(5);

/// All processes, dead ones replaced by their successors; clones share them.
#[derive(Clone)]
pub struct Replicas {
    inner: Arc<Inner>,
}

struct Inner {
    wire: Wire,
    flags: Vec<String>,
    ambient: Ambient,
    links: Mutex<BTreeMap<usize, Link>>,
}

impl Replicas {
    /// None yet; `flags` are those of the manager.
    #[must_use]
    pub fn new(server: Server, flags: Vec<String>, ambient: Ambient, counts: Counts, shown: Shown) -> Self {
        let (wire, links) = (Wire { server, counts, shown, outage: Arc::default() }, Mutex::default());
        Self { inner: Arc::new(Inner { wire, flags, ambient, links }) }
    }

    /// Starts one, and another in its place whenever it has ended.
    ///
    /// # Errors
    /// The manager does not take the flags.
    pub fn start(&self) -> anyhow::Result<()> {
        let slot = self.inner.links.lock().len();
        // Once here, so that wrong flags end the run instead of every process.
        self.args()?;
        let first = self.link(slot, 0)?;
        self.inner.links.lock().insert(slot, first);
        let this = self.clone();
        tokio::spawn(async move {
            let mut run = 0;
            loop {
                let Some(link) = this.inner.links.lock().get(&slot).cloned() else { return };
                this.live(link).await;
                tokio::time::sleep(LONGEST_RESTART.mul_f64(this.inner.ambient.chance.fraction())).await;
                run += 1;
                let Ok(next) = this.link(slot, run) else { return };
                this.inner.links.lock().insert(slot, next);
            }
        });
        Ok(())
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.inner.links.lock().len()
    }

    /// Lets nothing through to any of them, or from them, for this time.
    pub fn cut_off(&self, time: Duration) {
        *self.inner.wire.outage.lock() = Some(clock::instant() + time);
    }

    /// All faults of their networks end.
    pub fn heal(&self) {
        *self.inner.wire.outage.lock() = None;
        self.links().iter().for_each(Link::heal);
    }

    /// The networks of all processes.
    #[must_use]
    pub fn links(&self) -> Vec<Link> {
        self.inner.links.lock().values().cloned().collect()
    }

    /// The network of the one that holds the Lease, or else of the first.
    #[must_use]
    pub fn leader(&self) -> Option<Link> {
        let holder = self.holder();
        let links = self.inner.links.lock();
        links.values().find(|link| Some(link.caller()) == holder.as_deref()).or_else(|| links.values().next()).cloned()
    }

    /// Who holds the Lease.
    #[must_use]
    pub fn holder(&self) -> Option<String> {
        let lease = self.inner.wire.server.get("leases.coordination.k8s.io", LEASE.0, LEASE.1)?;
        lease.pointer("/spec/holderIdentity").and_then(Value::as_str).map(str::to_owned)
    }

    /// One process from its start to its end.
    async fn live(&self, link: Link) {
        let ended = {
            let run = self.run(&link);
            tokio::select! {
                biased;
                () = link.died() => None,
                ended = run => Some(ended),
            }
        };
        if let Some(ended) = ended {
            let why = ended.err().map_or_else(String::new, |err| format!("{err:#}"));
            self.inner.wire.counts.log(&format!("{} ended: {why}", link.caller()), String::new);
            self.inner.wire.counts.add("processes that lost their Lease");
        }
        // Whatever it has left behind does nothing more.
        link.die();
    }

    async fn run(&self, link: &Link) -> anyhow::Result<()> {
        let args = self.args()?;
        let gates = args.gates.gates().context("--feature-gates")?;
        let Ambient { clock, chance } = self.inner.ambient.clone();
        let replica = Replica {
            gates,
            // Without a rate limit of its own: what is awaited is virtual time only.
            connection: Connection::over(link.client(), Limits { qps: 0, burst: 0 }),
            election: Some(self.election(&args, link.caller())?),
            ambient: Ambient { clock, chance: Chance::seeded(chance.number()) },
            args,
        };
        replica.run(async {}, Shutdown::manual()).await
    }

    fn link(&self, slot: usize, run: u32) -> anyhow::Result<Link> {
        let caller = format!("{CALLER}{slot}-{run}");
        let patience = self.election(&self.args()?, &caller)?.write_timeout();
        let chance = Chance::seeded(self.inner.ambient.chance.number());
        Ok(Link::new(self.inner.wire.clone(), &caller, patience, chance))
    }

    fn args(&self) -> anyhow::Result<Args> {
        let flags = std::iter::once("kruise-manager").chain(self.inner.flags.iter().map(String::as_str));
        Args::try_parse_from(flags).context("flags of the manager")
    }

    /// As the flags say, under a name that no chance is needed for.
    fn election(&self, args: &Args, identity: &str) -> anyhow::Result<leader::Config> {
        let mut config = leader::Config::from_args(&args.leader, LEASE.0)?;
        identity.clone_into(&mut config.identity);
        Ok(config)
    }
}
