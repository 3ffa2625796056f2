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
