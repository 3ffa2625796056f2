//! The stand-in as a client sees it, over TLS, without a manager.

use std::sync::Arc;
use std::time::Duration;

use futures::{AsyncBufReadExt as _, StreamExt as _, stream::BoxStream};
use kube::client::Client;
use kube::core::{
    Request,
    params::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions, WatchParams},
};
use kube::runtime::watcher::{self, Event};
use serde_json::{Value, json};

use super::control::{Command, Control};
use super::kinds::Kind;
use super::{Shared, Streaming};
use crate::harness::kubeconfig;

struct Stand {
    control: Control,
    client: Client,
}

async fn stand(streaming: Streaming) -> Stand {
    let shared = Shared::new(streaming);
    let bound = super::bind().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = kubeconfig(dir.path(), &format!("https://{}", bound.address), &bound.certificate).unwrap();
    let args = runtime::flags::ClientArgs { kubeconfig: path.display().to_string(), ..Default::default() };
    let client = runtime::client::connect(&args, "test", runtime::flags::Limits::MANAGER).await.unwrap();
    tokio::spawn(super::serve(bound, Arc::clone(&shared)));
    Stand { control: Control::new(&shared), client }
}

impl Stand {
    async fn filled(pods: u32) -> Self {
        let mut stand = stand(Streaming::Offered).await;
        stand.control.obey(Command::Fill { pods, per_owner: 4, nodes: 2 }).unwrap();
        stand
    }

    async fn ask(&self, request: http::Request<Vec<u8>>) -> Result<Value, u16> {
        match self.client.request(request).await {
            Ok(answer) => Ok(answer),
            Err(kube::Error::Api(status)) => Err(status.code),
            Err(other) => panic!("{other}"),
        }
    }

    async fn list(&self, params: &ListParams) -> Result<Value, u16> {
        self.ask(all(Kind::Pod).list(params).unwrap()).await
    }

    /// Events of a watch, each a line of JSON.
    async fn watch(&self, params: &WatchParams, version: &str) -> Result<BoxStream<'static, Value>, u16> {
        match self.client.request_stream(all(Kind::Pod).watch(params, version).unwrap()).await {
            Ok(lines) => Ok(lines.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).boxed()),
            Err(kube::Error::Api(status)) => Err(status.code),
            Err(other) => panic!("{other}"),
        }
    }
}

fn all(kind: Kind) -> Request {
    Request::new(kind.names().path())
}

