//! What the conversion stanza of a CRD must look like (PL-49, IN-40, PL-E6).
//!
//! Only CRDs of kinds that this product serves conversion for are touched, and of those only `clientConfig` and
//! `conversionReviewVersions`: the strategy is the chart's.

use serde_json::{Map, Value, json};

use super::{Published, Target, bundle_of};

/// Path that converts.
pub const CONVERT_PATH: &str = "/convert";

/// A kind whose objects this product converts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Name of the CRD, `<plural>.<group>`.
    pub crd: String,
    /// API group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Versions of it.
    pub versions: Vec<String>,
}

/// The kinds with more than one version.
pub fn kinds() -> Vec<Kind> {
    let all = api::crds().into_iter().map(|crd| Kind {
        crd: format!("{}.{}", crd.spec.names.plural, crd.spec.group),
        group: crd.spec.group,
        kind: crd.spec.names.kind,
        versions: crd.spec.versions.into_iter().map(|version| version.name).collect(),
    });
    all.filter(|kind| kind.versions.len() > 1).collect()
}

/// Whether a CRD is the given kind, judged by group, kind and the first listed version, and converts by webhook.
pub fn converts(kind: &Kind, live: &Value) -> bool {
    let is = |pointer: &str, wanted: &str| live.pointer(pointer).and_then(Value::as_str) == Some(wanted);
    is("/spec/group", &kind.group)
        && is("/spec/names/kind", &kind.kind)
        && kind.versions.iter().any(|version| is("/spec/versions/0/name", version))
        && is("/spec/conversion/strategy", "Webhook")
}

/// The client configuration of a CRD that converts by webhook; `None` where it has none.
pub fn client_config(live: &Value) -> Option<&Value> {
    live.pointer("/spec/conversion/webhook/clientConfig").filter(|config| config.is_object())
}

/// The merge patch that a CRD needs; `None` where it is none of ours or nothing has to change.
pub fn plan(kind: &Kind, live: &Value, target: &Target) -> Option<Value> {
    if !converts(kind, live) {
        return None;
    }
    let present = client_config(live);
    let wanted = target.client_config(CONVERT_PATH, None);
    let versions = json!(["v1", "v1beta1"]);
    if present == Some(&wanted) && live.pointer("/spec/conversion/webhook/conversionReviewVersions") == Some(&versions)
    {
        return None;
    }
    let mut metadata = Map::new();
    if let Some(version) = live.pointer("/metadata/resourceVersion") {
        metadata.insert("resourceVersion".to_owned(), version.clone());
    }
    let mut config = wanted;
    // A merge patch keeps what it does not name, and both forms together are refused.
    for other in ["url", "service"] {
        if config.get(other).is_none()
            && let Some(members) = config.as_object_mut()
        {
            members.insert(other.to_owned(), Value::Null);
        }
    }
    let webhook = json!({ "clientConfig": config, "conversionReviewVersions": versions });
    Some(json!({ "metadata": metadata, "spec": { "conversion": { "webhook": webhook } } }))
}

/// The `caBundle` of a CRD of ours.
pub fn published(kind: &Kind, live: &Value, into: &mut Published) {
    if converts(kind, live) {
        into.push(client_config(live).map(bundle_of).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::super::Address;
    use super::*;

    fn kind() -> Kind {
        Kind {
            crd: "clonesets.apps.kruise.io".into(),
            group: "apps.kruise.io".into(),
            kind: "CloneSet".into(),
            versions: vec!["v1alpha1".into(), "v1beta1".into()],
        }
    }

    fn target() -> Target {
        let address = Address::Service { namespace: "kruise-system".into(), name: "kruise-webhook-service".into() };
        Target { address, bundle: b"PEM".to_vec(), pod_failure_policy: None }
    }

    fn crd(strategy: &str, config: Value) -> Value {
        json!({
            "metadata": { "name": "clonesets.apps.kruise.io", "resourceVersion": "7" },
            "spec": {
                "group": "apps.kruise.io",
                "names": { "kind": "CloneSet" },
                "versions": [{ "name": "v1beta1" }, { "name": "v1alpha1" }],
                "conversion": { "strategy": strategy, "webhook": { "clientConfig": config } },
            }
        })
    }

    fn applied(live: &Value) -> Value {
        let mut after = live.clone();
        json_patch::merge(&mut after, &plan(&kind(), live, &target()).unwrap());
        after
    }

    #[test] // PL-49
    fn a_conversion_crd_gets_bundle_service_and_review_versions() {
        let after = applied(&crd("Webhook", json!({ "caBundle": "Cg==", "url": "https://elsewhere/convert" })));
        let webhook = &after["spec"]["conversion"]["webhook"];
        assert_eq!(
            webhook["clientConfig"],
            json!({
                "caBundle": "UEVN",
                "service": {
                    "namespace": "kruise-system", "name": "kruise-webhook-service", "path": "/convert", "port": 443
                }
            })
        );
        assert_eq!(webhook["conversionReviewVersions"], json!(["v1", "v1beta1"]));
    }

    #[test] // PL-E1
    fn a_crd_that_is_right_is_not_written_again() {
        assert_eq!(plan(&kind(), &applied(&crd("Webhook", json!({}))), &target()), None);
    }

    #[test] // PL-49
    fn strategy_none_stays() {
        assert_eq!(plan(&kind(), &crd("None", json!({})), &target()), None);
    }

    #[test] // PL-E6
    fn crds_of_others_stay() {
        for (pointer, other) in
            [("/spec/group", "example.com"), ("/spec/names/kind", "Clone"), ("/spec/versions/0/name", "v1")]
        {
            let mut foreign = crd("Webhook", json!({}));
            *foreign.pointer_mut(pointer).unwrap() = other.into();
            assert_eq!(plan(&kind(), &foreign, &target()), None, "{pointer}");
        }
    }

    #[test] // IN-39
    fn outside_the_cluster_the_crd_gets_a_url() {
        let outside = Target { address: Address::Host { host: "10.1.2.3".into(), port: 9876 }, ..target() };
        let live = applied(&crd("Webhook", json!({})));
        let mut after = live.clone();
        json_patch::merge(&mut after, &plan(&kind(), &live, &outside).unwrap());
        let config = client_config(&after).unwrap();
        assert_eq!(*config, json!({ "caBundle": "UEVN", "url": "https://10.1.2.3:9876/convert" }));
    }

    #[test] // PL-55
    fn clone_sets_are_converted() {
        assert!(kinds().iter().any(|kind| kind.crd == "clonesets.apps.kruise.io"));
    }
}
