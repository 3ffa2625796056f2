//! The node's container runtime, reached over CRI v1 (KD-10..17).
//!
//! `discovery` says where a runtime may listen, `connection` reaches one and proves that it serves what is needed.
//! When to connect, how often to retry and what a failure means for the process is the daemon's.
//! Only v1 is spoken (KD-14); there is no other way to a runtime than its CRI socket.

mod connection;
mod discovery;
mod error;
#[cfg(feature = "fake")]
pub mod fake;

pub use connection::{Connection, Runtime};
pub use discovery::{HOST_RUN, endpoint, places};
pub use error::Error;

/// Messages and clients generated from `proto/cri/v1`.
#[allow(clippy::all, missing_docs, unreachable_pub, reason = "generated")]
mod v1 {
    tonic::include_proto!("runtime.v1");
}
