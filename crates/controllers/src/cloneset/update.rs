//! The updating half of a pass: let Pods go on with what they are in, then move the next ones (CS-53..59).
//!
//! Which Pods and how many is `order`; what a step on one Pod writes is `rules::inplace` and `rules::lifecycle`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use api::{k8s::Pod, keys};
use jiff::Timestamp;
use rules::{
    inplace::{self, Change, Refresh},
    lifecycle::{self, State, Transition},
    pod, revision,
    write::{Event, Group, Step, Write},
};
use serde_json::{Value, json};

use super::{
    create::revision_labels,
    numbers::{Rollout, Targets},
    order::{self, Carries, Heading},
    plan::Held,
    scale::concurrent,
    snapshot::{ClaimChange, Revision, Snapshot},
    writes,
};

/// What updating does in this pass.
#[derive(Debug, Default, PartialEq)]
pub struct Update {
    /// At most one step.
    pub step: Option<Step>,
    /// What is held back, and why.
    pub held: Vec<Held>,
    /// When to look again although nothing may change.
    pub requeue: Option<Duration>,
    /// What could not be planned; sets `FailedUpdate` and retries with back-off.
    pub failure: Option<String>,
}

impl Update {
    fn look_again(&mut self, after: Duration) {
        self.requeue = Some(self.requeue.map_or(after, |sooner| sooner.min(after)));
    }

    fn fail(&mut self, message: String) {
        self.failure.get_or_insert(message);
    }
}

/// Plans the refresh of all Pods or, where none needs one, the next Pods to move.
#[must_use]
pub fn plan(world: &Snapshot, targets: &Targets, now: Timestamp) -> Update {
    let mut update = Update::default();
    let mut refreshed: Vec<Group> = Vec::new();
    for pod in &world.pods {
        match refresh(world, pod, now) {
            Ok(Refreshed { write, wait }) => {
                refreshed.extend(write.map(|write| vec![write]));
                if let Some(wait) = wait {
                    update.look_again(wait);
                }
            }
            // One unreadable Pod must not stop the others.
            Err(broken) => update.fail(broken.to_string()),
        }
    }
    if let Some(step) = concurrent(refreshed) {
        update.step = Some(step);
        return update;
    }
    let strategy = world.spec().update_strategy.as_ref();
    let rolling = world.rolling_update();
    let stopped = strategy.is_some_and(|strategy| strategy.type_ == "OnDelete")
        || rolling.is_some_and(|rolling| rolling.paused == Some(true));
    let (heading, count, target) = match targets.rollout {
        Rollout::Forward(count) if !stopped => (Heading::Forward, count, &world.revisions.update),
        Rollout::Back(count) if !stopped => (Heading::Back, count, &world.revisions.current),
        _ => return update,
    };
    let carries = |pod: &Pod| carries(world, pod);
    let considered = order::Update {
        pods: &world.pods,
        carries: &carries,
        heading,
        min_ready_seconds: world.min_ready_seconds(),
        now,
    };
    let candidates = order::candidates(
        &considered,
        rolling.and_then(|rolling| rolling.priority_strategy.as_ref()),
        rolling.map_or(&[], |rolling| &rolling.scatter_strategy),
    );
    let allowed = order::allowed(&considered, candidates, count, targets.update_max_unavailable);
    update.held.extend(allowed.held.map(Held::update));
    let mut judge = Judge { world, target, known: BTreeMap::new() };
    let mut groups = Vec::new();
    for pod in &allowed.pods {
        match move_pod(&mut judge, pod, now) {
            Ok(Some(write)) => groups.push(vec![write]),
            Ok(None) => {}
            Err(message) => {
                update.fail(message);
                break;
            }
        }
    }
    let grace = grace_seconds(world);
    if grace > 0 && !groups.is_empty() {
        update.look_again(Duration::from_secs(u64::from(grace.unsigned_abs())));
    }
    update.step = concurrent(groups);
    update
}

fn grace_seconds(world: &Snapshot) -> i32 {
    let strategy = world.rolling_update().and_then(|rolling| rolling.in_place_update_strategy.as_ref());
    strategy.and_then(|strategy| strategy.grace_period_seconds).unwrap_or(0)
}

fn carries(world: &Snapshot, pod: &Pod) -> Carries {
    let label = pod::label(pod, keys::REVISION_LABEL);
    if world.is_updated(pod) {
        Carries::Update
    } else if revision::label_names(label, &world.revisions.current.name) {
        Carries::Current
    } else {
        Carries::Other
    }
}

