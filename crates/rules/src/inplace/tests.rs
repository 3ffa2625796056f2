//! Judgement, batches, grace and completion, in the order of the page.

use api::k8s::Pod;
use serde_json::{Value, json};

use super::{Change, EnvFromMetadata, Obstacle, Refresh, Start, is_complete, judge, refresh, start};
use crate::write::Subresource;

fn template(image: &str) -> Value {
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [
        {"name": "main", "image": image},
        {"name": "side", "image": "side:1", "env": [{"name": "V", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['v']"}}}]}]}})
}

fn judged(old: &Value, new: &Value) -> Result<Change, Obstacle> {
    judge(old, new, EnvFromMetadata::Obstacle)
}

fn images(change: &[(&str, &str)]) -> Change {
    Change { images: change.iter().map(|(n, i)| ((*n).to_owned(), (*i).to_owned())).collect(), ..Change::default() }
}

#[test] // IU-3, IU-9
fn an_image_can_change_in_place() {
    assert_eq!(judged(&template("x:1"), &template("x:2")), Ok(images(&[("main", "x:2")])));
    assert_eq!(judged(&template("x:1"), &template("x:1")), Ok(Change::default()));
}

#[test] // IU-3
fn everything_else_in_the_spec_is_an_obstacle() {
    for (pointer, value, path) in [
        ("/spec/containers/0/command", json!(["sh"]), "/spec/containers/0/command"),
        ("/spec/containers/2", json!({"name": "third", "image": "t"}), "/spec/containers/2"),
        ("/spec/initContainers", json!([{"name": "i", "image": "i"}]), "/spec/initContainers"),
        ("/spec/containers/0/resources", json!({"limits": {"cpu": "1"}}), "/spec/containers/0/resources/limits"),
        ("/spec/hostNetwork", json!(true), "/spec/hostNetwork"),
        ("/spec/containers/0/name", json!("renamed"), "/spec/containers/0/name"),
    ] {
        let mut new = template("x:2");
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match new.pointer_mut(parent).unwrap() {
            Value::Array(list) => list.push(value),
            other => other[key] = value,
        }
        let Err(Obstacle::Path { path: found, .. }) = judged(&template("x:1"), &new) else { panic!("{pointer}") };
        assert_eq!(found, path);
    }
}

#[test] // IU-7, IU-85
fn template_metadata_travels_as_a_patch_with_removals() {
    let mut old = template("x:1");
    old["metadata"] =
        json!({"labels": {"app": "web", "gone": "1"}, "finalizers": ["x/a", "x/b"], "annotations": {"k": "1"}});
    let mut new = template("x:1");
    new["metadata"] =
        json!({"labels": {"app": "web", "new": "2"}, "finalizers": ["x/b", "x/c"], "annotations": {"k": "2"}});
    assert_eq!(
        Value::Object(judged(&old, &new).unwrap().metadata),
        json!({"labels": {"gone": null, "new": "2"}, "annotations": {"k": "2"}, "finalizers": ["x/c"],
            "$deleteFromPrimitiveList/finalizers": ["x/a"]})
    );
}

#[test] // IU-7, IU-61
fn metadata_that_feeds_an_environment_is_an_obstacle_unless_it_is_plain() {
    let mut new = template("x:1");
    new["metadata"]["labels"]["v"] = json!("2");
    assert_eq!(
        judged(&template("x:1"), &new),
        Err(Obstacle::Environment { path: "/metadata/labels/v".into(), container: "side".into() })
    );
    assert!(judge(&template("x:1"), &new, EnvFromMetadata::Plain).is_ok());
}

/// A ready Pod with two containers; `barriers` are launch priorities.
fn pod(barriers: [Option<i64>; 2], annotations: Value) -> Pod {
    let container = |name: &str, barrier: Option<i64>| {
        let env = barrier.map(|p| json!([{"name": "KRUISE_CONTAINER_BARRIER", "valueFrom": {"configMapKeyRef": {"name": "b", "key": format!("p_{p}")}}}]));
        json!({"name": name, "image": format!("{name}:1"), "env": env.unwrap_or_else(|| json!([]))})
    };
    let status = |name: &str| json!({"name": name, "image": format!("{name}:1"), "imageID": format!("sha:{name}1"), "containerID": "c", "ready": true});
    serde_json::from_value(json!({
        "metadata": {"name": "web-1", "uid": "u", "labels": {"controller-revision-hash": "web-r2"}, "annotations": annotations},
        "spec": {"readinessGates": [{"conditionType": "InPlaceUpdateReady"}], "containers": [container("main", barriers[0]), container("side", barriers[1])]},
        "status": {"phase": "Running", "containerStatuses": [status("main"), status("side")], "conditions": [
            {"type": "Ready", "status": "True"}, {"type": "ContainersReady", "status": "True"}, {"type": "InPlaceUpdateReady", "status": "True"}]},
    }))
    .unwrap()
}

fn begin<'a>(change: &'a Change, grace_seconds: i32) -> Start<'a> {
    let labels = [("controller-revision-hash".to_owned(), "web-r2".to_owned())].into();
    Start { revision: "web-r2", change, grace_seconds, labels, annotations: [].into(), now: now() }
}

fn now() -> jiff::Timestamp {
    "2026-01-01T00:00:10Z".parse().unwrap()
}

#[test] // IU-21, IU-22
fn the_pod_is_marked_unready_before_it_is_changed() {
    let change = images(&[("main", "main:2")]);
    let patches = start(&pod([None, None], json!({})), &begin(&change, 0));
    assert_eq!(patches.len(), 2);
    assert_eq!(patches[0].subresource, Subresource::Status);
    let conditions = &patches[0].body["status"]["conditions"];
    assert_eq!((&conditions[0]["type"], &conditions[0]["status"]), (&json!("InPlaceUpdateReady"), &json!("False")));
    assert_eq!((&conditions[1]["type"], &conditions[1]["status"]), (&json!("Ready"), &json!("False")));
    let body = &patches[1].body;
    assert_eq!(body["spec"], json!({"containers": [{"name": "main", "image": "main:2"}]}));
    assert_eq!(body["metadata"]["labels"], json!({"controller-revision-hash": "web-r2"}));
    assert_eq!(
        body["metadata"]["annotations"]["apps.kruise.io/inplace-update-state"],
        json!(concat!(
            r#"{"revision":"web-r2","updateTimestamp":"2026-01-01T00:00:10Z","lastContainerStatuses":{"main":{"imageID":"sha:main1"}},"#,
            r#""updateImages":true,"containerBatchesRecord":[{"timestamp":"2026-01-01T00:00:10Z","containers":["main"]}]}"#
        ))
    );
}

#[test] // IU-34, IU-35, IU-36
fn only_the_highest_launch_priority_goes_first() {
    let change = images(&[("main", "main:2"), ("side", "side:2")]);
    let patches = start(&pod([Some(0), Some(10)], json!({})), &begin(&change, 0));
    assert_eq!(patches[1].body["spec"], json!({"containers": [{"name": "side", "image": "side:2"}]}));
    let state: Value = serde_json::from_str(
        patches[1].body["metadata"]["annotations"]["apps.kruise.io/inplace-update-state"].as_str().unwrap(),
    )
    .unwrap();
    assert_eq!(state["nextContainerImages"], json!({"main": "main:2"}));
    assert_eq!(state["preCheckBeforeNext"], json!({"containersRequiredReady": ["side"]}));
}

/// The Pod after its state annotation was written, with the given image ids and readiness.
fn updating(state: &Value, main: (&str, &str), ready: bool) -> Pod {
    let mut pod = pod([None, None], json!({"apps.kruise.io/inplace-update-state": state.to_string()}));
    pod.spec.containers[0].image = "main:2".into();
    pod.status.conditions[2].status = "False".into();
    pod.status.container_statuses[0].image = main.0.into();
    pod.status.container_statuses[0].image_id = main.1.into();
    pod.status.container_statuses[0].ready = ready;
    pod
}

#[test] // IU-50, IU-51, IU-53, IU-80
fn a_container_is_complete_when_its_image_id_or_its_image_has_followed() {
    let state = json!({"revision": "web-r2", "lastContainerStatuses": {"main": {"imageID": "sha:main1"}}});
    for (image, id, complete) in
        [("main:1", "sha:main1", false), ("main:2", "sha:main1", true), ("main:1", "sha:main2", true)]
    {
        assert_eq!(is_complete(&updating(&state, (image, id), true)), Ok(complete), "{image} {id}");
    }
}

#[test] // IU-81
fn an_image_without_tag_is_compared_as_latest() {
    let state = json!({"revision": "web-r2", "lastContainerStatuses": {"main": {"imageID": "sha:main1"}}});
    let mut pod = updating(&state, ("nginx:latest", "sha:main1"), true);
    pod.spec.containers[0].image = "nginx".into();
    assert_eq!(is_complete(&pod), Ok(true));
}

#[test] // IU-51.2, IU-51.4, IU-52
fn the_nodes_hashes_decide_where_it_reports_them() {
    let state = json!({"revision": "web-r2", "lastContainerStatuses": {"main": {"imageID": "sha:main1"}}});
    let mut pod = updating(&state, ("main:1", "sha:main1"), true);
    let meta = json!({"containers": [
        {"name": "main", "containerID": "c", "restartCount": 1, "hashes": {"plainHash": crate::hash::plain_container("main:2", "main")}},
        {"name": "side", "containerID": "c", "restartCount": 0, "hashes": {"plainHash": crate::hash::plain_container("side:1", "side")}}]});
    pod.metadata.annotations.insert("apps.kruise.io/runtime-containers-meta", &meta.to_string());
    assert_eq!(is_complete(&pod), Ok(true));
    pod.status.container_statuses[0].container_id = "another".into();
    assert_eq!(is_complete(&pod), Ok(false), "the report is about an older container");
}

#[test] // IU-43, IU-44, IU-86
fn the_next_batch_waits_until_the_first_is_ready() {
    let state = json!({"revision": "web-r2", "updateImages": true, "lastContainerStatuses": {"main": {"imageID": "sha:main1"}},
        "nextContainerImages": {"side": "side:2"}, "preCheckBeforeNext": {"containersRequiredReady": ["main"]}});
    assert_eq!(refresh(&updating(&state, ("main:2", "sha:main2"), false), now()), Ok(Refresh::Nothing));
    let Ok(Refresh::Patch(patch)) = refresh(&updating(&state, ("main:2", "sha:main2"), true), now()) else { panic!() };
    assert_eq!(patch.body["spec"], json!({"containers": [{"name": "side", "image": "side:2"}]}));
    let written: Value = serde_json::from_str(
        patch.body["metadata"]["annotations"]["apps.kruise.io/inplace-update-state"].as_str().unwrap(),
    )
    .unwrap();
    assert!(written.get("nextContainerImages").is_none() && written.get("preCheckBeforeNext").is_none());
}

#[test] // IU-47
fn the_condition_becomes_true_once_all_is_complete() {
    let state = json!({"revision": "web-r2", "lastContainerStatuses": {"main": {"imageID": "sha:main1"}}});
    assert_eq!(refresh(&updating(&state, ("main:1", "sha:main1"), true), now()), Ok(Refresh::Nothing));
    let Ok(Refresh::Ready(condition)) = refresh(&updating(&state, ("main:2", "sha:main2"), true), now()) else {
        panic!()
    };
    assert_eq!((&condition["status"], &condition["reason"]), (&json!("True"), &json!("")));
    assert_eq!(refresh(&pod([None, None], json!({})), now()), Ok(Refresh::Nothing), "it is True already");
}

#[test] // IU-30, IU-31
fn a_grace_period_delays_the_change_of_the_spec() {
    let change = Change {
        metadata: json!({"annotations": {"k": "2"}}).as_object().unwrap().clone(),
        ..images(&[("main", "main:2")])
    };
    let patches = start(&pod([None, None], json!({})), &begin(&change, 30));
    let annotations = &patches[1].body["metadata"]["annotations"];
    assert!(patches[1].body.get("spec").is_none(), "containers stay the old ones");
    let mut waiting = pod([None, None], annotations.clone());
    assert_eq!(is_complete(&waiting), Ok(false));
    let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    assert_eq!(refresh(&waiting, at("2026-01-01T00:00:20Z")), Ok(Refresh::Wait(std::time::Duration::from_secs(20))));
    let Ok(Refresh::Patch(patch)) = refresh(&waiting, at("2026-01-01T00:00:40Z")) else { panic!() };
    assert_eq!(patch.body["spec"], json!({"containers": [{"name": "main", "image": "main:2"}]}));
    assert_eq!(patch.body["metadata"]["annotations"]["k"], json!("2"));
    assert_eq!(patch.body["metadata"]["annotations"]["apps.kruise.io/inplace-update-grace"], Value::Null);
    waiting.metadata.labels.insert("controller-revision-hash", "web-r3");
    let Ok(Refresh::Patch(patch)) = refresh(&waiting, at("2026-01-01T00:00:20Z")) else { panic!() };
    assert_eq!(patch.body, json!({"metadata": {"annotations": {"apps.kruise.io/inplace-update-grace": null}}}));
}

#[test] // IU-41
fn an_annotation_that_cannot_be_read_is_an_error_and_not_complete() {
    let broken = pod([None, None], json!({"apps.kruise.io/inplace-update-state": "{"}));
    assert!(is_complete(&broken).is_err() && refresh(&broken, now()).is_err());
}
