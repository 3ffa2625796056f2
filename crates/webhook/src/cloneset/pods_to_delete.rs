//! Whether Pods that `v1alpha1` newly names in `podsToDelete` are there to be deleted (section 5.3): present, not
//! terminating, and controlled by this CloneSet. Read live, as metadata: a cache could be behind the user.

use api::cloneset::validation::newly_deleted;
use api::field::{Denial, FieldPath};
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client};
use serde_json::Value;

use super::Judged;

/// Pods that are looked up side by side.
const LOOK_UPS: usize = 8;

/// One denial per Pod that can't be deleted.
pub(super) async fn check(judged: &Judged<'_>, namespace: &str, client: &Client) -> Vec<Denial> {
    let names = newly_deleted(judged.object, judged.old);
    if names.is_empty() {
        return Vec::new();
    }
    let uid = judged.object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let field = FieldPath::new("spec").child("scaleStrategy").child("podsToDelete");
    let found = stream::iter(names)
        .map(|name| {
            let pods = pods.clone();
            async move {
                let found = pods.get_metadata(&name).await.map(|pod| pod.metadata).map_err(reason);
                refusal(&name, found.as_ref(), uid).map(|detail| (name, detail))
            }
        })
        .buffered(LOOK_UPS);
    found.filter_map(|refusal| async { refusal.map(|(name, detail)| field.invalid(name, detail)) }).collect().await
}

/// What the API server says, without our client's framing.
fn reason(err: kube::Error) -> String {
    match err {
        kube::Error::Api(status) => status.message,
        other => runtime::client::words(&other),
    }
}

/// Why a Pod can't be deleted, if so (CS-111).
fn refusal(name: &str, found: Result<&ObjectMeta, &String>, uid: &str) -> Option<String> {
    let pod = match found {
        Err(err) => return Some(format!("find pod {name} failed: {err}")),
        Ok(pod) => pod,
    };
    if pod.deletion_timestamp.is_some() {
        return Some(format!("find pod {name} already terminating"));
    }
    let controller = pod.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    if controller.is_none_or(|owner| owner.uid != uid) {
        return Some(format!("find pod {name} owner is not this CloneSet"));
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(extra: Value) -> ObjectMeta {
        let owner = json!({ "apiVersion": "v1", "kind": "X", "name": "web", "uid": "1", "controller": true });
        let mut metadata = json!({ "name": "web-a", "ownerReferences": [owner] });
        json_patch::merge(&mut metadata, &extra);
        serde_json::from_value(metadata).unwrap()
    }

    #[test] // CS-111
    fn a_pod_must_be_there_live_and_ours() {
        let gone = "pods \"web-a\" not found".to_owned();
        assert_eq!(refusal("web-a", Err(&gone), "1").unwrap(), "find pod web-a failed: pods \"web-a\" not found");
        let terminating = pod(json!({ "deletionTimestamp": "2024-01-01T00:00:00Z" }));
        assert_eq!(refusal("web-a", Ok(&terminating), "1").unwrap(), "find pod web-a already terminating");
        for foreign in [json!({ "ownerReferences": null }), json!({ "ownerReferences": [] })] {
            assert_eq!(refusal("web-a", Ok(&pod(foreign)), "1").unwrap(), "find pod web-a owner is not this CloneSet");
        }
        assert!(refusal("web-a", Ok(&pod(json!({}))), "2").is_some());
        assert_eq!(refusal("web-a", Ok(&pod(json!({}))), "1"), None);
    }
}
