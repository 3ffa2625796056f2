//! Who else acts in a cluster: the scheduler, the kubelets, the garbage collector. They see the server as [`Cluster`].

use std::sync::Arc;

use serde_json::Value;

use crate::server::call::Call;
use crate::server::failure::Result;

/// The cluster as actors see it.
pub trait Cluster {
    /// Carries a call out by the server's own rules, without admission webhooks.
    ///
    /// # Errors
    /// The server refuses it.
    fn ask(&self, caller: &str, call: Call) -> Result<Arc<Value>>;
    /// Stored objects of a kind, by namespace and name.
    fn objects(&self, resource: &str) -> Vec<Arc<Value>>;
    /// One stored object.
    fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>>;
}
