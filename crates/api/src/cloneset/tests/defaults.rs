//! CS-100..103.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{TemplateDefaults, apply};
use crate::cloneset::Version;

fn defaulted(spec: Value, version: Version) -> Value {
    let mut object = json!({"spec": spec});
    apply(&mut object, version, None, TemplateDefaults::Leave);
    object["spec"].clone()
}

#[test] // CS-100
fn replicas_and_history_have_defaults_in_both_versions() {
    for version in [Version::V1alpha1, Version::V1beta1] {
        let spec = defaulted(json!({}), version);
        assert_eq!((&spec["replicas"], &spec["revisionHistoryLimit"]), (&json!(1), &json!(10)), "{version:?}");
        let spec = defaulted(json!({"replicas": 0, "revisionHistoryLimit": null}), version);
        assert_eq!((&spec["replicas"], &spec["revisionHistoryLimit"]), (&json!(0), &json!(10)), "{version:?}");
    }
}

#[test] // CS-101
fn a_rolling_update_gets_its_limits() {
    let limits = json!({"podUpdatePolicy": "ReCreate", "partition": 0, "maxUnavailable": "20%", "maxSurge": 0});
    for (strategy, want) in [
        (Value::Null, json!({"type": "RollingUpdate", "rollingUpdate": limits})),
        (
            json!({"type": "", "rollingUpdate": {"podUpdatePolicy": ""}}),
            json!({"type": "RollingUpdate", "rollingUpdate": limits}),
        ),
        (
            json!({"rollingUpdate": {"podUpdatePolicy": "InPlaceIfPossible", "partition": "50%", "maxUnavailable": 0, "maxSurge": 2}}),
            json!({"type": "RollingUpdate", "rollingUpdate": {
                "podUpdatePolicy": "InPlaceIfPossible", "inPlaceUpdateStrategy": {}, "partition": "50%", "maxUnavailable": 0, "maxSurge": 2}}),
        ),
        (
            json!({"rollingUpdate": {"podUpdatePolicy": "InPlaceOnly", "inPlaceUpdateStrategy": {"gracePeriodSeconds": 3}, "partition": 1, "maxUnavailable": 1, "maxSurge": 0}}),
            json!({"type": "RollingUpdate", "rollingUpdate": {
                "podUpdatePolicy": "InPlaceOnly", "inPlaceUpdateStrategy": {"gracePeriodSeconds": 3}, "partition": 1, "maxUnavailable": 1, "maxSurge": 0}}),
        ),
        (json!({"type": "OnDelete"}), json!({"type": "OnDelete"})),
        (json!({"type": "OnDelete", "rollingUpdate": {}}), json!({"type": "OnDelete", "rollingUpdate": {}})),
    ] {
        assert_eq!(
            defaulted(json!({"updateStrategy": strategy.clone()}), Version::V1beta1)["updateStrategy"],
            want,
            "{strategy}"
        );
    }
}

#[test] // CS-102
fn the_flat_strategy_always_gets_its_limits() {
    for (type_, in_place) in
        [("", false), ("ReCreate", false), ("InPlaceIfPossible", true), ("InPlaceOnly", true), ("OnDelete", false)]
    {
        let mut want = json!({"type": type_, "partition": 0, "maxUnavailable": "20%", "maxSurge": 0});
        if type_.is_empty() {
            want["type"] = json!("ReCreate");
        }
        if in_place {
            want["inPlaceUpdateStrategy"] = json!({});
        }
        let spec = defaulted(json!({"updateStrategy": {"type": type_}}), Version::V1alpha1);
        assert_eq!(spec["updateStrategy"], want, "{type_}");
    }
}

fn with_template(image: &str, policy: Option<&str>) -> Value {
    let mut container = json!({"name": "main", "image": image});
    if let Some(policy) = policy {
        container["imagePullPolicy"] = json!(policy);
    }
    json!({"spec": {
        "template": {"spec": {"containers": [container]}},
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": "1024Mi"}}}}],
    }})
}

#[test] // CS-103
fn templates_are_filled_in_on_create_and_when_the_template_changed() {
    let stored = with_template("a:1", None);
    let filled = |new: &Value, old: Option<&Value>, templates| {
        let mut object = new.clone();
        apply(&mut object, Version::V1beta1, old, templates);
        let pod = object.pointer("/spec/template/spec/containers/0/imagePullPolicy").is_some();
        let claim = object.pointer("/spec/volumeClaimTemplates/0/status/phase").is_some();
        assert_eq!(pod, claim);
        pod
    };
    let changed = with_template("a:2", None);
    assert!(filled(&stored, None, TemplateDefaults::Inject), "create");
    assert!(filled(&changed, Some(&stored), TemplateDefaults::Inject), "changed template");
    assert!(!filled(&stored, Some(&stored), TemplateDefaults::Inject), "same template");
    assert!(!filled(&stored, None, TemplateDefaults::Leave), "gate TemplateNoDefaults");
    let mut more_claims = stored.clone();
    more_claims["spec"]["volumeClaimTemplates"][0]["metadata"]["name"] = json!("other");
    assert!(!filled(&more_claims, Some(&stored), TemplateDefaults::Inject), "changed claims");
}

#[test] // CS-103
fn claim_templates_get_a_phase_and_canonical_quantities_but_no_volume_mode() {
    let mut object = with_template("a:1", None);
    apply(&mut object, Version::V1alpha1, None, TemplateDefaults::Inject);
    assert_eq!(
        object["spec"]["volumeClaimTemplates"],
        json!([{"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": "1Gi"}}}, "status": {"phase": "Pending"}}])
    );
}

#[test] // CS-103
fn host_ports_are_copied_only_with_the_gate() {
    let object = json!({"spec": {"template": {"spec": {"hostNetwork": true, "containers": [{"ports": [{"containerPort": 80}]}]}}}});
    for (templates, want) in [(TemplateDefaults::Inject, Value::Null), (TemplateDefaults::InjectHostPorts, json!(80))] {
        let mut object = object.clone();
        apply(&mut object, Version::V1beta1, None, templates);
        assert_eq!(object["spec"]["template"]["spec"]["containers"][0]["ports"][0]["hostPort"], want, "{templates:?}");
    }
}

proptest! {
    #[test]
    fn defaults_take_any_json_and_are_idempotent(spec in crate::tests::json(), old in crate::tests::json()) {
        for version in [Version::V1alpha1, Version::V1beta1] {
            let mut once = json!({"spec": spec});
            apply(&mut once, version, None, TemplateDefaults::InjectHostPorts);
            let mut twice = once.clone();
            apply(&mut twice, version, None, TemplateDefaults::InjectHostPorts);
            prop_assert_eq!(&once, &twice);
            apply(&mut twice, version, Some(&json!({"spec": old})), TemplateDefaults::Inject);
        }
    }
}
