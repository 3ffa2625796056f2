//! A constant stream of Pod creations by people who have nothing to do with what goes on, and what became of each.
//!
//! Most are dry runs, which go through admission like any creation; some are stored and deleted again. A creation that
//! fails was turned away, whoever is to blame: the API server stays up in every scenario that has visitors. A Pod of ours
//! that comes back without the readiness gate (PR-1) slipped past admission, which is as bad and shows nowhere else.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use api::keys;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use super::PATIENCE;
use crate::progress::answer;
use crate::wait::{self, Seen};

/// Streams side by side: while one creation hangs, the others go on and show how long that lasts.
const STREAMS: u32 = 5;
/// Pace of one stream; all together make fifty visitors a second.
const PACE: Duration = Duration::from_millis(100);
/// One of so many visitors is stored, and deleted again.
const STORED: u64 = 25;
/// How many errors are kept; all are counted.
const KEPT: usize = 20;

/// Who comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Care {
    /// Nobody may be turned away.
    Refusals,
    /// Besides, each Pod of ours must get its readiness gate.
    RefusalsAndGates,
}

/// What became of the visitors.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Creations that were tried.
    pub came: u64,
    /// Those of Pods that a CloneSet owns.
    pub ours: u64,
    /// Those that were stored.
    pub stored: u64,
    /// Creations and deletions that failed.
    pub refused: u64,
    /// Pods of ours that were created without the readiness gate although admission was on.
    pub skipped: u64,
    /// The longest time that one of them took.
    pub longest: Duration,
    /// The first errors.
    pub errors: Vec<String>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { came, ours, stored, refused, skipped, longest, errors: _ } = self;
        write!(
            f,
            "{came} creations ({ours} of our own, {stored} stored): {refused} refused, {skipped} skipped, longest {} ms",
            longest.as_millis()
        )
    }
}

impl Tally {
    /// Prints what was counted, and fails unless at least `least` came and nobody was turned away or skipped.
    ///
    /// # Errors
    /// Names the first errors.
    pub fn clean(&self, what: &str, least: u64) -> Result<()> {
        // Past the capture of the test's output: the figures are worth seeing also when all is well.
        answer(format_args!("{what}: {self}"));
        ensure!(self.came >= least, "{what}: only {} of {least} Pods came by", self.came);
        ensure!(self.refused == 0 && self.skipped == 0, "{what}: {self}: {:#?}", self.errors);
        Ok(())
    }
}

/// The stream. It ends when this is dropped.
#[derive(Debug)]
pub struct Visitors {
    tally: Arc<Mutex<Tally>>,
    streams: Vec<JoinHandle<()>>,
}

impl Visitors {
    /// Starts in a namespace that is not the product's. Admission may be off.
    #[must_use]
    pub fn start(client: &Client, namespace: &str) -> Self {
        Self::come(client, namespace, Care::Refusals)
    }

    /// Starts where admission is on, and stays on: a Pod of ours without its gate counts as skipped.
    #[must_use]
    pub fn served(client: &Client, namespace: &str) -> Self {
        Self::come(client, namespace, Care::RefusalsAndGates)
    }

    fn come(client: &Client, namespace: &str, care: Care) -> Self {
        let tally = Arc::new(Mutex::new(Tally::default()));
        let stream = |number: u32| {
            let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
            let tally = Arc::clone(&tally);
            let mut pace = tokio::time::interval_at(Instant::now() + PACE / STREAMS * number, PACE);
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            async move {
                loop {
                    pace.tick().await;
                    visit(&pods, &tally, care).await;
                }
            }
        };
        let streams = (0..STREAMS).map(|number| tokio::spawn(stream(number))).collect();
        Self { tally, streams }
    }

    /// What was counted so far.
    #[must_use]
    pub fn so_far(&self) -> Tally {
        self.tally.lock().clone()
    }

