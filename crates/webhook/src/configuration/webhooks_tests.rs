//! What becomes of a webhook configuration, case by case.

use super::*;
use crate::configuration::Address;

fn target() -> Target {
    let address = Address::Service { namespace: "kruise-system".into(), name: "kruise-webhook-service".into() };
    Target { address, bundle: b"PEM".to_vec(), pod_failure_policy: None }
}

fn entry(name: &str, path: &str) -> Value {
    json!({
        "name": name,
        "clientConfig": { "caBundle": "Cg==", "service": { "namespace": "x", "name": "y", "path": path, "port": 8443 } },
        "rules": [{ "operations": ["CREATE"], "resources": ["pods"] }],
        "someday": { "unknown": true },
    })
}

fn live(template: Option<Value>, webhooks: Value) -> Value {
    let template = template.map(|template| template.to_string()).unwrap_or_default();
    json!({
        "metadata": { "resourceVersion": "7", "annotations": { "template": template, "other": "stays" } },
        "webhooks": webhooks,
    })
}

fn served_but(unserved: &'static str) -> impl Fn(&str) -> Standing {
    move |path| if path == unserved { Standing::Unserved } else { Standing::Served }
}

/// The object after the patch, as the API server would store it.
fn applied(before: &Value, plan: &Plan) -> Value {
    let mut after = before.clone();
    if let Some(patch) = &plan.patch {
        json_patch::merge(&mut after, patch);
    }
    after
}

fn names(object: &Value) -> Vec<&str> {
    entries(object).iter().map(|entry| entry["name"].as_str().unwrap()).collect()
}

#[test] // PL-48, IN-32
fn an_empty_template_takes_up_the_list_as_it_is() {
    let list = json!([entry("a", "/a"), entry("b", "/b")]);
    for before in [live(None, list.clone()), json!({ "metadata": {}, "webhooks": list })] {
        let plan = plan(Flavour::Mutating, &before, &target(), served_but("/b")).unwrap();
        let after = applied(&before, &plan);
        let template: Value =
            serde_json::from_str(after["metadata"]["annotations"]["template"].as_str().unwrap()).unwrap();
        assert_eq!(template, list);
        assert_eq!(names(&after), ["a"]);
        assert_eq!(plan.dropped, ["b"]);
    }
}

#[test] // PL-48
fn an_entry_gets_bundle_and_service_and_keeps_the_rest() {
    let before = live(None, json!([entry("a", "/a")]));
    let after = applied(&before, &plan(Flavour::Mutating, &before, &target(), |_| Standing::Served).unwrap());
    let config = &after["webhooks"][0]["clientConfig"];
    assert_eq!(
        *config,
        json!({
            "caBundle": "UEVN",
            "service": { "namespace": "kruise-system", "name": "kruise-webhook-service", "path": "/a", "port": 8443 }
        })
    );
    assert_eq!(after["webhooks"][0]["someday"], json!({ "unknown": true }));
    assert_eq!(after["metadata"]["annotations"]["other"], "stays");
    assert_eq!(after["metadata"]["resourceVersion"], "7");
}

#[test] // PL-48
fn a_dropped_entry_comes_back_in_its_place_when_its_path_is_served_again() {
    let template = json!([entry("a", "/a"), entry("b", "/b"), entry("c", "/c")]);
    let before = live(Some(template), json!([entry("a", "/a"), entry("c", "/c")]));
    let after = applied(&before, &plan(Flavour::Mutating, &before, &target(), |_| Standing::Served).unwrap());
    assert_eq!(names(&after), ["a", "b", "c"]);
}

#[test] // PL-E8
fn a_template_is_never_shortened() {
    let before = live(Some(json!([entry("a", "/a"), entry("b", "/b")])), json!([]));
    let plan = plan(Flavour::Mutating, &before, &target(), served_but("/b")).unwrap();
    assert_eq!(plan.patch.unwrap()["metadata"].get("annotations"), None);
}

