//! Tests of the write engine over a scripted API server: bodies, order, pace, expectations, leadership.

use std::sync::atomic::{AtomicU32, Ordering};

use rules::write::{PERSISTENT_VOLUME_CLAIM, Patch, PatchFormat, Severity, Subresource};
use serde_json::{Value, json};

use super::*;
use crate::clock;
use crate::expectations::Wait;
use crate::mock::{Answer, Asked, Log, server};

fn write(name: &str, verb: Verb) -> Write {
    Write {
        resource: POD,
        namespace: Some("shop".to_owned()),
        name: name.to_owned(),
        verb,
        reason: "test",
        revision: None,
        on_success: None,
        on_failure: None,
    }
}

fn create(name: &str) -> Write {
    write(
        name,
        Verb::Create {
            body: json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "new": {"field": 1}}),
        },
    )
}

fn delete(name: &str) -> Write {
    write(name, Verb::Delete { uid: format!("uid-{name}") })
}

fn patch(subresource: Subresource, body: Value) -> Patch {
    Patch { subresource, format: PatchFormat::Strategic, body }
}

/// Two patches of one Pod: status, then the image.
fn update(resource_version: Option<&str>) -> Write {
    write(
        "a",
        Verb::Patch {
            uid: Some("uid-a".to_owned()),
            resource_version: resource_version.map(ToOwned::to_owned),
            patches: vec![
                patch(Subresource::Status, json!({"status": {"conditions": []}})),
                patch(Subresource::None, json!({"metadata": {"labels": {"r": "2"}}, "spec": {"containers": []}})),
            ],
        },
    )
}

fn step(pace: Pace, groups: Vec<Group>) -> Step {
    Step { groups, pace }
}

fn each(writes: Vec<Write>) -> Vec<Group> {
    writes.into_iter().map(|write| vec![write]).collect()
}

fn owner() -> Owner {
    let reference = Reference { namespace: "shop".to_owned(), name: "web".to_owned(), ..Reference::default() };
    Owner { reference }
}

struct Run {
    outcome: Outcome,
    log: Log,
    expectations: Expectations,
    took: Duration,
}

impl Run {
    /// Names that the owner still waits for.
    fn waits_for(&self) -> Vec<String> {
        match self.expectations.scale.waiting(&owner().key(), clock::instant()) {
            Some(Wait::Unmet { names, .. }) => names,
            other => other.map_or_else(Vec::new, |other| panic!("{other:?}")),
        }
    }
}

