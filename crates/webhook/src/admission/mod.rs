//! Admission: one request of the API server, one verdict (PL-54).
//!
//! `review` is the form of question and answer, `pod` and `cloneset` are the verdicts, `protection` is deletion protection.
//! Here is what they share. What a handler may use is in [`Desk`]; everything else it knows is in the request.

use json_patch::Patch;
use runtime::gates::Gates;
use serde_json::{Value, json};

pub mod protection;
pub mod review;

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
#[derive(Clone, Debug, PartialEq)]
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
    /// The object; null on deletion.
    pub object: Value,
    /// The stored object; null on creation.
    pub old_object: Value,
    /// When the answer must be given: whoever waits for something waits no longer.
    pub deadline: tokio::time::Instant,
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
    /// Text for people.
    pub message: String,
    status: Value,
}

impl Refusal {
    fn new(code: u16, reason: &str, message: String) -> Self {
        let status = json!({ "status": "Failure", "code": code, "reason": reason, "message": message });
        Self { code, message, status }
    }

    /// The object can't be read: 400.
    pub fn unreadable(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message.into())
    }

    /// A rule forbids it: 403.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(403, "Forbidden", message.into())
    }

    /// We failed: 500.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(500, "InternalError", message.into())
    }

    /// The object is invalid: 422 with a Status that names each field.
    pub fn invalid(status: Value) -> Self {
        let message = status.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
        Self { code: 422, message, status }
    }

    /// The Status.
    pub fn status(&self) -> &Value {
        &self.status
    }
}

/// Allows a request whose object became `after`: with the smallest patch, or none (PW-6).
pub fn changed(before: &Value, after: &Value) -> Verdict {
    if before == after {
        return Verdict::Allow;
    }
    Verdict::Change(json_patch::diff(before, after))
}

/// Lets the handler of an endpoint decide.
pub async fn decide(endpoint: Admission, request: &Request, desk: &Desk) -> Verdict {
    match endpoint {
        Admission::MutatePod => crate::pod::mutate(request, desk).await,
        Admission::ValidatePod => crate::pod::validate(request),
        Admission::MutateCloneSet => crate::cloneset::mutate(request, &desk.gates),
        Admission::ValidateCloneSet => crate::cloneset::validate(request, desk).await,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::object;

    proptest! {
        #[test] // PW-6
        fn the_patch_leads_from_what_came_in_to_what_was_decided(before in object(), after in object()) {
            match changed(&before, &after) {
                Verdict::Allow => prop_assert_eq!(before, after),
                Verdict::Change(patch) => {
                    let mut patched = before;
                    json_patch::patch(&mut patched, &patch).unwrap();
                    prop_assert_eq!(patched, after);
                }
                Verdict::Refuse(_) => prop_assert!(false, "refused"),
            }
        }
    }
}