/// What a Pod needs to go on with what it is in.
#[derive(Default)]
struct Refreshed {
    write: Option<Write>,
    wait: Option<Duration>,
}

/// The engine's refresh, the lifecycle's next state and a missing label, in one write (CS-53, ruling 18).
fn refresh(world: &Snapshot, pod: &Pod, now: Timestamp) -> Result<Refreshed, inplace::Broken> {
    let engine = inplace::refresh(pod, now)?;
    let mut conditions: Vec<Value> = Vec::new();
    match engine {
        Refresh::Nothing => {}
        Refresh::Wait(wait) => return Ok(Refreshed { wait: Some(wait), ..Refreshed::default() }),
        Refresh::Patch(patch) => {
            let write = writes::patch_judged(pod, "go on with update in place", vec![patch]);
            return Ok(Refreshed { write: Some(write), ..Refreshed::default() });
        }
        Refresh::Ready(condition) => conditions.push(condition),
    }
    let carried = if world.is_updated(pod) { lifecycle::Revision::Updated } else { lifecycle::Revision::Old };
    let next = lifecycle::next(pod, world.lifecycle(), carried)?;
    // The condition of a new Pod waits for its state: one write instead of two, and none before it is scheduled.
    if next.is_none() && State::of(pod) == State::PreparingNormal && pod.spec.node_name.is_empty() {
        return Ok(Refreshed::default());
    }
    let mut transition =
        next.and_then(|to| lifecycle::transition(pod, to, world.lifecycle(), now)).unwrap_or_else(Transition::default);
    if let Some(hash) = missing_template_hash(pod) {
        let labels = transition.metadata.entry("labels").or_insert_with(|| json!({}));
        if let Some(labels) = labels.as_object_mut() {
            labels.insert(keys::TEMPLATE_HASH_LABEL.to_owned(), json!(hash));
        }
    }
    if transition == Transition::default() && conditions.is_empty() {
        return Ok(Refreshed::default());
    }
    let reason = if conditions.is_empty() { "move lifecycle" } else { "let Pod be ready" };
    let write = writes::patch_judged(pod, reason, writes::transition_patches(transition, conditions));
    Ok(Refreshed { write: Some(write), wait: None })
}

/// The value for a `pod-template-hash` that is missing (CS-53).
fn missing_template_hash(pod: &Pod) -> Option<&str> {
    if pod::label(pod, keys::TEMPLATE_HASH_LABEL).is_some() {
        return None;
    }
    pod::label(pod, keys::REVISION_LABEL).map(revision::hash_part)
}

/// Judges each step between two revisions once per pass.
struct Judge<'a> {
    world: &'a Snapshot,
    target: &'a Revision,
    known: BTreeMap<String, Result<Change, String>>,
}

impl Judge<'_> {
    /// Whether the Pod can take the step to the target in place, or why not (CS-59, IU-1, IU-8).
    fn of(&mut self, pod: &Pod) -> Result<Change, String> {
        let label = pod::label(pod, keys::REVISION_LABEL).unwrap_or_default().to_owned();
        let (world, target) = (self.world, self.target);
        self.known.entry(label.clone()).or_insert_with(|| judge_step(world, target, &label)).clone()
    }
}

fn judge_step(world: &Snapshot, target: &Revision, label: &str) -> Result<Change, String> {
    let named = |name: &str| world.revisions.history.iter().find(|stored| stored.metadata.name == *name);
    let own = world.revisions.history.iter().rfind(|stored| revision::label_names(Some(label), &stored.metadata.name));
    let Some(own) = own else { return Err("its own revision is no longer in history".to_owned()) };
    let claim_hash = |of: Option<&Arc<api::k8s::ControllerRevision>>| {
        of.and_then(|stored| stored.metadata.annotations.get(keys::CLAIM_HASH_ANNOTATION).cloned())
    };
    let claims_count = world.settings.claim_change == ClaimChange::Recreates && policy(world) != Policy::InPlaceOnly;
    if claims_count
        && let (Some(old), Some(new)) = (claim_hash(Some(own)), claim_hash(named(&target.name)))
        && old != new
    {
        return Err("its claim templates have changed".to_owned());
    }
    let old = revision::template_of(own).ok_or("its own revision can not be read")?;
    let new =
        named(&target.name).and_then(|stored| revision::template_of(stored)).unwrap_or_else(|| target.template.clone());
    inplace::judge(&old, &new, world.settings.env_from_metadata).map_err(|obstacle| obstacle.to_string())
}

