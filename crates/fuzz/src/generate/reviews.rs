//! Reviews around objects: what kube-apiserver sends, and sometimes what it would not.

use super::objects::{self, Version};
use super::{Generator, twist, words};
use crate::input::{Input, Settings};
use crate::json::Json;
use crate::source::Source;

const POD_PATHS: [&str; 2] = ["/mutate-pod", "/validate-pod"];
const CLONESET_PATHS: [&str; 4] = [
    "/mutate-apps-kruise-io-cloneset",
    "/validate-apps-kruise-io-cloneset",
    "/mutate-apps-kruise-io-v1alpha1-cloneset",
    "/validate-apps-kruise-io-v1alpha1-cloneset",
];

/// Who and what a review is about.
struct Subject {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    resource: &'static str,
}

impl Generator {
    /// A review of a Pod or a CloneSet.
    pub(super) fn admission(&self, source: &mut Source) -> Input {
        let settings = *source.pick(&Settings::ALL);
        let about_pods = source.percent(40);
        let path = if about_pods { *source.pick(&POD_PATHS) } else { *source.pick(&CLONESET_PATHS) };
        let (object, old, subject) = if about_pods {
            let mut object = objects::pod(&self.schemas.pod, source);
            let old = object.clone();
            twist::some(&mut object, source);
            (object, old, Subject { group: "", version: "v1", kind: "Pod", resource: "pods" })
        } else {
            let version = *source.pick(&[Version::Beta, Version::Alpha]);
            let schema = match version {
                Version::Alpha => &self.schemas.alpha,
                Version::Beta => &self.schemas.beta,
            };
            let old = objects::cloneset(version, schema, source);
            let mut object = old.clone();
            if source.percent(60) {
                objects::enrich(&mut object, schema, source);
            }
            twist::some(&mut object, source);
            let version = if source.percent(3) { *source.pick(&["v2", "", "v1alpha1"]) } else { version.name() };
            (object, old, Subject { group: "apps.kruise.io", version, kind: "CloneSet", resource: "clonesets" })
        };
        let mut review = review(subject, object, old, source);
        if source.percent(8) {
            twist::one(&mut review, source);
        }
        Input { settings, path: path.to_owned(), body: review.write().into_bytes() }
    }

    /// A review of objects in another version.
    pub(super) fn conversion(&self, source: &mut Source) -> Input {
        let desired = if source.percent(4) {
            *source.pick(&["apps.kruise.io/v3", "v1beta1", "", "apps/v1beta1", "policy.kruise.io/v1beta1"])
        } else {
            *source.pick(&["apps.kruise.io/v1beta1", "apps.kruise.io/v1alpha1"])
        };
        let mut objects: Vec<Json> = (0..1 + source.times(40, 5))
            .map(|_| {
                let (version, schema) = match source.below(2) {
                    0 => (Version::Alpha, &self.schemas.alpha),
                    _ => (Version::Beta, &self.schemas.beta),
                };
                let mut object = objects::cloneset(version, schema, source);
                twist::some(&mut object, source);
                object
            })
            .collect();
        if source.percent(3) {
            objects.clear();
        }
        if source.percent(2)
            && let Some(last) = objects.last().cloned()
            && last.write().len() < 5_000
        {
            objects.extend(std::iter::repeat_n(last, 60));
        }
        let version = *source.pick(&["v1", "v1beta1"]);
        let mut review = Json::object([
            ("kind", Json::text("ConversionReview")),
            ("apiVersion", Json::text(format!("apiextensions.k8s.io/{version}"))),
            (
                "request",
                Json::object([
                    ("uid", Json::text("705ab4f5-6393-11e8-b7cc-42010a800002")),
                    ("desiredAPIVersion", Json::text(desired)),
                    ("objects", Json::List(objects)),
                ]),
            ),
        ]);
        if source.percent(8) {
            twist::one(&mut review, source);
        }
        Input { settings: Settings::Plain, path: "/convert".to_owned(), body: review.write().into_bytes() }
    }
}

fn review(subject: Subject, object: Json, old: Json, source: &mut Source) -> Json {
    let Subject { group, version, kind, resource } = subject;
    let operation = *source.pick(&["CREATE", "UPDATE", "CREATE", "UPDATE", "DELETE", "CONNECT"]);
    let sub_resource = if source.percent(6) { *source.pick(&["status", "scale", "eviction", "resize"]) } else { "" };
    let (object, old) = match operation {
        "CREATE" | "CONNECT" => (object, Json::Null),
        "UPDATE" => (object, if source.percent(97) { old } else { Json::Null }),
        _ => (Json::Null, object),
    };
    let group_version = |last: &str, name: &str| {
        Json::object([("group", Json::text(group)), ("version", Json::text(version)), (last, Json::text(name))])
    };
    let mut request = Json::object([
        ("uid", Json::text(*source.pick(&["705ab4f5-6393-11e8-b7cc-42010a800002", "1", "", "ü\"\\"]))),
        ("kind", group_version("kind", kind)),
        ("resource", group_version("resource", resource)),
        ("name", Json::text(*source.pick(&["web", ""]))),
        ("namespace", Json::text(*source.pick(&["shop", "", "kube-system"]))),
        ("operation", Json::text(operation)),
        ("userInfo", Json::object([("username", Json::text("jane")), ("groups", Json::List(Vec::new()))])),
        ("object", object),
        ("oldObject", old),
        ("dryRun", Json::Bool(source.percent(20))),
        ("options", Json::object([("kind", Json::text("CreateOptions"))])),
    ]);
    if !sub_resource.is_empty() {
        request.set("subResource", Json::text(sub_resource));
    }
    if source.percent(10) {
        request.set("someday", words::unknown(2, source));
    }
    let version = *source.pick(&["v1", "v1beta1"]);
    Json::object([
        ("kind", Json::text("AdmissionReview")),
        ("apiVersion", Json::text(format!("admission.k8s.io/{version}"))),
        ("request", request),
    ])
}
