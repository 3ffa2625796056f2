//! What the garbage collector finds.

use super::*;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// Makes a ConfigMap with an owner that blocks its deletion.
async fn make(server: &Server, name: &str, owner: Option<&str>) {
    let mut object = config_map(name);
    if let Some(owner) = owner {
        let uid = server.get("configmaps", "default", owner).unwrap()["metadata"]["uid"].clone();
        object["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": uid,
            "blockOwnerDeletion": true}]);
    }
    ok(ask(server, &format!("POST {MAPS}"), object).await);
}

/// Lets the collector work until it finds nothing, and tells what it did.
fn collect(server: &Server) -> Vec<String> {
    let mut done = Vec::new();
    for _ in 0..10 {
        for call in server.garbage() {
            let line = format!("{:?} {}", call.verb, call.name);
            if server.ask("collector", call).is_ok() {
                done.push(line);
            }
        }
    }
    done
}

#[tokio::test(start_paused = true)]
async fn objects_without_a_living_owner_go() {
    let server = server();
    make(&server, "owner", None).await;
    make(&server, "child", Some("owner")).await;
    make(&server, "grandchild", Some("child")).await;
    assert!(server.garbage().is_empty());
    ok(ask(&server, &format!("DELETE {MAPS}/owner"), Value::Null).await);
    assert_eq!(collect(&server), ["Delete child", "Delete grandchild"]);
}

#[tokio::test(start_paused = true)]
async fn in_the_foreground_dependents_go_first() {
    let server = server();
    make(&server, "owner", None).await;
    make(&server, "child", Some("owner")).await;
    ok(ask(&server, &format!("DELETE {MAPS}/owner?propagationPolicy=Foreground"), Value::Null).await);
    assert_eq!(collect(&server), ["Delete child", "Patch(Merge) owner"]);
    assert!(server.objects("configmaps").is_empty());
}

#[tokio::test(start_paused = true)]
async fn orphans_stay_without_their_owner() {
    let server = server();
    make(&server, "owner", None).await;
    make(&server, "child", Some("owner")).await;
    ok(ask(&server, &format!("DELETE {MAPS}/owner?propagationPolicy=Orphan"), Value::Null).await);
    assert_eq!(collect(&server), ["Patch(Merge) child", "Patch(Merge) owner"]);
    let child = server.get("configmaps", "default", "child").unwrap();
    assert!(child["metadata"]["ownerReferences"].as_array().is_none_or(Vec::is_empty));
}

#[tokio::test(start_paused = true)]
async fn a_namespace_goes_after_its_content() {
    let server = server();
    ok(ask(&server, "POST /api/v1/namespaces", json!({"metadata": {"name": "n"}})).await);
    ok(ask(&server, "POST /api/v1/namespaces/n/configmaps", config_map("a")).await);
    ok(ask(&server, "DELETE /api/v1/namespaces/n", Value::Null).await);
    assert_eq!(collect(&server), ["Delete a", "Update n"]);
    assert_eq!(server.get("namespaces", "", "n"), None);
}
