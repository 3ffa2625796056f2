//! Lists and their pages.

use super::*;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn with_maps(names: &[&str]) -> Server {
    let server = server();
    for name in names {
        ok(ask(&server, &format!("POST {MAPS}"), config_map(name)).await);
    }
    server
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_list_is_in_order_and_its_items_do_not_repeat_the_kind() {
    let server = with_maps(&["b", "a"]).await;
    let list = ok(ask(&server, "GET /api/v1/configmaps", Value::Null).await);
    assert_eq!((names(&list), list["kind"].as_str()), (vec!["a", "b"], Some("ConfigMapList")));
    assert_eq!(list["metadata"], json!({"resourceVersion": server.resource_version().to_string()}));
    assert!(list["items"][0].get("kind").is_none());
    let one = ok(ask(&server, &format!("GET {MAPS}?fieldSelector=metadata.name%3Db"), Value::Null).await);
    assert_eq!(names(&one), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn pages_show_one_moment_though_objects_come_and_go() {
    let server = with_maps(&["a", "b", "c"]).await;
    let first = ok(ask(&server, &format!("GET {MAPS}?limit=1"), Value::Null).await);
    assert_eq!((names(&first), &first["metadata"]["remainingItemCount"]), (vec!["a"], &json!(2)));
    let token = first["metadata"]["continue"].as_str().unwrap();
    ok(ask(&server, &format!("DELETE {MAPS}/b"), Value::Null).await);
    ok(ask(&server, &format!("POST {MAPS}"), config_map("d")).await);
    let rest = ok(ask(&server, &format!("GET {MAPS}?limit=5&continue={token}"), Value::Null).await);
    assert_eq!(names(&rest), ["b", "c"]);
    assert_eq!(rest["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
}

#[tokio::test(start_paused = true)]
async fn an_old_page_expires_and_tells_how_to_go_on() {
    let server = with_maps(&["a", "b", "c"]).await;
    let first = ok(ask(&server, &format!("GET {MAPS}?limit=1"), Value::Null).await);
    let token = first["metadata"]["continue"].as_str().unwrap();
    ok(ask(&server, &format!("DELETE {MAPS}/b"), Value::Null).await);
    server.compact();
    let (code, body) = ask(&server, &format!("GET {MAPS}?limit=1&continue={token}"), Value::Null).await;
    assert_eq!((code, body["reason"].as_str()), (410, Some("Expired")));
    let token = body["metadata"]["continue"].as_str().unwrap();
    let rest = ok(ask(&server, &format!("GET {MAPS}?limit=1&continue={token}"), Value::Null).await);
    assert_eq!(names(&rest), ["c"]);
}

#[tokio::test(start_paused = true)]
async fn a_version_is_met_exactly_or_at_least_and_must_be_there() {
    let server = with_maps(&["a"]).await;
    let version = server.resource_version();
    ok(ask(&server, &format!("POST {MAPS}"), config_map("b")).await);
    for (query, wanted) in [
        (format!("resourceVersion={version}&resourceVersionMatch=Exact"), vec!["a"]),
        (format!("resourceVersion={version}"), vec!["a", "b"]),
        ("resourceVersion=0&limit=1".to_owned(), vec!["a", "b"]),
    ] {
        let list = ok(ask(&server, &format!("GET {MAPS}?{query}"), Value::Null).await);
        assert_eq!(names(&list), wanted, "{query}");
    }
    let (code, reason, message) = refused(ask(&server, &format!("GET {MAPS}?resourceVersion=99"), Value::Null).await);
    assert_eq!((code, reason.as_str()), (504, "Timeout"));
    assert_eq!(message, format!("Timeout: Too large resource version: 99, current: {}", version + 1));
}

#[tokio::test(start_paused = true)]
async fn metadata_alone_is_told_to_who_asks_for_it() {
    let server = with_maps(&["a"]).await;
    for (path, form, kind) in
        [(MAPS.to_owned(), "List", "PartialObjectMetadataList"), (format!("{MAPS}/a"), "", "PartialObjectMetadata")]
    {
        let accept = format!("application/json;as=PartialObjectMetadata{form};g=meta.k8s.io;v=v1");
        let request = Request::builder().uri(path).header("accept", accept).body(Vec::new()).unwrap();
        let bytes = server.call("tester", request).await.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!((body["kind"].as_str(), body.to_string().contains("\"data\"")), (Some(kind), false));
    }
    let table = Request::builder().uri(MAPS).header("accept", "application/json;as=Table;g=meta.k8s.io;v=v1");
    assert_eq!(server.call("tester", table.body(Vec::new()).unwrap()).await.status().as_u16(), 501);
}
