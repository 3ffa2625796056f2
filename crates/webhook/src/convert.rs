//! `/convert`: objects between the versions of a kind (PL-55).
//!
//! How a kind is converted is `api`; nothing here asks the API server, which calls us in the midst of its own reads. A
//! review is answered as a whole: one object that can't be converted fails it.

use serde::Deserialize;
use serde_json::{Value, json};

/// Versions of the review that are understood.
const VERSIONS: [&str; 2] = ["apiextensions.k8s.io/v1", "apiextensions.k8s.io/v1beta1"];

/// The body is no review that can be answered: HTTP 400.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// It is no JSON of that form.
    #[error("unreadable ConversionReview")]
    Form(#[from] serde_json::Error),
    /// It is another kind or version.
    #[error("not a ConversionReview of a known version: {api_version} {kind}")]
    Version {
        /// What it says it is.
        api_version: String,
        /// Which kind.
        kind: String,
    },
    /// It asks nothing.
    #[error("ConversionReview without request")]
    Empty,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    request: Option<Asked>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    uid: String,
    #[serde(rename = "desiredAPIVersion")]
    desired_api_version: String,
    #[serde(default)]
    objects: Vec<Value>,
}

/// An answered review.
pub struct Answer {
    /// The body.
    pub review: Value,
    /// Why the review failed; the body says so too.
    pub failure: Option<String>,
}

/// Answers the body of a request.
///
/// # Errors
/// Fails where no answer could be matched to it.
pub fn answer(body: &[u8]) -> Result<Answer, ReviewError> {
    let Review { api_version, kind, request } = serde_json::from_slice(body)?;
    if !VERSIONS.contains(&api_version.as_str()) || kind != "ConversionReview" {
        return Err(ReviewError::Version { api_version, kind });
    }
    let Asked { uid, desired_api_version, objects } = request.ok_or(ReviewError::Empty)?;
    let converted: Result<Vec<Value>, String> =
        objects.into_iter().map(|object| convert(object, &desired_api_version)).collect();
    let (response, failure) = match converted {
        Ok(objects) => (json!({ "uid": uid, "convertedObjects": objects, "result": { "status": "Success" } }), None),
        Err(message) => {
            let result = json!({ "status": "Failure", "message": message });
            (json!({ "uid": uid, "convertedObjects": [], "result": result }), Some(message))
        }
    };
    Ok(Answer {
        review: json!({ "apiVersion": api_version, "kind": "ConversionReview", "response": response }),
        failure,
    })
}

fn convert(object: Value, desired: &str) -> Result<Value, String> {
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (present, kind) = (text("apiVersion"), text("kind"));
    if present == desired {
        return Ok(object);
    }
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default().to_owned();
    let failed = |reason: String| format!("convert {kind} {namespace}/{name} from {present} to {desired}: {reason}");
    let (group, version) = desired.split_once('/').unwrap_or(("", desired));
    if present.split_once('/').map(|(group, _)| group) != Some(group) {
        return Err(failed("the group differs".to_owned()));
    }
    match (group, kind.as_str()) {
        ("apps.kruise.io", "CloneSet") => {
            api::cloneset::conversion::convert(object, version).map_err(|err| failed(err.to_string()))
        }
        _ => Err(failed("no such kind here".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(version: &str, desired: &str, objects: Value) -> Value {
        let review = json!({
            "apiVersion": format!("apiextensions.k8s.io/{version}"), "kind": "ConversionReview",
            "request": { "uid": "u-1", "desiredAPIVersion": desired, "objects": objects },
        });
        answer(review.to_string().as_bytes()).unwrap().review
    }

    fn clone_set(version: &str) -> Value {
        json!({
            "apiVersion": format!("apps.kruise.io/{version}"), "kind": "CloneSet",
            "metadata": { "name": "web", "namespace": "shop", "uid": "1" },
            "spec": { "replicas": 3, "selector": {}, "template": { "spec": { "someday": true } } },
        })
    }

    #[test] // PL-55
    fn a_batch_is_converted_in_order_and_in_the_version_of_the_question() {
        for version in ["v1", "v1beta1"] {
            let objects = json!([clone_set("v1alpha1"), clone_set("v1beta1")]);
            let answer = ask(version, "apps.kruise.io/v1beta1", objects);
            assert_eq!(answer["apiVersion"], format!("apiextensions.k8s.io/{version}"));
            assert_eq!(answer["response"]["uid"], "u-1");
            assert_eq!(answer["response"]["result"]["status"], "Success");
            let converted = answer["response"]["convertedObjects"].as_array().unwrap();
            assert_eq!(converted.len(), 2);
            assert!(converted.iter().all(|object| object["apiVersion"] == "apps.kruise.io/v1beta1"));
            assert_eq!(converted[0]["spec"]["template"], clone_set("v1alpha1")["spec"]["template"]);
        }
    }

    #[test] // PL-55
    fn an_object_in_the_desired_version_is_unchanged() {
        let answer = ask("v1", "apps.kruise.io/v1alpha1", json!([clone_set("v1alpha1")]));
        assert_eq!(answer["response"]["convertedObjects"], json!([clone_set("v1alpha1")]));
    }

    #[test] // PL-55
    fn one_object_that_can_not_be_converted_fails_the_review() {
        let mut foreign = clone_set("v1alpha1");
        foreign["kind"] = "Widget".into();
        let answer = ask("v1", "apps.kruise.io/v1beta1", json!([clone_set("v1alpha1"), foreign]));
        assert_eq!(answer["response"]["result"]["status"], "Failure");
        assert_eq!(
            answer["response"]["result"]["message"],
            "convert Widget shop/web from apps.kruise.io/v1alpha1 to apps.kruise.io/v1beta1: no such kind here"
        );
        assert_eq!(answer["response"]["convertedObjects"], json!([]));
    }

    #[test] // PL-55
    fn a_body_without_a_request_is_no_review() {
        for body in ["", "{}", r#"{"apiVersion":"apiextensions.k8s.io/v1","kind":"ConversionReview"}"#] {
            assert!(answer(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test] // PL-55
    fn an_unknown_version_of_the_group_fails_the_review() {
        let answer = ask("v1", "apps.kruise.io/v3", json!([clone_set("v1alpha1")]));
        assert_eq!(answer["response"]["result"]["status"], "Failure");
    }
}