    /// Waits until so many have come in all, for example some more after an event.
    ///
    /// # Errors
    /// They do not come: creations hang.
    pub async fn until(&self, came: u64) -> Result<()> {
        wait::until(&format!("{came} Pods come by"), PATIENCE, async || {
            let tally = self.so_far();
            Ok(if tally.came >= came { Seen::Done(()) } else { Seen::NotYet(tally.to_string()) })
        })
        .await
    }

    /// Stops; returns what was counted.
    #[must_use]
    pub fn stop(self) -> Tally {
        self.so_far()
    }
}

impl Drop for Visitors {
    fn drop(&mut self) {
        self.streams.iter().for_each(JoinHandle::abort);
    }
}

async fn visit(pods: &Api<Pod>, tally: &Mutex<Tally>, care: Care) {
    let number = tally.lock().came;
    let is_ours = number.is_multiple_of(2);
    let is_stored = number % STORED == STORED - 1;
    {
        let mut tally = tally.lock();
        tally.came += 1;
        tally.ours += u64::from(is_ours);
        tally.stored += u64::from(is_stored);
    }
    let Ok(pod) = serde_json::from_value::<Pod>(visitor(is_ours)) else { return };
    let begun = Instant::now();
    let answer = pods.create(&PostParams { dry_run: !is_stored, ..PostParams::default() }, &pod).await;
    let took = begun.elapsed();
    let fail = |text: String| {
        let mut tally = tally.lock();
        if tally.errors.len() < KEPT {
            tally.errors.push(text);
        }
    };
    {
        let mut tally = tally.lock();
        tally.longest = tally.longest.max(took);
    }
    match answer {
        Err(error) => {
            tally.lock().refused += 1;
            fail(format!("creation {number}, after {} ms: {error}", took.as_millis()));
        }
        Ok(made) => {
            if is_ours && care == Care::RefusalsAndGates && !has_gate(&made) {
                tally.lock().skipped += 1;
                fail(format!("creation {number}: no readiness gate"));
            }
            let name = made.metadata.name.unwrap_or_default();
            let at_once = DeleteParams::default().grace_period(0);
            if is_stored && let Err(error) = pods.delete(&name, &at_once).await {
                // The garbage collector may be faster: the owner of such a Pod does not exist.
                if !matches!(&error, kube::Error::Api(status) if status.is_not_found()) {
                    tally.lock().refused += 1;
                    fail(format!("deletion {number}: {error}"));
                }
            }
        }
    }
}

fn has_gate(pod: &Pod) -> bool {
    let gates = pod.spec.as_ref().and_then(|spec| spec.readiness_gates.as_ref());
    gates.into_iter().flatten().any(|gate| gate.condition_type == keys::POD_READY_CONDITION)
}

/// A Pod that no node ever runs, as nobody schedules it.
fn visitor(is_ours: bool) -> Value {
    let owner = json!({
        "apiVersion": "apps.kruise.io/v1beta1",
        "kind": "CloneSet",
        "name": "visited",
        "uid": "00000000-0000-4000-8000-000000000000",
        "controller": true,
    });
    json!({
        "metadata": {"generateName": "visitor-", "ownerReferences": is_ours.then_some([owner])},
        "spec": {"schedulerName": "nobody", "containers": [{"name": "c", "image": "nginx:1.25"}]},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // PR-1
    fn a_gate_is_seen_where_it_is() {
        let mut pod = visitor(true);
        assert!(!has_gate(&serde_json::from_value(pod.clone()).unwrap()));
        pod["spec"]["readinessGates"] = json!([{"conditionType": keys::POD_READY_CONDITION}]);
        assert!(has_gate(&serde_json::from_value(pod).unwrap()));
    }

    #[test]
    fn one_refusal_or_skip_or_too_few_visitors_is_a_failure() {
        let good = Tally { came: 100, ..Tally::default() };
        assert!(good.clean("all", 100).is_ok());
        assert!(good.clean("more", 101).is_err());
        assert!(Tally { refused: 1, ..good.clone() }.clean("refused", 1).is_err());
        assert!(Tally { skipped: 1, ..good }.clean("skipped", 1).is_err());
    }
}