async fn run(steps: Vec<Step>, answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Run {
    run_as(Leadership::always(), Limits::default(), steps, answer).await
}

async fn run_as(
    leadership: Leadership,
    limits: Limits,
    steps: Vec<Step>,
    answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
) -> Run {
    let (client, log) = server(answer);
    let expectations = Expectations::new(Duration::from_secs(300));
    let engine = Engine::new(client, leadership, Recorder::silent(), limits);
    let start = clock::instant();
    let outcome = engine.run(&owner(), &steps, &expectations).await;
    Run { outcome, log, expectations, took: clock::instant() - start }
}

fn answers_with(version: &str) -> Answer {
    Answer::Ok(json!({"metadata": {"name": "a", "uid": "uid-a", "resourceVersion": version}, "spec": {"x": 1}}))
}

#[tokio::test(start_paused = true)]
async fn a_created_object_is_sent_whole_and_expected() {
    let run = run(vec![step(Pace::Concurrent, each(vec![create("a")]))], |_| Answer::Ok(json!({}))).await;
    assert_eq!(run.outcome.written, 1);
    let asked = &run.log.all()[0];
    assert_eq!(
        (asked.what.as_str(), asked.query.as_str()),
        ("POST /api/v1/namespaces/shop/pods", "&fieldManager=kruise-manager")
    );
    assert_eq!(asked.body["new"]["field"], 1, "unknown fields reach the server");
    assert_eq!(run.waits_for(), ["a"]);
}

// PL-70
#[tokio::test(start_paused = true)]
async fn a_refused_creation_is_expected_no_longer() {
    let run =
        run(vec![step(Pace::Concurrent, each(vec![create("a")]))], |_| Answer::Refuse(409, "AlreadyExists")).await;
    assert!(run.outcome.failed[0].error.is_already_exists());
    assert!(run.waits_for().is_empty());
    let err = run.outcome.into_result().unwrap_err();
    assert_eq!(err.to_string(), "pods a: no (409 AlreadyExists)");
}

#[tokio::test(start_paused = true)]
async fn a_deletion_names_the_uid_and_is_expected() {
    let run = run(vec![step(Pace::Concurrent, each(vec![delete("a")]))], |_| Answer::Ok(json!({}))).await;
    let asked = &run.log.all()[0];
    assert_eq!(asked.what, "DELETE /api/v1/namespaces/shop/pods/a");
    assert_eq!(asked.body, json!({"preconditions": {"uid": "uid-a"}, "propagationPolicy": "Background"}));
    assert_eq!(run.waits_for(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_gone_counts_as_deleted() {
    let run = run(vec![step(Pace::Concurrent, each(vec![delete("a")]))], |_| Answer::Refuse(404, "NotFound")).await;
    assert_eq!((run.outcome.written, run.outcome.failed.len()), (1, 0));
    assert!(run.waits_for().is_empty());
}

// CS-48
#[tokio::test(start_paused = true)]
async fn a_slow_start_doubles_its_batches_and_ends_with_the_batch_that_failed() {
    let names: Vec<String> = (0..20).map(|at| format!("p{at}")).collect();
    let groups = each(names.iter().map(|name| create(name)).collect());
    let run = run(vec![step(Pace::SlowStart, groups), step(Pace::Concurrent, each(vec![create("later")]))], |asked| {
        let answer = match asked.body["metadata"]["name"].as_str() {
            Some("p4") => Answer::Refuse(403, "Forbidden"),
            _ => Answer::Ok(json!({})),
        };
        Answer::Late(Duration::from_millis(10), Box::new(answer))
    })
    .await;
    let under_way: Vec<_> = run.log.all().iter().map(|asked| asked.under_way).collect();
    assert_eq!(under_way, [1, 1, 2, 1, 2, 3, 4]);
    assert_eq!((run.outcome.written, run.outcome.failed.len(), run.outcome.skipped), (6, 1, 14));
    assert_eq!(run.waits_for().len(), 6, "Pods that were not created are not expected");
}

#[tokio::test(start_paused = true)]
async fn side_by_side_groups_keep_to_the_limit_and_no_more_start_after_a_failure() {
    let limits = Limits { concurrency: 3, ..Limits::default() };
    let groups = each((0..10).map(|at| delete(&format!("p{at}"))).collect());
    let run = run_as(Leadership::always(), limits, vec![step(Pace::Concurrent, groups)], |asked| {
        let (millis, answer) = match asked.what.ends_with("/p1") {
            true => (5, Answer::Refuse(403, "Forbidden")),
            false => (10, Answer::Ok(json!({}))),
        };
        Answer::Late(Duration::from_millis(millis), Box::new(answer))
    })
    .await;
    assert_eq!(run.log.all().iter().map(|asked| asked.under_way).max(), Some(3));
    assert_eq!((run.outcome.written, run.outcome.failed.len(), run.outcome.skipped), (2, 1, 7));
}

#[tokio::test(start_paused = true)]
async fn a_failed_claim_keeps_its_pod_from_being_created() {
    let mut claim = create("claim-a");
    claim.resource = PERSISTENT_VOLUME_CLAIM;
    let run =
        run(vec![step(Pace::Concurrent, vec![vec![claim, create("a")]])], |_| Answer::Refuse(403, "Forbidden")).await;
    assert_eq!(run.log.lines(), ["POST /api/v1/namespaces/shop/persistentvolumeclaims"]);
    assert_eq!((run.outcome.failed.len(), run.outcome.skipped), (1, 1));
}

// Ruling 18
#[tokio::test(start_paused = true)]
async fn each_patch_is_pinned_to_the_version_that_the_one_before_left() {
    let run = run(vec![step(Pace::Concurrent, each(vec![update(Some("10"))]))], |asked| match asked.body["status"] {
        Value::Null => answers_with("12"),
        _ => answers_with("11"),
    })
    .await;
    assert_eq!(run.outcome.written, 1);
    let asked = run.log.all();
    assert_eq!(
        run.log.lines(),
        ["PATCH /api/v1/namespaces/shop/pods/a/status", "PATCH /api/v1/namespaces/shop/pods/a"]
    );
    assert_eq!(asked[0].content_type, "application/strategic-merge-patch+json");
    assert_eq!(
        asked[0].body,
        json!({"metadata": {"uid": "uid-a", "resourceVersion": "10"}, "status": {"conditions": []}})
    );
    assert_eq!(asked[1].body["metadata"], json!({"uid": "uid-a", "resourceVersion": "11", "labels": {"r": "2"}}));
    let versions = &run.expectations.versions;
    assert!(versions.waiting("uid-a", "11", clock::instant()).is_some());
    assert!(versions.waiting("uid-a", "12", clock::instant()).is_none());
}

#[tokio::test(start_paused = true)]
async fn without_a_version_only_the_identity_is_pinned() {
    let run = run(vec![step(Pace::Concurrent, each(vec![update(None)]))], |_| answers_with("11")).await;
    for asked in run.log.all() {
        assert_eq!(asked.body["metadata"]["uid"], "uid-a");
        assert!(asked.body["metadata"].get("resourceVersion").is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_conflict_of_the_first_patch_is_final() {
    let run =
        run(vec![step(Pace::Concurrent, each(vec![update(Some("10"))]))], |_| Answer::Refuse(409, "Conflict")).await;
    assert_eq!(run.log.lines().len(), 1);
    assert_eq!(run.outcome.failed[0].error.code(), Some(409));
}

/// The later patch meets `conflicts` conflicts; a live read shows `live`.
async fn conflicting(conflicts: u32, live: Value) -> Run {
    let met = AtomicU32::new(0);
    run(vec![step(Pace::Concurrent, each(vec![update(Some("10"))]))], move |asked| {
        if asked.what.starts_with("GET") {
            let mut live = live.clone();
            let version = 20 + met.load(Ordering::Relaxed);
            live["metadata"]["resourceVersion"] = json!(version.to_string());
            return Answer::Ok(live);
        }
        if asked.what.ends_with("/status") {
            return answers_with("11");
        }
        match met.fetch_add(1, Ordering::Relaxed) < conflicts {
            true => Answer::Refuse(409, "Conflict"),
            false => answers_with("30"),
        }
    })
    .await
}

fn live() -> Value {
    json!({"metadata": {"name": "a", "uid": "uid-a", "managedFields": [{}]}, "spec": {"x": 1}, "status": {"phase": "Running"}})
}

// IU-24
#[tokio::test(start_paused = true)]
async fn a_later_patch_is_sent_again_where_only_status_moved() {
    let run = conflicting(2, live()).await;
    assert_eq!((run.outcome.written, run.outcome.failed.len()), (1, 0));
    let patches: Vec<Value> = run
        .log
        .all()
        .iter()
        .filter(|asked| asked.what.ends_with("PATCH /api/v1/namespaces/shop/pods/a"))
        .map(|asked| asked.body["metadata"]["resourceVersion"].clone())
        .collect();
    assert_eq!(patches, ["11", "21", "22"]);
    let pause = Duration::from_millis(60);
    assert!(run.took >= pause && run.took < pause.mul_f64(1.15), "10 and 50 ms, up to a tenth more: {:?}", run.took);
}

// IU-24
#[tokio::test(start_paused = true)]
async fn a_later_patch_is_tried_four_times_at_most() {
    let run = conflicting(9, live()).await;
    assert_eq!(run.outcome.failed[0].error.code(), Some(409));
    assert_eq!(run.log.lines().iter().filter(|line| line.ends_with("PATCH /api/v1/namespaces/shop/pods/a")).count(), 4);
}

// Ruling 18
#[tokio::test(start_paused = true)]
async fn a_later_patch_fails_where_more_than_status_moved() {
    for (what, value) in [
        ("/spec", json!({"x": 2})),
        ("/metadata", json!({"uid": "uid-a", "name": "a", "labels": {"by": "user"}})),
        ("/metadata", json!({"uid": "uid-a", "name": "a", "annotations": {"by": "user"}})),
        ("/metadata", json!({"uid": "uid-a", "name": "a", "finalizers": ["x"]})),
        ("/metadata", json!({"uid": "uid-a", "name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"})),
        ("/metadata", json!({"uid": "uid-b", "name": "a"})),
    ] {
        let mut moved = live();
        *moved.pointer_mut(what).unwrap() = value;
        let run = conflicting(1, moved.clone()).await;
        assert_eq!(run.outcome.failed.len(), 1, "{moved}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_creation_without_an_answer_that_was_carried_out_counts_as_written() {
    let run =
        run(vec![step(Pace::Concurrent, each(vec![create("a")]))], |asked| match asked.what.starts_with("POST") {
            true => Answer::Silence,
            false => answers_with("11"),
        })
        .await;
    assert_eq!((run.outcome.written, run.took), (1, Duration::from_secs(4)));
    assert_eq!(run.waits_for(), ["a"], "the watch has yet to show it");
}

#[tokio::test(start_paused = true)]
async fn a_creation_without_an_answer_that_was_not_carried_out_is_expected_no_longer() {
    let run =
        run(vec![step(Pace::Concurrent, each(vec![create("a")]))], |asked| match asked.what.starts_with("POST") {
            true => Answer::Refuse(500, "InternalError"),
            false => Answer::Refuse(404, "NotFound"),
        })
        .await;
    assert_eq!(run.outcome.failed[0].error.code(), Some(500));
    assert!(run.waits_for().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_write_of_unknown_outcome_is_expected_until_the_server_tells() {
    let asked_before = AtomicU32::new(0);
    let run = run(vec![step(Pace::Concurrent, each(vec![delete("a")]))], move |asked| {
        match (asked.what.starts_with("GET"), asked_before.fetch_add(1, Ordering::Relaxed)) {
            (true, 3..) => answers_with("11"),
            _ => Answer::Silence,
        }
    })
    .await;
    assert_eq!(run.outcome.failed.len(), 1);
    assert_eq!(run.waits_for(), ["a"]);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(run.waits_for().is_empty(), "the server shows the Pod, neither deleted nor going");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_once_leadership_is_lost() {
    let run = run_as(
        Leadership::over_already(),
        Limits::default(),
        vec![step(Pace::Concurrent, each(vec![create("a"), delete("b")]))],
        |_| Answer::Ok(json!({})),
    )
    .await;
    assert!(run.log.lines().is_empty());
    assert!(matches!(run.outcome.failed[0].error, Error::NotLeader));
    assert!(run.waits_for().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_event_follows_each_write_and_tells_why_it_failed() {
    let (client, log) = server(|asked| match asked.what.as_str() {
        "POST /api/v1/namespaces/shop/pods" => Answer::Refuse(403, "Forbidden"),
        _ => Answer::Ok(json!({})),
    });
    let event = |severity, reason, message: &str| Some(Event { severity, reason, message: message.to_owned() });
    let mut writes = vec![delete("b"), create("a")];
    for write in &mut writes {
        write.on_success = event(Severity::Normal, "SuccessfulDelete", "deleted");
        write.on_failure = event(Severity::Warning, "FailedCreate", "failed: {err}");
    }
    let recorder = Recorder::start(client.clone(), "test-controller", None, crate::shutdown::Shutdown::manual());
    let engine = Engine::new(client, Leadership::always(), recorder, Limits::default());
    let expectations = Expectations::new(Duration::from_secs(300));
    let outcome = engine.run(&owner(), &[step(Pace::Concurrent, vec![writes])], &expectations).await;
    assert_eq!((outcome.written, outcome.failed.len()), (1, 1));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let events: Vec<_> =
        log.all().into_iter().filter(|asked| asked.what.ends_with("/events")).map(|asked| asked.body).collect();
    let told: Vec<_> = events.iter().map(|event| (event["type"].as_str(), event["message"].as_str())).collect();
    assert_eq!(told, [(Some("Normal"), Some("deleted")), (Some("Warning"), Some("failed: no (403 Forbidden)"))]);
}
