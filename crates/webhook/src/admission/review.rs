//! The form of question and answer: AdmissionReview in v1 and v1beta1, which differ in nothing that is used here.
//!
//! The answer is in the version of the question.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Kind, Operation, Request, Resource, Verdict};

/// Versions of the review that are understood.
const VERSIONS: [&str; 2] = ["admission.k8s.io/v1", "admission.k8s.io/v1beta1"];

/// The body is no review that can be answered: HTTP 400.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// It is no JSON of that form.
    #[error("unreadable AdmissionReview")]
    Form(#[from] serde_json::Error),
    /// It is another kind or version.
    #[error("not an AdmissionReview of a known version: {api_version} {kind}")]
    Version {
        /// What it says it is.
        api_version: String,
        /// Which kind.
        kind: String,
    },
    /// It asks nothing.
    #[error("AdmissionReview without request")]
    Empty,
    /// It asks about something that did not exist when this was built.
    #[error("unknown operation {0:?}")]
    Operation(String),
}

/// A question, with what the answer must repeat.
#[derive(Debug, PartialEq)]
pub struct Question {
    api_version: String,
    /// The request.
    pub request: Request,
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
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    resource: Resource,
    #[serde(default)]
    sub_resource: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
    operation: String,
    #[serde(default)]
    user_info: UserInfo,
    #[serde(default)]
    object: Value,
    #[serde(default)]
    old_object: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct UserInfo {
    username: String,
}

impl Question {
    /// Reads the body of a request that must be answered by then.
    ///
    /// # Errors
    /// Fails where no answer could be matched to it.
    pub fn read(body: &[u8], deadline: tokio::time::Instant) -> Result<Self, ReviewError> {
        let Review { api_version, kind, request } = serde_json::from_slice(body)?;
        if !VERSIONS.contains(&api_version.as_str()) || kind != "AdmissionReview" {
            return Err(ReviewError::Version { api_version, kind });
        }
        let asked = request.ok_or(ReviewError::Empty)?;
        let Asked {
            uid,
            kind,
            resource,
            sub_resource,
            name,
            namespace,
            operation,
            user_info: UserInfo { username },
            object,
            old_object,
        } = asked;
        let operation = match operation.as_str() {
            "CREATE" => Operation::Create,
            "UPDATE" => Operation::Update,
            "DELETE" => Operation::Delete,
            "CONNECT" => Operation::Connect,
            _ => return Err(ReviewError::Operation(operation)),
        };
        let request = Request {
            uid,
            kind,
            resource,
            sub_resource,
            name,
            namespace,
            operation,
            username,
            object,
            old_object,
            deadline,
        };
        Ok(Self { api_version, request })
    }

    /// The answer.
    pub fn answer(&self, verdict: &Verdict) -> Value {
        let uid = &self.request.uid;
        let response = match verdict {
            Verdict::Allow => json!({ "uid": uid, "allowed": true }),
            Verdict::Change(patch) => {
                // A patch is a list of operations with JSON values: there is nothing in it that can't be written.
                let patch = serde_json::to_vec(patch).unwrap_or_default();
                json!({ "uid": uid, "allowed": true, "patchType": "JSONPatch", "patch": STANDARD.encode(patch) })
            }
            Verdict::Refuse(refusal) => json!({ "uid": uid, "allowed": false, "status": refusal.status() }),
        };
        json!({ "apiVersion": self.api_version, "kind": "AdmissionReview", "response": response })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Refusal, changed};
    use super::*;

    fn question(version: &str) -> Question {
        let review = json!({
            "apiVersion": format!("admission.k8s.io/{version}"),
            "kind": "AdmissionReview",
            "request": {
                "uid": "u-1",
                "kind": { "group": "", "version": "v1", "kind": "Pod" },
                "resource": { "group": "", "version": "v1", "resource": "pods" },
                "namespace": "shop",
                "operation": "CREATE",
                "userInfo": { "username": "jane" },
                "object": { "metadata": {} },
                "oldObject": null,
                "dryRun": false,
                "someday": { "more": 1 },
            }
        });
        Question::read(review.to_string().as_bytes(), tokio::time::Instant::now()).unwrap()
    }

    #[test]
    fn the_answer_is_in_the_version_of_the_question() {
        for version in ["v1", "v1beta1"] {
            let answer = question(version).answer(&Verdict::Allow);
            assert_eq!(
                answer,
                json!({
                    "apiVersion": format!("admission.k8s.io/{version}"), "kind": "AdmissionReview",
                    "response": { "uid": "u-1", "allowed": true },
                })
            );
        }
    }

    #[test]
    fn the_request_is_read_and_unknown_members_are_skipped() {
        let request = question("v1").request;
        assert_eq!((request.namespace.as_str(), request.username.as_str()), ("shop", "jane"));
        assert_eq!(request.operation, Operation::Create);
        assert_eq!(request.old_object, Value::Null);
    }

    #[test]
    fn a_patch_travels_as_base64() {
        let verdict = changed(&json!({}), &json!({ "a": 1 }));
        let answer = question("v1").answer(&verdict);
        let patch = STANDARD.decode(answer["response"]["patch"].as_str().unwrap()).unwrap();
        let patch: Value = serde_json::from_slice(&patch).unwrap();
        assert_eq!(patch, json!([{ "op": "add", "path": "/a", "value": 1 }]));
        assert_eq!(answer["response"]["patchType"], "JSONPatch");
    }

    #[test]
    fn a_refusal_is_a_status() {
        let answer = question("v1").answer(&Verdict::Refuse(Refusal::forbidden("no")));
        assert_eq!(answer["response"]["allowed"], false);
        assert_eq!(
            answer["response"]["status"],
            json!({ "status": "Failure", "code": 403, "reason": "Forbidden", "message": "no" })
        );
    }

    #[test]
    fn what_is_no_review_can_not_be_answered() {
        for body in [
            "",
            "[]",
            r#"{"apiVersion":"admission.k8s.io/v2","kind":"AdmissionReview","request":{"uid":"1","operation":"CREATE"}}"#,
            r#"{"apiVersion":"admission.k8s.io/v1","kind":"Pod","request":{"uid":"1","operation":"CREATE"}}"#,
            r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}"#,
            r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"LOOK"}}"#,
        ] {
            assert!(Question::read(body.as_bytes(), tokio::time::Instant::now()).is_err(), "{body}");
        }
    }
}
