//! Scheduling, claims, garbage, and that a seed says it all.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Cluster, World, pod};

fn with_claim() -> Value {
    let mut pod = pod();
    pod["spec"]["volumes"] = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]);
    pod
}

#[test]
fn a_pod_waits_for_its_claim_and_the_claim_for_its_pod() {
    let mut world = World::new(1);
    world.create("pods", "web", with_claim());
    world.pass(5);
    let waits = world.condition("web", "PodScheduled");
    assert_eq!(waits["message"], "persistentvolumeclaim \"data\" not found");
    let finalizers = json!({"finalizers": ["kubernetes.io/pvc-protection"]});
    world.create("persistentvolumeclaims", "data", json!({"metadata": finalizers, "spec": {}}));
    world.pass(10);
    assert!(world.is_ready("web"));
    let claim = world.fake.get("persistentvolumeclaims", "sim", "data").unwrap();
    assert_eq!(claim["status"]["phase"], "Bound");
    let mut delete = crate::server::call::Call::new(crate::server::call::Verb::Delete, "persistentvolumeclaims");
    delete.body = json!({"gracePeriodSeconds": 0});
    world.user(delete.at("sim", "data"));
    world.pass(10);
    assert!(!world.is_gone("persistentvolumeclaims", "data"));
    world.delete("pods", "web");
    world.pass(40);
    assert!(world.is_gone("pods", "web") && world.is_gone("persistentvolumeclaims", "data"));
}

#[test]
fn a_pod_goes_only_where_its_selector_and_affinity_let_it() {
    let terms = |operator: &str| {
        let name = json!({"key": "metadata.name", "operator": operator, "values": ["node-1"]});
        json!({"nodeSelectorTerms": [{"matchFields": [name]}]})
    };
    for seed in 0..10 {
        let mut world = World::new(seed);
        let mut named = pod();
        named["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] = terms("In");
        let mut zoned = pod();
        zoned["spec"]["nodeSelector"] = json!({"topology.kubernetes.io/zone": "zone-2"});
        world.create("pods", "named", named);
        world.create("pods", "zoned", zoned);
        world.pass(10);
        assert_eq!(world.pod("named")["spec"]["nodeName"], "node-1");
        assert_eq!(world.pod("zoned")["spec"]["nodeName"], "node-2");
    }
}

#[test]
fn a_pod_with_scheduling_gates_waits_for_them() {
    let mut world = World::new(1);
    let mut gated = pod();
    gated["spec"]["schedulingGates"] = json!([{"name": "later"}]);
    world.create("pods", "web", gated);
    world.pass(60);
    assert!(world.pod("web")["spec"]["nodeName"].is_null());
    world.patch("web", "", json!({"spec": {"schedulingGates": null}}));
    world.pass(10);
    assert!(world.is_ready("web"));
}

#[test]
fn pods_of_an_owner_that_is_gone_are_collected() {
    let mut world = World::new(1);
    let mut owned = pod();
    owned["metadata"] = json!({"ownerReferences": [{"uid": "gone"}]});
    world.create("pods", "web", owned);
    world.pass(60);
    assert!(world.is_gone("pods", "web"));
    assert_eq!(world.actors.next_due(), None);
}

#[test]
fn the_same_seed_gives_the_same_writes() {
    let story = |seed| {
        let mut world = World::new(seed);
        for name in ["a", "b", "c", "d"] {
            world.create("pods", name, pod());
        }
        world.pass(5);
        world.actors.lose_node(world.now(), 1, Duration::from_secs(90));
        world.actors.crash(world.now(), "sim", "a", Duration::from_secs(20));
        world.pass(60);
        world.delete("pods", "b");
        world.pass(100);
        world.story()
    };
    assert_eq!(story(5), story(5));
    assert_ne!(story(5), story(6));
}

#[test]
fn after_all_is_healed_every_pod_is_ready_or_gone_and_nothing_is_left_to_do() {
    for seed in 0..200 {
        let mut world = World::new(seed);
        let mut chance = fastrand::Rng::with_seed(seed);
        let names: Vec<_> = (0..6).map(|index| format!("web-{index}")).collect();
        for name in &names {
            world.create("pods", name, pod());
        }
        for _ in 0..40 {
            let name = &names[chance.usize(..names.len())];
            let time = Duration::from_secs(chance.u64(1..400));
            let now = world.now();
            match chance.u8(..6) {
                0 => world.actors.crash(now, "sim", name, time),
                1 => world.actors.unready(now, "sim", name, time),
                2 => world.actors.lose_node(now, chance.usize(..3), time),
                3 if !world.is_gone("pods", name) => {
                    let mut containers = world.pod(name)["spec"]["containers"].clone();
                    containers[chance.usize(..2)]["image"] = format!("app:{}", chance.u8(..3)).into();
                    world.patch(name, "", json!({"spec": {"containers": containers}}));
                }
                4 if chance.bool() && !world.is_gone("pods", name) => world.delete("pods", name),
                _ => world.pass(chance.u64(..10)),
            }
        }
        world.actors.heal_all(world.now());
        world.pass(120);
        assert_eq!(world.actors.next_due(), None, "seed {seed}");
        for name in names.iter().filter(|name| !world.is_gone("pods", name)) {
            assert!(world.is_ready(name), "seed {seed}: {name}");
            let pod = world.pod(name);
            assert!(pod["metadata"]["deletionTimestamp"].is_null(), "seed {seed}: {name}");
            assert_eq!(pod["status"]["observedGeneration"], pod["metadata"]["generation"]);
            for index in 0..2 {
                let status = &pod["status"]["containerStatuses"][index];
                assert_eq!(status["image"], pod["spec"]["containers"][index]["image"], "seed {seed}: {name}");
            }
        }
    }
}
