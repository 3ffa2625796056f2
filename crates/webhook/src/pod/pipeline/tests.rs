//! The pipeline with stages of tests.

use futures::FutureExt;
use futures::future::ready;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::pod::tests::{create, sent};
use crate::testing::desk;

type Outcome<'a> = BoxFuture<'a, Result<(), StageError>>;

fn stage(name: &'static str, run: Run) -> Stage {
    Stage { name, run }
}

fn pod() -> Value {
    json!({ "metadata": { "name": "web", "labels": { "app": "web" } }, "spec": { "containers": [{ "name": "main" }] } })
}

/// Puts a container before the others.
fn inject<'a>(draft: &'a mut Draft<'_>, _: &'a Desk) -> Outcome<'a> {
    let containers = draft.edit().unwrap()["spec"]["containers"].as_array_mut().unwrap();
    containers.insert(0, json!({ "name": "side" }));
    ready(Ok(())).boxed()
}

/// Puts a label on the Pod.
fn label<'a>(draft: &'a mut Draft<'_>, _: &'a Desk) -> Outcome<'a> {
    draft.edit().unwrap()["metadata"]["labels"]["subset"] = "a".into();
    ready(Ok(())).boxed()
}

/// Notes as annotation what it sees of the label.
fn note<'a>(draft: &'a mut Draft<'_>, _: &'a Desk) -> Outcome<'a> {
    let seen = draft.view().unwrap().metadata.labels.get("subset").map(str::to_owned);
    draft.edit().unwrap()["metadata"]["annotations"] = json!({ "seen": seen });
    ready(Ok(())).boxed()
}

fn fail<'a>(_: &'a mut Draft<'_>, _: &'a Desk) -> Outcome<'a> {
    ready(Err(StageError::Failed("no room".to_owned()))).boxed()
}

fn panic<'a>(_: &'a mut Draft<'_>, _: &'a Desk) -> Outcome<'a> {
    panic!("a stage behind one that failed")
}

/// Makes the Pod something else.
fn spoil<'a>(draft: &'a mut Draft<'_>, _: &'a Desk) -> Outcome<'a> {
    draft.edit().unwrap()["metadata"] = json!([]);
    ready(draft.view().map(drop)).boxed()
}

/// The operations of the patch.
async fn patch(stages: &[Stage], request: &Request) -> Value {
    match run(stages, request, &desk("")).await {
        Verdict::Allow => json!([]),
        Verdict::Change(patch) => serde_json::to_value(patch).unwrap(),
        Verdict::Refuse(refusal) => panic!("{refusal:?}"),
    }
}

async fn refusal(stages: &[Stage], request: &Request) -> Refusal {
    match run(stages, request, &desk("")).await {
        Verdict::Refuse(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test] // PW-5
async fn each_stage_sees_what_the_ones_before_it_did() {
    let seen = async |stages: &[Stage]| {
        let patch = patch(stages, &create(pod())).await;
        let noted = patch.as_array().unwrap().iter().find(|step| step["path"] == "/metadata/annotations");
        noted.unwrap()["value"]["seen"].clone()
    };
    assert_eq!(seen(&[stage("label", label), stage("note", note)]).await, "a");
    assert_eq!(seen(&[stage("note", note), stage("label", label)]).await, Value::Null);
}

#[tokio::test] // pod-webhook page, edge case 8
async fn two_edits_give_one_patch() {
    for request in [create(pod()), sent(&pod().to_string())] {
        assert_eq!(
            patch(&[stage("inject", inject), stage("label", label)], &request).await,
            json!([
                { "op": "add", "path": "/metadata/labels/subset", "value": "a" },
                { "op": "add", "path": "/spec/containers/0", "value": { "name": "side" } },
            ])
        );
    }
}

#[tokio::test] // PW-5
async fn a_stage_that_fails_ends_the_request_with_500_and_its_text() {
    let stages = [stage("label", label), stage("fail", fail), stage("panic", panic)];
    let refusal = refusal(&stages, &create(pod())).await;
    assert_eq!((refusal.code, refusal.rule, refusal.message.as_str()), (500, "fail", "no room"));
}

#[tokio::test] // PW-4
async fn no_stage_sees_a_pod_that_can_not_be_read() {
    let refusal = refusal(&[stage("panic", panic)], &create(json!({ "metadata": [] }))).await;
    assert_eq!((refusal.code, refusal.rule), (400, "decode"));
}

#[tokio::test] // PW-5
async fn a_pod_that_a_stage_spoiled_is_that_stages_failure() {
    let refusal = refusal(&[stage("spoil", spoil)], &create(pod())).await;
    assert_eq!((refusal.code, refusal.rule), (500, "spoil"));
    assert_eq!(refusal.message, "decode Pod after a change: invalid type: sequence, expected an object");
}

#[tokio::test] // PW-4, PW-6
async fn an_empty_namespace_is_the_requests_for_look_ups_and_not_part_of_the_patch() {
    /// Notes where it would look.
    fn look<'a>(draft: &'a mut Draft<'_>, _: &'a Desk) -> Outcome<'a> {
        let namespace = draft.namespace().to_owned();
        draft.edit().unwrap()["metadata"]["annotations"] = json!({ "looked-in": namespace });
        ready(Ok(())).boxed()
    }
    let mut named = pod();
    named["metadata"]["namespace"] = "own".into();
    for (pod, want) in [(pod(), "shop"), (named, "own")] {
        let want = json!([{ "op": "add", "path": "/metadata/annotations", "value": { "looked-in": want } }]);
        assert_eq!(patch(&[stage("look", look)], &create(pod)).await, want);
    }
}

#[tokio::test] // PW-6
async fn edits_that_undo_each_other_are_no_change() {
    fn remove<'a>(draft: &'a mut Draft<'_>, _: &'a Desk) -> Outcome<'a> {
        draft.edit().unwrap()["spec"]["containers"].as_array_mut().unwrap().remove(0);
        ready(Ok(())).boxed()
    }
    let verdict = run(&[stage("inject", inject), stage("remove", remove)], &create(pod()), &desk("")).await;
    assert_eq!(verdict, Verdict::Allow);
}

proptest! {
    #[test] // PW-6
    fn members_that_nobody_here_knows_survive_anywhere(unknown in crate::testing::object()) {
        let mut before = pod();
        before["someday"] = unknown.clone();
        before["metadata"]["someday"] = unknown.clone();
        before["spec"]["someday"] = unknown.clone();
        before["spec"]["containers"][0]["someday"] = unknown;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let stages = [stage("inject", inject), stage("label", label)];
        let patch = runtime.block_on(patch(&stages, &sent(&before.to_string())));
        let mut after = before.clone();
        let patch: json_patch::Patch = serde_json::from_value(patch).unwrap();
        json_patch::patch(&mut after, &patch).unwrap();
        let mut wanted = before;
        wanted["metadata"]["labels"]["subset"] = "a".into();
        wanted["spec"]["containers"].as_array_mut().unwrap().insert(0, json!({ "name": "side" }));
        prop_assert_eq!(after, wanted);
    }
}
