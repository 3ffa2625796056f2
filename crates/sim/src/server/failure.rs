//! Refusals: the Status bodies of kube-apiserver.

use serde_json::{Value, json};

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

    /// The simulator does not do this: 501.
    #[must_use]
    pub fn not_simulated(what: impl std::fmt::Display) -> Self {
        Self::new(501, "NotImplemented", format!("simulator: {what}"))
    }

    /// The body.
    #[must_use]
    pub fn status(&self) -> Value {
        let Self { code, reason, message, details } = self;
        let mut status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": code});
        if !details.is_null() {
            status["details"] = details.clone();
        }
        status
    }
}
