//! Admission webhooks and conversion, as the server asks them.
//!
//! [`Webhook`] is the product's own: its functions are called, without HTTP. Which requests they are asked about is
//! what the product's webhook configurations say.

use std::sync::Arc;

use api::cloneset::conversion;
use futures::future::BoxFuture;
use json_patch::Patch;
use serde_json::Value;
use webhook::admission::{self, Desk, Operation, Refusal, Request, Verdict};
use webhook::server::paths::Admission as Endpoint;

use super::core::Core;
use super::draft::{self, Draft};
use super::failure::{Failure, Result};
use super::metadata;
use super::rules::native;

/// What the server asks before it stores.
pub trait Admission: Send + Sync {
    /// Whether a request is to be reviewed.
    fn concerns(&self, resource: &str, subresource: &str, operation: Operation) -> bool;
    /// Changes an object.
    fn mutate<'a>(&'a self, review: &'a Request) -> BoxFuture<'a, Result<Option<Patch>>>;
    /// Accepts or refuses.
    fn validate<'a>(&'a self, review: &'a Request) -> BoxFuture<'a, Result<()>>;
    /// An object in another version. It must not ask the server.
    ///
    /// # Errors
    /// Fails where either version is unknown.
    fn convert(&self, object: Value, desired_api_version: &str) -> Result<Value>;
}

/// The product's webhooks.
pub struct Webhook {
    desk: Arc<Desk>,
}

impl Webhook {
    /// With what its handlers may use.
    #[must_use]
    pub fn new(desk: Arc<Desk>) -> Self {
        Self { desk }
    }

    async fn ask(&self, endpoint: Endpoint, name: &str, review: &Request) -> Result<Option<Patch>> {
        match admission::decide(endpoint, review, &self.desk).await {
            Verdict::Allow => Ok(None),
            Verdict::Change(patch) => Ok(Some(patch)),
            Verdict::Refuse(refusal) => Err(denied(name, &refusal)),
        }
    }
}

impl Admission for Webhook {
    fn concerns(&self, resource: &str, subresource: &str, operation: Operation) -> bool {
        let known = match resource {
            "pods" => operation == Operation::Create,
            "clonesets.apps.kruise.io" => true,
            _ => false,
        };
        known && subresource.is_empty()
    }

    fn mutate<'a>(&'a self, review: &'a Request) -> BoxFuture<'a, Result<Option<Patch>>> {
        Box::pin(async move {
            match review.kind.kind.as_str() {
                "Pod" => self.ask(Endpoint::MutatePod, "mpod.kb.io", review).await,
                _ if review.operation == Operation::Delete => Ok(None),
                _ => self.ask(Endpoint::MutateCloneSet, "mcloneset.kb.io", review).await,
            }
        })
    }

    fn validate<'a>(&'a self, review: &'a Request) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let asked = match review.kind.kind.as_str() {
                "Pod" => self.ask(Endpoint::ValidatePod, "vpod.kb.io", review).await,
                _ => self.ask(Endpoint::ValidateCloneSet, "vcloneset.kb.io", review).await,
            };
            asked.map(drop)
        })
    }

    fn convert(&self, object: Value, desired_api_version: &str) -> Result<Value> {
        conversion::convert(object, desired_api_version)
            .map_err(|err| Failure::new(500, "InternalError", format!("conversion webhook failed: {err}")))
    }
}

/// A refusal of a webhook, as the server hands it on.
fn denied(name: &str, refusal: &Refusal) -> Failure {
    let status = refusal.status();
    let reason = match status.get("reason").and_then(Value::as_str) {
        Some("Invalid") => "Invalid",
        Some("BadRequest") => "BadRequest",
        Some("InternalError") => "InternalError",
        _ => "Forbidden",
    };
    let message = format!("admission webhook {name:?} denied the request: {}", refusal.message);
    Failure { details: status["details"].clone(), ..Failure::new(refusal.code, reason, message) }
}

/// A draft as a webhook sees it.
pub(super) fn review(draft: &Draft<'_>) -> Request {
    let kind = &draft.kind;
    let old = draft.old.as_ref().map_or(Value::Null, |old| (**old).clone());
    Request {
        uid: String::new(),
        kind: admission::Kind { group: kind.group.clone(), version: kind.version.clone(), kind: kind.kind.clone() },
        resource: admission::Resource {
            group: kind.group.clone(),
            version: kind.version.clone(),
            resource: kind.plural.clone(),
        },
        sub_resource: draft.call.subresource.clone(),
        name: draft.key.name.clone(),
        namespace: draft.key.namespace.clone(),
        operation: operation(draft),
        username: draft.caller.to_owned(),
        object: draft.object.clone(),
        old_object: old,
        deadline: tokio::time::Instant::now(),
    }
}

/// What a draft does, in the words of webhooks.
pub(super) fn operation(draft: &Draft<'_>) -> Operation {
    match draft.operation {
        draft::Operation::Create => Operation::Create,
        draft::Operation::Update => Operation::Update,
        draft::Operation::Delete => Operation::Delete,
    }
}

impl Core {
    /// What a mutating webhook changed.
    pub(super) fn amend(&self, draft: &mut Draft<'_>, patch: &Patch) -> Result<()> {
        let failed = |err| Failure::new(500, "InternalError", format!("mutating webhook: {err}"));
        json_patch::patch(&mut draft.object, patch).map_err(failed)?;
        metadata::metadata(&mut draft.object)?;
        draft::shape(&draft.resource, &draft.kind, &mut draft.object)?;
        // The server's own plugins look again at what a webhook changed.
        native::admit(&draft.kind, &mut draft.object, draft.old.as_deref())
    }
}
