//! Counters and the Progressing condition (section 3, CS-80).

use serde_json::{Value, json};

use super::{
    fixtures::{ago, cloneset, pods},
    world::{World, world},
};

#[test] // section 3.1
fn counters_are_over_active_pods() {
    let world = world(cloneset(4).merge(json!({"spec": {"minReadySeconds": 10}})).partition(1))
        .owning(pods(4).first(1, |pod| pod.old()).first(2, |pod| pod.ready_for(5)));
    let status = world.plan().status;
    assert!(status.must_write);
    let wanted = status.wanted;
    assert_eq!((wanted.replicas, wanted.ready_replicas, wanted.available_replicas), (4, 4, 2));
    assert_eq!((wanted.updated_replicas, wanted.updated_ready_replicas, wanted.updated_available_replicas), (3, 3, 2));
    assert_eq!((wanted.expected_updated_replicas, wanted.observed_generation), (3, 1));
    assert_eq!((wanted.current_revision.as_str(), wanted.update_revision.as_str()), ("web-1", "web-2"));
    assert_eq!(wanted.label_selector, "app=web");
}

#[test] // CS-124
fn the_update_revision_becomes_current_once_all_carry_it_ready_or_not() {
    let world = world(cloneset(2)).owning(pods(2).each(|pod| pod.not_ready()));
    assert_eq!(world.plan().status.wanted.current_revision, "web-2");
}

#[test] // section 3.1
fn a_status_that_says_the_same_is_not_written() {
    let world = world(cloneset(2)).settled().owning(pods(2));
    let status = world.plan().status;
    let again = world.status(serde_json::to_value(&status.wanted).unwrap()).plan().status;
    assert!(status.must_write && !again.must_write);
}

fn progressing(world: World) -> Value {
    let status = world.plan().status.wanted;
    serde_json::to_value(&status.conditions).unwrap()[0].clone()
}

fn tracked(replicas: i32) -> super::fixtures::CloneSetFixture {
    cloneset(replicas).merge(json!({"spec": {"progressDeadlineSeconds": 600}}))
}

#[test] // CS-80
fn the_first_row_that_holds_gives_the_reason() {
    for (world, want) in [
        (world(tracked(2)).owning(pods(2)), "CloneSetAvailable"),
        (world(tracked(2).paused()).owning(pods(2).each(|pod| pod.old())), "CloneSetPaused"),
        (world(tracked(2).partition(1)).owning(pods(2).first(1, |pod| pod.old())), "ProgressPartitionAvailable"),
        (world(tracked(2)).owning(pods(2).each(|pod| pod.old())), "CloneSetUpdated"),
    ] {
        assert_eq!(progressing(world)["reason"], json!(want));
    }
}

#[test] // CS-80 row 4, ruling on the 1.9 note
fn only_time_spent_progressing_counts_against_the_deadline() {
    let since = |reason: &str| {
        let condition = json!([{"type": "Progressing", "status": "True", "reason": reason,
            "lastUpdateTime": ago(700).to_string(), "lastTransitionTime": ago(700).to_string()}]);
        let world = world(tracked(2)).owning(pods(2).each(|pod| pod.old())).status(json!({"conditions": condition}));
        progressing(world)["reason"].clone()
    };
    assert_eq!(since("CloneSetUpdated"), json!("ProgressDeadlineExceeded"));
    assert_eq!(since("CloneSetAvailable"), json!("CloneSetUpdated"));
}

#[test] // CS-80
fn without_a_deadline_the_condition_goes() {
    let condition = json!([{"type": "Progressing", "status": "True", "reason": "CloneSetUpdated"}]);
    let status = world(cloneset(1)).owning(pods(1)).status(json!({"conditions": condition})).plan().status;
    assert!(status.wanted.conditions.is_empty());
    assert_eq!(status.patch().unwrap()["status"]["conditions"], json!([]));
}

#[test] // section 3.1, 1.9 note
fn failures_are_set_when_missing_and_stay() {
    let status = world(cloneset(1)).plan().status;
    let failed = status.with_failures(Some("quota"), None, super::fixtures::now());
    let again = failed.clone().with_failures(Some("other"), None, super::fixtures::now());
    assert_eq!(failed.wanted.conditions[0].message, "quota");
    assert_eq!(again.wanted.conditions, failed.wanted.conditions);
}
