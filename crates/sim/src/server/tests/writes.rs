//! Creation, updates, patches.

use parking_lot::Mutex;
use std::sync::Arc;

use super::*;
use crate::server::call::{Call, Verb};

#[tokio::test(start_paused = true)]
async fn a_new_object_gets_its_identity_from_the_server() {
    let server = server();
    let pod = ok(ask(&server, &format!("POST {PODS}"), pod("a")).await);
    let metadata = &pod["metadata"];
    assert_eq!(metadata["creationTimestamp"], "1970-01-01T00:00:00Z");
    assert_eq!((&metadata["generation"], &metadata["namespace"]), (&json!(1), &json!("default")));
    assert_eq!(pod["status"]["phase"], "Pending");
    assert_eq!((pod["kind"].as_str(), metadata["managedFields"].is_null()), (Some("Pod"), true));
    let (code, reason, message) = refused(ask(&server, &format!("POST {PODS}"), super::pod("a")).await);
    assert_eq!((code, reason.as_str()), (409, "AlreadyExists"));
    assert_eq!(message, r#"pods "a" already exists"#);
}

#[tokio::test(start_paused = true)]
async fn names_are_generated_from_the_seed() {
    let mut pod = pod("");
    pod["metadata"] = json!({"generateName": "web-"});
    let named = async || ok(ask(&server(), &format!("POST {PODS}"), pod.clone()).await)["metadata"]["name"].clone();
    let name = named().await;
    assert_eq!((name.as_str().unwrap().len(), named().await), (9, name));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_made_in_a_namespace_that_is_not_there_or_going() {
    let server = server();
    let path = "POST /api/v1/namespaces/n/configmaps";
    let (code, _, message) = refused(ask(&server, path, config_map("a")).await);
    assert_eq!((code, message.as_str()), (404, r#"namespaces "n" not found"#));
    ok(ask(&server, "POST /api/v1/namespaces", json!({"metadata": {"name": "n"}})).await);
    ok(ask(&server, path, config_map("a")).await);
    let namespace = ok(ask(&server, "DELETE /api/v1/namespaces/n", Value::Null).await);
    assert_eq!(namespace["status"]["phase"], "Terminating");
    let (code, body) = ask(&server, path, config_map("b")).await;
    assert_eq!((code, body["details"]["causes"][0]["reason"].as_str()), (403, Some("NamespaceTerminating")));
}

#[tokio::test(start_paused = true)]
async fn an_update_is_for_the_version_and_the_object_that_it_names() {
    let server = server();
    let path = "/api/v1/namespaces/default/configmaps";
    let mut object = ok(ask(&server, &format!("POST {path}"), config_map("a")).await);
    let put = format!("PUT {path}/a");
    object["data"]["a"] = json!("c");
    ok(ask(&server, &put, object.clone()).await);
    let (code, reason, message) = refused(ask(&server, &put, object.clone()).await);
    assert_eq!((code, reason.as_str()), (409, "Conflict"));
    assert_eq!(
        message,
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to \
         the latest version and try again"
    );
    object["metadata"]["uid"] = json!("other");
    object["metadata"]["resourceVersion"] = json!("");
    let (code, _, message) = refused(ask(&server, &put, object).await);
    assert!(code == 409 && message.contains("Precondition failed: UID in precondition: other"), "{message}");
    ok(ask(&server, &put, config_map("a")).await);
}

#[tokio::test(start_paused = true)]
async fn an_update_of_an_object_that_is_gone_fails_by_its_uid() {
    let server = server();
    let put = "PUT /api/v1/namespaces/default/configmaps/a";
    assert_eq!(refused(ask(&server, put, config_map("a")).await).0, 404);
    let mut object = config_map("a");
    object["metadata"]["uid"] = json!("gone");
    let (code, _, message) = refused(ask(&server, put, object).await);
    assert!(code == 409 && message.ends_with("UID in precondition: gone, UID in object meta: "), "{message}");
    let lease = json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "a"}});
    let leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
    assert_eq!(ask(&server, &format!("PUT {leases}/l"), lease).await.0, 201);
}

#[tokio::test(start_paused = true)]
async fn what_was_applied_has_owners_that_later_writes_keep() {
    let server = server();
    let path = "/api/v1/namespaces/default/configmaps/a";
    let mut applied = config_map("a");
    applied["metadata"]["labels"] = json!({"app": "web"});
    let (code, made) = ask(&server, &format!("PATCH apply {path}?fieldManager=first"), applied.clone()).await;
    assert_eq!((code, made["metadata"]["managedFields"][0]["manager"].as_str()), (201, Some("first")));
    let patched = ok(ask(&server, &format!("PATCH merge {path}"), json!({"data": {"a": "c"}})).await);
    let managers: Vec<_> =
        patched["metadata"]["managedFields"].as_array().unwrap().iter().map(|e| &e["manager"]).collect();
    assert_eq!(managers, ["first", "tester"]);
    let again = refused(ask(&server, &format!("PATCH apply {path}?fieldManager=first"), applied).await);
    assert_eq!(again.0, 409);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_changes_nothing_keeps_the_version_and_is_told_to_observers() {
    let server = server();
    let told = Arc::new(Mutex::new(Vec::new()));
    let (log, asked) = (Arc::clone(&told), server.clone());
    server.on_write(Box::new(move |written| {
        let seen = asked.get(&written.resource, &written.namespace, &written.name);
        log.lock().push((written.version, written.before.is_some(), seen == written.after));
    }));
    let path = "/api/v1/namespaces/default/configmaps";
    let object = ok(ask(&server, &format!("POST {path}"), config_map("a")).await);
    let version = server.resource_version();
    let same = ok(ask(&server, &format!("PATCH merge {path}/a"), json!({"data": {"a": "b"}})).await);
    assert_eq!((same, server.resource_version()), (object, version));
    assert_eq!(*told.lock(), [(version, false, true), (version, true, true)]);
}

#[tokio::test(start_paused = true)]
async fn a_patch_may_name_version_and_uid_as_preconditions() {
    let server = server();
    let path = "/api/v1/namespaces/default/configmaps";
    let object = ok(ask(&server, &format!("POST {path}"), config_map("a")).await);
    let patch = |metadata: Value| json!({"metadata": metadata, "data": {"x": "y"}});
    let line = format!("PATCH merge {path}/a");
    for (metadata, code) in [(json!({"resourceVersion": "1"}), 409), (json!({"uid": "other"}), 422)] {
        assert_eq!(refused(ask(&server, &line, patch(metadata)).await).0, code);
    }
    let named = json!({"uid": object["metadata"]["uid"], "resourceVersion": object["metadata"]["resourceVersion"]});
    let patched = ok(ask(&server, &line, patch(named)).await);
    assert_eq!(patched["data"], json!({"a": "b", "x": "y"}));
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_answers_without_writing() {
    let server = server();
    let version = server.resource_version();
    let pod = ok(ask(&server, &format!("POST {PODS}?dryRun=All"), pod("a")).await);
    assert!(pod["metadata"]["uid"].is_string());
    assert_eq!(server.resource_version(), version);
    assert_eq!(refused(ask(&server, &format!("GET {PODS}/a"), Value::Null).await).0, 404);
}

#[tokio::test(start_paused = true)]
async fn what_is_unknown_or_not_done_is_refused_in_the_servers_words() {
    let server = server();
    assert_eq!(ask(&server, "GET /apis/foo/v1/bars", Value::Null).await, (404, json!("404 page not found\n")));
    let (_, body) = ask(&server, &format!("GET {PODS}/a"), Value::Null).await;
    assert_eq!(body["message"], r#"pods "a" not found"#);
    assert_eq!(body["details"], json!({"name": "a", "kind": "pods"}));
    for (line, code) in [
        (format!("PUT {PODS}"), 405),
        (format!("PATCH yaml {PODS}/a"), 415),
        (format!("POST {PODS}"), 400),
        (format!("GET {PODS}/a/log"), 404),
        ("POST /apis/apps/v1/namespaces/default/daemonsets".to_owned(), 501),
    ] {
        let body = if code == 400 { json!([]) } else { json!({"metadata": {"name": "a"}}) };
        assert_eq!(ask(&server, &line, body).await.0, code, "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn actors_ask_by_the_same_rules() {
    let server = server();
    let call = Call::new(Verb::Create, "pods").at("default", "").with(pod("a"));
    let made = server.ask("scheduler", call).unwrap();
    assert_eq!(server.get("pods", "default", "a").unwrap(), made);
    let missing = server.ask("scheduler", Call::new(Verb::Get, "pods").at("default", "b")).unwrap_err();
    assert_eq!((missing.code, missing.reason), (404, "NotFound"));
    assert_eq!(server.objects("pods").len(), 1);
}
