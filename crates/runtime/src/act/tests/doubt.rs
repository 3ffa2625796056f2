//! Writes without an answer: looked at until it is known what became of them.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_creation_without_an_answer_that_was_carried_out_counts_as_written() {
    let run =
        run(vec![step(Pace::Concurrent, each(vec![create("a")]))], |asked| match asked.what.starts_with("POST") {
            true => Answer::Silence,
            false => answers_with("11"),
        })
        .await;
    assert_eq!((run.outcome.written, run.took), (1, Duration::from_secs(34)));
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

/// The POST gets no answer; live reads show these, the last one again and again.
async fn lost_creation(live: Vec<Answer>) -> Run {
    let live: Vec<_> = live.into_iter().map(std::sync::Arc::new).collect();
    let reads = AtomicU32::new(0);
    run(vec![step(Pace::Concurrent, each(vec![create("a")]))], move |asked| {
        if !asked.what.starts_with("GET") {
            return Answer::Silence;
        }
        let at = reads.fetch_add(1, Ordering::Relaxed) as usize;
        match &*live[at.min(live.len() - 1)] {
            Answer::Ok(body) => Answer::Ok(body.clone()),
            _ => Answer::Refuse(404, "NotFound"),
        }
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_the_server_does_not_show_yet_may_still_be_carried_out() {
    let none = || Answer::Refuse(404, "NotFound");
    let run = lost_creation(vec![none(), none(), answers_with("11")]).await;
    assert_eq!(run.outcome.failed.len(), 1);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(run.waits_for(), ["a"], "it was made four seconds later");
    assert_eq!(run.log.lines().len(), 4, "and nobody asks any more");
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_the_server_does_not_show_after_a_while_is_expected_no_longer() {
    let run = lost_creation(vec![Answer::Refuse(404, "NotFound")]).await;
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(run.waits_for(), ["a"]);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(run.waits_for().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_object_of_another_controller_under_the_name_does_not_count_as_created() {
    let owned = json!([{"uid": "somebody", "controller": true}]);
    let live = json!({"metadata": {"name": "a", "uid": "u", "resourceVersion": "5", "ownerReferences": owned}});
    let run = lost_creation(vec![Answer::Ok(live)]).await;
    assert_eq!(run.outcome.written, 0);
    tokio::time::sleep(Duration::from_secs(13)).await;
    assert!(run.waits_for().is_empty());
}

#[tokio::test(start_paused = true)]
async fn only_an_answer_that_the_server_has_failed_is_final() {
    for (code, reason, waits) in
        [(500, "InternalError", false), (500, "ServerTimeout", true), (504, "Timeout", true), (502, "BadGateway", true)]
    {
        let run = run(vec![step(Pace::Concurrent, each(vec![create("a")]))], move |asked| {
            match asked.what.starts_with("POST") {
                true => Answer::Refuse(code, reason),
                false => Answer::Refuse(404, "NotFound"),
            }
        })
        .await;
        assert_eq!(!run.waits_for().is_empty(), waits, "{code} {reason}");
    }
}

/// The first patch of Pod `a`, judged at version 10, gets no answer; live reads show these versions.
async fn lost_patch(resource_version: Option<&'static str>, live: Vec<&'static str>) -> Run {
    let reads = AtomicU32::new(0);
    run(vec![step(Pace::Concurrent, each(vec![update(resource_version)]))], move |asked| {
        if !asked.what.starts_with("GET") {
            return Answer::Silence;
        }
        let at = reads.fetch_add(1, Ordering::Relaxed) as usize;
        match live[at.min(live.len() - 1)] {
            "" => Answer::Refuse(503, "ServiceUnavailable"),
            version => answers_with(version),
        }
    })
    .await
}

impl Run {
    /// Whether Pod `a`, seen at this version, must not be judged.
    fn holds(&self, seen: &str) -> bool {
        self.expectations.versions.waiting("uid-a", seen, clock::instant()).is_some()
    }
}

// Design rule 2
#[tokio::test(start_paused = true)]
async fn a_patch_without_an_answer_holds_its_object_until_the_cache_is_as_new_as_the_server() {
    for version in [Some("10"), None] {
        let run = lost_patch(version, vec!["14"]).await;
        assert_eq!((run.outcome.written, run.outcome.failed.len()), (0, 1), "the next pass patches on");
        assert!(run.holds("13"));
        assert!(!run.holds("14"));
    }
}

// Design rule 2
#[tokio::test(start_paused = true)]
async fn a_patch_without_an_answer_holds_its_object_while_the_server_cannot_tell_or_is_still_at_work() {
    let run = lost_patch(Some("10"), vec!["", "10", "10", "12"]).await;
    assert!(run.holds("10"));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(run.holds("11") && !run.holds("12"), "it was carried out after six seconds");
    let run = lost_patch(Some("10"), vec!["10"]).await;
    assert!(run.holds("10"));
    tokio::time::sleep(Duration::from_secs(13)).await;
    assert!(!run.holds("10"), "it was not");
}
