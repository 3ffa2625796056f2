//! One request to the API server, and what its failure means. When it may be sent, and how long it may take, is the
//! guarded client's.

use std::time::Duration;

use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::{Request, request};
use rules::write::{self, PatchFormat, Subresource, Write};
use serde_json::Value;

use crate::ambient::Chance;
use crate::client::{self, Failure, Guarded, WholeAnswerWithin};
use crate::expectations::ObjectId;
use crate::informer::ObjectKey;
use crate::leader::Leadership;

/// Name under which our writes stand in `managedFields`.
const FIELD_MANAGER: &str = "kruise-manager";

/// Why a write was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another replica may lead now: nothing was sent.
    #[error("not the leader")]
    NotLeader,
    /// There is no connection: nothing was sent.
    #[error("{0}")]
    NotConnected(String),
    /// The server did not answer in time; it may have carried the write out.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The server refused.
    #[error("{message} ({code} {reason})")]
    Refused {
        /// HTTP status.
        code: u16,
        /// Kubernetes' word for it, such as `AlreadyExists`.
        reason: String,
        /// The server's explanation.
        message: String,
    },
    /// The connection failed; the server may have carried the write out.
    #[error("{0}")]
    Transport(String),
    /// The write cannot be put into a request.
    #[error("cannot be sent: {0}")]
    Malformed(String),
}

impl Error {
    /// HTTP status of a refusal.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::NotLeader | Self::NotConnected(_) | Self::TimedOut(_) | Self::Transport(_) | Self::Malformed(_) => {
                None
            }
        }
    }

    /// Whether the object exists already.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        matches!(self, Self::Refused { reason, .. } if reason == "AlreadyExists")
    }

    /// Whether the server has answered, and is not at work on it any more: a gateway's error, or a time-out of etcd, says
    /// nothing of that.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Refused { code, reason, .. } => *code < 500 || (*code == 500 && reason == "InternalError"),
            Self::NotLeader | Self::NotConnected(_) | Self::Malformed(_) => true,
            Self::TimedOut(_) | Self::Transport(_) => false,
        }
    }

    /// Whether the server may have done it all the same.
    #[must_use]
    pub fn may_have_been_carried_out(&self) -> bool {
        match self {
            Self::TimedOut(_) | Self::Transport(_) => true,
            Self::Refused { code, .. } => *code >= 500,
            Self::NotLeader | Self::NotConnected(_) | Self::Malformed(_) => false,
        }
    }
}

impl From<kube::Error> for Error {
    fn from(err: kube::Error) -> Self {
        match client::failure(&err) {
            Some(Failure::NotLeader) => return Self::NotLeader,
            Some(Failure::NotConnected(_)) => return Self::NotConnected(client::words(&err)),
            Some(Failure::TimedOut(limit)) => return Self::TimedOut(*limit),
            None => {}
        }
        match err {
            kube::Error::Api(status) => {
                let kube::core::Status { code, reason, message, .. } = *status;
                Self::Refused { code, reason, message }
            }
            // Without credentials there is no request.
            kube::Error::Auth(_) => Self::NotConnected(client::words(&err)),
            other => Self::Transport(client::words(&other)),
        }
    }
}

impl From<request::Error> for Error {
    fn from(err: request::Error) -> Self {
        Self::Malformed(err.to_string())
    }
}

/// Sends one request at a time.
#[derive(Clone)]
pub(super) struct Sender {
    api: Guarded,
    /// For pauses.
    pub(super) chance: Chance,
}

impl Sender {
    pub(super) fn new(api: Guarded, chance: Chance) -> Self {
        Self { api, chance }
    }

    pub(super) fn leadership(&self) -> &Leadership {
        self.api.leadership()
    }

    /// Returns the object as it was made.
    pub(super) async fn create(&self, write: &Write, body: &Value) -> Result<Value, Error> {
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        // Revision data is stored as it is sent: these are the bytes that OpenKruise would compare with (RV-1).
        let body = rules::json::canonical(body).into_bytes();
        self.send(urls(write).create(&params, body)?).await
    }

    pub(super) async fn delete(&self, write: &Write, uid: &str) -> Result<(), Error> {
        let preconditions = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
        self.send(urls(write).delete(&write.name, &params)?).await.map(drop)
    }

    /// Returns the object as the patch left it.
    pub(super) async fn patch(&self, write: &Write, patch: &write::Patch, body: Value) -> Result<Value, Error> {
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let body = match patch.format {
            PatchFormat::Merge => Patch::Merge(body),
            PatchFormat::Strategic => Patch::Strategic(body),
        };
        let urls = urls(write);
        self.send(match patch.subresource {
            Subresource::None => urls.patch(&write.name, &params, &body)?,
            Subresource::Status => urls.patch_subresource("status", &write.name, &params, &body)?,
            Subresource::Resize => urls.patch_subresource("resize", &write.name, &params, &body)?,
        })
        .await
    }

    /// Reads the object live; reading needs no leadership.
    pub(super) async fn get(&self, object: &ObjectId) -> Result<Value, Error> {
        let ObjectKey { namespace, name } = &object.key;
        let namespace = Some(namespace.as_str()).filter(|namespace| !namespace.is_empty());
        let mut request = client::urls(object.resource, namespace).get(name, &kube::api::GetParams::default())?;
        request.extensions_mut().insert(WholeAnswerWithin(client::SINGLE_READ));
        self.send(request).await
    }

    async fn send(&self, request: http::Request<Vec<u8>>) -> Result<Value, Error> {
        Ok(self.api.client().request::<Value>(request).await?)
    }
}

fn urls(write: &Write) -> Request {
    client::urls(write.resource, write.namespace.as_deref())
}
