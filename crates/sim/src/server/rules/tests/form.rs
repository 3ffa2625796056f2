//! Tests of `form`.

use serde_json::json;

use super::*;

fn kind(group: &str, name: &str) -> Kind {
    Kind { group: group.into(), version: "v1".into(), kind: name.into(), plural: String::new(), namespaced: true }
}

#[test]
fn unknown_members_nulls_and_empty_lists_vanish() {
    let mut pod = json!({"metadata": {"name": "a", "labels": {}, "finalizers": [], "creationTimestamp": null, "zz": 1},
        "spec": {"nodeName": "", "hostNetwork": false, "securityContext": {}, "volumes": [], "zz": 1, "containers": [
            {"name": "a", "resources": {"requests": {"cpu": 1}, "limits": {}}, "env": [{"name": "A", "value": ""}]}]}});
    read(&kind("", "Pod"), &mut pod).unwrap();
    assert_eq!(pod["metadata"], json!({"name": "a"}));
    assert_eq!(
        pod["spec"],
        json!({"securityContext": {}, "containers": [
        {"name": "a", "resources": {"requests": {"cpu": "1"}}, "env": [{"name": "A"}]}]})
    );
}

#[test]
fn data_of_revisions_and_custom_resources_is_left_alone() {
    let data = json!({"a": null, "labels": {}, "b": []});
    let mut revision = json!({"metadata": {"labels": {}}, "data": data, "revision": 1});
    read(&kind("apps", "ControllerRevision"), &mut revision).unwrap();
    assert_eq!(revision["data"], data);
    let mut custom = json!({"metadata": {"name": "a", "zz": 1}, "spec": data});
    read(&kind("example.com", "Foo"), &mut custom).unwrap();
    assert_eq!(custom, json!({"metadata": {"name": "a"}, "spec": data}));
}

#[test]
fn wrong_types_cannot_be_read() {
    for (kind, mut object) in [
        (kind("", "Pod"), json!({"spec": {"terminationGracePeriodSeconds": "x", "containers": []}})),
        (kind("", "Pod"), json!({"spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": "abc"}}}]}})),
        (kind("example.com", "Foo"), json!({"metadata": {"labels": {"a": 5}}})),
        (kind("coordination.k8s.io", "Lease"), json!({"spec": {"renewTime": "2024-01-01T00:00:00Z"}})),
    ] {
        let failure = read(&kind, &mut object).unwrap_err();
        let begin = format!("{0} in version \"v1\" cannot be handled as a {0}: ", kind.kind);
        assert!(failure.code == 400 && failure.message.starts_with(&begin), "{}", failure.message);
    }
}
