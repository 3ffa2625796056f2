//! Status, scale, binding, eviction, resize.

use super::*;

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

fn deployment() -> Value {
    json!({"metadata": {"name": "d"}, "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {
        "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": "nginx"}]}}}})
}

#[tokio::test(start_paused = true)]
async fn status_and_object_are_written_apart() {
    let server = server();
    ok(ask(&server, &format!("POST {DEPLOYMENTS}"), deployment()).await);
    let both = json!({"spec": {"replicas": 3}, "status": {"replicas": 2}});
    let object = ok(ask(&server, &format!("PATCH merge {DEPLOYMENTS}/d"), both.clone()).await);
    assert_eq!((&object["spec"]["replicas"], object["status"]["replicas"].as_i64()), (&json!(3), None));
    assert_eq!(object["metadata"]["generation"], 2);
    let both = json!({"spec": {"replicas": 4}, "status": {"replicas": 2}});
    let object = ok(ask(&server, &format!("PATCH merge {DEPLOYMENTS}/d/status"), both).await);
    assert_eq!((&object["spec"]["replicas"], &object["status"]["replicas"]), (&json!(3), &json!(2)));
    assert_eq!(object["metadata"]["generation"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_scale_reads_and_writes_replicas() {
    let server = server();
    ok(ask(&server, &format!("POST {DEPLOYMENTS}"), deployment()).await);
    let mut scale = ok(ask(&server, &format!("GET {DEPLOYMENTS}/d/scale"), Value::Null).await);
    assert_eq!(
        (&scale["spec"], &scale["status"]),
        (&json!({"replicas": 2}), &json!({"replicas": 0, "selector": "app=web"}))
    );
    scale["spec"]["replicas"] = json!(5);
    let put = format!("PUT {DEPLOYMENTS}/d/scale");
    assert_eq!(ok(ask(&server, &put, scale.clone()).await)["spec"]["replicas"], 5);
    assert_eq!(refused(ask(&server, &put, scale).await).0, 409);
    ok(ask(&server, &format!("PATCH merge {DEPLOYMENTS}/d/scale"), json!({"spec": {"replicas": 1}})).await);
    let stored = server.get("deployments.apps", "default", "d").unwrap();
    assert_eq!((&stored["spec"]["replicas"], &stored["metadata"]["generation"]), (&json!(1), &json!(3)));
    let patch = ask(&server, &format!("PATCH merge {DEPLOYMENTS}/d/scale"), json!({"spec": {"replicas": -1}})).await;
    assert_eq!(refused(patch).0, 422);
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_bound_once() {
    let server = server();
    ok(ask(&server, &format!("POST {PODS}"), pod("a")).await);
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "a"}, "target": {"kind": "Node", "name": "node-1"}});
    let (code, body) = ask(&server, &format!("POST {PODS}/a/binding"), binding.clone()).await;
    assert_eq!((code, body["status"].as_str()), (201, Some("Success")));
    assert_eq!(server.get("pods", "default", "a").unwrap()["spec"]["nodeName"], "node-1");
    assert_eq!(refused(ask(&server, &format!("POST {PODS}/a/binding"), binding).await).0, 409);
}

#[tokio::test(start_paused = true)]
async fn an_eviction_deletes_politely_and_leaves_a_condition() {
    let server = server();
    let mut object = pod("a");
    object["spec"]["nodeName"] = json!("node-1");
    ok(ask(&server, &format!("POST {PODS}"), object).await);
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a"}});
    assert_eq!(ask(&server, &format!("POST {PODS}/a/eviction"), eviction).await.0, 201);
    let pod = server.get("pods", "default", "a").unwrap();
    assert_eq!(pod["metadata"]["deletionGracePeriodSeconds"], 30);
    assert!(pod["status"]["conditions"].to_string().contains("DisruptionTarget"));
}

#[tokio::test(start_paused = true)]
async fn resources_of_a_running_pod_are_changed_by_resize() {
    let server = server();
    let mut object = pod("a");
    object["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "1"}});
    ok(ask(&server, &format!("POST {PODS}"), object).await);
    let patch = json!({"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "2"}}}]}});
    let resized = ok(ask(&server, &format!("PATCH strategic {PODS}/a/resize"), patch).await);
    assert_eq!(resized["spec"]["containers"][0]["resources"]["requests"]["cpu"], "2");
    assert_eq!(resized["metadata"]["generation"], 2);
}

#[tokio::test(start_paused = true)]
async fn discovery_tells_what_is_served() {
    let server = server();
    let version = ok(ask(&server, "GET /version", Value::Null).await);
    assert_eq!(version["gitVersion"], "v1.34.4");
    let list = ok(ask(&server, "GET /apis/apps/v1", Value::Null).await);
    let names: Vec<&str> =
        list["resources"].as_array().unwrap().iter().filter_map(|entry| entry["name"].as_str()).collect();
    assert!(names.contains(&"deployments/scale") && names.contains(&"controllerrevisions"), "{names:?}");
    assert_eq!(ask(&server, "GET /apis/foo/v1", Value::Null).await.0, 404);
}
