//! One request to the API server: URL, permission, time-out, and what its failure means.

use std::time::Duration;

use kube::Client;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::{Request, request};
use rules::write::{self, PatchFormat, Subresource, Write};
use serde_json::Value;

use crate::client;
use crate::leader::Leadership;

/// Name under which our writes stand in `managedFields`.
const FIELD_MANAGER: &str = "kruise-manager";

/// Why a write was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another replica may lead now: nothing was sent.
    #[error("not the leader")]
    NotLeader,
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
            Self::NotLeader | Self::TimedOut(_) | Self::Transport(_) | Self::Malformed(_) => None,
        }
    }

    /// Whether the object exists already.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        matches!(self, Self::Refused { reason, .. } if reason == "AlreadyExists")
    }

    /// Whether the server may have done it all the same.
    #[must_use]
    pub fn may_have_been_carried_out(&self) -> bool {
        match self {
            Self::TimedOut(_) | Self::Transport(_) => true,
            Self::Refused { code, .. } => *code >= 500,
            Self::NotLeader | Self::Malformed(_) => false,
        }
    }
}

impl From<kube::Error> for Error {
    fn from(err: kube::Error) -> Self {
        match err {
            kube::Error::Api(status) => {
                let kube::core::Status { code, reason, message, .. } = *status;
                Self::Refused { code, reason, message }
            }
            other => Self::Transport(client::words(&other)),
        }
    }
}

impl From<request::Error> for Error {
    fn from(err: request::Error) -> Self {
        Self::Malformed(err.to_string())
    }
}

/// Sends one request at a time, if leadership is held.
#[derive(Clone)]
pub(super) struct Sender {
    client: Client,
    leadership: Leadership,
    timeout: Duration,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Sender {
    pub(super) fn new(client: Client, leadership: Leadership, timeout: Duration) -> Self {
        Self { client, leadership, timeout }
    }

    pub(super) fn leadership(&self) -> &Leadership {
        &self.leadership
    }

    pub(super) async fn create(&self, write: &Write, body: &Value) -> Result<(), Error> {
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        // Revision data is stored as it is sent: these are the bytes that OpenKruise would compare with (RV-1).
        let body = rules::json::canonical(body).into_bytes();
        self.write(urls(write).create(&params, body)?).await.map(drop)
    }

    pub(super) async fn delete(&self, write: &Write, uid: &str) -> Result<(), Error> {
        let preconditions = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
        self.write(urls(write).delete(&write.name, &params)?).await.map(drop)
    }

    /// Returns the object as the patch left it.
    pub(super) async fn patch(&self, write: &Write, patch: &write::Patch, body: Value) -> Result<Value, Error> {
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let body = match patch.format {
            PatchFormat::Merge => Patch::Merge(body),
            PatchFormat::Strategic => Patch::Strategic(body),
        };
        let urls = urls(write);
        self.write(match patch.subresource {
            Subresource::None => urls.patch(&write.name, &params, &body)?,
            Subresource::Status => urls.patch_subresource("status", &write.name, &params, &body)?,
            Subresource::Resize => urls.patch_subresource("resize", &write.name, &params, &body)?,
        })
        .await
    }

    /// Reads the object live; reading needs no leadership.
    pub(super) async fn get(&self, write: &Write) -> Result<Value, Error> {
        self.send(urls(write).get(&write.name, &kube::api::GetParams::default())?).await
    }

    async fn write(&self, request: http::Request<Vec<u8>>) -> Result<Value, Error> {
        // Held until the answer is there: the lease is not released while a write is under way.
        let _permit = self.leadership.permit().ok_or(Error::NotLeader)?;
        self.send(request).await
    }

    async fn send(&self, request: http::Request<Vec<u8>>) -> Result<Value, Error> {
        match tokio::time::timeout(self.timeout, self.client.request::<Value>(request)).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Error::TimedOut(self.timeout)),
        }
    }
}

fn urls(write: &Write) -> Request {
    let resource = &write.resource;
    let group = match resource.group {
        "" => format!("/api/{}", resource.version),
        group => format!("/apis/{group}/{}", resource.version),
    };
    Request::new(match &write.namespace {
        Some(namespace) => format!("{group}/namespaces/{namespace}/{}", resource.plural),
        None => format!("{group}/{}", resource.plural),
    })
}
