//! Questions of kube-apiserver about Pods that are being created, as it asks `/mutate-pod`: 4 to 12 KiB of Pod each.
//!
//! What a Pod has before it is stored is all there: defaults, the token volume, `managedFields` of its creator; no name
//! yet where a controller creates it, no UID, no status. Most Pods belong to others; every fifth to a CloneSet.

use serde_json::{Map, Value, json};

use super::{Draw, clonesets, draw, name_of, namespace_of, pods, shape, suffix, uid};

/// Different questions. Those of a run go around.
pub(crate) const SHAPES: u32 = 60;
/// Sizes of Pods in bytes.
const SMALLEST: usize = 4 << 10;
const LARGEST: usize = 12 << 10;
/// Where the identity of a request stands in the text: it differs each time.
const UID_SLOT: &str = "<request-uid>";
const CREATED: &str = "2026-01-12T09:30:00Z";

/// A question, but for the identity of the request.
#[derive(Debug)]
pub(crate) struct Review {
    head: String,
    tail: String,
    /// The Pod.
    pub(crate) pod: Value,
    /// The Pod as admission must leave it, where that differs.
    pub(crate) admitted: Option<Value>,
}

impl Review {
    /// The text with an identity.
    pub(crate) fn text(&self, uid: &str) -> String {
        [&self.head, uid, &self.tail].concat()
    }
}

/// Who creates Pods: kind and group of the owner, and the account.
struct Creator {
    kind: &'static str,
    api_version: &'static str,
    account: &'static str,
    namespace: &'static str,
}

/// Of five Pods three belong to ReplicaSets, one to a Job or DaemonSet, one to a CloneSet.
fn creator(index: u32) -> Creator {
    let builtin = |kind, api_version, account| Creator { kind, api_version, account, namespace: "kube-system" };
    match index % 10 {
        3 => builtin("Job", "batch/v1", "job-controller"),
        8 => builtin("DaemonSet", "apps/v1", "daemon-set-controller"),
        4 | 9 => Creator {
            kind: "CloneSet",
            api_version: "apps.kruise.io/v1beta1",
            account: "kruise-manager",
            namespace: "kruise-system",
        },
        _ => builtin("ReplicaSet", "apps/v1", "replicaset-controller"),
    }
}

/// All questions, about Pods of so many CloneSets and of others.
pub(crate) fn reviews(clonesets: u32) -> Vec<Review> {
    (0..SHAPES).map(|index| review(index, clonesets.max(1))).collect()
}

fn review(index: u32, clonesets: u32) -> Review {
    let creator = creator(index);
    // Spread over all of them, so that what is looked up differs from question to question.
    let owner = (draw(Draw::Revision, index, 7) % u64::from(clonesets)) as u32;
    let span = LARGEST - SMALLEST;
    let size = SMALLEST + span * (index * 37 % SHAPES) as usize / SHAPES as usize;
    let pod = pod(index, owner, &creator, size);
    let admitted = (creator.kind == "CloneSet").then(|| admitted(pod.clone()));
    let text = question(index, owner, &creator, &pod);
    let (head, tail) = text.split_once(UID_SLOT).unwrap_or((&text, ""));
    Review { head: head.to_owned(), tail: tail.to_owned(), pod, admitted }
}

