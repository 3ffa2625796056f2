//! Deletions.

use super::*;

async fn bound(server: &Server, name: &str) {
    let mut object = pod(name);
    object["spec"]["nodeName"] = json!("node-1");
    ok(ask(server, &format!("POST {PODS}"), object).await);
}

#[tokio::test(start_paused = true)]
async fn a_bound_pod_gets_its_time_and_a_second_deletion_only_shortens_it() {
    let server = server();
    bound(&server, "a").await;
    let line = format!("DELETE {PODS}/a");
    let marks = |pod: &Value| {
        let metadata = &pod["metadata"];
        (metadata["deletionTimestamp"].as_str().unwrap().to_owned(), metadata["deletionGracePeriodSeconds"].clone())
    };
    let pod = ok(ask(&server, &line, Value::Null).await);
    assert_eq!(marks(&pod), ("1970-01-01T00:00:30Z".to_owned(), json!(30)));
    assert_eq!(pod["metadata"]["generation"], 2);
    let same = ok(ask(&server, &line, json!({"gracePeriodSeconds": 60})).await);
    assert_eq!(same["metadata"]["resourceVersion"], pod["metadata"]["resourceVersion"]);
    let shorter = ok(ask(&server, &format!("{line}?gracePeriodSeconds=5"), Value::Null).await);
    assert_eq!(marks(&shorter), ("1970-01-01T00:00:05Z".to_owned(), json!(5)));
    let gone = ok(ask(&server, &line, json!({"gracePeriodSeconds": 0})).await);
    assert_eq!((gone["kind"].as_str(), server.get("pods", "default", "a")), (Some("Pod"), None));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_nothing_runs_goes_at_once() {
    let server = server();
    ok(ask(&server, &format!("POST {PODS}"), pod("unbound")).await);
    bound(&server, "done").await;
    ok(ask(&server, &format!("PATCH merge {PODS}/done/status"), json!({"status": {"phase": "Succeeded"}})).await);
    for name in ["unbound", "done"] {
        ok(ask(&server, &format!("DELETE {PODS}/{name}"), Value::Null).await);
        assert_eq!(server.get("pods", "default", name), None, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn finalizers_hold_an_object_until_the_last_is_off() {
    let server = server();
    let path = "/api/v1/namespaces/default/configmaps";
    let mut object = config_map("a");
    object["metadata"]["finalizers"] = json!(["x.io/a"]);
    ok(ask(&server, &format!("POST {path}"), object).await);
    let held = ok(ask(&server, &format!("DELETE {path}/a"), Value::Null).await);
    assert_eq!(held["metadata"]["deletionTimestamp"], "1970-01-01T00:00:00Z");
    assert_eq!(held["metadata"]["deletionGracePeriodSeconds"], 0);
    ok(ask(&server, &format!("PATCH merge {path}/a"), json!({"metadata": {"finalizers": null}})).await);
    assert_eq!(server.get("configmaps", "default", "a"), None);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_says_what_went() {
    let server = server();
    let path = "/api/v1/namespaces/default/configmaps";
    let object = ok(ask(&server, &format!("POST {path}"), config_map("a")).await);
    let line = format!("DELETE {path}/a");
    let other = json!({"preconditions": {"uid": "other"}});
    let (code, _, message) = refused(ask(&server, &line, other).await);
    assert_eq!(code, 409);
    assert!(
        message.starts_with("Operation cannot be fulfilled on ConfigMap \"a\": the UID in the precondition (other)")
    );
    let status = ok(ask(&server, &line, json!({"preconditions": {"uid": object["metadata"]["uid"]}})).await);
    assert_eq!(status["status"], "Success");
    assert_eq!(status["details"], json!({"name": "a", "kind": "configmaps", "uid": object["metadata"]["uid"]}));
}

#[tokio::test(start_paused = true)]
async fn policies_become_finalizers() {
    let server = server();
    let path = "/api/v1/namespaces/default/configmaps";
    for (policy, finalizers) in
        [("Foreground", json!(["foregroundDeletion"])), ("Orphan", json!(["orphan"])), ("Background", Value::Null)]
    {
        ok(ask(&server, &format!("POST {path}"), config_map("a")).await);
        let answer = ok(ask(&server, &format!("DELETE {path}/a?propagationPolicy={policy}"), Value::Null).await);
        assert_eq!(answer["metadata"]["finalizers"], finalizers, "{policy}");
        ask(&server, &format!("PATCH merge {path}/a"), json!({"metadata": {"finalizers": null}})).await;
        assert_eq!(server.get("configmaps", "default", "a"), None, "{policy}");
    }
    assert_eq!(refused(ask(&server, &format!("DELETE {path}/a?propagationPolicy=x"), Value::Null).await).0, 404);
}

#[tokio::test(start_paused = true)]
async fn a_collection_is_deleted_by_selector() {
    let server = server();
    for name in ["a", "b"] {
        ok(ask(&server, &format!("POST {PODS}"), pod(name)).await);
    }
    let list = ok(ask(&server, &format!("DELETE {PODS}?fieldSelector=metadata.name%3Da"), Value::Null).await);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(server.objects("pods").len(), 1);
}
