//! Objects as text, of any form: what the page does not name comes out as it went in, and nothing fails.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{convert, v1alpha1, v1beta1};

/// The text of a CloneSet, converted.
fn converted(object: &str, to: &str) -> String {
    let mut out = String::new();
    super::super::write(serde_json::from_str(object).unwrap(), to, &mut out).unwrap();
    out
}

/// The texts of an object's members.
fn texts(object: &str) -> BTreeMap<&str, &str> {
    let members: BTreeMap<&str, &RawValue> = serde_json::from_str(object).unwrap();
    members.into_iter().map(|(name, text)| (name, text.get())).collect()
}

#[test] // IN-44
fn what_is_not_converted_keeps_its_text() {
    let template = r#"{ "b": 1.0, "a": [1e3, -0, 12345678901234567890123],"text":"\u003c\/\ud800" , "\u0062": null}"#;
    for (from, to) in [("v1alpha1", "v1beta1"), ("v1beta1", "v1alpha1")] {
        let object = format!(
            r#"{{"status":{template},"apiVersion":"apps.kruise.io/{from}","kind":"CloneSet","newer":{template},
            "metadata":{{"name":"web","managedFields":[{template}]}},
            "spec":{{"lifecycle":{template},"template":{template},"updateStrategy":{{"partition":"\u0031%"}}}}}}"#
        );
        let object = converted(&object, to);
        let members = texts(&object);
        assert_eq!(
            members.keys().copied().collect::<Vec<_>>(),
            ["apiVersion", "kind", "metadata", "newer", "spec", "status"]
        );
        assert_eq!(members["apiVersion"], format!("\"apps.kruise.io/{to}\""));
        assert_eq!((members["status"], members["newer"]), (template, template));
        assert_eq!(members["metadata"], format!(r#"{{"name":"web","managedFields":[{template}]}}"#));
        let spec = texts(members["spec"]);
        assert_eq!((spec["template"], spec["lifecycle"]), (template, template));
        assert!(spec["updateStrategy"].contains(r#""partition":"\u0031%""#), "{}", spec["updateStrategy"]);
    }
}

#[test] // IN-44
fn members_keep_their_order() {
    let object = r#"{"spec":{"z":1,"scaleStrategy":{"y":2,"disablePVCReuse":true,"x":3},"a":4},"apiVersion":"apps.kruise.io/v1alpha1","metadata":{}}"#;
    assert_eq!(
        converted(object, "v1beta1"),
        r#"{"spec":{"z":1,"scaleStrategy":{"y":2,"x":3,"enablePVCReuse":false},"a":4,"updateStrategy":{"type":"RollingUpdate","rollingUpdate":{"podUpdatePolicy":"ReCreate"}}},"apiVersion":"apps.kruise.io/v1beta1","metadata":{}}"#
    );
}

#[test] // IN-44
fn an_object_may_be_nested_as_deeply_as_it_likes() {
    let deep = format!("{}1.0{}", "[{\"a\":".repeat(2_500), "}]".repeat(2_500));
    for place in [
        "\"newer\":DEEP,",
        "\"spec\":{\"template\":DEEP,\"scaleStrategy\":DEEP,\"updateStrategy\":{\"type\":DEEP,\"newer\":DEEP,\"inPlaceUpdateStrategy\":{\"a\":DEEP}}},",
        "\"metadata\":{\"annotations\":{\"a\":DEEP},\"labels\":DEEP},",
    ] {
        for (from, to) in [("v1alpha1", "v1beta1"), ("v1beta1", "v1alpha1")] {
            let place = place.replace("DEEP", &deep);
            let object = converted(&format!("{{{place}\"apiVersion\":\"apps.kruise.io/{from}\"}}"), to);
            assert!(object.contains(&deep));
        }
    }
}

#[test] // IN-44
fn a_part_of_another_form_is_carried_there_and_back() {
    for spec in [
        Value::Null,
        json!("text"),
        json!([]),
        json!({"scaleStrategy": "text", "updateStrategy": []}),
        json!({"scaleStrategy": {"disablePVCReuse": "text"}, "updateStrategy": 5}),
        json!({"scaleStrategy": {"enablePVCReuse": "text"}, "updateStrategy": {"type": "", "rollingUpdate": "text"}}),
    ] {
        let objects = [v1alpha1(json!({}), spec.clone()), v1beta1(spec)];
        for (object, (there, back)) in objects.into_iter().zip([("v1beta1", "v1alpha1"), ("v1alpha1", "v1beta1")]) {
            let mut other = convert(object.clone(), there).unwrap();
            assert_eq!(convert(other.clone(), back), Ok(object.clone()));
            other["apiVersion"] = object["apiVersion"].clone();
            assert_eq!(other, object);
        }
    }
}

#[test] // IN-44
fn an_in_place_strategy_of_another_form_is_carried_along() {
    for odd in [json!("text"), json!([1]), json!({"imagePreDownloadTimeoutSeconds": "soon", "newer": 0})] {
        let flat = json!({"type": "InPlaceOnly", "inPlaceUpdateStrategy": odd});
        let nested = json!({"type": "RollingUpdate", "rollingUpdate": {
            "podUpdatePolicy": "InPlaceOnly", "inPlaceUpdateStrategy": odd}});
        let up = convert(v1alpha1(json!({}), json!({"updateStrategy": flat})), "v1beta1").unwrap();
        assert_eq!(up["spec"]["updateStrategy"], nested);
        let down = convert(v1beta1(json!({"updateStrategy": nested})), "v1alpha1").unwrap();
        assert_eq!(down["spec"]["updateStrategy"], flat);
    }
}

#[test] // IN-44
fn fields_stay_where_metadata_takes_no_annotations() {
    let strategy = json!({"imagePreDownloadParallelism": 3});
    for metadata in [json!("text"), json!({"annotations": []})] {
        let mut object =
            v1beta1(json!({"updateStrategy": {"rollingUpdate": {"inPlaceUpdateStrategy": strategy.clone()}}}));
        object["metadata"] = metadata.clone();
        let down = convert(object, "v1alpha1").unwrap();
        assert_eq!(down["metadata"], metadata);
        assert_eq!(down["spec"]["updateStrategy"]["inPlaceUpdateStrategy"], strategy);
    }
}

#[test] // IN-44
fn annotations_that_are_no_texts_say_nothing() {
    const KEY: &str = "apps.kruise.io/image-predownload-parallelism";
    for value in [json!(4), json!({}), json!([]), json!(true), Value::Null] {
        let metadata = json!({"annotations": {KEY: value}, "labels": value});
        let up = convert(v1alpha1(metadata.clone(), json!({})), "v1beta1").unwrap();
        assert_eq!(up["metadata"], metadata);
        assert_eq!(up["spec"]["updateStrategy"]["rollingUpdate"], json!({"podUpdatePolicy": "ReCreate"}));
    }
}

#[test] // IN-44: as kube-apiserver reads names
fn names_are_read_through_their_escapes() {
    let object =
        r#"{"\u0061piVersion":"apps.kruise.io\/v1alpha1","sp\u0065c":{"scaleStrategy":{"disable\u0050VCReuse":true}}}"#;
    let object: Value = serde_json::from_str(&converted(object, "v1beta1")).unwrap();
    assert_eq!(object["apiVersion"], "apps.kruise.io/v1beta1");
    assert_eq!(object["spec"]["scaleStrategy"], json!({"enablePVCReuse": false}));
}

/// The text of an object of these members, some of them twice.
fn text_of(members: &[(&'static str, String)]) -> String {
    let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

fn twice(names: Vec<&'static str>, value: BoxedStrategy<String>) -> BoxedStrategy<String> {
    prop::collection::vec((prop::sample::select(names), value), 0..6).prop_map(|members| text_of(&members)).boxed()
}

/// Objects in which members may come more than once, each time with another value.
fn repetitive() -> impl Strategy<Value = String> {
    let leaf =
        prop::sample::select(vec!["1", "0", "null", "true", "\"7\"", "\"OnDelete\"", "\"InPlaceOnly\"", "{}", "[]"])
            .prop_map(str::to_owned)
            .boxed();
    let or = |strategy: BoxedStrategy<String>| prop_oneof![5 => strategy, 1 => leaf.clone()].boxed();
    let in_place = twice(
        vec!["gracePeriodSeconds", "imagePreDownloadParallelism", "imagePreDownloadTimeoutSeconds", "newer"],
        leaf.clone(),
    );
    let strategy = vec!["type", "podUpdatePolicy", "inPlaceUpdateStrategy", "rollingUpdate", "newer"];
    let rolling = twice(strategy.clone(), or(in_place));
    let update = twice(strategy, or(rolling));
    let scale = twice(vec!["enablePVCReuse", "disablePVCReuse", "excludePreparingDelete"], leaf.clone());
    let spec = twice(vec!["updateStrategy", "scaleStrategy", "newer"], prop_oneof![update, or(scale)].boxed());
    let annotations = twice(
        vec!["apps.kruise.io/image-predownload-parallelism", "apps.kruise.io/image-predownload-timeout-seconds"],
        leaf.clone(),
    );
    let metadata = twice(vec!["annotations", "labels"], or(annotations));
    let members = prop_oneof![
        spec.prop_map(|spec| ("spec", spec)),
        metadata.prop_map(|metadata| ("metadata", metadata)),
        leaf.prop_map(|leaf| ("newer", leaf)),
    ];
    prop::collection::vec(members, 0..6).prop_map(|members| text_of(&members))
}

fn any_object() -> impl Strategy<Value = Value> {
    (crate::tests::json(), crate::tests::json(), crate::tests::json(), any::<bool>()).prop_map(
        |(spec, metadata, status, beta)| {
            let version = if beta { "v1beta1" } else { "v1alpha1" };
            json!({"apiVersion": format!("apps.kruise.io/{version}"), "kind": "CloneSet",
                "metadata": metadata, "spec": spec, "status": status})
        },
    )
}

proptest! {
    #[test] // IN-44
    fn stored_objects_are_always_converted(object in any_object()) {
        let object = object.to_string();
        let (from, to) = if object.contains("io/v1beta1\"") { ("v1beta1", "v1alpha1") } else { ("v1alpha1", "v1beta1") };
        let there = converted(&object, to);
        converted(&there, from);
        let (before, after) = (texts(&object), texts(&there));
        prop_assert_eq!(before["status"], after["status"]);
        prop_assert_eq!(before.len(), after.len());
        let template = |object| serde_json::from_str::<BTreeMap<String, &RawValue>>(object).ok()?.remove("template");
        prop_assert_eq!(template(before["spec"]).map(RawValue::get), template(after["spec"]).map(RawValue::get));
    }

    #[test] // IN-44: as kube-apiserver reads them
    fn of_members_with_one_name_the_last_counts(object in repetitive()) {
        for (from, to) in [("v1alpha1", "v1beta1"), ("v1beta1", "v1alpha1")] {
            let repeated = format!("{{\"apiVersion\":\"v1\",\"apiVersion\":\"apps.kruise.io/{from}\",{}", &object[1..]).replace(",}", "}");
            let once: Value = serde_json::from_str(&repeated).unwrap();
            let after: Value = serde_json::from_str(&converted(&repeated, to)).unwrap();
            prop_assert_eq!(after, convert(once, to).unwrap());
        }
    }
}
