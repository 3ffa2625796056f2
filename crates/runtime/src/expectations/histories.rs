//! Random histories of a controller, its write engine, a server and a cache that is behind: whatever is lost, late,
//! collapsed or made anew, nobody acts on a cache that has not passed a write that was carried out, and nobody waits for
//! ever. The world is in `world.rs`; here is what happens in it and what must hold.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use rules::write::{POD, Pace, Patch, PatchFormat, Step, Subresource, Verb, Write};
use serde_json::json;

use super::*;
use crate::act::{Engine, Limits, Owner};
use crate::ambient::Chance;
use crate::clock;
use crate::events::{Recorder, Reference};
use crate::leader::Leadership;
use crate::mock::{guarded, server};

mod world;

use world::{Fate, World};

const TIMEOUT: Duration = Duration::from_secs(300);
/// How long a write may be in doubt after the last of it: pauses of the engine, and its patience.
const SETTLED: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
enum Op {
    /// A pass of the controller: if nothing is to be waited for, it writes to these names.
    Pass(Vec<(What, usize, Fate)>),
    /// The watch delivers as many events.
    Watch(usize),
    /// The watch was down: the cache jumps to what the server has.
    Relist,
    Time(u64),
    /// From now on reads get an answer, or none.
    Reads(Fate),
    /// Somebody deletes, finishes, makes or touches an object.
    Others(Other, usize),
    OwnerAnew,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Create,
    Delete,
    Patch,
}

#[derive(Clone, Copy, Debug)]
enum Other {
    Delete,
    Finish,
    Make,
    Touch,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Answered),
        3 => Just(Fate::AnsweredAfterTheWatch),
        1 => Just(Fate::Refused),
        2 => Just(Fate::DoneUnanswered),
        2 => Just(Fate::Swallowed),
        2 => Just(Fate::DoneLate),
        1 => Just(Fate::Failed),
        1 => Just(Fate::DoneButFailed),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let what = prop_oneof![Just(What::Create), Just(What::Delete), Just(What::Patch)];
    let other = prop_oneof![Just(Other::Delete), Just(Other::Finish), Just(Other::Make), Just(Other::Touch)];
    prop_oneof![
        6 => prop::collection::vec((what, 0..4_usize, fate()), 1..4).prop_map(Op::Pass),
        5 => (1..5_usize).prop_map(Op::Watch),
        1 => Just(Op::Relist),
        2 => prop_oneof![0..5_u64, 20..400_u64].prop_map(Op::Time),
        1 => prop_oneof![Just(Fate::Answered), Just(Fate::Swallowed)].prop_map(Op::Reads),
        4 => (other, 0..4_usize).prop_map(|(other, name)| Op::Others(other, name)),
        1 => Just(Op::OwnerAnew),
    ]
}

/// The controller: a reconcile without a plan of its own.
struct Controller {
    world: World,
    engine: Engine,
    expectations: Expectations,
    live: LiveCheck,
    owner: Reference,
}

/// What is waited for, by whom: the owner for its scale, or for a version of one of its objects.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Waits {
    Scale,
    Version(Text),
}

impl Controller {
    fn new() -> Self {
        let expectations = Expectations::new(TIMEOUT);
        let world = World::new(expectations.clone());
        let answers = world.clone();
        let (client, _) = server(move |asked| answers.answer(asked));
        let api = guarded(client, &Leadership::always());
        let live = LiveCheck::new(api.client().clone(), expectations.clone(), |_| {});
        let owner = Reference {
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
            uid: "1".to_owned(),
            ..Reference::default()
        };
        let engine = Engine::new(api, Recorder::silent(), Chance::seeded(1), Limits::default());
        Self { world, engine, expectations, live, owner }
    }

    fn id(&self) -> OwnerId {
        Owner { reference: self.owner.clone() }.id()
    }

    fn scale_wait(&self) -> Option<Wait> {
        let world = self.world.clone();
        self.expectations.scale.waiting(&self.id(), clock::instant(), move |object| world.cached(&object.key.name))
    }

    /// The first object that is seen older than it was written.
    fn version_wait(&self) -> Option<(ObjectId, Text, VersionWait)> {
        self.world.cache().into_iter().find_map(|(name, seen)| {
            let version = seen.version.unwrap_or_default().to_string();
            let wait = self.expectations.versions.waiting(&seen.uid, &version, clock::instant())?;
            Some((world::pod(&name), seen.uid, wait))
        })
    }

    /// Who waits, and is not to look again by itself within seconds.
    fn asleep(&self) -> Vec<Waits> {
        let mut all = Vec::new();
        if matches!(self.scale_wait(), Some(Wait::Unmet { remaining, .. }) if remaining > Duration::from_secs(1)) {
            all.push(Waits::Scale);
        }
        for (_, seen) in self.world.cache() {
            let version = seen.version.unwrap_or_default().to_string();
            let wait = self.expectations.versions.waiting(&seen.uid, &version, clock::instant());
            if matches!(wait, Some(VersionWait::Unmet { remaining, .. }) if remaining > Duration::from_secs(1)) {
                all.push(Waits::Version(seen.uid));
            }
        }
        all
    }

    /// Waits as a controller does; whether there is nothing to wait for any more.
    async fn may_plan(&self) -> bool {
        if let Some(wait) = self.scale_wait() {
            self.live.scale(&self.id(), wait).await;
            return false;
        }
        if let Some((object, uid, wait)) = self.version_wait() {
            self.live.version(&self.owner_key(), &object, &uid, wait).await;
            return false;
        }
        true
    }

