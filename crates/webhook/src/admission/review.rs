//! The form of question and answer: AdmissionReview in v1 and v1beta1, which differ in nothing that is used here.
//!
//! The body is gone over once: the objects in it are kept as text, see [`Object`], and what nobody reads is skipped
//! however deep it is. The answer is in the version of the question.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::bounded::{Bounded, SENTENCE, WORD};
use super::form::Members;
use super::object::Object;
use super::{Kind, Operation, Request, Resource, Verdict};

/// Versions of the review that are understood.
const VERSIONS: [&str; 2] = ["admission.k8s.io/v1", "admission.k8s.io/v1beta1"];

/// The body is no review that can be answered: HTTP 400.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// It is no JSON of that form.
    #[error("unreadable AdmissionReview: {0}")]
    Form(String),
    /// It is another kind or version.
    #[error("not an AdmissionReview of a known version: {api_version:?} {kind:?}")]
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
#[derive(Debug)]
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
    object: Option<Box<RawValue>>,
    old_object: Option<Box<RawValue>>,
    options: Option<Box<RawValue>>,
    #[serde(default)]
    dry_run: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct UserInfo {
    username: String,
}

impl Question {
    /// Reads the body of a request that is to be answered before the deadline.
    ///
    /// # Errors
    /// Fails where no answer could be matched to it; the text names the member.
    pub fn read(body: &[u8], deadline: Instant) -> Result<Self, ReviewError> {
        let Review { api_version, kind, request } = parse(body)?;
        if !VERSIONS.contains(&api_version.as_str()) || kind != "AdmissionReview" {
            return Err(ReviewError::Version { api_version: short(&api_version), kind: short(&kind) });
        }
        let asked = request.ok_or(ReviewError::Empty)?;
        let operation = match asked.operation.as_str() {
            "CREATE" => Operation::Create,
            "UPDATE" => Operation::Update,
            "DELETE" => Operation::Delete,
            "CONNECT" => Operation::Connect,
            _ => return Err(ReviewError::Operation(short(&asked.operation))),
        };
        let request = Request {
            uid: asked.uid,
            kind: asked.kind,
            resource: asked.resource,
            sub_resource: asked.sub_resource,
            name: asked.name,
            namespace: asked.namespace,
            operation,
            username: asked.user_info.username,
            object: Object::sent(asked.object),
            old_object: Object::sent(asked.old_object),
            options: Object::sent(asked.options),
            dry_run: asked.dry_run.unwrap_or_default(),
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

/// What a word of somebody else's comes to in an error.
fn short(word: &str) -> String {
    Bounded::new(word, WORD).to_string()
}

fn parse(body: &[u8]) -> Result<Review, ReviewError> {
    serde_json::from_slice(body).map(|Members(review)| review).map_err(|err| {
        // Once more, noting the way to the fault: the usual case need not pay for it.
        let mut track = serde_path_to_error::Track::new();
        let mut reader = serde_json::Deserializer::from_slice(body);
        drop(Members::<Review>::deserialize(serde_path_to_error::Deserializer::new(&mut reader, &mut track)));
        let err = serde_path_to_error::Error::new(track.path(), err).to_string();
        ReviewError::Form(Bounded::new(&err, SENTENCE).to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Refusal, changed};
    use super::*;

    fn read(body: &str) -> Result<Question, ReviewError> {
        Question::read(body.as_bytes(), Instant::now())
    }

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
                "dryRun": true,
                "options": { "kind": "CreateOptions" },
                "someday": { "more": 1 },
            }
        });
        read(&review.to_string()).unwrap()
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
        assert_eq!(*request.object.read().unwrap(), json!({ "metadata": {} }));
        assert_eq!(*request.options.read().unwrap(), json!({ "kind": "CreateOptions" }));
        assert!(request.old_object.is_absent() && request.dry_run);
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
        let answer = question("v1").answer(&Verdict::Refuse(Refusal::forbidden("rule", "no")));
        assert_eq!(answer["response"]["allowed"], false);
        assert_eq!(
            answer["response"]["status"],
            json!({ "status": "Failure", "code": 403, "reason": "Forbidden", "message": "no" })
        );
    }

    #[test]
    fn what_is_no_review_can_not_be_answered_and_says_why() {
        let review = |rest: &str| format!(r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"{rest}}}"#);
        let asked = |rest: &str| review(&format!(r#","request":{{"uid":"1"{rest}}}"#));
        for (body, want) in [
            (String::new(), "EOF while parsing a value"),
            ("[]".to_owned(), "invalid type: sequence, expected an object"),
            (
                r#"{"apiVersion":"admission.k8s.io/v2","kind":"AdmissionReview"}"#.to_owned(),
                r#"not an AdmissionReview of a known version: "admission.k8s.io/v2" "AdmissionReview""#,
            ),
            (
                r#"{"apiVersion":"admission.k8s.io/v1","kind":"Pod"}"#.to_owned(),
                r#"not an AdmissionReview of a known version: "admission.k8s.io/v1" "Pod""#,
            ),
            (review(""), "AdmissionReview without request"),
            (review(r#","request":null"#), "AdmissionReview without request"),
            (asked(""), "request: missing field `operation`"),
            (asked(r#","operation":"LOOK""#), r#"unknown operation "LOOK""#),
            (
                asked(r#","operation":"CREATE","userInfo":{"username":[]}"#),
                "request.userInfo.username: invalid type: sequence, expected a string",
            ),
            (
                asked(r#","operation":"CREATE","dryRun":"yes""#),
                "request.dryRun: invalid type: string \"yes\", expected a boolean",
            ),
            (asked(r#","operation":"CREATE","object":{"a":}"#), "request.object: expected value"),
            (review(r#","request":{"uid":"1"}}"#), "request: missing field `operation`"),
        ] {
            let err = read(&body).expect_err(&body);
            let text = err.to_string();
            let text = text.strip_prefix("unreadable AdmissionReview: ").unwrap_or(&text);
            assert_eq!(text.split(" at line ").next(), Some(want), "{body}");
        }
    }

    #[test]
    fn text_of_others_in_an_error_is_bounded() {
        let long = "x".repeat(1 << 20);
        let review = |request: Value| json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request });
        for review in [
            json!({ "apiVersion": long, "kind": long }),
            review(json!({ "uid": "1", "operation": long })),
            review(json!({ "uid": "1", "operation": "CREATE", "dryRun": long })),
        ] {
            let text = read(&review.to_string()).unwrap_err().to_string();
            assert!(text.len() < 2 * SENTENCE, "{} bytes", text.len());
        }
    }

    #[test]
    fn depth_is_no_obstacle_anywhere_in_a_review() {
        let deep = crate::testing::deep(100_000);
        for place in ["object", "oldObject", "options", "someday"] {
            let body = format!(
                r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","more":{deep},"request":{{
                    "uid":"1","operation":"CREATE","{place}":{{"a":{deep}}}}}}}"#
            );
            assert!(read(&body).is_ok(), "{place}");
        }
        let body = format!(
            r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{
                "uid":"1","operation":"CREATE","userInfo":{deep}}}}}"#
        );
        assert!(read(&body).is_err());
    }
}
