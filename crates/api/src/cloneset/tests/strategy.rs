//! The update strategies of page sections 5.2 and 5.3.

use serde_json::{Value, json};

use super::{V1alpha1, V1beta1, Version, check, check_both};

/// The update strategy's limits, wherever they stand.
fn limits(version: Version) -> &'static str {
    match version {
        V1alpha1 => "/spec/updateStrategy",
        V1beta1 => "/spec/updateStrategy/rollingUpdate",
    }
}

#[track_caller]
fn check_limits(changes: &[(&str, Value)], want: &[&str]) {
    for version in [V1alpha1, V1beta1] {
        let at = limits(version);
        let pointers: Vec<String> = changes.iter().map(|(member, _)| format!("{at}/{member}")).collect();
        let changes: Vec<(&str, Value)> =
            pointers.iter().map(String::as_str).zip(changes.iter().map(|(_, value)| value.clone())).collect();
        let prefix = at.trim_start_matches('/').replace('/', ".");
        let want: Vec<String> = want.iter().map(|line| format!("{prefix}.{line}")).collect();
        check(version, &changes, &want.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[test] // 5.2, CS-111, CS-135
fn amounts_are_numbers_or_decimal_percentages() {
    for member in ["partition", "maxUnavailable", "maxSurge"] {
        check_limits(&[(member, json!("12.5%"))], &[]);
        check_limits(
            &[(member, json!("5"))],
            &[&format!(
                "{member}: Invalid value: \"5\": failed GetScaledValueFromIntOrPercent for {member}: invalid type: string is not a percentage"
            )],
        );
        check_limits(
            &[(member, json!("x%"))],
            &[&format!(
                "{member}: Invalid value: \"x%\": failed GetScaledValueFromIntOrPercent for {member}: invalid value \"x%\": not a number followed by %"
            )],
        );
        check_limits(
            &[(member, json!(4_294_967_296_i64))],
            &[&format!("{member}: Invalid value: 4294967296: must be a 32-bit integer or a string")],
        );
    }
    check_limits(&[("partition", json!(-1))], &["partition: Invalid value: -1: must be greater than or equal to 0"]);
    check_limits(
        &[("partition", Value::Null)],
        &[
            "partition: Invalid value: null: failed GetScaledValueFromIntOrPercent for partition: nil value for IntOrString",
        ],
    );
}

#[test] // 5.2, 5.3 (ruling), CS-111
fn something_must_be_allowed_to_be_unavailable_or_to_surge() {
    let refusal = |value: &str| {
        format!("maxUnavailable: Invalid value: {value}: maxUnavailable and maxSurge should not both be less than 1")
    };
    check_limits(&[("maxUnavailable", json!(0))], &[&refusal("0")]);
    check_limits(&[("maxUnavailable", json!("0%"))], &[&refusal("\"0%\"")]);
    check_limits(&[("maxUnavailable", Value::Null)], &[&refusal("null")]);
    check_limits(&[("maxUnavailable", json!(0)), ("maxSurge", json!(1))], &[]);
    check_limits(&[("maxUnavailable", json!(0)), ("maxSurge", json!("1%"))], &[]);
    check_limits(&[("maxUnavailable", json!("0.1%"))], &[]);
    check_both(&[("/spec/replicas", json!(0))], &[]);
    for version in [V1alpha1, V1beta1] {
        let at = format!("{}/maxUnavailable", limits(version));
        check(version, &[("/spec/replicas", json!(0)), (&at, json!(0))], &[]);
    }
}

#[test] // 5.2, CS-111
fn surge_and_in_place_only_exclude_each_other() {
    check(
        V1alpha1,
        &[("/spec/updateStrategy/type", json!("InPlaceOnly")), ("/spec/updateStrategy/maxSurge", json!(1))],
        &["spec.updateStrategy.maxSurge: Invalid value: 1: can not use maxSurge with strategy type InPlaceOnly"],
    );
    check(
        V1beta1,
        &[
            ("/spec/updateStrategy/rollingUpdate/podUpdatePolicy", json!("InPlaceOnly")),
            ("/spec/updateStrategy/rollingUpdate/maxSurge", json!("20%")),
        ],
        &[
            "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: \"20%\": can not use maxSurge with podUpdatePolicy InPlaceOnly",
        ],
    );
    check(
        V1alpha1,
        &[("/spec/updateStrategy/type", json!("InPlaceOnly")), ("/spec/updateStrategy/maxSurge", json!("0%"))],
        &[],
    );
}

#[test] // 5.2, CS-111
fn priority_and_scatter() {
    let app = json!({"matchLabels": {"app": "web"}});
    for (strategy, want) in [
        (
            json!({"weightPriority": [{"weight": 100, "matchSelector": app}, {"weight": 0, "matchSelector": app}]}),
            vec![],
        ),
        (json!({"orderPriority": [{"orderedKey": "k"}]}), vec![]),
        (
            json!({"weightPriority": [{"weight": 1, "matchSelector": app}], "orderPriority": [{"orderedKey": "k"}]}),
            vec!["only one of weightPriority and orderPriority can be used"],
        ),
        (
            json!({"weightPriority": [{"weight": 101, "matchSelector": app}]}),
            vec!["weight must be valid number in the range 1-100"],
        ),
        (
            json!({"weightPriority": [{"weight": -1, "matchSelector": app}]}),
            vec!["weight must be valid number in the range 1-100"],
        ),
        (json!({"weightPriority": [{"weight": 1, "matchSelector": {}}]}), vec!["selector can not be empty"]),
        (json!({"orderPriority": [{"orderedKey": ""}]}), vec!["order key can not be empty"]),
    ] {
        let want: Vec<String> =
            want.iter().map(|detail| format!("priorityStrategy: Required value: {detail}")).collect();
        check_limits(&[("priorityStrategy", strategy)], &want.iter().map(String::as_str).collect::<Vec<_>>());
    }
    check_limits(&[("scatterStrategy", json!([{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]))], &[]);
    check_limits(
        &[("scatterStrategy", json!([{"key": "", "value": "1"}]))],
        &["scatterStrategy: Required value: key should not be empty"],
    );
    check_limits(
        &[("scatterStrategy", json!([{"key": "a", "value": "1"}, {"key": "a", "value": "1"}]))],
        &["scatterStrategy: Required value: duplicated key=a value=1"],
    );
}

#[test] // 5.3, CS-111
fn types_and_policies_of_each_version() {
    for type_ in ["OnDelete", "RollingUpdate", ""] {
        check(
            V1alpha1,
            &[("/spec/updateStrategy/type", json!(type_))],
            &[&format!(
                "spec.updateStrategy.type: Invalid value: {type_:?}: must be 'ReCreate', InPlaceIfPossible or 'InPlaceOnly'"
            )],
        );
    }
    for type_ in ["ReCreate", "InPlaceIfPossible", "InPlaceOnly"] {
        check(V1alpha1, &[("/spec/updateStrategy/type", json!(type_))], &[]);
        check(V1beta1, &[("/spec/updateStrategy/rollingUpdate/podUpdatePolicy", json!(type_))], &[]);
        check(
            V1beta1,
            &[("/spec/updateStrategy/type", json!(type_))],
            &[&format!("spec.updateStrategy.type: Invalid value: {type_:?}: must be 'RollingUpdate' or 'OnDelete'")],
        );
    }
    check(
        V1beta1,
        &[("/spec/updateStrategy/rollingUpdate/podUpdatePolicy", json!("x"))],
        &[
            r#"spec.updateStrategy.rollingUpdate.podUpdatePolicy: Invalid value: "x": must be 'ReCreate', 'InPlaceIfPossible' or 'InPlaceOnly'"#,
        ],
    );
    for strategy in [json!({}), json!({"type": ""}), json!({"type": "OnDelete"}), Value::Null] {
        check(V1beta1, &[("/spec/updateStrategy", strategy)], &[]);
    }
}

#[test] // 5.3: OnDelete is not defaulted, so its rollingUpdate must be complete
fn on_delete_with_a_rolling_update_gives_its_limits_itself() {
    let at = "/spec/updateStrategy";
    check(
        V1beta1,
        &[(at, json!({"type": "OnDelete", "rollingUpdate": {}}))],
        &[
            "spec.updateStrategy.rollingUpdate.partition: Invalid value: null: failed GetScaledValueFromIntOrPercent for partition: nil value for IntOrString",
            "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: null: maxUnavailable and maxSurge should not both be less than 1",
        ],
    );
    check(V1beta1, &[(at, json!({"type": "OnDelete", "rollingUpdate": {"partition": 0, "maxUnavailable": 1}}))], &[]);
}

#[test] // 5.3, CS-111
fn image_pre_download_fields_of_v1beta1() {
    let at = "/spec/updateStrategy/rollingUpdate/inPlaceUpdateStrategy";
    let path = "spec.updateStrategy.rollingUpdate.inPlaceUpdateStrategy";
    for (value, want) in [
        (json!(0), None),
        (json!("3"), None),
        (json!("30%"), Some("imagePreDownloadParallelism does not support percentage value")),
        (json!("many"), Some("imagePreDownloadParallelism must be a valid integer: invalid digit found in string")),
        (json!(-1), Some("imagePreDownloadParallelism must be non-negative")),
        (json!("-1"), Some("imagePreDownloadParallelism must be non-negative")),
    ] {
        let want = want.map(|detail| format!("{path}.imagePreDownloadParallelism: Invalid value: {value}: {detail}"));
        check(
            V1beta1,
            &[(at, json!({"imagePreDownloadParallelism": value}))],
            &want.iter().map(String::as_str).collect::<Vec<_>>(),
        );
    }
    for member in ["imagePreDownloadTimeoutSeconds", "imagePreDownloadMinUpdatedReadyPods"] {
        check(V1beta1, &[(at, json!({member: 0}))], &[]);
        check(
            V1beta1,
            &[(at, json!({member: -1}))],
            &[&format!("{path}.{member}: Invalid value: -1: must be greater than or equal to 0")],
        );
    }
    check(
        V1alpha1,
        &[("/spec/updateStrategy/inPlaceUpdateStrategy", json!({"imagePreDownloadParallelism": "30%"}))],
        &[],
    );
}