    fn owner_key(&self) -> ObjectKey {
        self.id().key
    }

    async fn pass(&mut self, writes: &[(What, usize, Fate)]) {
        if !self.may_plan().await {
            return;
        }
        let mut groups = Vec::new();
        let mut used = Vec::new();
        for (what, name, fate) in writes {
            let name = format!("p{name}");
            let seen = self.world.cached(&name);
            let verb = match (what, seen) {
                (What::Create, None) => {
                    let owners = [world::controller(&self.owner.uid)];
                    Verb::Create { body: json!({"metadata": {"name": name, "ownerReferences": owners}}) }
                }
                (What::Delete, Some(seen)) if seen.state == State::Live => Verb::Delete { uid: seen.uid.to_string() },
                (What::Patch, Some(seen)) => Verb::Patch {
                    uid: Some(seen.uid.to_string()),
                    resource_version: seen.version.map(|version| version.to_string()),
                    patches: vec![Patch {
                        subresource: Subresource::None,
                        format: PatchFormat::Merge,
                        body: json!({}),
                    }],
                },
                _ => continue,
            };
            if used.contains(&name) {
                continue;
            }
            used.push(name.clone());
            self.world.next_write(&name, *fate);
            groups.push(vec![Write {
                resource: POD,
                namespace: Some("shop".to_owned()),
                name,
                verb,
                reason: "test",
                revision: None,
                on_success: None,
                on_failure: None,
            }]);
        }
        let owner = Owner { reference: self.owner.clone() };
        self.world.acts_for(&self.owner.uid);
        let outcome = self.engine.run(&owner, &[Step { groups, pace: Pace::Concurrent }], &self.expectations).await;
        drop(outcome);
    }

    async fn happens(&mut self, op: &Op) {
        match op {
            Op::Pass(writes) => self.pass(writes).await,
            Op::Watch(events) => self.delivers(|world| world.watch(*events)),
            Op::Relist => self.delivers(World::relist),
            Op::Time(seconds) => tokio::time::sleep(Duration::from_secs(*seconds)).await,
            Op::Reads(fate) => self.world.reads(*fate),
            Op::Others(other, name) => {
                let name = format!("p{name}");
                match other {
                    Other::Delete => self.world.terminate(&name),
                    Other::Finish => self.world.finish(&name),
                    Other::Make => self.world.make(&name),
                    Other::Touch => self.world.touch(&name),
                }
            }
            Op::OwnerAnew => {
                let uid: u32 = self.owner.uid.parse().unwrap();
                self.owner.uid = (uid + 1).to_string();
            }
        }
    }

    /// Whoever waits and need not wait after a delivery was named by it.
    fn delivers(&self, deliver: impl Fn(&World) -> Vec<Freed>) {
        let before = self.asleep();
        let freed = deliver(&self.world);
        let owner_freed = freed.iter().any(|freed| freed.owner.as_ref() == Some(&self.owner_key()));
        let object_freed = freed.iter().any(|freed| freed.object == Observed::Awaited);
        for waits in before {
            match waits {
                Waits::Scale => assert!(self.scale_wait().is_some() || owner_freed, "nobody wakes the owner"),
                Waits::Version(uid) => {
                    assert!(self.expectations.versions.is_expected(&uid) || object_freed, "nobody wakes for {uid}");
                }
            }
        }
    }

    /// A write that was carried out and that the cache has not passed is waited for.
    fn check(&self) {
        for write in self.world.carried_out_unseen(&self.owner.uid) {
            let waits = self.scale_wait().is_some() || self.version_wait().is_some();
            assert!(waits, "acts on a cache that is behind {write}");
        }
    }

    /// The server answers, the cache has caught up: nobody waits longer than the time-out.
    async fn ends(&mut self) {
        self.world.reads(Fate::Answered);
        tokio::time::sleep(SETTLED).await;
        self.delivers(|world| world.watch(usize::MAX));
        let start = clock::instant();
        while !self.may_plan().await {
            assert!(clock::instant() < start + TIMEOUT + Duration::from_secs(20), "waits for ever");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        self.world.remove_all();
        self.delivers(World::relist);
        assert_eq!(self.expectations.versions.len(), 0, "objects that are gone take no memory");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 300, ..ProptestConfig::with_cases(400) })]

    // Ruling 19, PL-70, PL-72, design rule 2
    #[test]
    fn no_history_makes_a_controller_act_on_a_cache_behind_its_own_writes_or_wait_for_ever(
        history in prop::collection::vec(op(), 1..30),
    ) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut controller = Controller::new();
            for op in &history {
                controller.happens(op).await;
                controller.check();
            }
            controller.ends().await;
        });
    }
}

// The history that the property cannot be left to find: an unanswered creation that comes and goes in the dark.
#[tokio::test(start_paused = true)]
async fn an_object_that_nobody_ever_saw_is_waited_for_no_longer_than_the_time_out() {
    let mut controller = Controller::new();
    for op in
        [Op::Pass(vec![(What::Create, 0, Fate::Answered)]), Op::Others(Other::Finish, 0), Op::Relist, Op::Pass(vec![])]
    {
        controller.happens(&op).await;
    }
    let start = clock::instant();
    while !controller.may_plan().await {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(since(start), TIMEOUT.as_secs() + 1);
}

fn since(start: Instant) -> u64 {
    (clock::instant() - start).as_secs()
}
