//! Watches.

use super::*;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn make(server: &Server, name: &str, app: &str) {
    let mut object = config_map(name);
    object["metadata"]["labels"] = json!({"app": app});
    ok(ask(server, &format!("POST {MAPS}"), object).await);
}

#[tokio::test(start_paused = true)]
async fn a_watch_tells_what_happens_after_a_version() {
    let server = server();
    make(&server, "a", "web").await;
    let mut lines =
        Lines::of(&server, &format!("{MAPS}?watch=true&resourceVersion={}", server.resource_version())).await;
    make(&server, "b", "web").await;
    ok(ask(&server, &format!("PATCH merge {MAPS}/a"), json!({"data": {"x": "y"}})).await);
    assert_eq!(lines.told().await, ["ADDED b", "MODIFIED a"]);
    ok(ask(&server, &format!("DELETE {MAPS}/a"), Value::Null).await);
    assert_eq!(lines.told().await, ["DELETED a"]);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_leaves_the_selection_is_told_as_deleted() {
    let server = server();
    make(&server, "a", "web").await;
    let mut lines = Lines::of(&server, "/api/v1/configmaps?watch=true&labelSelector=app%3Dweb").await;
    assert_eq!(lines.told().await, ["ADDED a"]);
    for (app, told) in [("api", vec!["DELETED a"]), ("db", vec![]), ("web", vec!["ADDED a"])] {
        ok(ask(&server, &format!("PATCH merge {MAPS}/a"), json!({"metadata": {"labels": {"app": app}}})).await);
        assert_eq!(lines.told().await, told, "{app}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_streamed_list_ends_with_a_bookmark() {
    let server = server();
    make(&server, "a", "web").await;
    make(&server, "b", "web").await;
    let query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut lines = Lines::of(&server, &format!("{MAPS}?{query}")).await;
    let version = server.resource_version();
    assert_eq!(lines.told().await, ["ADDED a".to_owned(), "ADDED b".to_owned(), format!("BOOKMARK {version} end")]);
    make(&server, "c", "web").await;
    assert_eq!(lines.told().await, ["ADDED c"]);
    let bad = format!("GET {MAPS}?watch=true&sendInitialEvents=true");
    assert_eq!(refused(ask(&server, &bad, Value::Null).await).0, 422);
}

#[tokio::test(start_paused = true)]
async fn bookmarks_come_each_minute_and_the_end_at_its_time() {
    let server = server();
    let mut lines = Lines::of(&server, &format!("{MAPS}?watch=true&allowWatchBookmarks=true&timeoutSeconds=90")).await;
    assert!(lines.told().await.is_empty());
    ok(ask(&server, &format!("POST {PODS}"), pod("elsewhere")).await);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(lines.told().await, [format!("BOOKMARK {}", server.resource_version())]);
    tokio::time::advance(Duration::from_secs(26)).await;
    assert_eq!(lines.told().await, [format!("BOOKMARK {}", server.resource_version())]);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(lines.ended().await);
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_a_forgotten_version_is_told_so() {
    let server = server();
    make(&server, "a", "web").await;
    let old = server.resource_version();
    make(&server, "b", "web").await;
    let mut quiet = Lines::of(&server, &format!("{MAPS}?watch=true&resourceVersion={}", old + 1)).await;
    server.compact();
    let mut lines = Lines::of(&server, &format!("{MAPS}?watch=true&resourceVersion={old}")).await;
    assert_eq!(lines.told().await, ["ERROR Expired"]);
    assert!(lines.ended().await);
    make(&server, "c", "web").await;
    assert_eq!(quiet.told().await, ["ADDED c"]);
}

#[tokio::test(start_paused = true)]
async fn the_real_client_watches_and_writes() {
    use futures::StreamExt;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::{Api, PostParams};
    use kube::runtime::{WatchStreamExt, watcher};

    let server = server();
    let api: Api<ConfigMap> = Api::namespaced(server.client("tester"), "default");
    let watched = watcher(api.clone(), watcher::Config::default().streaming_lists()).applied_objects();
    let mut watched = std::pin::pin!(watched);
    for name in ["a", "b"] {
        let object = serde_json::from_value(config_map(name)).unwrap();
        api.create(&PostParams::default(), &object).await.unwrap();
        assert_eq!(watched.next().await.unwrap().unwrap().metadata.name.as_deref(), Some(name));
    }
}
