//! One history from beginning to end: the cluster, the managers, the users, and what became of what was promised.
//!
//! Time is tokio's, paused: it goes on only when nobody has anything left to do, so a history takes as long as its
//! work. When the steps are done all faults end, and the cluster has to come to rest as its specs want it; then a
//! manager that starts anew must find nothing to write.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use parking_lot::Mutex;
use runtime::ambient::Ambient;
use runtime::clock::{self, Clock};
use runtime::gates::Gates;
use serde_json::Value;
use webhook::admission::protection::ProtectionLog;
use webhook::admission::{Desk, Privileged};
use webhook::caches::Caches;

use crate::actors::Actors;
use crate::check::{Checker, Violation};
use crate::counts::Counts;
use crate::nature::Nature;
use crate::panics;
use crate::replica::{CALLER, Replicas};
use crate::script::{History, Step};
use crate::server::Server;
use crate::server::admission::Webhook;
use crate::server::call::Written;
use crate::user::User;

/// The first moment of every history.
const BEGINNING: Timestamp = Timestamp::constant(1_767_225_600, 0);
/// Nodes of the cluster.
pub(crate) const NODES: usize = 3;
/// Without a write of a manager for this long, the cluster is at rest.
const REST: Duration = Duration::from_secs(20);
/// When the cluster must be at rest after the last fault: an expectation that is never met is looked into after five
/// minutes, and failures back off up to 16 minutes.
const LONGEST_SETTLING: Duration = Duration::from_secs(45 * 60);
/// How long a manager that starts anew is watched: it leads once the Lease of its predecessor has run out.
const SECOND_LOOK: Duration = Duration::from_secs(40);

/// The product's definitions; made once, as a history costs less than they do.
static DEFINITIONS: LazyLock<Vec<CustomResourceDefinition>> = LazyLock::new(api::crds);

/// How long a manager may act on what it saw before, where no request fails or waits.
const QUICK: SignedDuration = SignedDuration::from_secs(2);

/// How a history is run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Flags of the manager.
    pub flags: Vec<String>,
    /// Whether the log of requests is kept.
    pub keep_log: bool,
}

/// What became of a history.
#[derive(Debug)]
pub struct Outcome {
    /// The first promise that was broken.
    pub violation: Option<Violation>,
    /// What happened, by name.
    pub numbers: std::collections::BTreeMap<&'static str, u64>,
    /// Of all requests and answers.
    pub digest: u64,
    /// The log, if it was to be kept.
    pub log: Vec<String>,
    /// How long it lasted, in the cluster's time.
    pub lasted: Duration,
}

/// Runs a history on this thread.
///
/// # Errors
/// The simulation itself cannot go on: its parts do not fit each other.
pub fn run(history: &History, options: &Options) -> anyhow::Result<Outcome> {
    // kube's own back-off draws from here.
    fastrand::seed(history.seed);
    panics::forget();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(play(history, options))
}

async fn play(history: &History, options: &Options) -> anyhow::Result<Outcome> {
    let begun = clock::instant();
    let world = World::new(history, options)?;
    let user = User { server: world.server.clone(), replicas: world.replicas.clone(), nature: world.nature.clone() };
    let mut failed = None;
    for step in &history.steps {
        world.counts.log(&format!("{} step {step}", world.clock.now()), String::new);
        user.play(step).await;
        failed = world.first_violation();
        if failed.is_some() {
            break;
        }
    }
    if failed.is_none() {
        failed = world.end().await;
    }
    Ok(Outcome {
        violation: failed,
        numbers: world.counts.numbers(),
        digest: world.counts.digest(),
        log: world.counts.lines(),
        lasted: clock::instant().saturating_duration_since(begun),
    })
}

struct World {
    server: Server,
    clock: Clock,
    replicas: Replicas,
    nature: Nature,
    checker: Arc<Mutex<Checker>>,
    counts: Counts,
    /// When a manager wrote last, but for Leases and events.
    last_write: Arc<Mutex<std::time::Instant>>,
}

impl World {
    fn new(history: &History, options: &Options) -> anyhow::Result<Self> {
        let ambient = Ambient::simulated(BEGINNING, history.seed);
        let Ambient { clock, chance } = ambient.clone();
        let counts = if options.keep_log { Counts::with_lines() } else { Counts::default() };
        let server = Server::new(clock.clone(), chance.number());
        for crd in &*DEFINITIONS {
            server.install(crd).map_err(|failure| anyhow::anyhow!("install a definition: {}", failure.message))?;
        }
        let desk = Desk {
            gates: Gates::default(),
            privileged: Privileged::Accepted,
            client: server.client("kruise-webhook"),
            caches: Caches::default(),
            protection_log: ProtectionLog::to(std::io::sink()),
        };
        server.set_admission(Arc::new(Webhook::new(Arc::new(desk))));
        let mut checker = Checker::new(is_manager);
        if !history.steps.iter().any(Step::disturbs_requests) {
            checker = checker.with_grace(QUICK);
        }
        let checker = Arc::new(Mutex::new(checker));
        let nature = Nature::start(Actors::new(chance.number(), NODES), server.clone(), clock.clone());
        let last_write = Arc::new(Mutex::new(clock::instant()));
        server.on_write(Box::new({
            let (checker, counts, nature, last_write) =
                (Arc::clone(&checker), counts.clone(), nature.clone(), Arc::clone(&last_write));
            move |written: &Written| {
                counts.saw(written);
                let Written { at, caller, verb, resource, subresource, name, version, .. } = written;
                counts.log(&format!("{at} {caller} {verb:?} {resource}/{name} {subresource} -> {version}"), || {
                    change(written)
                });
                checker.lock().saw(written);
                nature.saw(written);
                if changes_hands(written) {
                    counts.add("changes of leader");
                }
                if is_manager(caller) && is_work(resource) {
                    counts.add("writes of managers");
                    *last_write.lock() = clock::instant();
                }
            }
        }));
        let shown: crate::link::Shown = Arc::new({
            let (checker, clock) = (Arc::clone(&checker), clock.clone());
            move |caller: &str, resource: &str, version: u64| {
                checker.lock().shown(clock.now(), caller, resource, version);
            }
        });
        let replicas = Replicas::new(server.clone(), options.flags.clone(), ambient, counts.clone(), shown);
        replicas.start()?;
        Ok(Self { server, clock, replicas, nature, checker, counts, last_write })
    }

