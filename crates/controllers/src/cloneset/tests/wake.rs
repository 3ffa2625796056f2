//! What wakes a CloneSet: the handlers over real caches, without workers.

use std::time::Duration;

use api::cloneset::CloneSet;
use api::k8s::{Node, Pod};
use futures::FutureExt;
use kube::runtime::watcher::Event;
use rules::write::POD;
use runtime::{
    clock,
    expectations::{Action, Expectations, ObjectId, OwnerId, Sight, State},
    informer::ObjectKey,
    queue::{Queue, RateLimit},
};
use serde_json::{Value, json};

use crate::{caches::Caches, cloneset::wake};

/// Caches with one CloneSet `web`, its Pods ready, everything looked at already.
struct World {
    caches: Caches,
    queue: Queue,
    expectations: Expectations,
    version: u64,
}

impl World {
    fn new(pods: usize) -> Self {
        let mut caches = Caches::default();
        let queue = Queue::new("test", RateLimit::default());
        let expectations = Expectations::new(Duration::from_secs(300));
        wake::register(&mut caches, &queue, &expectations);
        let mut world = Self { caches, queue, expectations, version: 0 };
        world.cloneset(cloneset());
        for number in 0..pods {
            world.pod(pod(number));
        }
        world.woken();
        world
    }

    fn next_version(&mut self) -> Value {
        self.version += 1;
        json!(self.version.to_string())
    }

    fn pod(&mut self, mut pod: Value) {
        pod["metadata"]["resourceVersion"] = self.next_version();
        self.caches.pods.wanted().apply(Event::Apply(serde_json::from_value::<Pod>(pod).unwrap()));
    }

    fn cloneset(&mut self, mut cloneset: Value) {
        cloneset["metadata"]["resourceVersion"] = self.next_version();
        self.caches.clonesets.wanted().apply(Event::Apply(serde_json::from_value::<CloneSet>(cloneset).unwrap()));
    }

    /// The names in the queue, which is empty afterwards.
    fn woken(&self) -> Vec<String> {
        std::iter::from_fn(|| Some(self.queue.next().now_or_never()??.key().name.to_string())).collect()
    }
}

fn cloneset() -> Value {
    json!({
        "metadata": {"namespace": "shop", "name": "web", "uid": "w", "generation": 1},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {}},
        "status": {"replicas": 1},
    })
}

fn pod(number: usize) -> Value {
    json!({
        "metadata": {"namespace": "shop", "name": format!("web-{number}"), "uid": format!("uid-{number}"),
            "labels": {"app": "web"}, "ownerReferences": [owner("web", true)]},
        "spec": {"nodeName": "n", "containers": [{"name": "main", "image": "nginx:1.25"}]},
        "status": {"phase": "Running",
            "conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
                {"type": "PodScheduled", "status": "True"}],
            "containerStatuses": [{"name": "main", "image": "nginx:1.25", "imageID": "a", "ready": true, "restartCount": 0}]},
    })
}

fn owner(name: &str, controller: bool) -> Value {
    json!({"apiVersion": "apps.kruise.io/v1beta1", "kind": "CloneSet", "name": name, "uid": "w", "controller": controller})
}

#[test]
fn a_storm_of_heartbeats_reconciles_nothing() {
    let mut world = World::new(200);
    for beat in 0..50 {
        for number in 0..200 {
            let mut pod = pod(number);
            pod["status"]["conditions"][0]["lastProbeTime"] = json!(format!("2026-01-01T00:00:{beat:02}Z"));
            pod["status"]["conditions"][1]["message"] = json!(format!("seen {beat} times"));
            pod["status"]["hostIP"] = json!(format!("10.0.0.{beat}"));
            pod["metadata"]["managedFields"] = json!([{"manager": "kubelet", "time": beat.to_string()}]);
            world.pod(pod);
        }
        let node = json!({"metadata": {"name": "n", "uid": "n", "resourceVersion": (beat + 1).to_string()},
            "status": {"conditions": [{"type": "Ready", "lastHeartbeatTime": beat.to_string()}]}});
        world.caches.nodes.wanted().apply(Event::Apply(serde_json::from_value::<Node>(node).unwrap()));
    }
    assert_eq!(world.woken(), [""; 0]);
}

#[test] // page 4.11
fn what_can_change_a_plan_wakes() {
    let cases: [(&str, Value); 9] = [
        ("/metadata/labels/app", json!("db")),
        ("/metadata/annotations", json!({"controller.kubernetes.io/pod-deletion-cost": "1"})),
        ("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z")),
        ("/metadata/finalizers", json!(["hook"])),
        ("/spec/containers/0/image", json!("nginx:1.26")),
        ("/status/phase", json!("Failed")),
        ("/status/conditions/0/status", json!("False")),
        ("/status/conditions/0/lastTransitionTime", json!("2026-01-01T00:01:00Z")),
        ("/status/conditions/1", json!({"type": "InPlaceUpdateReady", "status": "True"})),
    ];
    for (member, value) in cases {
        let mut world = World::new(1);
        let mut changed = pod(0);
        match changed.pointer_mut(member) {
            Some(place) => *place = value,
            None => {
                let (parent, name) = member.rsplit_once('/').unwrap();
                changed.pointer_mut(parent).unwrap()[name] = value;
            }
        }
        world.pod(changed);
        assert_eq!(world.woken(), ["web"], "{member}");
    }
}