fn names(list: &Value) -> Vec<String> {
    list["items"].as_array().unwrap().iter().map(|pod| name(pod).to_owned()).collect()
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

fn version(of: &Value) -> String {
    of["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
}

async fn next(events: &mut BoxStream<'static, Value>) -> Option<Value> {
    tokio::time::timeout(Duration::from_secs(10), events.next()).await.unwrap()
}

#[tokio::test]
async fn pages_show_each_pod_once_under_one_version() {
    let stand = Stand::filled(10).await;
    let whole = stand.list(&ListParams::default()).await.unwrap();
    let (mut paged, mut versions, mut params) = (Vec::new(), Vec::new(), ListParams::default().limit(4));
    loop {
        let page = stand.list(&params).await.unwrap();
        paged.extend(names(&page));
        versions.push(version(&page));
        let Some(token) = page["metadata"]["continue"].as_str() else { break };
        params = ListParams::default().limit(4).continue_token(token);
    }
    assert_eq!(paged, names(&whole));
    assert_eq!((paged.len(), versions.len()), (10, 3));
    versions.dedup();
    assert_eq!(versions, [version(&whole)]);
}

#[tokio::test]
async fn a_page_of_a_forgotten_list_is_gone() {
    let mut stand = Stand::filled(10).await;
    let page = stand.list(&ListParams::default().limit(4)).await.unwrap();
    stand.control.obey(Command::Expire).unwrap();
    let params = ListParams::default().continue_token(page["metadata"]["continue"].as_str().unwrap());
    assert_eq!(stand.list(&params).await, Err(410));
}

#[tokio::test]
async fn a_list_by_watch_ends_with_a_marked_bookmark_and_goes_on() {
    let mut stand = Stand::filled(10).await;
    let mut events = stand.watch(&WatchParams::default().initial_events(), "0").await.unwrap();
    for _ in 0..10 {
        assert_eq!(next(&mut events).await.unwrap()["type"], "ADDED");
    }
    let mark = next(&mut events).await.unwrap();
    assert_eq!(mark["type"], "BOOKMARK");
    assert_eq!(mark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    let beats = Command::Heartbeats { node_seconds: 100.0, pods_per_second: 100.0 };
    stand.control.obey(beats).unwrap();
    let beat = next(&mut events).await.unwrap();
    assert_eq!(beat["type"], "MODIFIED");
    assert!(version(&beat["object"]) > version(&mark["object"]));
}

#[tokio::test]
async fn lists_by_watch_may_be_refused() {
    let stand = stand(Streaming::Refused).await;
    assert_eq!(stand.watch(&WatchParams::default().initial_events(), "0").await.err(), Some(422));
}

#[tokio::test]
async fn after_expiry_watches_end_and_cannot_be_resumed() {
    let mut stand = Stand::filled(3).await;
    let start = version(&stand.list(&ListParams::default()).await.unwrap());
    let mut events = stand.watch(&WatchParams::default(), &start).await.unwrap();
    stand.control.obey(Command::Expire).unwrap();
    assert_eq!(next(&mut events).await, None);
    let mut events = stand.watch(&WatchParams::default(), &start).await.unwrap();
    let error = next(&mut events).await.unwrap();
    assert_eq!((&error["type"], &error["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(next(&mut events).await, None);
    let fresh = version(&stand.list(&ListParams::default()).await.unwrap());
    let report = stand.control.obey(Command::Report).unwrap();
    assert_eq!(report.follows["pods"], 1, "a refused resume does not count");
    assert!(stand.watch(&WatchParams::default(), &fresh).await.is_ok());
}

/// What kube's watcher tells until a list is complete: pods, or what went wrong.
async fn told(
    events: &mut (impl futures::Stream<Item = watcher::Result<Event<k8s_openapi::api::core::v1::Pod>>> + Unpin),
) -> Vec<String> {
    let mut told = Vec::new();
    loop {
        match tokio::time::timeout(Duration::from_secs(10), events.next()).await.unwrap().unwrap() {
            Ok(Event::Init) => told.push("init".to_owned()),
            Ok(Event::InitApply(pod) | Event::Apply(pod) | Event::Delete(pod)) => told.extend(pod.metadata.name),
            Ok(Event::InitDone) => return told,
            Err(watcher::Error::WatchError(status)) => told.push(status.code.to_string()),
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn kubes_watcher_lists_either_way_and_again_after_expiry() {
    let mut stand = Stand::filled(1).await;
    for config in [watcher::Config::default().page_size(1), watcher::Config::default().streaming_lists()] {
        let mut events = watcher::watcher(kube::Api::all(stand.client.clone()), config).boxed();
        let pod = "web-00000-bbbbb".to_owned();
        assert_eq!(told(&mut events).await, ["init".to_owned(), pod.clone()]);
        stand.control.obey(Command::Expire).unwrap();
        assert_eq!(told(&mut events).await, ["410".to_owned(), "init".to_owned(), pod]);
    }
}

#[tokio::test]
async fn a_heartbeat_changes_nothing_but_times() {
    let mut stand = Stand::filled(1).await;
    let apart_from_times = |pod: &Value| {
        let mut pod = pod.clone();
        pod["metadata"]["resourceVersion"] = Value::Null;
        pod["metadata"]["managedFields"] = Value::Null;
        pod["status"]["conditions"][4]["lastProbeTime"] = Value::Null;
        pod
    };
    let before = stand.list(&ListParams::default()).await.unwrap();
    let mut events = stand.watch(&WatchParams::default(), &version(&before)).await.unwrap();
    stand.control.obey(Command::Heartbeats { node_seconds: 100.0, pods_per_second: 50.0 }).unwrap();
    let after = next(&mut events).await.unwrap();
    assert_ne!(before["items"][0], after["object"]);
    assert_eq!(apart_from_times(&before["items"][0]), apart_from_times(&after["object"]));
}

#[tokio::test]
async fn writes_are_watched_and_checked_against_the_version() {
    let stand = Stand::filled(1).await;
    let before = stand.list(&ListParams::default()).await.unwrap();
    let pod = &before["items"][0];
    let mut events = stand.watch(&WatchParams::default(), &version(&before)).await.unwrap();
    let pods = Request::new("/api/v1/namespaces/team-00/pods");
    let patch = |body: Value| pods.patch(name(pod), &PatchParams::default(), &Patch::Merge(body)).unwrap();

    let stale = json!({"metadata": {"resourceVersion": "1", "labels": {"a": "b"}}});
    assert_eq!(stand.ask(patch(stale)).await, Err(409));
    let other = json!({"metadata": {"uid": "other", "labels": {"a": "b"}}});
    assert_eq!(stand.ask(patch(other)).await, Err(409));
    let fresh =
        json!({"metadata": {"resourceVersion": version(pod), "labels": {"a": "b"}}, "status": {"phase": "Failed"}});
    let patched = stand.ask(patch(fresh)).await.unwrap();
    assert_eq!((&patched["metadata"]["labels"]["a"], &patched["status"]["phase"]), (&json!("b"), &json!("Running")));
    assert_eq!(next(&mut events).await.unwrap()["object"], patched);

    let status = Patch::Merge(json!({"metadata": {"labels": {"a": "c"}}, "status": {"phase": "Failed"}}));
    let status = pods.patch_subresource("status", name(pod), &PatchParams::default(), &status).unwrap();
    let patched = stand.ask(status).await.unwrap();
    assert_eq!((&patched["metadata"]["labels"]["a"], &patched["status"]["phase"]), (&json!("b"), &json!("Failed")));
    assert_eq!(next(&mut events).await.unwrap()["object"], patched);

    let again = stand.ask(patch(json!({"metadata": {"labels": {"a": "b"}}}))).await.unwrap();
    assert_eq!(version(&again), version(&patched), "what changes nothing makes no version");

    let uid = |uid: &str| DeleteParams {
        preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
        ..DeleteParams::default()
    };
    let delete = |params: DeleteParams| pods.delete(name(pod), &params).unwrap();
    assert_eq!(stand.ask(delete(uid("other"))).await, Err(409));
    stand.ask(delete(uid(pod["metadata"]["uid"].as_str().unwrap()))).await.unwrap();
    assert_eq!(next(&mut events).await.unwrap()["type"], "DELETED");
    assert_eq!(stand.ask(delete(DeleteParams::default())).await, Err(404));
}

#[tokio::test]
async fn a_new_object_gets_what_the_server_sets_and_its_generation_counts_specs() {
    let stand = stand(Streaming::Offered).await;
    let clonesets = Request::new("/apis/apps.kruise.io/v1beta1/namespaces/shop/clonesets");
    let body = json!({"metadata": {"name": "web"}, "spec": {"replicas": 0}}).to_string();
    let create = || clonesets.create(&PostParams::default(), body.clone().into_bytes()).unwrap();
    let created = stand.ask(create()).await.unwrap();
    assert_eq!((&created["kind"], &created["metadata"]["generation"]), (&json!("CloneSet"), &json!(1)));
    assert!(created["metadata"]["uid"].is_string() && created["metadata"]["creationTimestamp"].is_string());
    assert_eq!(stand.ask(create()).await, Err(409));
    for (spec, generation) in [(0, 1), (3, 2)] {
        let patch = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}, "spec": {"replicas": spec}}));
        let patched = stand.ask(clonesets.patch("web", &PatchParams::default(), &patch).unwrap()).await.unwrap();
        assert_eq!(patched["metadata"]["generation"], generation);
    }
}

#[tokio::test]
async fn what_the_manager_waits_for_is_there() {
    let stand = stand(Streaming::Offered).await;
    let slices = Request::new("/apis/discovery.k8s.io/v1/namespaces/kruise-system/endpointslices");
    let of = |service: &str| {
        slices.list(&ListParams::default().labels(&format!("kubernetes.io/service-name={service}"))).unwrap()
    };
    assert_eq!(names(&stand.ask(of("kruise-webhook-service")).await.unwrap()).len(), 1);
    assert!(names(&stand.ask(of("other")).await.unwrap()).is_empty());
    assert_eq!(stand.client.apiserver_version().await.unwrap().major, "1");
    let groups = stand.client.list_api_groups().await.unwrap();
    assert!(groups.groups.iter().any(|group| group.name == "apps.kruise.io"));
    let kinds = stand.client.list_core_api_resources("v1").await.unwrap();
    assert!(kinds.resources.iter().any(|kind| kind.name == "pods/status"));
    let secrets = http::Request::get("/api/v1/secrets").body(Vec::new()).unwrap();
    assert_eq!(stand.ask(secrets).await, Err(404));
}

#[tokio::test]
async fn an_object_can_be_touched_a_number_of_times() {
    let mut stand = stand(Streaming::Offered).await;
    stand.control.obey(Command::CloneSets(1)).unwrap();
    stand.control.obey(Command::Touch { owner: 0, per_second: 1000.0, count: Some(5) }).unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        let list = stand.ask(all(Kind::CloneSet).list(&ListParams::default()).unwrap()).await.unwrap();
        let object = &list["items"][0];
        if object["metadata"]["annotations"][crate::objects::clonesets::TOUCH_ANNOTATION] == "4" {
            assert_eq!(object["metadata"]["generation"], 1);
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{object}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
