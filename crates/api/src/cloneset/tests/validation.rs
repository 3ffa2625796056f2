//! Page sections 5.2 and 5.3, row by row, with the texts of CS-111.

mod strategy;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Version, newly_deleted, on_create, on_update};
use crate::{
    cloneset::defaults::{self, TemplateDefaults},
    tests::{lines, set, template},
};

use Version::{V1alpha1, V1beta1};

/// A healthy CloneSet as it reaches validation: defaulted.
fn cloneset(version: Version) -> Value {
    let mut object = json!({
        "apiVersion": version.api_version(),
        "kind": "CloneSet",
        "metadata": {"name": "web", "namespace": "shop", "uid": "1", "resourceVersion": "1"},
        "spec": {"replicas": 5, "selector": {"matchLabels": {"app": "web"}}, "template": template()},
    });
    defaults::apply(&mut object, version, None, TemplateDefaults::Inject);
    object
}

fn changed(version: Version, changes: &[(&str, Value)]) -> Value {
    let mut object = cloneset(version);
    for (pointer, value) in changes {
        set(&mut object, pointer, value.clone());
    }
    object
}

/// Creates a CloneSet that deviates from the healthy one, and wants these refusals.
#[track_caller]
fn check(version: Version, changes: &[(&str, Value)], want: &[&str]) {
    let found = lines(&on_create(&changed(version, changes), version));
    assert_eq!(found, want, "{version:?} {changes:?}");
}

#[track_caller]
fn check_both(changes: &[(&str, Value)], want: &[&str]) {
    check(V1alpha1, changes, want);
    check(V1beta1, changes, want);
}

#[test]
fn a_healthy_cloneset_passes() {
    for version in [V1alpha1, V1beta1] {
        let object = cloneset(version);
        assert_eq!(lines(&on_create(&object, version)), Vec::<String>::new());
        assert_eq!(lines(&on_update(&object, &object, version)), Vec::<String>::new());
    }
}

#[test] // 5.2
fn metadata_and_replicas() {
    check_both(
        &[("/metadata/name", json!("Web"))],
        &[
            "metadata.name: Invalid value: \"Web\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        ],
    );
    check_both(
        &[("/spec/replicas", json!(-1))],
        &["spec.replicas: Invalid value: -1: must be greater than or equal to 0"],
    );
    check_both(&[("/spec", json!(1))], &["spec: Invalid value: 1: must be an object"]);
}

#[test] // 5.2, CS-111
fn selector_is_there_not_empty_and_matches() {
    check_both(&[("/spec/selector", Value::Null)], &["spec.selector: Required value"]);
    check_both(
        &[("/spec/selector", json!({}))],
        &["spec.selector: Invalid value: {}: empty selector is invalid for cloneset"],
    );
    check_both(
        &[("/spec/selector", json!({"matchExpressions": [{"key": "app", "operator": "Like"}]}))],
        &[r#"spec.selector.matchExpressions[0].operator: Invalid value: "Like": not a valid selector operator"#],
    );
    check_both(
        &[("/spec/selector/matchLabels/app", json!("db"))],
        &[
            r#"spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`"#,
        ],
    );
    check_both(
        &[("/spec/selector", json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "x"]}]}))],
        &[],
    );
}

