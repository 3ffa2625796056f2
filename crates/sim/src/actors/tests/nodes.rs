//! A lost node.

use std::time::Duration;

use serde_json::Value;

use super::World;

fn node_of(world: &World) -> (usize, String) {
    let name = world.pod("web")["spec"]["nodeName"].as_str().unwrap().to_owned();
    (name.trim_start_matches("node-").parse().unwrap(), name)
}

fn node_ready(world: &World, name: &str) -> Value {
    super::Cluster::get(&world.fake, "nodes", "", name).unwrap()["status"]["conditions"][0]["status"].clone()
}

#[test]
fn a_short_loss_goes_unnoticed() {
    let mut world = World::with_ready_pod(1);
    let (index, _) = node_of(&world);
    let before = world.story().len();
    world.actors.lose_node(world.now(), index, Duration::from_secs(39));
    world.pass(60);
    assert_eq!(world.story().len(), before);
}

#[test]
fn pods_of_a_lost_node_are_not_ready_until_it_is_back() {
    let mut world = World::with_ready_pod(1);
    let (index, name) = node_of(&world);
    world.actors.lose_node(world.now(), index, Duration::from_secs(120));
    world.pass(39);
    assert!(world.is_ready("web"));
    world.pass(2);
    assert!(!world.is_ready("web"));
    assert_eq!(node_ready(&world, &name), "Unknown");
    world.pass(80);
    assert!(world.is_ready("web"));
    assert_eq!(node_ready(&world, &name), "True");
    assert_eq!(world.restarts("web"), [0, 0]);
}

#[test]
fn pods_of_a_node_that_stays_lost_are_deleted_and_terminate_for_ever() {
    let mut world = World::with_ready_pod(1);
    let (index, _) = node_of(&world);
    world.actors.lose_node(world.now(), index, Duration::from_secs(100_000));
    world.pass(339);
    assert!(world.pod("web")["metadata"]["deletionTimestamp"].is_null());
    world.pass(10_000);
    assert!(world.pod("web")["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(world.condition("web", "DisruptionTarget")["reason"], "DeletionByTaintManager");
    world.actors.heal_all(world.now());
    world.pass(30);
    assert!(world.is_gone("pods", "web"));
}

#[test]
fn what_a_lost_kubelet_missed_it_does_when_it_is_back() {
    let mut world = World::with_ready_pod(1);
    let (index, _) = node_of(&world);
    world.actors.lose_node(world.now(), index, Duration::from_secs(30));
    world.delete("pods", "web");
    world.pass(29);
    assert!(!world.is_gone("pods", "web"));
    world.pass(31);
    assert!(world.is_gone("pods", "web"));
}

#[test]
fn a_lost_node_gets_no_new_pods_once_that_is_known() {
    let mut world = World::new(1);
    for index in 0..3 {
        world.actors.lose_node(world.now(), index, Duration::from_secs(100));
    }
    world.pass(50);
    world.create("pods", "web", super::pod());
    world.pass(10);
    assert_eq!(world.condition("web", "PodScheduled")["reason"], "Unschedulable");
    world.pass(60);
    assert!(world.is_ready("web"));
    assert_eq!(world.condition("web", "PodScheduled")["status"], "True");
}

#[test]
fn a_prolonged_loss_ends_with_the_later_end() {
    let mut world = World::with_ready_pod(1);
    let (index, _) = node_of(&world);
    world.actors.lose_node(world.now(), index, Duration::from_secs(200));
    world.actors.lose_node(world.now(), index, Duration::from_secs(60));
    world.pass(190);
    assert!(!world.is_ready("web"));
    world.pass(20);
    assert!(world.is_ready("web"));
}
