//! Revisions that are used again (RV-5, RV-6).

use std::sync::Arc;

use api::{cloneset::CloneSet, k8s::ControllerRevision};
use rules::write::Verb;
use serde_json::{Value, json};

use super::super::revisions::settle;

fn cloneset(image: &str) -> CloneSet {
    let template =
        json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": image}]}});
    let selector = json!({"matchLabels": {"app": "web"}});
    let metadata = json!({"name": "web", "namespace": "shop", "uid": "uid-of-web", "resourceVersion": "1"});
    serde_json::from_value(json!({"metadata": metadata, "spec": {"selector": selector, "template": template}})).unwrap()
}

/// The revision of an image, as it is stored, with these owners.
fn stored(image: &str, number: i64, owners: &Value) -> Arc<ControllerRevision> {
    let Some(Verb::Create { mut body }) = settle(&cloneset(image), Vec::new(), 0).write.map(|write| write.verb) else {
        panic!("no revision is made");
    };
    body["revision"] = json!(number);
    body["metadata"]["ownerReferences"] = owners.clone();
    body["metadata"]["uid"] = json!(format!("uid-of-{number}"));
    body["metadata"]["resourceVersion"] = json!("7");
    Arc::new(serde_json::from_value(body).unwrap())
}

/// The patch that makes the older of two revisions the newest.
fn patch(owners: &Value) -> Value {
    let history = vec![stored("a:1", 1, owners), stored("a:2", 2, owners)];
    let write = settle(&cloneset("a:1"), history, 0).write.unwrap();
    let Verb::Patch { resource_version: Some(_), patches, .. } = write.verb else { panic!("no guarded patch") };
    patches[0].body.clone()
}

#[test] // RV-5
fn an_older_equal_revision_gets_the_next_number() {
    let ours = json!([{"apiVersion": "apps.kruise.io/v1beta1", "kind": "CloneSet", "name": "web", "uid": "uid-of-web",
        "controller": true}]);
    assert_eq!(patch(&ours), json!({"revision": 3}));
}

#[test] // RV-4, RV-5
fn one_that_nobody_controls_becomes_the_clonesets_and_keeps_its_other_owners() {
    let other = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "u"});
    let patch = patch(&json!([other]));
    let owners = patch["metadata"]["ownerReferences"].as_array().unwrap();
    assert_eq!((patch["revision"].clone(), owners.len()), (json!(3), 2));
    assert_eq!((&owners[0]["uid"], &owners[1]["uid"]), (&json!("u"), &json!("uid-of-web")));
    assert_eq!(owners[1]["controller"], json!(true));
}
