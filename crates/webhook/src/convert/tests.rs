//! Reviews as the API server sends them, and as it never would.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;
use crate::configuration::crds;

fn review(version: &str, desired: &str, objects: &str) -> String {
    format!(
        r#"{{"kind":"ConversionReview","apiVersion":"apiextensions.k8s.io/{version}",
        "request":{{"uid":"u-1","desiredAPIVersion":"{desired}","objects":{objects}}}}}"#
    )
}

/// The answer to a review of v1, as a tree.
fn ask(desired: &str, objects: &Value) -> Value {
    answered(&review("v1", desired, &objects.to_string()))
}

fn answered(review: &str) -> Value {
    serde_json::from_slice(&answer(review.as_bytes()).unwrap().body).unwrap()
}

/// The message of a review that fails.
#[track_caller]
fn failure(desired: &str, objects: &Value) -> String {
    let review = review("v1", desired, &objects.to_string());
    let Answer { body, failure } = answer(review.as_bytes()).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let message = failure.expect("the review fails");
    let result = json!({ "status": "Failure", "message": message });
    assert_eq!(body["response"], json!({ "uid": "u-1", "convertedObjects": [], "result": result }));
    message
}

fn clone_set(version: &str) -> Value {
    json!({
        "apiVersion": format!("apps.kruise.io/{version}"), "kind": "CloneSet",
        "metadata": { "name": "web", "namespace": "shop", "uid": "1" },
        "spec": { "replicas": 3, "selector": {}, "template": { "spec": { "someday": true } } },
    })
}

#[test] // PL-55, IN-42
fn every_kind_with_more_than_one_version_has_a_converter_and_no_other() {
    let mut kinds: Vec<(String, String)> = crds::kinds().into_iter().map(|kind| (kind.group, kind.kind)).collect();
    let mut converters: Vec<_> = CONVERTERS.iter().map(|it| (it.group.to_owned(), it.kind.to_owned())).collect();
    kinds.sort();
    converters.sort();
    assert_eq!(converters, kinds);
}

#[test] // PL-55
fn a_converter_takes_each_version_to_each_other() {
    for crds::Kind { group, kind, versions, .. } in crds::kinds() {
        for (from, to) in versions.iter().flat_map(|from| versions.iter().map(move |to| (from, to))) {
            let object = json!({ "apiVersion": format!("{group}/{from}"), "kind": kind, "metadata": {}, "spec": {} });
            let desired = format!("{group}/{to}");
            assert_eq!(ask(&desired, &json!([object]))["response"]["convertedObjects"][0]["apiVersion"], desired);
        }
    }
}

#[test] // PL-55
fn a_batch_is_converted_in_order_and_in_the_version_of_the_question() {
    for version in ["v1", "v1beta1"] {
        let mut objects: Vec<Value> = (0..5).map(|_| clone_set("v1alpha1")).chain([clone_set("v1beta1")]).collect();
        for (number, object) in objects.iter_mut().enumerate() {
            object["metadata"]["name"] = number.to_string().into();
        }
        let answer = answered(&review(version, "apps.kruise.io/v1beta1", &Value::from(objects.clone()).to_string()));
        assert_eq!(answer["apiVersion"], format!("apiextensions.k8s.io/{version}"));
        assert_eq!(answer["kind"], "ConversionReview");
        assert_eq!(answer["response"]["uid"], "u-1");
        assert_eq!(answer["response"]["result"], json!({ "status": "Success" }));
        let converted = answer["response"]["convertedObjects"].as_array().unwrap();
        assert_eq!(converted.len(), objects.len());
        for (before, after) in objects.iter().zip(converted) {
            assert_eq!(after["apiVersion"], "apps.kruise.io/v1beta1");
            assert_eq!(after["metadata"], before["metadata"]);
            assert_eq!(after["spec"]["template"], before["spec"]["template"]);
        }
        assert_eq!(converted[0]["spec"]["updateStrategy"]["type"], "RollingUpdate");
    }
}

