//! Nothing is written without leadership, and nothing that was not sent counts as perhaps carried out.

use super::*;
use crate::mock::Cluster;
use crate::shutdown::Shutdown;

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

/// Runs as a leader that cannot renew any more.
async fn run_cut_off(steps: Vec<Step>, answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Run {
    let (cluster, end) = (Cluster::default(), Shutdown::manual());
    let leadership = cluster.start("me", &end);
    assert!(leadership.acquired().await);
    *cluster.down.lock() = true;
    run_as(leadership, Limits::default(), steps, answer).await
}

// Platform section 5
#[tokio::test(start_paused = true)]
async fn a_later_patch_of_a_sequence_is_not_sent_once_leadership_is_lost() {
    let run = run_cut_off(vec![step(Pace::Concurrent, each(vec![update(Some("10"))]))], |asked| {
        // Each send is in time; the pauses in between are not.
        match asked.what.starts_with("GET") {
            true => Answer::Ok(patches::live()),
            false if asked.what.ends_with("/status") => {
                Answer::Late(Duration::from_secs(3), Box::new(answers_with("11")))
            }
            false => Answer::ComeBack(429, "8"),
        }
    })
    .await;
    assert_eq!(run.log.lines().len(), 2, "the status, and the image once: {:?}", run.log.lines());
    assert!(matches!(run.outcome.failed[0].error, Error::NotLeader));
}

// Platform section 5
#[tokio::test(start_paused = true)]
async fn a_creation_that_was_turned_away_and_not_sent_again_is_not_expected() {
    let run = run_cut_off(vec![step(Pace::Concurrent, each(vec![create("a")]))], |_| Answer::ComeBack(429, "20")).await;
    assert!(matches!(run.outcome.failed[0].error, Error::NotLeader));
    assert_eq!(run.log.lines().len(), 1, "and nobody asks what became of it");
    assert!(run.waits_for().is_empty());
}

#[test]
fn what_was_not_sent_has_not_been_carried_out() {
    use crate::client::Failure;
    let error = |failure: Failure| Error::from(kube::Error::from(failure));
    assert!(!error(Failure::NotLeader).may_have_been_carried_out());
    assert!(!error(Failure::NotConnected("refused".into())).may_have_been_carried_out());
    assert!(error(Failure::TimedOut(Duration::from_secs(4))).may_have_been_carried_out());
}
