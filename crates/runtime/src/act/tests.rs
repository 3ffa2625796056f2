//! Tests of the write engine over a scripted API server: bodies, order, pace, expectations, leadership.

use std::time::Duration;

use rules::write::{PERSISTENT_VOLUME_CLAIM, Patch, PatchFormat, Resource, Severity, Subresource, Verb};
use serde_json::{Value, json};

use super::*;
use crate::clock;
use crate::expectations::{ObjectId, Sight, State, Wait};
use crate::leader::Leadership;
use crate::mock::{Answer, Asked, Log, ambient, guarded, server};

mod doubt;
mod leadership;
mod patches;
mod reports;

const DELETE: &str = "DELETE /api/v1/namespaces/shop/pods/";

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
        // The cache shows what there was before: Pods that were to be deleted, none that were created.
        let deleted: Vec<String> =
            self.log.lines().iter().filter_map(|line| line.strip_prefix(DELETE).map(Into::into)).collect();
        let before = |name: &str| Sight { uid: format!("uid-{name}").into(), version: Some(1), state: State::Live };
        let look =
            |object: &ObjectId| deleted.iter().any(|name| *name == object.key.name).then(|| before(&object.key.name));
        match self.expectations.scale.waiting(&owner().id(), clock::instant(), look) {
            Some(Wait::Unmet { names, .. }) => names.iter().map(ToString::to_string).collect(),
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
    let engine = Engine::new(guarded(client, &leadership), Recorder::silent(), Chance::seeded(1), limits);
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
    assert_eq!(run.waits_for(), ["a"], "the cache may still show it");
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
    let limits = Limits { concurrency: 3 };
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
    let recorder =
        Recorder::start(client.clone(), "test-controller", None, ambient(), crate::shutdown::Shutdown::manual());
    let engine = Engine::new(guarded(client, &Leadership::always()), recorder, Chance::seeded(1), Limits::default());
    let expectations = Expectations::new(Duration::from_secs(300));
    let outcome = engine.run(&owner(), &[step(Pace::Concurrent, vec![writes])], &expectations).await;
    assert_eq!((outcome.written, outcome.failed.len()), (1, 1));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let events: Vec<_> =
        log.all().into_iter().filter(|asked| asked.what.ends_with("/events")).map(|asked| asked.body).collect();
    let told: Vec<_> = events.iter().map(|event| (event["type"].as_str(), event["message"].as_str())).collect();
    assert_eq!(told, [(Some("Normal"), Some("deleted")), (Some("Warning"), Some("failed: no (403 Forbidden)"))]);
}