#[test] // PL-55
fn an_object_in_the_desired_version_keeps_every_byte() {
    // Of whatever kind.
    let one = r#"{ "kind" : "CloneSet",  "apiVersion":"apps.kruise.io\/v1beta1", "b": 1.0, "a":1e3, "a":	"\ud800"}"#;
    let other = r#"{"kind":"Widget" ,"apiVersion":"apps.kruise.io/v1beta1"}"#;
    let review = review("v1", "apps.kruise.io/v1beta1", &format!("[ {one} , {other}\n]"));
    let body = answer(review.as_bytes()).unwrap().body;
    let want = format!(r#""convertedObjects":[{one},{other}],"#);
    assert!(std::str::from_utf8(&body).unwrap().contains(&want));
}

#[test] // PL-55
fn a_review_of_nothing_succeeds() {
    for objects in [json!([]), Value::Null] {
        let answer = ask("apps.kruise.io/v1beta1", &objects);
        let want = json!({ "uid": "u-1", "convertedObjects": [], "result": { "status": "Success" } });
        assert_eq!(answer["response"], want);
    }
}

#[test] // PL-55
fn one_object_that_can_not_be_converted_fails_the_review() {
    for (change, reason) in [
        (
            json!({ "kind": "Widget" }),
            "Widget shop/web from apps.kruise.io/v1alpha1 to apps.kruise.io/v1beta1: no such kind is converted here",
        ),
        (
            json!({ "kind": "CloneSetList" }),
            "CloneSetList shop/web from apps.kruise.io/v1alpha1 to apps.kruise.io/v1beta1: no such kind is converted here",
        ),
        (
            json!({ "kind": 5 }),
            " shop/web from apps.kruise.io/v1alpha1 to apps.kruise.io/v1beta1: no such kind is converted here",
        ),
        (
            json!({ "apiVersion": "apps.kruise.io/v2" }),
            "CloneSet shop/web from apps.kruise.io/v2 to apps.kruise.io/v1beta1: CloneSet has no version \"apps.kruise.io/v2\"",
        ),
        (
            json!({ "apiVersion": "apps/v1" }),
            "CloneSet shop/web from apps/v1 to apps.kruise.io/v1beta1: the group differs",
        ),
        (
            json!({ "apiVersion": "v1alpha1" }),
            "CloneSet shop/web from v1alpha1 to apps.kruise.io/v1beta1: the group differs",
        ),
        (
            json!({ "metadata": { "name": "web" }, "kind": "Widget" }),
            "Widget web from apps.kruise.io/v1alpha1 to apps.kruise.io/v1beta1: no such kind is converted here",
        ),
    ] {
        let mut odd = clone_set("v1alpha1");
        odd.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let objects = json!([clone_set("v1alpha1"), odd, clone_set("v1beta1")]);
        assert_eq!(failure("apps.kruise.io/v1beta1", &objects), format!("convert {reason}"));
    }
}

#[test] // PL-55
fn an_unknown_version_of_the_group_fails_the_review() {
    let message = failure("apps.kruise.io/v3", &json!([clone_set("v1alpha1")]));
    let want =
        "convert CloneSet shop/web from apps.kruise.io/v1alpha1 to apps.kruise.io/v3: CloneSet has no version \"v3\"";
    assert_eq!(message, want);
}

#[test] // PL-55
fn what_is_no_object_fails_the_review() {
    for odd in [json!(5), json!("text"), json!([]), Value::Null] {
        failure("apps.kruise.io/v1beta1", &json!([clone_set("v1alpha1"), odd]));
    }
}

#[test] // PL-55
fn a_message_is_no_longer_than_names_are() {
    let mut object = clone_set("v1alpha1");
    object["kind"] = "é".repeat(100_000).into();
    object["metadata"]["name"] = "x".repeat(100_000).into();
    let message = failure("apps.kruise.io/v1beta1", &json!([object]));
    assert!(message.len() < 2_000, "{}", message.len());
}

#[test] // PL-55
fn a_body_without_a_request_is_no_review() {
    for body in [
        "",
        "{}",
        "[]",
        r#"{"apiVersion":"apiextensions.k8s.io/v1","kind":"ConversionReview"}"#,
        r#"{"apiVersion":"apiextensions.k8s.io/v1","kind":"ConversionReview","request":null}"#,
        r#"{"apiVersion":"apiextensions.k8s.io/v1","kind":"ConversionReview","request":{}}"#,
        r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","desiredAPIVersion":"v1"}}"#,
        &review("v2", "apps.kruise.io/v1beta1", "[]"),
        &review("v1", "apps.kruise.io/v1beta1", "{}"),
        &review("v1", "apps.kruise.io/v1beta1", "[{]"),
    ] {
        assert!(answer(body.as_bytes()).is_err(), "{body}");
    }
    assert!(answer(b"{\"kind\":\"\xff\"}").is_err());
}

/// Objects as a cluster has them, of about 10 KiB each.
fn stored(count: usize) -> String {
    let environment: Vec<Value> =
        (0..150).map(|number| json!({ "name": format!("SETTING_{number}"), "value": "v".repeat(30) })).collect();
    let mut object = clone_set("v1alpha1");
    object["spec"]["template"]["spec"] = json!({ "containers": [{ "name": "main", "env": environment }] });
    let object = object.to_string();
    format!("[{}]", vec![object; count].join(","))
}

#[test] // PL-55
fn a_large_review_takes_little_more_than_its_own_length() {
    // Two lengths, as a buffer that grows by doubling may happen to fit one.
    for count in [750, 2_000] {
        let review = review("v1", "apps.kruise.io/v1beta1", &stored(count));
        assert!(review.len() > count * 9_500, "{}", review.len());
        let Answer { body, failure } = answer(review.as_bytes()).unwrap();
        assert_eq!(failure, None);
        // What the answer is sent from is the one buffer that it was written into.
        let room = body.try_into_mut().expect("one owner").capacity();
        assert!(room <= review.len() / 10 * 12, "{room} for {}", review.len());
    }
}

#[test] // IN-44: no tree of it, which could not be that deep
fn an_object_may_be_nested_as_deeply_as_it_likes() {
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let mut object = clone_set("v1alpha1").to_string();
    object = object.replace("\"someday\":true", &format!("\"someday\":{deep}"));
    let review = review("v1", "apps.kruise.io/v1beta1", &format!("[{object}]"));
    let Answer { body, failure } = answer(review.as_bytes()).unwrap();
    assert_eq!(failure, None);
    assert!(std::str::from_utf8(&body).unwrap().contains(&deep));
}

/// The objects of an answer as they are written.
#[derive(serde::Deserialize)]
struct Converted {
    #[serde(rename = "convertedObjects")]
    objects: Vec<BTreeMap<String, Box<RawValue>>>,
}

proptest! {
    #[test] // PL-55
    fn a_body_of_any_bytes_is_answered_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(answer(&body));
    }

    #[test] // PL-55
    fn a_review_that_was_damaged_is_answered_or_refused(at in 0..1_000_usize, byte in any::<u8>()) {
        let objects = json!([clone_set("v1alpha1"), clone_set("v1beta1")]).to_string();
        let mut body = review("v1", "apps.kruise.io/v1alpha1", &objects).into_bytes();
        let at = at % body.len();
        body[at] = byte;
        if let Ok(Answer { body, .. }) = answer(&body) {
            let answer: Value = serde_json::from_slice(&body).unwrap();
            prop_assert!(answer["response"]["convertedObjects"].is_array());
        }
    }

    #[test] // IN-44
    fn what_is_beside_the_spec_comes_back_as_it_was_written(text in "[ -~]{0,20}", number in "-?[1-9][0-9]{0,30}(\\.[0-9]{1,3})?") {
        let text = Value::from(text);
        let object = format!(
            r#"{{"apiVersion":"apps.kruise.io/v1alpha1","kind":"CloneSet","status":{{"n":{number}}},"newer":[{text}],"spec":{{}}}}"#
        );
        let review = review("v1", "apps.kruise.io/v1beta1", &format!("[{object}]"));
        let body = answer(review.as_bytes()).unwrap().body;
        let answer: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(&body).unwrap();
        let Converted { objects } = serde_json::from_str(answer["response"].get()).unwrap();
        prop_assert_eq!(objects[0]["status"].get(), format!(r#"{{"n":{number}}}"#));
        prop_assert_eq!(objects[0]["newer"].get(), format!("[{text}]"));
    }
}