/// Members in the order in which kube-apiserver writes them: what a reader needs early may come late.
fn question(index: u32, owner: u32, creator: &Creator, pod: &Value) -> String {
    let Creator { account, namespace, .. } = creator;
    let user = json!({
        "username": format!("system:serviceaccount:{namespace}:{account}"), "uid": uid(Draw::NodeUid, index),
        "groups": ["system:serviceaccounts", format!("system:serviceaccounts:{namespace}"), "system:authenticated"],
        "extra": {"authentication.kubernetes.io/credential-id": [format!("JTI={}", uid(Draw::CloneSetUid, index))]},
    });
    let (kind, resource) =
        (r#"{"group":"","version":"v1","kind":"Pod"}"#, r#"{"group":"","version":"v1","resource":"pods"}"#);
    format!(
        concat!(
            r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"{}","kind":{kind},"#,
            r#""resource":{resource},"requestKind":{kind},"requestResource":{resource},"namespace":"{}","#,
            r#""operation":"CREATE","userInfo":{},"object":{{"kind":"Pod","apiVersion":"v1","metadata":{},"spec":{},"#,
            r#""status":{{}}}},"oldObject":null,"dryRun":false,"#,
            r#""options":{{"kind":"CreateOptions","apiVersion":"meta.k8s.io/v1"}}}}}}"#,
            "\n"
        ),
        UID_SLOT,
        namespace_of(owner),
        user,
        pod.get("metadata").unwrap_or(&Value::Null),
        pod.get("spec").unwrap_or(&Value::Null),
        kind = kind,
        resource = resource,
    )
}

/// A Pod of about this many bytes.
fn pod(index: u32, owner: u32, creator: &Creator, size: usize) -> Value {
    let name = name_of(owner);
    let labels = json!({
        "app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "shop", "team": format!("team-{index:02}"),
        "pod-template-hash": suffix(draw(Draw::Revision, index, 0), 10),
    });
    let owned_by = match creator.kind {
        "CloneSet" => clonesets::key(owner).name,
        _ => format!("{name}-{}", suffix(draw(Draw::Suffix, index, 1), 9)),
    };
    let references = json!([{
        "apiVersion": creator.api_version, "kind": creator.kind, "name": owned_by,
        "uid": uid(Draw::CloneSetUid, owner), "controller": true, "blockOwnerDeletion": true,
    }]);
    let count = (size / (5 << 10) + 1).min(shape::CONTAINERS.len());
    let mut spec = pods::created_spec(count);
    if let (Some(spec), "CloneSet") = (spec.as_object_mut(), creator.kind) {
        spec.insert("readinessGates".to_owned(), json!([{"conditionType": "InPlaceUpdateReady"}]));
    }
    let written = json!({
        "metadata": {"labels": labels, "ownerReferences": references},
        "spec": {"containers": shape::containers(count), "dnsPolicy": "", "restartPolicy": ""},
    });
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "generateName": format!("{owned_by}-"), "namespace": namespace_of(owner), "creationTimestamp": null,
            "labels": labels, "annotations": {"prometheus.io/port": "8080", "prometheus.io/scrape": "true"},
            "ownerReferences": references,
            "managedFields": [shape::managed(creator.account, CREATED, None, &written)],
        },
        "spec": spec,
        "status": {},
    });
    let text = pod.to_string().replace("<owner>", &name).replace("<token>", &suffix(draw(Draw::Suffix, index, 0), 5));
    let mut pod: Value = serde_json::from_str(&text).unwrap_or_default();
    grow(&mut pod, size.saturating_sub(text.len()), index);
    pod
}

/// Adds what makes Pods of real workloads large: environment variables, and an annotation here and there.
fn grow(pod: &mut Value, bytes: usize, index: u32) {
    let mut missing = bytes;
    let mut nth = 0;
    while missing > 0 {
        let value = format!("{:016x}/{:016x}", draw(Draw::Container, index, nth), draw(Draw::Container, nth, index));
        let added = if nth % 8 == 7 {
            let name = format!("settings.example.com/{nth:03}");
            let length = name.len() + value.len() + 6;
            if let Some(annotations) = pod.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
                annotations.insert(name, Value::from(value));
            }
            length
        } else {
            let variable = json!({"name": format!("SHOP_SETTING_{nth:03}"), "value": value});
            let length = variable.to_string().len() + 1;
            if let Some(env) = pod.pointer_mut("/spec/containers/0/env").and_then(Value::as_array_mut) {
                env.push(variable);
            }
            length
        };
        missing = missing.saturating_sub(added);
        nth += 1;
    }
}

/// What the readiness gate of the suite makes of a Pod (PR-1).
fn admitted(mut pod: Value) -> Value {
    let gate = json!({"conditionType": api::keys::POD_READY_CONDITION});
    let spec = pod.get_mut("spec").and_then(Value::as_object_mut);
    let gates = spec.map(|spec: &mut Map<String, Value>| spec.entry("readinessGates").or_insert_with(|| json!([])));
    if let Some(gates) = gates.and_then(Value::as_array_mut) {
        gates.push(gate);
    }
    pod
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn pods_are_of_4_to_12_kib_and_spread_over_all_sizes() {
        let sizes: BTreeSet<usize> = reviews(10).iter().map(|review| review.pod.to_string().len() >> 10).collect();
        assert_eq!(sizes, (4..12).collect());
    }

    #[test]
    fn a_fifth_of_the_pods_is_to_be_changed() {
        let reviews = reviews(10);
        assert_eq!(reviews.iter().filter(|review| review.admitted.is_some()).count() * 5, reviews.len());
        for review in reviews {
            let owner = review.pod.pointer("/metadata/ownerReferences/0/apiVersion").unwrap();
            assert_eq!(review.admitted.is_some(), owner == "apps.kruise.io/v1beta1");
        }
    }

    #[test]
    fn the_text_is_a_review_of_that_pod_with_the_given_identity() {
        for review in reviews(1_000) {
            let text = review.text("u-1");
            assert!(!text.contains('<'), "{text}");
            let question: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(question["request"]["uid"], "u-1");
            assert_eq!(question["request"]["object"], review.pod);
            assert_eq!(question["request"]["namespace"], review.pod["metadata"]["namespace"]);
        }
    }
}
