//! What the engine says of its writes: one line each, and what became of all of them.

use rules::write::CLONE_SET;
use tracing::{Instrument, info_span};

use super::*;
use crate::telemetry::captured::Captured;

fn named(name: &str, resource: Resource, reason: &'static str, revision: Option<&str>, verb: Verb) -> Write {
    Write { resource, reason, revision: revision.map(ToOwned::to_owned), ..write(name, verb) }
}

// Design rule 8
#[tokio::test(start_paused = true)]
async fn each_write_is_one_line_with_object_reason_and_revision() {
    let log = Captured::start();
    let status = vec![patch(Subresource::Status, json!({"status": {}}))];
    let status = Verb::Patch { uid: Some("uid-a".to_owned()), resource_version: None, patches: status };
    let two = update(Some("10")).verb;
    let group = vec![
        named("web-1", POD, "scale down", None, Verb::Delete { uid: "u".to_owned() }),
        named("web-2", POD, "update in place", Some("web-7c1f"), two),
        named("web", CLONE_SET, "write status", None, status),
        named("web-3", POD, "scale up", Some("web-7c1f"), Verb::Create { body: json!({}) }),
        named("web-4", POD, "scale up", Some("web-7c1f"), Verb::Create { body: json!({}) }),
    ];
    let span = info_span!("reconcile", kind = "CloneSet", object = %"shop/web", reconcile_id = "7f3a");
    let run = run(vec![step(Pace::Concurrent, vec![group])], |asked| match asked.what.starts_with("POST") {
        true => Answer::Refuse(403, "Forbidden"),
        false => answers_with("11"),
    })
    .instrument(span)
    .await;
    assert_eq!((run.outcome.written, run.outcome.failed.len(), run.outcome.skipped), (3, 1, 1));
    let span = "reconcile{kind=CloneSet object=shop/web reconcile_id=7f3a}:";
    assert_eq!(
        log.lines(),
        [
            format!("INFO {span} scale down pod=web-1"),
            format!("INFO {span} update in place pod=web-2 revision=web-7c1f"),
            format!("INFO {span} write status object=clonesets/web"),
            format!("WARN {span} failed: scale up pod=web-3 revision=web-7c1f err=\"no (403 Forbidden)\""),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_write_that_leadership_forbids_is_no_line_for_people() {
    let log = Captured::start();
    let steps = vec![step(Pace::Concurrent, each(vec![create("a")]))];
    run_as(Leadership::over_already(), Limits::default(), steps, |_| Answer::Ok(json!({}))).await;
    assert_eq!(log.lines(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn every_write_that_failed_is_reported_by_name_and_the_others_are_done() {
    let writes = vec![delete("a"), create("b"), delete("c"), create("d")];
    let run = run(vec![step(Pace::Concurrent, each(writes))], |asked| {
        let answer = match asked.what.starts_with("POST") {
            true => Answer::Refuse(403, "Forbidden"),
            false => Answer::Ok(json!({})),
        };
        Answer::Late(Duration::from_millis(10), Box::new(answer))
    })
    .await;
    let failed: Vec<_> = run.outcome.failed.iter().map(|failed| (failed.resource, failed.name.as_str())).collect();
    assert_eq!(failed, [("pods", "b"), ("pods", "d")]);
    assert_eq!(run.waits_for(), ["a", "c"]);
    assert_eq!(run.outcome.written, 2);
    let err = run.outcome.into_result().unwrap_err();
    assert_eq!(err.to_string(), "pods b: no (403 Forbidden) (and 1 more)");
}

#[tokio::test(start_paused = true)]
async fn steps_follow_each_other_and_so_do_the_writes_of_a_group() {
    let steps = vec![
        step(Pace::Concurrent, vec![vec![delete("a"), delete("b")], vec![delete("c")]]),
        step(Pace::SlowStart, vec![vec![delete("d"), delete("e")]]),
    ];
    let run = run(steps, |asked| {
        let millis = if asked.what.ends_with("/c") { 50 } else { 10 };
        Answer::Late(Duration::from_millis(millis), Box::new(Answer::Ok(json!({}))))
    })
    .await;
    let asked: Vec<_> = run.log.all().iter().map(|asked| (asked.what.replace(DELETE, ""), asked.under_way)).collect();
    let want = [("a", 1), ("c", 2), ("b", 2), ("d", 1), ("e", 1)];
    assert_eq!(asked, want.map(|(name, under_way)| (name.to_owned(), under_way)));
}
