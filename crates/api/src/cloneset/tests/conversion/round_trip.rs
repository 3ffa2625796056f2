//! What a round trip may change: the fields that page section 2.1 lists, each with a test of its own, and nothing else.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{convert, v1alpha1, v1beta1};
use crate::tests::json as any_json;

const PARALLELISM: &str = "apps.kruise.io/image-predownload-parallelism";
const TIMEOUT: &str = "apps.kruise.io/image-predownload-timeout-seconds";
const MIN_READY: &str = "apps.kruise.io/image-predownload-min-updated-ready-pods";
const LABEL: &str = "apps.kruise.io/cloneset-scaling-exclude-preparing-delete";
const FIELDS: [&str; 3] =
    ["imagePreDownloadParallelism", "imagePreDownloadTimeoutSeconds", "imagePreDownloadMinUpdatedReadyPods"];

/// To the other version and back.
fn there_and_back(object: &Value) -> Value {
    let (here, there) = match object["apiVersion"].as_str() {
        Some("apps.kruise.io/v1beta1") => ("v1beta1", "v1alpha1"),
        _ => ("v1alpha1", "v1beta1"),
    };
    convert(convert(object.clone(), there).unwrap(), here).unwrap()
}

#[track_caller]
fn check(object: Value, path: &str, want: Value) {
    let back = there_and_back(&object);
    assert_eq!(back.pointer(path).cloned().unwrap_or_default(), want, "{object}");
}

#[track_caller]
fn check_v1beta1(spec: Value, path: &str, want: Value) {
    check(v1beta1(spec), path, want);
}

#[track_caller]
fn check_v1alpha1(metadata: Value, spec: Value, path: &str, want: Value) {
    check(v1alpha1(metadata, spec), path, want);
}

#[test] // section 2.1, `updateStrategy.type` `ReCreate` / empty / unknown
fn a_flat_type_that_is_none_becomes_re_create() {
    for type_ in [json!(""), json!("Sideways"), Value::Null] {
        let spec = json!({"updateStrategy": {"type": type_}});
        check_v1alpha1(json!({}), spec, "/spec/updateStrategy", json!({"type": "ReCreate"}));
    }
    check_v1alpha1(json!({}), json!({}), "/spec/updateStrategy", json!({"type": "ReCreate"}));
}

#[test] // section 2.1, "otherwise `updateStrategy.type = podUpdatePolicy`"
fn a_policy_that_is_none_becomes_re_create() {
    let want = json!({"type": "RollingUpdate", "rollingUpdate": {"podUpdatePolicy": "ReCreate"}});
    for strategy in [
        json!({"type": "RollingUpdate", "rollingUpdate": {"podUpdatePolicy": "Sideways"}}),
        json!({"type": "RollingUpdate", "rollingUpdate": {}}),
        json!({"type": "RollingUpdate"}),
        json!({"type": "Sideways"}),
        json!({}),
        Value::Null,
    ] {
        check_v1beta1(json!({"updateStrategy": strategy}), "/spec/updateStrategy", want.clone());
    }
    check_v1beta1(json!({}), "/spec/updateStrategy", want);
}

#[test] // section 2.1, `OnDelete`: no `rollingUpdate`
fn on_delete_comes_back_alone() {
    let spec = json!({"updateStrategy": {"type": "OnDelete", "partition": 1, "paused": true}});
    check_v1alpha1(json!({}), spec, "/spec/updateStrategy", json!({"type": "OnDelete"}));
    let spec = json!({"updateStrategy": {"type": "OnDelete", "rollingUpdate": {"partition": 1}}});
    check_v1beta1(spec, "/spec/updateStrategy", json!({"type": "OnDelete"}));
}

#[test] // section 2.1, `disablePVCReuse` and `enablePVCReuse`
fn a_switch_for_claims_that_is_absent_is_written_out() {
    for scale in [json!({}), Value::Null] {
        let spec = json!({"scaleStrategy": scale});
        check_v1alpha1(json!({}), spec.clone(), "/spec/scaleStrategy", json!({"disablePVCReuse": false}));
        check_v1beta1(spec, "/spec/scaleStrategy", json!({"enablePVCReuse": false}));
    }
}

