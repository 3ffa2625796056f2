//! Admission: one request of the API server, one verdict (PL-54).
//!
//! `review` is the form of question and answer, `object` what it is about; `pod` and `cloneset` are the verdicts,
//! `protection` is deletion protection. Here is what they share. What a handler may use is in [`Desk`]; everything else
//! it knows is in the request.

use json_patch::Patch;
use runtime::gates::Gates;
use serde_json::{Value, json};
use tokio::time::Instant;

pub mod bounded;
pub mod diff;
pub mod form;
pub mod log;
pub mod object;
pub mod protection;
pub mod review;
mod tree;

use self::form::{Members, Text};
use self::object::Object;
use self::protection::ProtectionLog;
use crate::caches::Caches;
use crate::server::paths::Admission;

/// What all handlers share.
pub struct Desk {
    /// Feature gates.
    pub gates: Gates,
    /// Whether templates with privileged containers are accepted (`--allow-privileged`).
    pub privileged: Privileged,
    /// For the few live reads.
    pub client: kube::Client,
    /// For all other reads.
    pub caches: Caches,
    /// Where refused deletions are noted (PL-90).
    pub protection_log: ProtectionLog,
}

/// What becomes of templates with privileged containers (platform page, section 2, step 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privileged {
    /// They pass.
    Accepted,
    /// They are invalid.
    Refused,
}

/// What is being done to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is created.
    Create,
    /// It is changed.
    Update,
    /// It is deleted.
    Delete,
    /// A connection to it is opened.
    Connect,
}

/// A request of the API server, with the objects as they came.
#[derive(Clone, Debug)]
pub struct Request {
    /// Identity of the request; the answer repeats it.
    pub uid: String,
    /// Group, version and kind of the object as sent.
    pub kind: Kind,
    /// Resource in the version that the handler is asked in.
    pub resource: Resource,
    /// Subresource; empty for the object itself.
    pub sub_resource: String,
    /// Name; empty where the server will make one.
    pub name: String,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// What is being done.
    pub operation: Operation,
    /// Who does it.
    pub username: String,
    /// The object; absent on deletion.
    pub object: Object,
    /// The stored object; absent on creation.
    pub old_object: Object,
    /// `CreateOptions`, `UpdateOptions` or `DeleteOptions`.
    pub options: Object,
    /// Whether nothing of it will be stored.
    pub dry_run: bool,
    /// When the API server stops waiting. A handler that waits for something gives up before; nobody does it for it here.
    pub deadline: Instant,
}

impl Request {
    /// Whether nothing may be done but to answer: the review says so, or its options do (PW-10, PW-33).
    ///
    /// # Errors
    /// 400 where the options can't be read.
    pub fn is_dry_run(&self) -> Result<bool, Refusal> {
        if self.dry_run || self.options.is_absent() {
            return Ok(self.dry_run);
        }
        let Members(options) = self.options.view::<Members<Options<'_>>>().map_err(|err| err.decoding("options"))?;
        Ok(options.is_dry_run())
    }
}

/// What is read of the options of a request.
#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct Options<'a> {
    #[serde(default, borrow, rename = "dryRun")]
    dry_run: Option<Vec<Text<'a>>>,
}

impl Options<'_> {
    /// Whether any stage of the request is dry; `All` is the only one there is.
    pub(crate) fn is_dry_run(&self) -> bool {
        self.dry_run.as_ref().is_some_and(|stages| !stages.is_empty())
    }
}

/// Group, version and kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Kind {
    /// API group; empty for core.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
}

/// Group, version and plural.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Resource {
    /// API group; empty for core.
    pub group: String,
    /// API version.
    pub version: String,
    /// Plural.
    pub resource: String,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "the API server waits for the verdict"]
pub enum Verdict {
    /// It may go on as it is.
    Allow,
    /// It may go on, changed.
    Change(Patch),
    /// It may not go on.
    Refuse(Refusal),
}

/// Why a request may not go on, as the Status that the user sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP code in the Status.
    pub code: u16,
    /// What forbids it, for the log: `decode`, `validation`, `deletion-protection`, or the name of a stage.
    pub rule: &'static str,
    /// Text for people.
    pub message: String,
    status: Value,
}

impl Refusal {
    fn new(code: u16, reason: &str, rule: &'static str, message: String) -> Self {
        let status = json!({ "status": "Failure", "code": code, "reason": reason, "message": message });
        Self { code, rule, message, status }
    }

    /// The object can't be read: 400, by rule `decode`.
    pub fn unreadable(message: impl Into<String>) -> Self {
        Self::bad_request("decode", message)
    }

    /// A rule can't make sense of it: 400.
    pub fn bad_request(rule: &'static str, message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", rule, message.into())
    }

    /// A rule forbids it: 403.
    pub fn forbidden(rule: &'static str, message: impl Into<String>) -> Self {
        Self::new(403, "Forbidden", rule, message.into())
    }

    /// A rule forbids it for now: 429.
    pub fn too_many_requests(rule: &'static str, message: impl Into<String>) -> Self {
        Self::new(429, "TooManyRequests", rule, message.into())
    }

    /// We failed: 500.
    pub fn internal(rule: &'static str, message: impl Into<String>) -> Self {
        Self::new(500, "InternalError", rule, message.into())
    }

    /// The object is invalid: 422 with a Status that names each field.
    pub fn invalid(rule: &'static str, status: Value) -> Self {
        let message = status.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
        Self { code: 422, rule, message, status }
    }

    /// The same, where it says what could not be read.
    #[must_use]
    pub fn decoding(self, what: &str) -> Self {
        Self::unreadable(format!("decode {what}: {}", self.message))
    }

    /// The Status.
    pub fn status(&self) -> &Value {
        &self.status
    }
}

/// Allows a request whose object became `after`: with the smallest patch, or none (PW-6).
pub fn changed(before: &Value, after: &Value) -> Verdict {
    let patch = diff::diff(before, after);
    if patch.0.is_empty() { Verdict::Allow } else { Verdict::Change(patch) }
}

/// Lets the handler of an endpoint decide.
pub async fn decide(endpoint: Admission, request: &Request, desk: &Desk) -> Verdict {
    match endpoint {
        Admission::MutatePod => crate::pod::mutate(request, desk).await,
        Admission::ValidatePod => crate::pod::validate(request, desk).await,
        Admission::MutateCloneSet => crate::cloneset::mutate(request, &desk.gates),
        Admission::ValidateCloneSet => crate::cloneset::validate(request, desk).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // PW-10
    fn a_dry_run_is_what_the_review_or_its_options_say() {
        let request =
            |dry_run, options: Value| Request { dry_run, options: options.into(), ..crate::testing::request() };
        for (dry_run, options, want) in [
            (false, Value::Null, Some(false)),
            (true, Value::Null, Some(true)),
            (false, json!({ "kind": "CreateOptions" }), Some(false)),
            (false, json!({ "dryRun": null }), Some(false)),
            (false, json!({ "dryRun": [] }), Some(false)),
            (false, json!({ "dryRun": ["All"] }), Some(true)),
            (false, json!({ "dryRun": "All" }), None),
            (false, json!([]), None),
        ] {
            let said = request(dry_run, options.clone()).is_dry_run();
            assert_eq!(said.as_ref().ok().copied(), want, "{dry_run} {options}: {said:?}");
            assert!(said.is_ok() || said.is_err_and(|refusal| refusal.message.starts_with("decode options: ")));
        }
    }
}
