//! A Pod on its node.

use std::time::Duration;

use serde_json::json;

use super::{World, pod};

#[test]
fn a_pod_gets_a_node_and_then_ready_in_three_writes_of_its_status() {
    let world = World::with_ready_pod(1);
    let pod = world.pod("web");
    assert_eq!(pod["status"]["phase"], "Running");
    assert_eq!(pod["status"]["observedGeneration"], 1);
    assert!(pod["spec"]["nodeName"].as_str().unwrap().starts_with("node-"));
    assert!(pod["status"]["podIP"].as_str().unwrap().starts_with("10."));
    let status = &pod["status"]["containerStatuses"][0];
    assert!(status["imageID"].as_str().unwrap().starts_with("sha256:"));
    assert!(status["containerID"].as_str().unwrap().starts_with("containerd://"));
    assert!(status["state"]["running"]["startedAt"].is_string());
    let by_kubelet = world.story().iter().filter(|line| line.contains("system:node:")).count();
    assert_eq!(by_kubelet, 3);
}

#[test]
fn an_init_container_ends_and_a_sidecar_goes_on() {
    let mut world = World::new(1);
    let mut pod = pod();
    pod["spec"]["initContainers"] = json!([{"name": "prepare", "image": "p:1"},
        {"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}]);
    world.create("pods", "web", pod);
    world.pass(10);
    assert!(world.is_ready("web"));
    let pod = world.pod("web");
    assert_eq!(pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"], 0);
    assert!(pod["status"]["initContainerStatuses"][1]["state"]["running"].is_object());
}

#[test]
fn a_new_image_restarts_its_container_only() {
    for seed in 0..20 {
        let mut world = World::with_ready_pod(seed);
        let before = world.pod("web");
        let mut containers = before["spec"]["containers"].clone();
        containers[1]["image"] = "log:2".into();
        world.patch("web", "", json!({"spec": {"containers": containers}}));
        world.pass(10);
        assert_eq!(world.restarts("web"), [0, 1]);
        assert!(world.is_ready("web"));
        let after = world.pod("web");
        let of = |index: usize, field: &str| {
            let side = |pod: &serde_json::Value| pod["status"]["containerStatuses"][index][field].clone();
            (side(&before), side(&after))
        };
        for field in ["image", "imageID", "containerID"] {
            assert_eq!(of(0, field).0, of(0, field).1);
            assert_ne!(of(1, field).0, of(1, field).1);
        }
        assert_eq!(after["status"]["containerStatuses"][1]["lastState"]["terminated"]["exitCode"], 0);
        assert_eq!(after["status"]["observedGeneration"], 2);
        assert!(world.story().iter().any(|line| line.contains("unready status: [log]") && line.contains("log:2")));
    }
}

#[test]
fn an_image_that_is_taken_back_in_time_restarts_nothing() {
    let mut world = World::with_ready_pod(3);
    let old = world.pod("web")["spec"]["containers"].clone();
    let mut new = old.clone();
    new[0]["image"] = "app:2".into();
    world.patch("web", "", json!({"spec": {"containers": new}}));
    world.patch("web", "", json!({"spec": {"containers": old}}));
    world.pass(10);
    assert_eq!(world.restarts("web"), [0, 0]);
    assert_eq!(world.pod("web")["status"]["observedGeneration"], 3);
}

#[test]
fn an_image_that_cannot_be_pulled_holds_its_container_up_until_there_is_another() {
    let mut world = World::new(1);
    let mut bad = pod();
    bad["spec"]["containers"][0]["image"] = "app:unpullable".into();
    world.create("pods", "new", bad.clone());
    world.create("pods", "web", pod());
    world.pass(10);
    world.patch("web", "", bad.clone());
    world.pass(600);
    for (name, phase) in [("new", "Pending"), ("web", "Running")] {
        let status = world.pod(name)["status"].clone();
        assert_eq!(status["phase"], phase);
        assert_eq!(status["containerStatuses"][0]["state"]["waiting"]["reason"], "ImagePullBackOff");
        assert_eq!(status["containerStatuses"][1]["ready"], true);
        assert!(!world.is_ready(name));
        let mut good = bad.clone();
        good["spec"]["containers"][0]["image"] = "app:3".into();
        world.patch(name, "", good);
    }
    world.pass(10);
    assert!(world.is_ready("new") && world.is_ready("web"));
    assert_eq!(world.restarts("new"), [0, 0]);
    assert_eq!(world.restarts("web"), [1, 0]);
}

#[test]
fn a_crash_outlasts_a_new_image() {
    let mut world = World::with_ready_pod(1);
    world.actors.crash(world.now(), "sim", "web", Duration::from_secs(30));
    let mut containers = world.pod("web")["spec"]["containers"].clone();
    containers[0]["image"] = "app:2".into();
    world.pass(1);
    world.patch("web", "", json!({"spec": {"containers": containers}}));
    world.pass(20);
    assert_eq!(world.pod("web")["status"]["containerStatuses"][0]["image"], "app:1");
    world.pass(20);
    assert!(world.is_ready("web"));
    assert_eq!(world.pod("web")["status"]["containerStatuses"][0]["image"], "app:2");
    assert_eq!(world.restarts("web"), [1, 1]);
}

#[test]
fn new_resources_are_taken_up_in_place_or_by_a_restart_as_the_policy_says() {
    let mut world = World::with_ready_pod(1);
    let mut containers = world.pod("web")["spec"]["containers"].clone();
    let resources = json!({"requests": {"cpu": "2"}});
    containers[0]["resources"] = resources.clone();
    containers[1]["resources"] = resources.clone();
    containers[1]["resizePolicy"] = json!([{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]);
    world.patch("web", "", json!({"spec": {"containers": containers}}));
    world.pass(10);
    assert_eq!(world.restarts("web"), [0, 1]);
    for status in world.pod("web")["status"]["containerStatuses"].as_array().unwrap() {
        assert_eq!(status["resources"], resources);
        assert_eq!(status["allocatedResources"], resources["requests"]);
    }
    assert!(world.story().iter().any(|line| line.contains("PodResizeInProgress")));
    assert!(world.condition("web", "PodResizeInProgress").is_null());
}

#[test]
fn a_readiness_gate_holds_ready_back_until_its_condition_is_true() {
    let mut world = World::new(1);
    let mut pod = pod();
    pod["spec"]["readinessGates"] = json!([{"conditionType": "Traffic"}]);
    world.create("pods", "web", pod);
    world.pass(10);
    let missing = world.condition("web", "Ready");
    assert_eq!(missing["reason"], "ReadinessGatesNotReady");
    assert_eq!(missing["message"], "corresponding condition of pod readiness gate \"Traffic\" does not exist.");
    let mut conditions = world.pod("web")["status"]["conditions"].as_array().unwrap().clone();
    conditions.push(json!({"type": "Traffic", "status": "False"}));
    world.patch("web", "status", json!({"status": {"conditions": conditions}}));
    world.pass(1);
    let untrue = world.condition("web", "Ready");
    assert_eq!(untrue["message"], "the status of pod readiness gate \"Traffic\" is not \"True\", but False");
    assert_eq!(untrue["lastTransitionTime"], missing["lastTransitionTime"]);
    conditions.last_mut().unwrap()["status"] = "True".into();
    world.patch("web", "status", json!({"status": {"conditions": conditions}}));
    world.pass(1);
    assert!(world.is_ready("web"));
    assert_eq!(world.condition("web", "Traffic")["status"], "True");
}

#[test]
fn a_change_of_metadata_means_nothing() {
    let mut world = World::with_ready_pod(1);
    world.patch("web", "", json!({"metadata": {"labels": {"a": "b"}}}));
    assert_eq!(world.actors.next_due(), None);
}

#[test]
fn a_deleted_pod_is_not_ready_first_and_gone_within_its_grace_period() {
    for seed in 0..50 {
        let mut world = World::with_ready_pod(seed);
        world.delete("pods", "web");
        world.pass(30);
        assert!(world.is_gone("pods", "web"));
        let story = world.story();
        assert!(story[story.len() - 2].contains("\"finishedAt\""), "{story:#?}");
        assert_eq!(world.actors.next_due(), None);
    }
}

#[test]
fn a_pod_with_a_finalizer_is_ended_and_stays() {
    let mut world = World::new(1);
    let mut pod = pod();
    pod["metadata"] = json!({"finalizers": ["sim/hold"]});
    world.create("pods", "web", pod);
    world.pass(10);
    world.delete("pods", "web");
    world.pass(40);
    assert_eq!(world.pod("web")["metadata"]["deletionGracePeriodSeconds"], 0);
    assert!(!world.is_ready("web"));
    assert_eq!(world.actors.next_due(), None);
    world.patch("web", "", json!({"metadata": {"finalizers": null}}));
    assert!(world.is_gone("pods", "web"));
}

#[test]
fn a_crash_ends_by_itself_and_counts_restarts() {
    let mut world = World::with_ready_pod(1);
    world.actors.crash(world.now(), "sim", "web", Duration::from_secs(30));
    world.pass(1);
    assert!(!world.is_ready("web"));
    let waiting = &world.pod("web")["status"]["containerStatuses"][0]["state"]["waiting"];
    assert_eq!(waiting["reason"], "CrashLoopBackOff");
    world.pass(28);
    assert!(!world.is_ready("web"));
    world.pass(6);
    assert!(world.is_ready("web"));
    assert_eq!(world.restarts("web"), [1, 1]);
}

#[test]
fn failing_probes_end_by_themselves_or_are_healed() {
    let mut world = World::with_ready_pod(1);
    for heal in [false, true] {
        world.actors.unready(world.now(), "sim", "web", Duration::from_secs(60));
        world.pass(50);
        assert!(!world.is_ready("web"));
        if heal {
            world.actors.heal_all(world.now());
            world.pass(1);
        } else {
            world.pass(11);
        }
        assert!(world.is_ready("web"));
    }
    assert_eq!(world.restarts("web"), [0, 0]);
}

#[test]
fn an_evicted_pod_fails_for_good() {
    let mut world = World::with_ready_pod(1);
    world.actors.fail(world.now(), "sim", "web");
    world.actors.heal_all(world.now());
    world.pass(600);
    assert_eq!(world.pod("web")["status"]["phase"], "Failed");
    assert_eq!(world.pod("web")["status"]["reason"], "Evicted");
    assert_eq!(world.condition("web", "Ready")["reason"], "PodFailed");
    world.delete("pods", "web");
    world.pass(1);
    assert!(world.is_gone("pods", "web"));
}
