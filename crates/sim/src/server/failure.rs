//! Refusals: the Status bodies of kube-apiserver.

use serde_json::{Map, Value, json};

use super::call::Verb;
use super::kind::Resource;
use super::metadata::put_at;

/// A request that is refused, as the Status that the client gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// HTTP code.
    pub code: u16,
    /// Kubernetes' word for it.
    pub reason: &'static str,
    /// Text for people.
    pub message: String,
    /// `details` of the Status: name, group, kind, uid, causes, retryAfterSeconds; null for none.
    pub details: Value,
}

/// One field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// `FieldValueInvalid`, `FieldValueRequired`, `FieldValueForbidden` ...
    pub reason: &'static str,
    /// As kube-apiserver words it: `Invalid value: ...: ...`.
    pub message: String,
    /// The field's path.
    pub field: String,
}

/// The result of a request.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// With a code, a reason and a message.
    #[must_use]
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Value::Null }
    }

    /// Query parameters or options that are wrong: `DeleteOptions.meta.k8s.io "" is invalid`.
    #[must_use]
    pub fn options(kind: &str, causes: &[Cause]) -> Self {
        let lines: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let text = match lines.as_slice() {
            [only] => only.clone(),
            several => format!("[{}]", several.join(", ")),
        };
        let shown = |cause: &Cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field});
        let causes: Vec<Value> = causes.iter().map(shown).collect();
        let details = json!({"group": "meta.k8s.io", "kind": kind, "causes": causes});
        let message = format!("{kind}.meta.k8s.io \"\" is invalid: {text}");
        Self { details, ..Self::new(422, "Invalid", message) }
    }

    /// The simulator does not do this: 501.
    #[must_use]
    pub fn not_simulated(what: impl std::fmt::Display) -> Self {
        Self::new(501, "NotImplemented", format!("simulator: {what}"))
    }

    /// The request can't be understood: 400.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// There is no such object: 404.
    #[must_use]
    pub fn not_found(resource: &Resource, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} {name:?} not found", resource.id)).about(resource, name)
    }

    /// There is no such path: 404.
    #[must_use]
    pub fn no_such_resource() -> Self {
        Self { details: json!({}), ..Self::new(404, "NotFound", "the server could not find the requested resource") }
    }

    /// There is such an object already: 409.
    #[must_use]
    pub fn already_exists(resource: &Resource, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} {name:?} already exists", resource.id)).about(resource, name)
    }

    /// The object is not as the request takes it to be: 409.
    #[must_use]
    pub fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        Self::new(409, "Conflict", format!("Operation cannot be fulfilled on {} {name:?}: {why}", resource.id))
            .about(resource, name)
    }

    /// Not allowed: 403.
    #[must_use]
    pub fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        Self::new(403, "Forbidden", format!("{} {name:?} is forbidden: {why}", resource.id)).about(resource, name)
    }

    /// The verb is not for this path: 405.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self { details: json!({}), ..Self::new(405, "MethodNotAllowed", message) }
    }

    /// The version is no longer there: 410.
    #[must_use]
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// The version is not there yet: 504, to be tried again in a second.
    #[must_use]
    pub fn too_large_version(asked: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        let cause = json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"});
        Self { details: json!({"causes": [cause], "retryAfterSeconds": 1}), ..Self::new(504, "Timeout", message) }
    }

    /// The same, naming the object.
    #[must_use]
    pub fn about(mut self, resource: &Resource, name: &str) -> Self {
        self.details = Value::Object(details(name, resource.group(), resource.plural()));
        self
    }

    /// The body.
    #[must_use]
    pub fn status(&self) -> Value {
        let Self { code, reason, message, details } = self;
        let mut status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "code": code});
        if !reason.is_empty() {
            put_at(&mut status, &["reason"], json!(reason));
        }
        if let Some(token) = details.get("continue") {
            // A list goes on with this; the only thing that stands in the metadata of a refusal.
            put_at(&mut status, &["metadata", "continue"], token.clone());
        } else if !details.is_null() {
            put_at(&mut status, &["details"], details.clone());
        }
        status
    }
}

/// `details` of a Status; empty members are left out.
#[must_use]
pub fn details(name: &str, group: &str, kind: &str) -> Map<String, Value> {
    let members = [("name", name), ("group", group), ("kind", kind)];
    members.into_iter().filter(|(_, text)| !text.is_empty()).map(|(key, text)| (key.to_owned(), json!(text))).collect()
}

/// The refusal of a verb: kinds of CRDs have words of their own.
pub(super) fn unsupported(resource: &Resource, verb: Verb) -> Failure {
    if resource.custom.is_none() {
        return Failure::method_not_allowed();
    }
    let word = match verb {
        Verb::Create => "create",
        Verb::Delete => "delete",
        Verb::Get => "get",
        Verb::Patch(_) => "patch",
        Verb::Update => "update",
    };
    let message = format!("{word} is not supported on resources of kind {:?}", resource.id);
    let details = json!({"group": resource.group(), "kind": resource.plural()});
    Failure { details, ..Failure::new(405, "MethodNotAllowed", message) }
}

/// The refusal of a patch that makes what is no object of the kind.
pub(super) fn unfit(failure: &Failure) -> Failure {
    let message = format!("Invalid value: {:?}", failure.message);
    let details = json!({"causes": [{"reason": "FieldValueInvalid", "message": message, "field": "patch"}]});
    Failure { details, ..Failure::new(422, "Invalid", format!(" \"\" is invalid: patch: {message}")) }
}
