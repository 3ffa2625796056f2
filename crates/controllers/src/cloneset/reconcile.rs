//! One pass over one CloneSet: observe, plan, act (CS-10..21). The thin shell around the planner: it waits, reads, hands
//! the plan to the write engine, and says what was held back.

use std::{collections::HashMap, sync::Arc};

use anyhow::Context as _;
use api::{cloneset::CloneSet, k8s::ControllerRevision};
use kube::Client;
use parking_lot::Mutex;
use rules::{
    revision,
    selector::Selector,
    write::{self, CLONE_SET, Patch, PatchFormat, Step, Subresource, Verb, Write},
};
use runtime::{
    act::{Engine, Outcome, Owner},
    ambient::Ambient,
    client, clock,
    controller::Requeue,
    events::{Recorder, Reference},
    expectations::{Expectations, LiveCheck, OwnerId},
    informer::ObjectKey,
    metrics,
};
use tracing::{info, warn};

use super::{
    claims,
    observe::{self, Behind, Stores},
    plan::{self, Held, Plan},
    revisions::{self, Settled},
    snapshot::{Revisions, Settings, Snapshot},
    writes,
};

type LeakLabels = Vec<(&'static str, String)>;

/// Reconciles CloneSets; clones share everything.
#[derive(Clone)]
pub struct Reconciler {
    inner: Arc<Inner>,
}

struct Inner {
    stores: Stores,
    client: Client,
    engine: Engine,
    recorder: Recorder,
    expectations: Expectations,
    settings: Settings,
    /// What was last logged as held back, so that it is said once per change of reason.
    held: Mutex<HashMap<ObjectKey, Vec<Held>>>,
    live: LiveCheck,
    ambient: Ambient,
}

impl Reconciler {
    /// A reconciler over these caches.
    pub fn new(
        stores: Stores,
        client: Client,
        engine: Engine,
        recorder: Recorder,
        expectations: Expectations,
        settings: Settings,
        ambient: Ambient,
    ) -> Self {
        let leaked = metrics::bare_counters::<LeakLabels>(
            "cloneset_scale_expectation_leakage",
            "Expected creations or deletions of a CloneSet that no watch event has shown in time",
        );
        let live = LiveCheck::new(client.clone(), expectations.clone(), move |owner| {
            leaked
                .get_or_create(&vec![("namespace", owner.namespace.to_string()), ("name", owner.name.to_string())])
                .inc();
        });
        let inner =
            Inner { stores, client, engine, recorder, expectations, settings, held: Mutex::default(), live, ambient };
        Self { inner: Arc::new(inner) }
    }

    /// One pass.
    ///
    /// # Errors
    /// Something could not be read or written; the key comes again with back-off.
    pub async fn reconcile(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let this = &*self.inner;
        let Some(cloneset) = this.stores.clonesets.get(key) else {
            this.expectations.scale.forget(key);
            this.held.lock().remove(key);
            return Ok(Requeue::Done);
        };
        let id = OwnerId::of(cloneset.as_ref());
        // CS-11, ruling 19
        if let Some(wait) = this.expectations.scale.waiting(&id, clock::instant(), |object| this.stores.sight(object)) {
            return Ok(Requeue::After(this.live.scale(&id, wait).await));
        }
        let selector = match Selector::compile(&cloneset.spec.selector) {
            Ok(selector) => selector,
            Err(error) => {
                warn!(%error, "skip CloneSet with an invalid selector");
                return Ok(Requeue::Done);
            }
        };
        let owner = Owner { reference: Reference::of(cloneset.as_ref()) };
        let owned = this.stores.owned_pods(&cloneset, &selector);
        let claims = this.stores.owned_claims(&cloneset);
        let history = this.stores.revisions_of(&cloneset, &selector);
        // CS-15, ruling 19
        let versions = &this.expectations.versions;
        if let Some(Behind { object, uid, wait }) =
            observe::behind(versions, &cloneset, &owned.pods, &claims, &history, clock::instant())
        {
            return Ok(Requeue::After(this.live.version(key, &object, &uid, wait).await));
        }
        if let Some(step) = owned.references {
            this.act(&owner, &[step]).await.into_result().context("put owner references right")?;
        }
        let collisions = cloneset.status.as_ref().map_or(0, |status| status.collision_count);
        let Some(revisions) = this.settle(&owner, &cloneset, history, collisions).await? else {
            return Ok(Requeue::Done);
        };
        let mut world = Snapshot {
            claims,
            nodes: this.stores.node_labels(&cloneset, &owned.pods),
            pods: owned.pods,
            inactive: owned.inactive,
            revisions,
            settings: this.settings,
            seed: this.ambient.chance.number(),
            cloneset,
        };
        if let Some(step) = claims::clean_up(&world) {
            this.act(&owner, &[step]).await.into_result().context("clean up claims")?;
        }
        world.claims = claims::kept(&world);
        let plan = plan::plan(&world, this.ambient.clock.now());
        this.carry_out(key, &owner, &world, plan).await
    }
}

impl Inner {
    async fn act(&self, owner: &Owner, steps: &[Step]) -> Outcome {
        self.engine.run(owner, steps, &self.expectations).await
    }

    async fn carry_out(&self, key: &ObjectKey, owner: &Owner, world: &Snapshot, plan: Plan) -> anyhow::Result<Requeue> {
        let Plan { scale, update, upkeep, status, events, held, failure, requeue } = plan;
        let moving = scale.is_some() || update.is_some();
        self.say_held(key, held, if moving { Pace::Moving } else { Pace::Still });
        for event in events {
            self.recorder.record(&owner.reference, event.severity, event.reason, &event.message);
        }
        let scaled = match scale {
            Some(step) => self.act(owner, &[step]).await,
            None => Outcome::default(),
        };
        let updates = may_update_after(&scaled);
        let scaled = scaled.into_result();
        let updated = match update {
            Some(step) if updates => self.act(owner, &[step]).await.into_result(),
            _ => Ok(0),
        };
        let updated = match (updated, failure.filter(|_| updates)) {
            (Ok(_), Some(failure)) => Err(anyhow::Error::msg(failure)),
            (updated, _) => updated,
        };
        let text = |result: &anyhow::Result<usize>| result.as_ref().err().map(|error| format!("{error:#}"));
        let (scale_error, update_error) = (text(&scaled), text(&updated));
        // Before the status: its write moves the CloneSet on from the version that pruning was judged on.
        let kept_up = self.act(owner, &upkeep).await.into_result().context("upkeep");
        if status.must_write {
            let status =
                status.with_failures(scale_error.as_deref(), update_error.as_deref(), self.ambient.clock.now());
            let step = status_step(&world.cloneset, status.patch()?);
            self.act(owner, &[step]).await.into_result().context("write status")?;
        }
        scaled?;
        updated?;
        kept_up?;
        Ok(requeue.map_or(Requeue::Done, Requeue::After))
    }

    /// The revisions to plan with; `None` once one was written: its event brings the CloneSet back.
    async fn settle(
        &self,
        owner: &Owner,
        cloneset: &CloneSet,
        history: Vec<Arc<ControllerRevision>>,
        mut collisions: i32,
    ) -> anyhow::Result<Option<Revisions>> {
        /// More collisions than names can have by chance; beyond them something else is wrong.
        const TRIES: i32 = 16;
        for _ in 0..TRIES {
            let Settled { revisions, write } = revisions::settle(cloneset, history.clone(), collisions);
            let Some(write) = write else { return Ok(Some(revisions)) };
            if cloneset.metadata.deletion_timestamp.is_some() {
                return Ok(Some(revisions));
            }
            let name = write.name.clone();
            let outcome = self.act(owner, &[single(write)]).await;
            if !outcome.failed.iter().any(|failed| failed.error.is_already_exists()) {
                outcome.into_result().context("settle revision")?;
                return Ok(None);
            }
            let taken = client::get::<ControllerRevision>(&self.client, &owner.reference.namespace, &name).await;
            let Some(taken) = taken.context("read the revision that has the name")? else { continue };
            if revision::holds(&taken, &cloneset.spec.template) {
                return Ok(Some(revisions));
            }
            collisions += 1;
            info!(revision = name, collisions, "the name of the new revision is taken, choose another");
        }
        anyhow::bail!("no free name for a revision after {TRIES} tries")
    }

    /// Says what is held back, once per change of reason. A pass that moves Pods and holds none back has not reached the
    /// limit yet: what was said before still stands.
    fn say_held(&self, key: &ObjectKey, held: Vec<Held>, pace: Pace) {
        if held.is_empty() && pace == Pace::Moving {
            return;
        }
        let before = self.held.lock().insert(key.clone(), held.clone()).unwrap_or_default();
        for Held { action, pods, by, limit, unavailable } in held {
            let same = before.iter().any(|was| was.action == action && was.by == by && was.limit == limit);
            if !same {
                info!(pods, by, limit, unavailable, "hold {action}");
            }
        }
    }
}

/// Whether the updating half may run after the scaling half: only if that wrote nothing, and surely so (CS-17, CS-92). A
/// deletion without an answer may have been done: until that is known nothing else may take a Pod down.
fn may_update_after(scaled: &Outcome) -> bool {
    scaled.written == 0 && !scaled.failed.iter().any(|failed| failed.error.may_have_been_carried_out())
}

/// Whether a pass writes to Pods.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    Moving,
    Still,
}