#[test] // PL-E1, IN-33
fn what_is_right_is_not_written_again_with_or_without_api_defaults() {
    for flavour in [Flavour::Mutating, Flavour::Validating] {
        let before = live(None, json!([entry("a", "/a"), entry("b", "/b")]));
        let after = applied(&before, &plan(flavour, &before, &target(), |_| Standing::Served).unwrap());
        assert_eq!(plan(flavour, &after, &target(), |_| Standing::Served).unwrap().patch, None);

        let mut bare = after.clone();
        for entry in bare["webhooks"].as_array_mut().unwrap() {
            let members = entry.as_object_mut().unwrap();
            members.retain(|name, _| ["name", "clientConfig", "rules", "someday"].contains(&name.as_str()));
            members["rules"][0].as_object_mut().unwrap().remove("scope");
        }
        assert_eq!(plan(flavour, &bare, &target(), |_| Standing::Served).unwrap().patch, None);
    }
}

/// What a user may choose for an entry, beside its rules.
fn chosen() -> Value {
    json!({
        "failurePolicy": "Ignore",
        "matchConditions": [{ "name": "no-jobs", "expression": "request.operation != 'CREATE'" }],
        "matchPolicy": "Exact",
        "namespaceSelector": {
            "matchLabels": { "team": "shop" },
            "matchExpressions": [{ "key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system"] }],
        },
        "objectSelector": { "matchExpressions": [{ "key": "leave-out", "operator": "DoesNotExist" }] },
        "reinvocationPolicy": "IfNeeded",
        "timeoutSeconds": 3,
    })
}

#[test] // PL-48, IN-33
fn what_the_user_chose_reaches_the_live_entry_and_is_written_once() {
    for flavour in [Flavour::Mutating, Flavour::Validating] {
        let mut chosen = chosen();
        if flavour == Flavour::Validating {
            chosen.as_object_mut().unwrap().remove("reinvocationPolicy");
        }
        let mut wanted = entry("a", "/a");
        json_patch::merge(&mut wanted, &chosen);
        let before = live(Some(json!([wanted])), json!([]));
        let after = applied(&before, &plan(flavour, &before, &target(), |_| Standing::Served).unwrap());
        for (name, value) in chosen.as_object().unwrap() {
            assert_eq!(after["webhooks"][0][name], *value, "{name}");
        }
        assert_eq!(plan(flavour, &after, &target(), |_| Standing::Served).unwrap().patch, None);
    }
}

#[test] // IN-32
fn a_change_of_what_the_user_chose_reaches_the_live_entry() {
    let mut wanted = entry("a", "/a");
    json_patch::merge(&mut wanted, &chosen());
    for name in chosen().as_object().unwrap().keys() {
        let template = Some(json!([wanted]));
        let before = live(template.clone(), json!([]));
        let mut present = applied(&before, &plan(Flavour::Mutating, &before, &target(), |_| Standing::Served).unwrap());
        present["webhooks"][0].as_object_mut().unwrap().remove(name);
        let plan = plan(Flavour::Mutating, &present, &target(), |_| Standing::Served).unwrap();
        assert_eq!(applied(&present, &plan)["webhooks"][0][name], chosen()[name], "{name}");
    }
}

#[test] // IN-33: the API server does not store empty members
fn empty_members_of_a_template_are_not_written_again_and_again() {
    let empty = json!({
        "matchConditions": [],
        "namespaceSelector": { "matchLabels": {}, "matchExpressions": [] },
        "objectSelector": { "matchExpressions": [{ "key": "leave-out", "operator": "DoesNotExist", "values": [] }] },
    });
    let mut wordy = entry("a", "/a");
    json_patch::merge(&mut wordy, &empty);
    let before = live(Some(json!([wordy])), json!([]));
    let mut stored = applied(&before, &plan(Flavour::Validating, &before, &target(), |_| Standing::Served).unwrap());
    let members = stored["webhooks"][0].as_object_mut().unwrap();
    members.remove("matchConditions");
    members.insert("namespaceSelector".into(), json!({}));
    let exists = json!({ "matchExpressions": [{ "key": "leave-out", "operator": "DoesNotExist" }] });
    members.insert("objectSelector".into(), exists);
    assert_eq!(plan(Flavour::Validating, &stored, &target(), |_| Standing::Served).unwrap().patch, None);
}

