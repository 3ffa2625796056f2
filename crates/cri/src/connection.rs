//! One runtime that was reached and proved to serve CRI v1 (KD-13..15, KD-17).
//!
//! `Connection::open` is all of KD-13 for one candidate, `Connection::check` is the repeated question whether it still
//! works. Neither retries: how often to ask, and what an answer means for the process, is the daemon's.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use crate::discovery::endpoint;
use crate::error::Error;
use crate::v1::image_service_client::ImageServiceClient;
use crate::v1::runtime_service_client::RuntimeServiceClient;
use crate::v1::{ImageFsInfoRequest, ListImagesRequest, StatusRequest, VersionRequest};

/// Limit of one unary call (KD-17); a runtime that needs longer for these is not usable.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// Limit of the first call (KD-13): a runtime that has just started measures its file systems before it answers.
const FIRST_CALL_LIMIT: Duration = Duration::from_secs(10);

/// Largest answer of the image service, in bytes (KD-15): the image list of a full node exceeds gRPC's usual 4 MiB.
const MAX_IMAGE_ANSWER: usize = 16 * 1024 * 1024;

/// The version of the kubelet's runtime API, the same since the first CRI (KD-13).
const KUBELET_API_VERSION: &str = "0.1.0";

/// The condition that says whether the runtime can run containers at all.
const RUNTIME_READY: &str = "RuntimeReady";

/// A runtime by what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// Name, which is also the scheme of its container ids: `containerd`, `cri-o`, `docker` (KD-16).
    pub name: String,
    /// Its version, such as `1.6.20`.
    pub version: String,
    /// The CRI version that answered: `v1`.
    pub api_version: String,
    /// Endpoint, such as `unix:///hostvarrun/containerd/containerd.sock`.
    pub socket: String,
}

impl fmt::Display for Runtime {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} (CRI {}) at {}", self.name, self.version, self.api_version, self.socket)
    }
}

/// An open way to a runtime that serves CRI v1.
#[derive(Clone, Debug)]
pub struct Connection {
    calls: Calls,
    channel: Channel,
    runtime: Runtime,
    images: usize,
}

impl Connection {
    /// Reaches the runtime behind `socket` and makes sure of its image and runtime services (KD-13).
    ///
    /// # Errors
    ///
    /// The first step that fails: no such file (KD-12), nobody listens, CRI v1 is not served (KD-14), a call takes too
    /// long or is refused, or the runtime says that it is not ready.
    pub async fn open(socket: &Path) -> Result<Self, Error> {
        if !socket.exists() {
            return Err(Error::NoSocket);
        }
        let calls = Calls { endpoint: endpoint(socket) };
        let channel = calls.connect().await?;

        let mut images = ImageServiceClient::new(channel.clone()).max_decoding_message_size(MAX_IMAGE_ANSWER);
        calls.within(FIRST_CALL_LIMIT, "ImageFsInfo", images.image_fs_info(ImageFsInfoRequest {})).await?;
        let present = calls.within(CALL_LIMIT, "ListImages", images.list_images(ListImagesRequest {})).await?;

        let runtime = calls.ask(&channel).await?;
        Ok(Self { calls, channel, runtime, images: present.images.len() })
    }

    /// The runtime as it introduced itself when it was last asked.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// How many images the node had when the connection was opened.
    #[must_use]
    pub fn images(&self) -> usize {
        self.images
    }

    /// Asks the runtime again who it is and whether it is ready.
    ///
    /// A runtime that was restarted, perhaps in another version, between two checks is reached again by itself.
    ///
    /// # Errors
    ///
    /// The runtime is gone, hangs, or says that it is not ready. Open a new connection then.
    pub async fn check(&mut self) -> Result<&Runtime, Error> {
        self.runtime = self.calls.ask(&self.channel).await?;
        Ok(&self.runtime)
    }
}

/// Calls to one endpoint: each with its limit, each failure with the endpoint and the name of the call.
#[derive(Clone, Debug)]
struct Calls {
    endpoint: String,
}

impl Calls {
    async fn connect(&self) -> Result<Channel, Error> {
        let failed = |error| Error::Connect { endpoint: self.endpoint.clone(), message: root(&error) };
        let target = Endpoint::from_shared(self.endpoint.clone()).map_err(failed)?;
        match tokio::time::timeout(CALL_LIMIT, target.connect()).await {
            Ok(connected) => connected.map_err(failed),
            Err(_) => Err(self.slow("connect", CALL_LIMIT)),
        }
    }

    /// Who the runtime is; an error if it says that it cannot work.
    async fn ask(&self, channel: &Channel) -> Result<Runtime, Error> {
        let mut service = RuntimeServiceClient::new(channel.clone());
        let request = VersionRequest { version: KUBELET_API_VERSION.to_owned() };
        let version = self.within(CALL_LIMIT, "Version", service.version(request)).await?;
        let status = self.within(CALL_LIMIT, "Status", service.status(StatusRequest {})).await?;

        // NetworkReady is the kubelet's business: images are pulled without a Pod network.
        let conditions = status.status.map(|status| status.conditions).unwrap_or_default();
        if let Some(refusal) = conditions.into_iter().find(|it| it.r#type == RUNTIME_READY && !it.status) {
            let reason = format!("{}: {}", refusal.reason, refusal.message);
            return Err(Error::NotReady { endpoint: self.endpoint.clone(), reason });
        }
        Ok(Runtime {
            name: version.runtime_name,
            version: version.runtime_version,
            api_version: version.runtime_api_version,
            socket: self.endpoint.clone(),
        })
    }

    async fn within<T>(
        &self,
        limit: Duration,
        call: &'static str,
        answer: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(limit, answer).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(self.refused(call, &status)),
            Err(_) => Err(self.slow(call, limit)),
        }
    }

    fn refused(&self, call: &'static str, status: &tonic::Status) -> Error {
        let endpoint = self.endpoint.clone();
        let message = status.message().to_owned();
        match status.code() {
            tonic::Code::Unimplemented => Error::ApiVersion { endpoint, call, message },
            code => Error::Call { endpoint, call, code, message },
        }
    }

    fn slow(&self, call: &'static str, limit: Duration) -> Error {
        Error::Slow { endpoint: self.endpoint.clone(), call, limit }
    }
}

/// The innermost cause: the layers above it only repeat it, or say "transport error".
fn root(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