fn single(write: Write) -> Step {
    Step { groups: vec![vec![write]], pace: write::Pace::Concurrent }
}

fn status_step(cloneset: &CloneSet, body: serde_json::Value) -> Step {
    let verb = Verb::Patch {
        uid: Some(cloneset.metadata.uid.to_string()),
        resource_version: None,
        patches: vec![Patch { subresource: Subresource::Status, format: PatchFormat::Merge, body }],
    };
    single(writes::write(CLONE_SET, &cloneset.metadata, "write status", verb))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use runtime::act::{Error, Failed, Outcome};

    use super::may_update_after;

    fn scaled(written: usize, errors: Vec<Error>) -> Outcome {
        let failed =
            errors.into_iter().map(|error| Failed { resource: "pods", name: "web-1".to_owned(), error }).collect();
        Outcome { written, failed, skipped: 0 }
    }

    #[test] // CS-17, CS-92, CS-127
    fn updates_run_only_where_scaling_surely_wrote_nothing() {
        let refused = || Error::Refused { code: 403, reason: "Forbidden".to_owned(), message: "quota".to_owned() };
        assert!(may_update_after(&scaled(0, Vec::new())));
        assert!(may_update_after(&scaled(0, vec![refused()])), "a quota must not stop updates");
        assert!(!may_update_after(&scaled(1, vec![refused()])));
        assert!(!may_update_after(&scaled(0, vec![Error::TimedOut(Duration::from_secs(4))])), "it may have been done");
    }
}
