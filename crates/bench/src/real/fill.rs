//! Puts objects into a real API server, the way that they get into a cluster: created, then their status reported.
//!
//! The objects are the stand-in's. What a server sets itself is taken off; who owns which field it then writes anew.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use e2e::wait::{self, Seen};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::Client;
use kube::core::Request;
use kube::core::params::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::harness::say;
use crate::objects::nodes::{self, Nodes};
use crate::objects::pods::{Layout, Pods};
use crate::objects::{Key, clonesets, namespaces, webhook};
use crate::server::kinds::Kind;

/// Requests on their way at a time: more only wait in the server's queues.
const AT_ONCE: usize = 64;
/// How long a definition may take until it is served.
const ESTABLISHED: Duration = Duration::from_secs(60);
/// What a server decides for itself, and refuses or drops if somebody else does.
const SERVER_OWNED: [&str; 5] = ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"];
/// Who creates Pods, as it shows in `managedFields`.
const CREATOR: &str = "kruise-manager";
/// Who reports their status.
const REPORTER: &str = "kubelet";

/// What an installation without webhook leaves behind, and the sign that there is a webhook.
pub(super) async fn installation(client: &Client) -> Result<()> {
    for crd in api::crds() {
        create(client, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &crd, CREATOR).await?;
    }
    wait::until("CloneSets are served", ESTABLISHED, || async {
        let list = http::Request::get(Kind::CloneSet.names().path()).body(Vec::new())?;
        client.request_text(list).await?;
        Ok(Seen::Done(()))
    })
    .await?;
    let slice = webhook::key();
    for name in namespaces().chain([slice.namespace.clone()]) {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        create(client, "/api/v1/namespaces", &namespace, CREATOR).await?;
    }
    let path = format!("/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices", slice.namespace);
    create(client, &path, &webhook::endpoints(), CREATOR).await
}

/// Nodes, then Pods on them.
pub(super) async fn workloads(client: &Client, layout: Layout) -> Result<()> {
    let begun = Instant::now();
    let (pods, nodes) = (layout.pods, layout.nodes);
    let (shapes, all) = (Nodes::default(), Pods::new(layout));
    let made = (0..nodes).map(|index| {
        let mut text = Vec::new();
        shapes.render(index, 0, 0, &mut text);
        object(client, "/api/v1/nodes".to_owned(), nodes::key(index), text)
    });
    stream::iter(made).buffer_unordered(AT_ONCE).try_collect::<()>().await.context("create Nodes")?;
    let made = (0..pods).map(|index| {
        let mut text = Vec::new();
        all.render(index, 0, 0, &mut text);
        let key = all.key(index);
        object(client, format!("/api/v1/namespaces/{}/pods", key.namespace), key, text)
    });
    stream::iter(made).buffer_unordered(AT_ONCE).try_collect::<()>().await.context("create Pods")?;
    say(format_args!("sync: created {nodes} Nodes and {pods} Pods in {:.0} s", begun.elapsed().as_secs_f64()));
    Ok(())
}

/// CloneSets that want no Pods.
pub(super) async fn clonesets(client: &Client, which: Range<u32>) -> Result<()> {
    let made = which.map(|owner| async move {
        let (object, _) = split(clonesets::empty(owner));
        let path = format!("/apis/apps.kruise.io/v1beta1/namespaces/{}/clonesets", clonesets::key(owner).namespace);
        create(client, &path, &object, CREATOR).await.with_context(|| clonesets::key(owner).name)
    });
    stream::iter(made).buffer_unordered(AT_ONCE).try_collect().await.context("create CloneSets")
}

/// Creates one object and reports its status.
async fn object(client: &Client, path: String, key: Key, text: Vec<u8>) -> Result<()> {
    let (object, status) = split(serde_json::from_slice(&text)?);
    drop(text);
    create(client, &path, &object, CREATOR).await.with_context(|| key.name.clone())?;
    let params = PatchParams { field_manager: Some(REPORTER.to_owned()), ..PatchParams::default() };
    let patch = Patch::Merge(json!({"status": status}));
    let request = Request::new(path).patch_subresource("status", &key.name, &params, &patch)?;
    client.request_text(request).await.with_context(|| format!("report the status of {}", key.name))?;
    Ok(())
}

async fn create(client: &Client, path: &str, object: &impl serde::Serialize, creator: &str) -> Result<()> {
    let params = PostParams { field_manager: Some(creator.to_owned()), ..PostParams::default() };
    let request = Request::new(path).create(&params, serde_json::to_vec(object)?)?;
    client.request_text(request).await?;
    Ok(())
}

/// An object as somebody creates it, and its status.
fn split(mut object: Value) -> (Value, Value) {
    if let Some(metadata) = object.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        metadata.retain(|member, _| !SERVER_OWNED.contains(&member.as_str()));
    }
    let status = object.as_object_mut().and_then(|object| object.remove("status")).unwrap_or_default();
    (object, status)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::split;

    #[test]
    fn what_the_server_sets_is_taken_off() {
        let stored = json!({
            "kind": "Pod", "metadata": {"name": "a", "uid": "b", "resourceVersion": "7", "labels": {"c": "d"}},
            "spec": {}, "status": {"phase": "Running"},
        });
        let (object, status) = split(stored);
        assert_eq!(object, json!({"kind": "Pod", "metadata": {"name": "a", "labels": {"c": "d"}}, "spec": {}}));
        assert_eq!(status, json!({"phase": "Running"}));
    }
}
