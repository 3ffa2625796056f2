//! Tests of events over a scripted API server.

use super::*;
use crate::mock::{Answer, Log, ambient, server};

pub(super) fn about(namespace: &str) -> Reference {
    Reference {
        api_version: "apps.kruise.io/v1beta1".to_owned(),
        kind: "CloneSet".to_owned(),
        namespace: namespace.to_owned(),
        name: "web".to_owned(),
        uid: "u1".to_owned(),
    }
}

/// Records these reasons and messages and lets them be sent.
async fn record(about: &Reference, events: &[(&str, &str)], answer: fn(&str) -> Answer) -> Log {
    let (client, log) = server(move |asked| answer(&asked.what));
    let recorder = Recorder::start(client, "cloneset-controller", None, ambient(), Shutdown::manual());
    for (reason, message) in events {
        recorder.record(about, Severity::Normal, reason, message);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    log
}

#[tokio::test(start_paused = true)]
async fn an_event_names_its_object_source_and_time() {
    let log = record(&about("shop"), &[("SuccessfulCreate", "made")], |_| Answer::Ok(json!({}))).await;
    let asked = &log.all()[0];
    assert_eq!(asked.what, "POST /api/v1/namespaces/shop/events");
    let body = &asked.body;
    assert_eq!(body["involvedObject"]["uid"], "u1");
    assert_eq!(
        (&body["reason"], &body["message"], &body["type"], &body["count"]),
        (&json!("SuccessfulCreate"), &json!("made"), &json!("Normal"), &json!(1))
    );
    assert_eq!(body["source"]["component"], "cloneset-controller");
    assert_eq!(body["firstTimestamp"], "1970-01-01T00:00:00Z", "by the clock that was given");
    assert!(body["metadata"]["name"].as_str().unwrap().starts_with("web."));
}

// PL-92
#[tokio::test(start_paused = true)]
async fn events_of_cluster_scoped_objects_go_to_default() {
    let log = record(&about(""), &[("Any", "any")], |_| Answer::Ok(json!({}))).await;
    assert_eq!(log.lines(), ["POST /api/v1/namespaces/default/events"]);
    assert_eq!(log.all()[0].body["metadata"]["namespace"], "default");
}

#[tokio::test(start_paused = true)]
async fn a_repeat_raises_the_count() {
    let events = [("Failed", "no room"), ("Failed", "other"), ("Failed", "no room"), ("Failed", "no room")];
    let log = record(&about("shop"), &events, |_| Answer::Ok(json!({}))).await;
    let asked = log.all();
    let name = asked[0].body["metadata"]["name"].as_str().unwrap();
    let patch = format!("PATCH /api/v1/namespaces/shop/events/{name}");
    assert_eq!(
        log.lines(),
        ["POST /api/v1/namespaces/shop/events", "POST /api/v1/namespaces/shop/events", &patch, &patch]
    );
    assert_eq!((&asked[2].body["count"], &asked[3].body["count"]), (&json!(2), &json!(3)));
    assert_eq!(asked[2].body["message"], "no room");
    assert_eq!(asked[2].content_type, "application/merge-patch+json");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_has_expired_is_made_anew_with_its_count() {
    let events = [("Failed", "no room"), ("Failed", "no room")];
    let log = record(&about("shop"), &events, |what| match what.starts_with("PATCH") {
        true => Answer::Refuse(404, "NotFound"),
        false => Answer::Ok(json!({})),
    })
    .await;
    let lines = log.lines();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[2], "POST /api/v1/namespaces/shop/events");
    let (first, again) = (&log.all()[0].body, &log.all()[2].body);
    assert_eq!((&again["count"], &again["metadata"]["name"]), (&json!(2), &first["metadata"]["name"]));
}

#[tokio::test(start_paused = true)]
async fn a_refused_event_does_not_stop_the_next() {
    let log = record(&about("shop"), &[("A", "a"), ("B", "b")], |_| Answer::Refuse(403, "Forbidden")).await;
    assert_eq!(log.lines().len(), 2);
}

#[test]
fn a_long_message_is_cut_at_a_character() {
    let long = "é".repeat(600);
    assert_eq!(cut(&long).len(), 1_024);
    assert_eq!(cut("short"), "short");
    let odd = format!("x{long}");
    assert_eq!(cut(&odd).len(), 1_023);
}