#[test] // 5.2, CS-111
fn pods_run_always_and_without_deadline() {
    check_both(
        &[("/spec/template/spec/restartPolicy", json!("Never"))],
        &[r#"spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always""#],
    );
    check_both(
        &[("/spec/template/spec/restartPolicy", json!("Nevr"))],
        &[r#"spec.template.spec.restartPolicy: Unsupported value: "Nevr": supported values: "Always""#],
    );
    check_both(&[("/spec/template/spec/restartPolicy", json!(""))], &[]);
    check_both(
        &[("/spec/template/spec/activeDeadlineSeconds", json!(5))],
        &["spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in cloneset is not Supported"],
    );
}

#[test] // 5.2
fn the_template_is_checked_with_the_claims_as_volumes() {
    let mount = ("/spec/template/spec/containers/0/volumeMounts", json!([{"name": "data", "mountPath": "/data"}]));
    check_both(
        std::slice::from_ref(&mount),
        &[r#"spec.template.spec.containers[0].volumeMounts[0].name: Not found: "data""#],
    );
    let claims = |names: &[&str]| {
        (
            "/spec/volumeClaimTemplates",
            names.iter().map(|name| json!({"metadata": {"name": name}, "spec": {"bad": 1}})).collect::<Value>(),
        )
    };
    check_both(&[mount.clone(), claims(&["data"])], &[]);
    check_both(
        &[mount, claims(&["data", "data"])],
        &[r#"spec.volumeClaimTemplates[1].metadata.name: Duplicate value: "data""#],
    );
    check_both(
        &[("/spec/template", Value::Null)],
        &[
            r#"spec.template.metadata.labels: Invalid value: {}: `selector` does not match template `labels`"#,
            "spec.template: Required value",
        ],
    );
}

#[test] // 5.2, CS-111
fn pods_to_delete_are_named_once() {
    check_both(
        &[("/spec/scaleStrategy", json!({"podsToDelete": ["b", "a", "b", "c", "a"]}))],
        &[r#"spec.scaleStrategy.podsToDelete: Invalid value: ["b","a","b","c","a"]: duplicated items [a b]"#],
    );
    check_both(&[("/spec/scaleStrategy", json!({"podsToDelete": ["b", "a"], "maxUnavailable": "nonsense"}))], &[]);
}

#[test] // 5.3
fn progress_deadline_is_checked_in_v1alpha1_only() {
    let changes = |deadline: i64, ready: i64| {
        [("/spec/progressDeadlineSeconds", json!(deadline)), ("/spec/minReadySeconds", json!(ready))]
    };
    for (deadline, ready, want) in [
        (11, 10, None),
        (2_147_483_647, 2_147_483_647, None),
        (10, 10, Some("spec.progressDeadlineSeconds: Invalid value: 10: must be greater than minReadySeconds")),
        (0, 0, Some("spec.progressDeadlineSeconds: Invalid value: 0: must be greater than minReadySeconds")),
    ] {
        check(V1alpha1, &changes(deadline, ready), &want.into_iter().collect::<Vec<_>>());
        check(V1beta1, &changes(deadline, ready), &[]);
    }
    check(
        V1alpha1,
        &changes(-1, 0),
        &[
            "spec.progressDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0",
            "spec.progressDeadlineSeconds: Invalid value: -1: must be greater than minReadySeconds",
        ],
    );
}

#[test] // 5.2
fn some_members_are_not_validated() {
    check_both(
        &[
            ("/spec/scaleStrategy", json!({"maxUnavailable": -5})),
            ("/spec/minReadySeconds", json!(-5)),
            ("/spec/revisionHistoryLimit", json!(-5)),
            ("/spec/lifecycle", json!({"preDelete": {"labelsHandler": {"-": "-"}}})),
        ],
        &[],
    );
}

#[test] // 5.2, CS-111
fn an_update_may_change_only_some_members() {
    const FORBIDDEN: &str = "spec: Forbidden: updates to cloneset spec for fields other than 'replicas', 'template', 'lifecycle', 'scaleStrategy', 'updateStrategy', 'minReadySeconds', 'progressDeadlineSeconds', 'volumeClaimTemplates' and 'revisionHistoryLimit' are forbidden";
    let grown = ("/spec/template/metadata/labels/tier", json!("x"));
    for version in [V1alpha1, V1beta1] {
        let old = changed(version, std::slice::from_ref(&grown));
        let new = changed(version, &[grown.clone(), ("/spec/selector/matchLabels/tier", json!("x"))]);
        assert_eq!(lines(&on_update(&new, &old, version)), [FORBIDDEN]);
        let new = changed(version, &[grown.clone(), ("/spec/selector/matchExpressions", json!([]))]);
        assert_eq!(lines(&on_update(&new, &old, version)), Vec::<String>::new(), "empty is absent");
        let new = changed(
            version,
            &[
                ("/spec/replicas", json!(9)),
                ("/spec/lifecycle", json!({})),
                ("/spec/scaleStrategy", json!({"podsToDelete": ["a"]})),
                ("/spec/minReadySeconds", json!(3)),
                ("/spec/progressDeadlineSeconds", json!(30)),
                ("/spec/volumeClaimTemplates", json!([{"metadata": {"name": "data"}}])),
                ("/spec/revisionHistoryLimit", json!(3)),
            ],
        );
        assert_eq!(lines(&on_update(&new, &old, version)), Vec::<String>::new());
    }
}

#[test] // 5.3, CS-111
fn in_place_only_allows_new_images_in_v1alpha1() {
    let only = ("/spec/updateStrategy/type", json!("InPlaceOnly"));
    let old = cloneset(V1alpha1);
    let detail = |found: &str| {
        format!("spec: Forbidden: only allowed to update images in spec for InPlaceOnly, but found {found}")
    };
    for (change, want) in [
        (("/spec/template/spec/containers/0/image", json!("nginx:2")), None),
        (("/spec/template/metadata/annotations", json!({"a": "b"})), None),
        (("/spec/template/spec/containers/0/env", json!([{"name": "A"}])), Some("add /containers/0/env")),
        (
            ("/spec/template/spec/containers/0/imagePullPolicy", json!("Never")),
            Some("replace /containers/0/imagePullPolicy"),
        ),
        (("/spec/template/spec/dnsPolicy", Value::Null), Some("remove /dnsPolicy")),
        (
            (
                "/spec/template/spec/containers",
                json!([old["spec"]["template"]["spec"]["containers"][0], {"name": "b", "image": "b"}]),
            ),
            Some("add /containers/1"),
        ),
        (("/spec/template/spec/initContainers", json!([{"name": "b", "image": "b"}])), Some("add /initContainers")),
        (("/spec/template/spec/nodeSelector", json!({"a/b": "c"})), Some("add /nodeSelector")),
    ] {
        let new = changed(V1alpha1, &[only.clone(), change.clone()]);
        let want: Vec<String> = want.map(detail).into_iter().collect();
        assert_eq!(lines(&on_update(&new, &old, V1alpha1)), want, "{change:?}");
        assert_eq!(lines(&on_update(&changed(V1alpha1, &[change]), &old, V1alpha1)), Vec::<String>::new());
    }
    let at = "/spec/updateStrategy/rollingUpdate/podUpdatePolicy";
    let new = changed(V1beta1, &[(at, json!("InPlaceOnly")), ("/spec/template/spec/dnsPolicy", json!("Default"))]);
    assert_eq!(lines(&on_update(&new, &cloneset(V1beta1), V1beta1)), Vec::<String>::new(), "not checked in v1beta1");
}

#[test] // 5.3: the webhook looks these up
fn newly_deleted_pods_are_those_that_the_update_adds() {
    let naming = |names: &[&str]| json!({"spec": {"scaleStrategy": {"podsToDelete": names}}});
    assert_eq!(newly_deleted(&naming(&["a", "b", "c", "b"]), Some(&naming(&["a"]))), ["b", "c"]);
    assert_eq!(newly_deleted(&naming(&["a"]), None), ["a"]);
    assert!(newly_deleted(&json!({"spec": 1}), Some(&json!(null))).is_empty());
}

proptest! {
    #[test]
    fn any_json_is_judged_without_a_panic(spec in crate::tests::json(), old in crate::tests::json(), metadata in crate::tests::json()) {
        for version in [V1alpha1, V1beta1] {
            let new = json!({"metadata": metadata, "spec": spec});
            let _ = lines(&on_update(&new, &json!({"spec": old}), version));
            let _ = lines(&on_create(&spec, version));
            let _ = crate::cloneset::check_form(&new, version);
            let _ = newly_deleted(&new, Some(&old));
        }
    }

    /// An update that changes nothing is accepted whenever the object itself is.
    #[test]
    fn an_update_without_a_change_is_judged_as_a_create(spec in crate::tests::json()) {
        let object = json!({"metadata": {"name": "a", "namespace": "b", "resourceVersion": "1"}, "spec": spec});
        for version in [V1alpha1, V1beta1] {
            prop_assert_eq!(lines(&on_update(&object, &object, version)), lines(&on_create(&object, version)));
        }
    }
}
