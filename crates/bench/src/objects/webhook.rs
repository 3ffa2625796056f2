//! What says that the webhook answers: the manager starts its controllers only then.

use serde_json::{Value, json};

use super::Key;

/// Where the slice stands.
pub(crate) fn key() -> Key {
    Key::new("kruise-system", "kruise-webhook-service-bench")
}

/// An EndpointSlice of the webhook's Service with a ready endpoint; nothing listens there.
pub(crate) fn endpoints() -> Value {
    let Key { namespace, name } = key();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "name": name, "namespace": namespace,
            "labels": {"kubernetes.io/service-name": "kruise-webhook-service"},
        },
        "endpoints": [{"addresses": ["192.0.2.10"], "conditions": {"ready": true}}],
        "ports": [{"name": "", "port": 9876, "protocol": "TCP"}],
    })
}