#[test] // section 2.1, `excludePreparingDelete`
fn excluding_preparing_pods_is_lost_without_the_label() {
    let spec = json!({"scaleStrategy": {"excludePreparingDelete": true}});
    check_v1beta1(spec, "/spec/scaleStrategy", json!({"enablePVCReuse": false}));
}

#[test] // section 2.1, label `cloneset-scaling-exclude-preparing-delete`
fn excluding_preparing_pods_comes_back_with_the_label() {
    let mut object = v1beta1(json!({"scaleStrategy": {"excludePreparingDelete": false}}));
    object["metadata"]["labels"] = json!({LABEL: "true"});
    check(object, "/spec/scaleStrategy/excludePreparingDelete", json!(true));
}

#[test] // section 2.1, `imagePreDownloadParallelism`: integer text becomes an integer
fn a_parallelism_in_digits_becomes_a_number() {
    for (field, want) in [(json!("7"), json!(7)), (json!("50%"), json!("50%")), (json!(""), Value::Null)] {
        check_v1beta1(in_place(json!({FIELDS[0]: field})), &format!("{IN_PLACE}/{}", FIELDS[0]), want);
    }
}

#[test] // section 2.1, `imagePreDownload*` are written to the annotations
fn the_fields_leave_their_annotations() {
    let spec = in_place(json!({FIELDS[0]: "50%", FIELDS[1]: 60, FIELDS[2]: 0}));
    let annotations = json!({PARALLELISM: "50%", TIMEOUT: "60", MIN_READY: "0"});
    check_v1beta1(spec.clone(), "/metadata", json!({"name": "web", "annotations": annotations}));
    check_v1beta1(spec, IN_PLACE, json!({FIELDS[0]: "50%", FIELDS[1]: 60, FIELDS[2]: 0}));
}

#[test] // section 2.1, the annotations stay on the object
fn an_annotation_becomes_the_field_that_is_absent() {
    for (annotation, text, field, want) in [
        (PARALLELISM, "50%", FIELDS[0], json!("50%")),
        (TIMEOUT, "60", FIELDS[1], json!(60)),
        (TIMEOUT, "soon", FIELDS[1], Value::Null),
        (MIN_READY, "2", FIELDS[2], json!(2)),
        (MIN_READY, "30%", FIELDS[2], Value::Null),
    ] {
        let mut object = v1beta1(json!({}));
        object["metadata"]["annotations"] = json!({annotation: text});
        check(object, &format!("{IN_PLACE}/{field}"), want);
    }
}

#[test] // CS-71: the controller reads a percentage from the annotation
fn an_annotation_is_never_rewritten_by_a_round_trip() {
    for text in ["30%", "soon", "007", "+4", "-0", "99999999999", ""] {
        let metadata = json!({"annotations": {PARALLELISM: text, TIMEOUT: text, MIN_READY: text}});
        check_v1alpha1(metadata.clone(), json!({}), "/metadata", metadata);
    }
}

#[test] // section 2.1, last row of each table
fn an_in_place_strategy_that_says_nothing_becomes_absent() {
    for nothing in [json!({}), Value::Null, json!({"gracePeriodSeconds": 0}), json!({FIELDS[1]: 0, FIELDS[2]: null})] {
        check_v1beta1(in_place(nothing.clone()), IN_PLACE, Value::Null);
        let spec = json!({"updateStrategy": {"inPlaceUpdateStrategy": nothing}});
        check_v1alpha1(json!({}), spec, "/spec/updateStrategy", json!({"type": "ReCreate"}));
    }
}

