//! The indices that several kinds read (PL-35); an index costs memory only in a cache that was given it. Those for
//! look-ups by selector are in `select.rs`.

use std::sync::Arc;

use api::k8s::Pod;

use super::{Cached, Index, Store};

const BY_OWNER: &str = "owner";
const BY_NODE: &str = "node";
const BY_CLAIM: &str = "claim";

/// Objects by the UID of each of their owners.
#[must_use]
pub fn by_owner<T: Cached>() -> Index<T> {
    let owners = |object: &T| object.metadata().owner_references.iter().map(|owner| owner.uid.clone()).collect();
    Index { name: BY_OWNER, values: owners }
}

/// Pods by the node that they are bound to.
#[must_use]
pub fn by_node() -> Index<Pod> {
    let node = |pod: &Pod| match pod.spec.node_name.as_str() {
        "" => Vec::new(),
        _ => vec![pod.spec.node_name.clone()],
    };
    Index { name: BY_NODE, values: node }
}

/// Pods by the claims that their volumes use.
#[must_use]
pub fn by_claim() -> Index<Pod> {
    Index { name: BY_CLAIM, values: |pod| pod.spec.claims.to_vec() }
}

impl<T: Cached> Store<T> {
    /// The objects that an owner has, in any namespace. Needs [`by_owner`].
    #[must_use]
    pub fn owned_by(&self, uid: &str) -> Vec<Arc<T>> {
        self.by_index(BY_OWNER, uid)
    }
}

impl Store<Pod> {
    /// The Pods on a node. Needs [`by_node`].
    #[must_use]
    pub fn on_node(&self, node: &str) -> Vec<Arc<Pod>> {
        self.by_index(BY_NODE, node)
    }

    /// The Pods of a namespace that use a claim. Needs [`by_claim`].
    #[must_use]
    pub fn using_claim(&self, namespace: &str, claim: &str) -> Vec<Arc<Pod>> {
        let mut pods = self.by_index(BY_CLAIM, claim);
        pods.retain(|pod| pod.metadata.namespace == namespace);
        pods
    }
}