#[test] // IN-15
fn the_environment_overrides_the_failure_policy_of_pod_creations_and_of_nothing_else() {
    use crate::settings::FailurePolicy;
    let template = json!([entry("mpod.kb.io", "/mutate-pod"), entry("mcloneset.kb.io", "/c")]);
    let told = |policy| Target { pod_failure_policy: policy, ..target() };
    for adopted in [false, true] {
        let before = if adopted { live(None, template.clone()) } else { live(Some(template.clone()), json!([])) };
        let ignore = told(Some(FailurePolicy::Ignore));
        let after = applied(&before, &plan(Flavour::Mutating, &before, &ignore, |_| Standing::Served).unwrap());
        assert_eq!(after["webhooks"][0]["failurePolicy"], "Ignore");
        assert_eq!(after["webhooks"][1]["failurePolicy"], "Fail");
        assert_eq!(plan(Flavour::Mutating, &after, &ignore, |_| Standing::Served).unwrap().patch, None);
        // It never reaches the template: without the variable, what the chart says holds again.
        let back = applied(&after, &plan(Flavour::Mutating, &after, &told(None), |_| Standing::Served).unwrap());
        assert_eq!(back["webhooks"][0]["failurePolicy"], "Fail");
    }
}

#[test] // IN-32
fn a_change_by_hand_is_reverted() {
    let template = Some(json!([entry("a", "/a")]));
    let before = live(template, json!([]));
    let right = applied(&before, &plan(Flavour::Mutating, &before, &target(), |_| Standing::Served).unwrap());
    for (pointer, foreign) in [
        ("/webhooks/0/failurePolicy", json!("Ignore")),
        ("/webhooks/0/clientConfig/caBundle", json!("Cg==")),
        ("/webhooks", json!([])),
        ("/webhooks/0/timeoutSeconds", json!(1)),
    ] {
        let mut changed = right.clone();
        *changed.pointer_mut(pointer).unwrap() = foreign;
        let plan = plan(Flavour::Mutating, &changed, &target(), |_| Standing::Served).unwrap();
        assert_eq!(applied(&changed, &plan), right, "{pointer}");
    }
}

#[test] // IN-39
fn outside_the_cluster_entries_get_a_url_and_inside_a_service_again() {
    let outside = Target { address: Address::Host { host: "hooks.example".into(), port: 9876 }, ..target() };
    let before = live(None, json!([entry("a", "/a")]));
    let host = applied(&before, &plan(Flavour::Mutating, &before, &outside, |_| Standing::Served).unwrap());
    let config = &host["webhooks"][0]["clientConfig"];
    assert_eq!(*config, json!({ "caBundle": "UEVN", "url": "https://hooks.example:9876/a" }));

    let adopted = live(None, host["webhooks"].clone());
    let back = applied(&adopted, &plan(Flavour::Mutating, &adopted, &target(), |_| Standing::Served).unwrap());
    assert_eq!(
        back["webhooks"][0]["clientConfig"]["service"],
        json!({ "namespace": "kruise-system", "name": "kruise-webhook-service", "path": "/a", "port": 443 })
    );
}

#[test]
fn an_entry_that_must_wait_is_held_unless_it_is_on_already() {
    let template = Some(json!([entry("a", "/a"), entry("b", "/b")]));
    let hold = |_: &str| Standing::Waiting;
    let off = live(template.clone(), json!([]));
    let held = plan(Flavour::Mutating, &off, &target(), hold).unwrap();
    assert_eq!((held.held.as_slice(), held.patch), (&["a".to_owned(), "b".to_owned()][..], None));
    let on = live(template, json!([entry("a", "/a")]));
    let kept = plan(Flavour::Mutating, &on, &target(), hold).unwrap();
    assert_eq!(names(&applied(&on, &kept)), ["a"]);
    assert_eq!(kept.held, ["b"]);
}

#[test]
fn a_template_that_is_no_list_is_an_error_that_names_the_object() {
    let mut broken = live(None, json!([]));
    broken["metadata"]["annotations"]["template"] = "{".into();
    let err = plan(Flavour::Validating, &broken, &target(), |_| Standing::Served).unwrap_err();
    assert_eq!(
        err.to_string(),
        "annotation template of ValidatingWebhookConfiguration kruise-validating-webhook-configuration is not a list of \
         webhooks"
    );
}

#[test]
fn an_empty_configuration_needs_nothing() {
    let plan = plan(Flavour::Mutating, &live(None, json!([])), &target(), |_| Standing::Served).unwrap();
    assert_eq!(plan, Plan::default());
}

#[test]
fn bundles_are_collected_from_served_entries_only() {
    let object = live(None, json!([entry("a", "/a"), entry("b", "/b")]));
    let mut found = Published::default();
    published(&object, |path| path == "/a", &mut found);
    let mut want = Published::default();
    want.push(b"\n".to_vec());
    assert_eq!(found, want);
}
