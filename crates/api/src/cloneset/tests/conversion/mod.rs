//! The rows of page section 2.1, one direction at a time.

mod odd;
mod round_trip;

use serde_json::{Value, json};

use super::ConversionError;

fn convert(object: Value, to: &str) -> Result<Value, ConversionError> {
    super::convert(&object, to)
}

fn v1alpha1(metadata: Value, spec: Value) -> Value {
    json!({"apiVersion": "apps.kruise.io/v1alpha1", "kind": "CloneSet", "metadata": metadata, "spec": spec})
}

fn v1beta1(spec: Value) -> Value {
    json!({"apiVersion": "apps.kruise.io/v1beta1", "kind": "CloneSet", "metadata": {"name": "web"}, "spec": spec})
}

fn up(metadata: Value, spec: Value) -> Value {
    convert(v1alpha1(metadata, spec), "apps.kruise.io/v1beta1").unwrap()
}

fn down(spec: Value) -> Value {
    convert(v1beta1(spec), "apps.kruise.io/v1alpha1").unwrap()
}

#[test] // section 2.1, first rows
fn the_flat_type_becomes_type_and_policy() {
    for (type_, policy) in [
        (json!("ReCreate"), "ReCreate"),
        (json!(""), "ReCreate"),
        (json!("Sideways"), "ReCreate"),
        (Value::Null, "ReCreate"),
        (json!("InPlaceIfPossible"), "InPlaceIfPossible"),
        (json!("InPlaceOnly"), "InPlaceOnly"),
    ] {
        let spec =
            up(json!({}), json!({"updateStrategy": {"type": type_, "partition": 3, "paused": true}}))["spec"].clone();
        assert_eq!(
            spec["updateStrategy"],
            json!({"type": "RollingUpdate", "rollingUpdate": {"podUpdatePolicy": policy, "partition": 3, "paused": true}}),
            "{type_}"
        );
    }
    assert_eq!(
        up(json!({}), json!({}))["spec"]["updateStrategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"podUpdatePolicy": "ReCreate"}})
    );
}

#[test] // section 2.1
fn on_delete_drops_what_stood_beside_it() {
    let metadata = json!({"annotations": {"apps.kruise.io/image-predownload-parallelism": "4"}});
    let spec = json!({"updateStrategy": {"type": "OnDelete", "partition": 3, "maxUnavailable": 1, "paused": true}});
    assert_eq!(up(metadata, spec)["spec"]["updateStrategy"], json!({"type": "OnDelete"}));
}

#[test] // section 2.1
fn reuse_of_claims_is_on_unless_v1alpha1_switches_it_off() {
    for (scale, reuse) in [
        (json!({"scaleStrategy": {"disablePVCReuse": true}}), false),
        (json!({"scaleStrategy": {"disablePVCReuse": false}}), true),
        (json!({"scaleStrategy": {}}), true),
        (json!({}), true),
    ] {
        let converted = up(json!({}), scale.clone());
        assert_eq!(converted["spec"]["scaleStrategy"], json!({"enablePVCReuse": reuse}), "{scale}");
    }
    for (scale, disabled) in [
        (json!({"scaleStrategy": {"enablePVCReuse": true}}), false),
        (json!({"scaleStrategy": {"enablePVCReuse": false}}), true),
        (json!({"scaleStrategy": {}}), true),
        (json!({}), true),
    ] {
        assert_eq!(down(scale.clone())["spec"]["scaleStrategy"], json!({"disablePVCReuse": disabled}), "{scale}");
    }
}

#[test] // section 2.1
fn the_label_excludes_preparing_pods_and_stays() {
    const LABEL: &str = "apps.kruise.io/cloneset-scaling-exclude-preparing-delete";
    for (value, excludes) in [("true", true), ("false", false), ("True", false), ("", false)] {
        let converted = up(json!({"labels": {LABEL: value}}), json!({}));
        assert_eq!(converted["spec"]["scaleStrategy"].get("excludePreparingDelete").is_some(), excludes, "{value}");
        assert_eq!(converted["metadata"]["labels"][LABEL], value);
    }
}

#[test] // section 2.1: a v1alpha1 client that writes back what it read loses the field
fn excluding_preparing_pods_is_not_written_back() {
    let converted = down(json!({"scaleStrategy": {"excludePreparingDelete": true, "podsToDelete": ["a"]}}));
    assert_eq!(converted["spec"]["scaleStrategy"], json!({"disablePVCReuse": true, "podsToDelete": ["a"]}));
    assert_eq!(converted["metadata"], json!({"name": "web"}));
}

#[test] // section 2.1
fn annotations_become_image_pre_download_fields_and_stay() {
    for (parallelism, timeout, ready, want) in [
        (
            "4",
            "60",
            "2",
            json!({"imagePreDownloadParallelism": 4, "imagePreDownloadTimeoutSeconds": 60, "imagePreDownloadMinUpdatedReadyPods": 2}),
        ),
        ("50%", "soon", "30%", json!({"imagePreDownloadParallelism": "50%"})),
        ("99999999999", "99999999999", "", json!({"imagePreDownloadParallelism": "99999999999"})),
        ("", "soon", "", json!({})),
        ("", "", "", Value::Null),
    ] {
        let metadata = json!({"annotations": {
            "apps.kruise.io/image-predownload-parallelism": parallelism,
            "apps.kruise.io/image-predownload-timeout-seconds": timeout,
            "apps.kruise.io/image-predownload-min-updated-ready-pods": ready,
        }});
        let converted = up(metadata.clone(), json!({}));
        let rolling = &converted["spec"]["updateStrategy"]["rollingUpdate"];
        assert_eq!(rolling["inPlaceUpdateStrategy"], want, "{metadata}");
        assert_eq!(rolling.get("inPlaceUpdateStrategy").is_some(), !want.is_null(), "{metadata}");
        assert_eq!(converted["metadata"], metadata);
    }
}

#[test] // section 2: the fields of the shared type are ignored in v1alpha1
fn image_pre_download_fields_of_v1alpha1_do_nothing() {
    let strategy =
        json!({"gracePeriodSeconds": 5, "imagePreDownloadParallelism": 9, "imagePreDownloadTimeoutSeconds": 9});
    let converted = up(json!({}), json!({"updateStrategy": {"inPlaceUpdateStrategy": strategy}}));
    assert_eq!(
        converted["spec"]["updateStrategy"]["rollingUpdate"]["inPlaceUpdateStrategy"],
        json!({"gracePeriodSeconds": 5})
    );
}

#[test] // section 2.1, second table
fn type_and_policy_become_the_flat_type() {
    for (strategy, want) in [
        (
            json!({"type": "RollingUpdate", "rollingUpdate": {"podUpdatePolicy": "InPlaceOnly", "partition": 2}}),
            json!({"type": "InPlaceOnly", "partition": 2}),
        ),
        (json!({"rollingUpdate": {"podUpdatePolicy": "InPlaceIfPossible"}}), json!({"type": "InPlaceIfPossible"})),
        (
            json!({"type": "RollingUpdate", "rollingUpdate": {"podUpdatePolicy": "Sideways"}}),
            json!({"type": "ReCreate"}),
        ),
        (json!({"type": "RollingUpdate"}), json!({"type": "ReCreate"})),
        (json!({"type": "Sideways"}), json!({"type": "ReCreate"})),
        (json!({"type": "OnDelete"}), json!({"type": "OnDelete"})),
        (
            json!({"type": "OnDelete", "rollingUpdate": {"podUpdatePolicy": "InPlaceOnly", "maxSurge": 1}}),
            json!({"type": "OnDelete", "maxSurge": 1}),
        ),
    ] {
        assert_eq!(down(json!({"updateStrategy": strategy.clone()}))["spec"]["updateStrategy"], want, "{strategy}");
    }
    assert_eq!(down(json!({}))["spec"]["updateStrategy"], json!({"type": "ReCreate"}));
}

#[test] // section 2.1
fn image_pre_download_fields_become_annotations() {
    let strategy = json!({"rollingUpdate": {"inPlaceUpdateStrategy": {
        "gracePeriodSeconds": 5, "imagePreDownloadParallelism": "3", "imagePreDownloadTimeoutSeconds": 60,
    }}});
    let converted = down(json!({"updateStrategy": strategy}));
    assert_eq!(converted["spec"]["updateStrategy"]["inPlaceUpdateStrategy"], json!({"gracePeriodSeconds": 5}));
    assert_eq!(
        converted["metadata"]["annotations"],
        json!({
            "apps.kruise.io/image-predownload-parallelism": "3",
            "apps.kruise.io/image-predownload-timeout-seconds": "60",
        })
    );
}

#[test] // section 2.1, last row
fn an_in_place_strategy_of_zeros_becomes_absent() {
    for zeros in [
        json!({}),
        json!({"gracePeriodSeconds": 0}),
        json!({"imagePreDownloadTimeoutSeconds": 0, "gracePeriodSeconds": null}),
    ] {
        let converted = down(json!({"updateStrategy": {"rollingUpdate": {"inPlaceUpdateStrategy": zeros.clone()}}}));
        assert_eq!(converted["spec"]["updateStrategy"], json!({"type": "ReCreate"}), "{zeros}");
        assert_eq!(converted["metadata"], json!({"name": "web"}));
    }
}

#[test] // PL-55
fn an_object_in_the_version_asked_for_is_unchanged() {
    for object in
        [v1beta1(json!({"replicas": 2})), v1alpha1(json!({}), json!({"updateStrategy": {"type": "OnDelete"}}))]
    {
        assert_eq!(convert(object.clone(), object["apiVersion"].as_str().unwrap()), Ok(object));
    }
}

#[test]
fn versions_that_are_not_ours_are_named() {
    assert_eq!(
        convert(v1beta1(json!({})), "apps.kruise.io/v2"),
        Err(ConversionError::UnknownVersion { kind: "CloneSet", version: "apps.kruise.io/v2".into() })
    );
    assert_eq!(
        convert(json!({"apiVersion": "v1"}), "v1beta1"),
        Err(ConversionError::UnknownVersion { kind: "CloneSet", version: "v1".into() })
    );
    assert_eq!(convert(json!([]), "v1beta1"), Err(ConversionError::NotAnObject));
}

#[test] // section 2.1
fn everything_else_is_copied_verbatim() {
    let mut object = v1alpha1(
        json!({"name": "web", "managedFields": [{"manager": "x"}]}),
        json!({"template": {"spec": {"newField": [1, null, {"a": {}}]}}, "replicas": 3, "lifecycle": {"preDelete": {}}}),
    );
    object["status"] = json!({"replicas": 3, "conditions": [{"type": "FailedScale", "status": "True"}], "newer": 1});
    let there = convert(object.clone(), "v1beta1").unwrap();
    for path in ["/metadata", "/status", "/spec/template", "/spec/replicas", "/spec/lifecycle", "/kind"] {
        assert_eq!(there.pointer(path), object.pointer(path), "{path}");
    }
}