#[test] // IU-51
fn what_containers_run_wakes_where_an_update_in_place_may_wait_for_it() {
    for (annotations, woken) in
        [(json!({}), &[][..]), (json!({"apps.kruise.io/inplace-update-state": "{}"}), &["web"][..])]
    {
        let mut world = World::new(0);
        let mut running = pod(0);
        running["metadata"]["annotations"] = annotations;
        world.pod(running.clone());
        world.woken();
        running["status"]["containerStatuses"][0]["imageID"] = json!("b");
        world.pod(running);
        assert_eq!(world.woken(), woken);
    }
}

#[test] // CS-13
fn owners_old_and_new_are_woken_and_a_pod_without_one_wakes_nobody() {
    let mut world = World::new(1);
    let mut moved = pod(0);
    moved["metadata"]["ownerReferences"] = json!([owner("other", true), owner("third", false)]);
    world.pod(moved);
    assert_eq!(world.woken(), ["other", "third", "web"]);
    let mut stray = pod(7);
    stray["metadata"]["ownerReferences"] = json!([]);
    world.pod(stray);
    assert_eq!(world.woken(), [""; 0]);
}

#[test]
fn our_own_status_wakes_nobody_and_a_foreign_one_does() {
    let mut world = World::new(0);
    let status = |replicas: u32| {
        let mut cloneset = cloneset();
        cloneset["status"]["replicas"] = json!(replicas);
        cloneset
    };
    world.expectations.versions.expect("w", &(world.version + 1).to_string(), clock::instant());
    world.cloneset(status(2));
    assert_eq!(world.woken(), [""; 0]);
    world.cloneset(status(3));
    assert_eq!(world.woken(), ["web"], "a status that somebody else wrote is put right");
    let mut scaled = status(3);
    scaled["metadata"]["generation"] = json!(2);
    scaled["spec"]["replicas"] = json!(5);
    world.cloneset(scaled);
    assert_eq!(world.woken(), ["web"]);
}

#[test] // PL-72
fn a_write_of_ours_wakes_whoever_waits_for_it_though_nothing_that_matters_changed() {
    let mut world = World::new(1);
    let versions = std::sync::Arc::clone(&world.expectations.versions);
    versions.expect("uid-0", &(world.version + 1).to_string(), clock::instant());
    assert!(versions.waiting("uid-0", "1", clock::instant()).is_some());
    world.pod(pod(0));
    assert_eq!(world.woken(), ["web"]);
}

#[test] // PL-70
fn creations_and_deletions_are_met_and_wake_whoever_waits_for_them_whoever_owns_the_pod_now() {
    let mut world = World::new(1);
    let web = OwnerId { key: ObjectKey::new("shop", "web"), uid: "w".into() };
    let named = |name: &'static str| ObjectId { resource: POD, key: ObjectKey::new("shop", name) };
    let scale = std::sync::Arc::clone(&world.expectations.scale);
    scale.expect_creation(&web, &named("web-1"));
    scale.created(&web, &named("web-1"), Sight { uid: "uid-1".into(), version: Some(2), state: State::Live });
    scale.expect_deletion(&web, &named("web-0"), "uid-0");
    let look = |object: &ObjectId| {
        let before = Sight { uid: "uid-0".into(), version: Some(2), state: State::Live };
        (object.key.name == "web-0").then_some(before)
    };
    assert!(scale.waiting(&web, clock::instant(), look).is_some());
    world.pod(pod(1));
    assert!(!scale.is_expected(&web, Action::Create, &named("web-1")));
    world.woken();
    let mut stray = pod(0);
    stray["metadata"]["ownerReferences"] = json!([]);
    world.pod(stray.clone());
    world.woken();
    stray["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    world.pod(stray);
    assert!(!scale.is_expected(&web, Action::Delete, &named("web-0")));
    assert_eq!(world.woken(), ["web"]);
}

#[test] // page 4.11
fn what_the_first_lists_show_comes_once_and_after_changes() {
    let mut caches = Caches::default();
    let (queue, expectations) = (Queue::new("test", RateLimit::default()), Expectations::new(Duration::from_secs(300)));
    wake::register(&mut caches, &queue, &expectations);
    let named = |name: &str, mut object: Value| {
        object["metadata"]["name"] = json!(name);
        object["metadata"]["uid"] = json!(name);
        serde_json::from_value::<CloneSet>(object).unwrap()
    };
    caches.clonesets.wanted().apply(Event::Init);
    for name in ["a", "web"] {
        caches.clonesets.wanted().apply(Event::InitApply(named(name, cloneset())));
    }
    caches.clonesets.wanted().apply(Event::InitDone);
    caches.pods.wanted().apply(Event::Init);
    for number in 0..3 {
        caches.pods.wanted().apply(Event::InitApply(serde_json::from_value::<Pod>(pod(number)).unwrap()));
    }
    caches.pods.wanted().apply(Event::InitDone);
    caches.clonesets.wanted().apply(Event::Apply(named("changed", cloneset())));
    let world = World { caches, queue, expectations, version: 0 };
    assert_eq!(world.woken(), ["changed", "a", "web"]);
}