#[test] // section 2: `v1alpha1` lists the fields, but ignores them
fn fields_of_the_shared_type_do_not_come_back() {
    let spec = json!({"updateStrategy": {"inPlaceUpdateStrategy": {"gracePeriodSeconds": 5, FIELDS[0]: 3}}});
    let path = "/spec/updateStrategy/inPlaceUpdateStrategy";
    check_v1alpha1(json!({}), spec, path, json!({"gracePeriodSeconds": 5}));
}

const IN_PLACE: &str = "/spec/updateStrategy/rollingUpdate/inPlaceUpdateStrategy";

fn in_place(strategy: Value) -> Value {
    json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"inPlaceUpdateStrategy": strategy}}})
}

/// Takes out of an object what the tests above say of it, and gives odd shapes the form that they take.
fn without_listed_fields(mut object: Value) -> Value {
    let beta = object["apiVersion"] == "apps.kruise.io/v1beta1";
    if beta && let Some(metadata) = members(&mut object, "metadata") {
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            [PARALLELISM, TIMEOUT, MIN_READY].iter().for_each(|name| drop(annotations.remove(*name)));
        }
        metadata.retain(|name, value| name != "annotations" || !(value.is_null() || *value == json!({})));
    }
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return object };
    let mut spec_object = Value::Object(std::mem::take(spec));
    if let Some(scale) = members(&mut spec_object, "scaleStrategy") {
        let names = if beta { ["enablePVCReuse", "disablePVCReuse"] } else { ["disablePVCReuse", "enablePVCReuse"] };
        let [switch, other] = names.map(|name| scale.get(name).cloned().unwrap_or_default());
        if [&switch, &other].iter().all(|value| value.is_null() || value.is_boolean()) {
            scale.remove(names[1]);
            scale.insert(names[0].to_owned(), json!(switch == true));
        }
        scale.remove("excludePreparingDelete");
    }
    if let Some(update) = members(&mut spec_object, "updateStrategy") {
        let odd = update.get("rollingUpdate").is_some_and(|rolling| !rolling.is_null() && !rolling.is_object());
        if update.get("type").is_some_and(|type_| type_ == "OnDelete") {
            update.retain(|name, _| name == "type");
        } else if !odd {
            let rolling = update.remove("rollingUpdate").unwrap_or_default();
            let policy = if beta { rolling.get("podUpdatePolicy") } else { update.get("type") };
            let policy = match policy.and_then(Value::as_str) {
                Some(policy @ ("InPlaceIfPossible" | "InPlaceOnly")) => json!(policy),
                _ => json!("ReCreate"),
            };
            // Has no meaning beside `rollingUpdate` in `v1beta1`, and must not get one in `v1alpha1`.
            if beta {
                update.remove("inPlaceUpdateStrategy");
            }
            if beta && let Value::Object(rolling) = rolling {
                update.extend(rolling);
            }
            ["rollingUpdate", "podUpdatePolicy"].iter().for_each(|name| drop(update.remove(*name)));
            update.insert("type".to_owned(), policy);
            listed_in_place_fields(update);
        }
    }
    object["spec"] = spec_object;
    object
}

fn listed_in_place_fields(update: &mut Map<String, Value>) {
    let Some(in_place) = update.get_mut("inPlaceUpdateStrategy") else { return };
    if let Some(fields) = in_place.as_object_mut() {
        FIELDS.iter().for_each(|name| drop(fields.remove(*name)));
        fields.retain(|name, value| name != "gracePeriodSeconds" || !(value.is_null() || *value == 0));
    }
    if in_place.is_null() || *in_place == json!({}) {
        update.remove("inPlaceUpdateStrategy");
    }
}

/// A member that is an object, made where it is absent.
fn members<'a>(object: &'a mut Value, name: &str) -> Option<&'a mut Map<String, Value>> {
    if object.get(name).is_none_or(Value::is_null) {
        object[name] = json!({});
    }
    object[name].as_object_mut()
}