/// `podUpdatePolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    ReCreate,
    InPlaceIfPossible,
    InPlaceOnly,
}

fn policy(world: &Snapshot) -> Policy {
    match world.rolling_update().map(|rolling| rolling.pod_update_policy.as_str()) {
        Some("InPlaceIfPossible") => Policy::InPlaceIfPossible,
        Some("InPlaceOnly") => Policy::InPlaceOnly,
        _ => Policy::ReCreate,
    }
}

/// The write that moves one Pod, `None` where it is on its way already (CS-59).
fn move_pod(judge: &mut Judge<'_>, pod: &Pod, now: Timestamp) -> Result<Option<Write>, String> {
    let (world, target) = (judge.world, judge.target);
    let name = pod.metadata.name.as_str();
    match (policy(world), judge.of(pod)) {
        (Policy::InPlaceIfPossible | Policy::InPlaceOnly, Ok(change)) => in_place(world, target, &change, pod, now),
        (Policy::InPlaceOnly, Err(why)) => {
            Err(format!("find Pod {name} update strategy is InPlaceOnly but can not update in-place: {why}"))
        }
        (Policy::InPlaceIfPossible, Err(_)) | (Policy::ReCreate, _) => Ok(recreate(target, pod)),
    }
}

/// Asks for the Pod's deletion; the scaling half carries it out within its budget.
fn recreate(target: &Revision, pod: &Pod) -> Option<Write> {
    if pod::has_specified_delete_label(pod) {
        return None;
    }
    let name = pod.metadata.name.as_str();
    let revision = &target.name;
    Some(Write {
        revision: Some(revision.clone()),
        on_success: Some(Event::normal(
            "SuccessfulUpdatePodReCreate",
            format!("successfully patch pod {name} specified-delete for update(revision {revision})"),
        )),
        on_failure: Some(Event::warning(
            "FailedUpdatePodReCreate",
            format!("failed to patch pod specified-delete {name} for update(revision {revision}): {{err}}"),
        )),
        ..writes::patch_labels(pod, "mark for recreation", json!({keys::SPECIFIED_DELETE_LABEL: "true"}))
    })
}

/// Acts by the Pod's lifecycle state (table of 4.8).
fn in_place(
    world: &Snapshot,
    target: &Revision,
    change: &Change,
    pod: &Pod,
    now: Timestamp,
) -> Result<Option<Write>, String> {
    let name = pod.metadata.name.as_str();
    let hook = world.lifecycle().and_then(|hooks| hooks.in_place_update.as_ref());
    let prepare = || Ok(writes::to_state(world, pod, State::PreparingUpdate, "prepare for update in place", now));
    match State::of(pod) {
        State::Unset | State::PreparingNormal | State::Normal if lifecycle::is_hooked(pod, hook) => return prepare(),
        State::PreparingUpdate if lifecycle::is_hooked(pod, hook) => return Ok(None),
        State::Updated if hook.is_some() => return prepare(),
        State::Unset
        | State::PreparingNormal
        | State::Normal
        | State::PreparingUpdate
        | State::Updated
        | State::Updating => {}
        State::PreparingDelete | State::Unknown => {
            let state = pod::label(pod, keys::LIFECYCLE_STATE_LABEL).unwrap_or_default();
            return Err(format!("not allowed to in-place update pod {name} in state {state}"));
        }
    }
    let (mut labels, annotations) = State::Updating.marks(now);
    labels.extend(
        revision_labels(&target.name, world.settings.revision_label)
            .into_iter()
            .filter_map(|(key, value)| Some((key, value.as_str()?.to_owned()))),
    );
    let start = inplace::Start {
        revision: &target.name,
        change,
        grace_seconds: grace_seconds(world),
        labels,
        annotations,
        now,
    };
    let revision = &target.name;
    Ok(Some(Write {
        revision: Some(revision.clone()),
        on_success: Some(Event::normal(
            "SuccessfulUpdatePodInPlace",
            format!("successfully update pod {name} in-place(revision {revision})"),
        )),
        on_failure: Some(Event::warning(
            "FailedUpdatePodInPlace",
            format!("failed to update pod {name} in-place(revision {revision}): {{err}}"),
        )),
        ..writes::patch_judged(pod, "update in place", inplace::start(pod, &start))
    }))
}
