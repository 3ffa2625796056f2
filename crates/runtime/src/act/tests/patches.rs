//! Patches: pinned to a version, in sequence, sent again where only `status` moved.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

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

pub(super) fn live() -> Value {
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
async fn a_conflict_stays_a_conflict_where_the_look_at_the_object_fails() {
    let run = run(vec![step(Pace::Concurrent, each(vec![update(Some("10"))]))], |asked| {
        match (asked.what.starts_with("GET"), asked.what.ends_with("/status")) {
            (true, _) => Answer::Silence,
            (false, true) => answers_with("11"),
            (false, false) => Answer::Refuse(409, "Conflict"),
        }
    })
    .await;
    assert_eq!(run.outcome.failed[0].error.code(), Some(409), "not a write that may have been carried out");
}

#[tokio::test(start_paused = true)]
async fn a_patch_that_takes_the_last_finalizer_of_a_terminating_object_expects_nothing_of_it() {
    for (finalizers, grace, expects) in
        [(json!([]), json!(0), false), (json!(["x"]), json!(0), true), (json!([]), json!(30), true)]
    {
        let answer = json!({"metadata": {
            "name": "a", "uid": "uid-a", "resourceVersion": "11", "finalizers": finalizers,
            "deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": grace,
        }});
        let run =
            run(vec![step(Pace::Concurrent, each(vec![update(None)]))], move |_| Answer::Ok(answer.clone())).await;
        assert_eq!(run.expectations.versions.len(), usize::from(expects), "{finalizers} {grace}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_after_the_watch_has_shown_that_the_object_went_leaves_nothing_behind() {
    let (client, _) = server(|_| Answer::Late(Duration::from_secs(1), Box::new(answers_with("11"))));
    let expectations = Expectations::new(Duration::from_secs(300));
    let engine =
        Engine::new(guarded(client, &Leadership::always()), Recorder::silent(), Chance::seeded(1), Limits::default());
    let (owner, steps) = (owner(), [step(Pace::Concurrent, each(vec![update(Some("10"))]))]);
    let (outcome, ()) = tokio::join!(engine.run(&owner, &steps, &expectations), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        expectations.versions.forget("uid-a");
    });
    assert_eq!(outcome.written, 1);
    assert_eq!(expectations.versions.len(), 0);
}