/// Objects of a version with members that it has, of values that they take or any others.
fn object(version: &'static str) -> impl Strategy<Value = Value> {
    let text = prop_oneof!["", "7", "007", "[0-9]{1,3}%", "soon"].prop_map(Value::from);
    let count = prop_oneof![(0..9_i32).prop_map(Value::from), text.clone()];
    let in_place = map(vec![
        ("gracePeriodSeconds", (0..3_i32).prop_map(Value::from).boxed()),
        (FIELDS[0], count.clone().boxed()),
        (FIELDS[1], (0..600_i32).prop_map(Value::from).boxed()),
        (FIELDS[2], (0..9_i32).prop_map(Value::from).boxed()),
    ]);
    let type_ =
        prop::sample::select(vec!["RollingUpdate", "OnDelete", "ReCreate", "InPlaceIfPossible", "InPlaceOnly", ""])
            .prop_map(Value::from);
    let strategy = vec![
        ("podUpdatePolicy", type_.clone().boxed()),
        ("partition", count.clone().boxed()),
        ("maxSurge", count.boxed()),
        ("paused", any::<bool>().prop_map(Value::from).boxed()),
        ("inPlaceUpdateStrategy", in_place.boxed()),
    ];
    let mut update = strategy.clone();
    update.extend([("type", type_.boxed()), ("rollingUpdate", map(strategy).boxed())]);
    let flag = any::<bool>().prop_map(Value::from);
    let scale = map(vec![
        ("podsToDelete", Just(json!(["web-a"])).boxed()),
        ("enablePVCReuse", flag.clone().boxed()),
        ("disablePVCReuse", flag.clone().boxed()),
        ("excludePreparingDelete", flag.boxed()),
    ]);
    let annotations = map([PARALLELISM, TIMEOUT, MIN_READY, "other"].map(|name| (name, text.clone().boxed())).to_vec());
    let labels = map(vec![(LABEL, prop_oneof![Just(json!("true")), Just(json!("false"))].boxed())]);
    let spec = map(vec![
        ("replicas", (0..9_i32).prop_map(Value::from).boxed()),
        ("template", any_json().boxed()),
        ("scaleStrategy", scale.boxed()),
        ("updateStrategy", map(update).boxed()),
    ]);
    let metadata = map(vec![
        ("name", Just(json!("web")).boxed()),
        ("annotations", annotations.boxed()),
        ("labels", labels.boxed()),
        ("managedFields", any_json().boxed()),
    ]);
    let object = map(vec![("metadata", metadata.boxed()), ("spec", spec.boxed()), ("status", any_json().boxed())]);
    object.prop_map(move |mut object| {
        object["apiVersion"] = format!("apps.kruise.io/{version}").into();
        object["kind"] = "CloneSet".into();
        whole_numbers(&mut object);
        object
    })
}

/// An object with some of these members, a few of them of another form than is theirs, and at times an unknown one.
fn map(members: Vec<(&'static str, BoxedStrategy<Value>)>) -> impl Strategy<Value = Value> + Clone {
    let members: Vec<_> = members
        .into_iter()
        .chain([("newer", any_json().boxed())])
        .map(|(name, value)| {
            let value = prop_oneof![30 => value, 1 => any_json()].boxed();
            prop::option::weighted(0.7, value).prop_map(move |value| (name.to_owned(), value))
        })
        .collect();
    members.prop_map(|members| {
        Value::Object(members.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
    })
}

/// A tree reads fractions to the last digit but one.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => *value = json!(1),
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(members) => members.values_mut().for_each(whole_numbers),
        _ => {}
    }
}

proptest! {
    #[test] // section 2.1, IN-44
    fn nothing_else_changes_on_the_way_from_v1alpha1(object in object("v1alpha1")) {
        let back = there_and_back(&object);
        prop_assert_eq!(without_listed_fields(back), without_listed_fields(object));
    }

    #[test] // section 2.1, IN-44
    fn nothing_else_changes_on_the_way_from_v1beta1(object in object("v1beta1")) {
        let back = there_and_back(&object);
        prop_assert_eq!(without_listed_fields(back), without_listed_fields(object));
    }
}