    fn first_violation(&self) -> Option<Violation> {
        if let Some(refusal) = self.nature.refusals().first() {
            return Some(self.violation("the simulation plays by the rules", format!("{refusal:?}")));
        }
        if let Some(panic) = panics::first() {
            return Some(self.violation("nothing panics", panic));
        }
        self.checker.lock().violations().first().cloned()
    }

    /// Faults end; the cluster comes to rest, and a manager that looks anew leaves it alone.
    async fn end(&self) -> Option<Violation> {
        self.counts.log(&format!("{} faults end", self.clock.now()), String::new);
        self.replicas.heal();
        self.nature.heal();
        let limit = clock::instant() + LONGEST_SETTLING;
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            if let Some(violation) = self.first_violation() {
                return Some(violation);
            }
            let unsettled = self.checker.lock().unsettled();
            match unsettled {
                None if self.quiet_for() >= REST => break,
                Some(missing) if clock::instant() >= limit => return Some(self.violation("converges", missing)),
                None if clock::instant() >= limit => {
                    return Some(self.violation("converges", "managers go on writing".to_owned()));
                }
                _ => {}
            }
        }
        self.second_look().await
    }

    async fn second_look(&self) -> Option<Violation> {
        self.counts.log(&format!("{} managers start anew", self.clock.now()), String::new);
        self.replicas.links().iter().for_each(crate::link::Link::die);
        let (before, led) = (clock::instant(), self.replicas.holder());
        tokio::time::sleep(SECOND_LOOK).await;
        if let Some(violation) = self.first_violation() {
            return Some(violation);
        }
        if self.replicas.holder() == led {
            return Some(self.violation("a successor leads", format!("{led:?} is dead and still holds the Lease")));
        }
        if *self.last_write.lock() > before {
            let what = "a manager that starts anew writes, though all is as the specs want it";
            return Some(self.violation("planning again gives no writes", what.to_owned()));
        }
        None
    }

    fn quiet_for(&self) -> Duration {
        clock::instant().saturating_duration_since(*self.last_write.lock())
    }

    fn violation(&self, rule: &'static str, text: String) -> Violation {
        Violation { at: self.clock.now(), rule, text }
    }
}

/// What a write did, as JSON patch.
fn change(written: &Written) -> String {
    let whole = |object: &Option<Arc<Value>>| object.as_ref().map_or(Value::Null, |object| (**object).clone());
    let patch = json_patch::diff(&whole(&written.before), &whole(&written.after));
    serde_json::to_string(&patch).map(|patch| format!(" {patch}")).unwrap_or_default()
}

/// Whether another process holds the Lease now.
fn changes_hands(written: &Written) -> bool {
    let holder =
        |object: &Option<Arc<Value>>| Some(object.as_ref()?.pointer("/spec/holderIdentity")?.as_str()?.to_owned());
    !is_work(&written.resource) && written.before.is_some() && holder(&written.before) != holder(&written.after)
}

fn is_manager(caller: &str) -> bool {
    caller.starts_with(CALLER)
}

/// Whether a write to this resource is work on workloads, and no sign of life or report.
fn is_work(resource: &str) -> bool {
    !matches!(resource, "leases.coordination.k8s.io" | "events")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(seed: u64) -> History {
        let text = include_str!("../histories/killed-while-creating.txt");
        History { seed, ..text.parse().unwrap() }
    }

    #[test]
    fn the_same_seed_gives_the_same_requests_and_answers_and_another_seed_gives_others() {
        let digest = |seed| {
            let outcome = run(&history(seed), &Options::default()).unwrap();
            assert_eq!(outcome.violation, None);
            outcome.digest
        };
        assert_eq!(digest(1), digest(1));
        assert_ne!(digest(1), digest(2));
    }

    #[test]
    fn a_history_that_does_not_come_to_rest_breaks_a_promise() {
        // An image that nobody can pull: the Pod is never available.
        let text = "seed 1\ncreate CloneSet web {\"spec\":{\"replicas\":1,\"selector\":{\"matchLabels\":{\"app\":\"web\"}},\
            \"template\":{\"metadata\":{\"labels\":{\"app\":\"web\"}},\"spec\":{\"containers\":[{\"name\":\"main\",\
            \"image\":\"unpullable:v1\"}]}}}}\n";
        let violation = run(&text.parse().unwrap(), &Options::default()).unwrap().violation.unwrap();
        assert_eq!(violation.rule, "converges");
    }
}
