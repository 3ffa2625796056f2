//! Why a runtime cannot be used (KD-12..14).

use std::time::Duration;

/// Why a container runtime cannot be used. The texts of `NoSocket` and `ApiVersion` are what operators search for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such file (KD-12): check the mount of the host's socket directory and `--socket-file`.
    #[error("not found container runtime sock")]
    NoSocket,
    /// The socket exists and nobody answers: the runtime is down or is starting.
    #[error("connect to container runtime at {endpoint} failed: {message}")]
    Connect {
        /// Endpoint of the socket.
        endpoint: String,
        /// What the operating system said.
        message: String,
    },
    /// The runtime answers, but not this API (KD-14): it is too old, or its CRI plugin is disabled.
    #[error(
        "container runtime at {endpoint} does not serve {call} of CRI API version v1 (v1alpha2 is not supported): {message}"
    )]
    ApiVersion {
        /// Endpoint of the socket.
        endpoint: String,
        /// The call that is not served.
        call: &'static str,
        /// What the runtime said.
        message: String,
    },
    /// The runtime did not answer in time (KD-13, KD-17): it hangs or its disk does.
    #[error("{call} of container runtime at {endpoint} did not answer within {}s", limit.as_secs())]
    Slow {
        /// Endpoint of the socket.
        endpoint: String,
        /// The call that was given up.
        call: &'static str,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The runtime refused the call.
    #[error("{call} of container runtime at {endpoint} failed with {code:?}: {message}")]
    Call {
        /// Endpoint of the socket.
        endpoint: String,
        /// The call that failed.
        call: &'static str,
        /// The gRPC code.
        code: tonic::Code,
        /// What the runtime said.
        message: String,
    },
    /// The runtime answers and says itself that it cannot work: its condition `RuntimeReady` is false.
    #[error("container runtime at {endpoint} is not ready: {reason}")]
    NotReady {
        /// Endpoint of the socket.
        endpoint: String,
        /// Reason and message of the condition.
        reason: String,
    },
}
