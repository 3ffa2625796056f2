//! What the API server is told about this webhook: webhook configurations (PL-47, PL-48) and CRD conversion (PL-49).
//!
//! `webhooks` and `crds` say what has to change in an object as it is, `external` says what is wrong with objects that
//! somebody else keeps. All three are pure; `cluster` reads and writes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use serde_json::{Map, Value, json};

use crate::certs::material::certificates;
use crate::settings::{FailurePolicy, Settings};

pub mod cluster;
pub mod crds;
pub mod external;
pub mod webhooks;

/// Port of the Service (its target is the port named `webhook-server`).
const SERVICE_PORT: u16 = 443;

/// How the API server reaches this webhook, and whom it shall trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Service or host.
    pub address: Address,
    /// `caBundle` to publish, in PEM.
    pub bundle: Vec<u8>,
    /// What this process was told to put in the place of the failure policy of `mpod.kb.io` (IN-15).
    pub pod_failure_policy: Option<FailurePolicy>,
}

/// Where the API server calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Through the Service in the cluster.
    Service {
        /// Namespace of the Service.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// Directly (IN-39).
    Host {
        /// Host name or address.
        host: String,
        /// TLS port.
        port: u16,
    },
}

impl Address {
    /// The address that the settings ask for.
    pub fn of(settings: &Settings) -> Self {
        match &settings.host {
            Some(host) => Self::Host { host: host.clone(), port: settings.port },
            None => Self::Service { namespace: settings.namespace.clone(), name: settings.service.clone() },
        }
    }
}

impl Target {
    /// What the settings ask for, with this `caBundle`.
    pub fn of(settings: &Settings, bundle: Vec<u8>) -> Self {
        Self { address: Address::of(settings), bundle, pod_failure_policy: settings.pod_failure_policy }
    }

    /// The client configuration for a path. An existing Service reference keeps a port that it names (PL-48 sets
    /// namespace and name only).
    fn client_config(&self, path: &str, present: Option<&Map<String, Value>>) -> Value {
        let bundle = STANDARD.encode(&self.bundle);
        match &self.address {
            Address::Host { host, port } => {
                json!({ "caBundle": bundle, "url": format!("https://{host}:{port}{path}") })
            }
            Address::Service { namespace, name } => {
                let port = present.and_then(|config| config.get("service")?.get("port")).cloned();
                let port = port.unwrap_or_else(|| SERVICE_PORT.into());
                let service = json!({ "namespace": namespace, "name": name, "path": path, "port": port });
                json!({ "caBundle": bundle, "service": service })
            }
        }
    }
}

/// The path that a client configuration calls; `None` where it names none.
pub fn path_of(client_config: &Value) -> Option<&str> {
    if let Some(service) = client_config.get("service").filter(|service| !service.is_null()) {
        return service.get("path")?.as_str();
    }
    let after_scheme = client_config.get("url")?.as_str()?.split_once("://")?.1;
    after_scheme.find('/').and_then(|at| after_scheme.get(at..))
}

/// The `caBundle` of a client configuration, in PEM; empty where there is none or it is not base64.
pub fn bundle_of(client_config: &Value) -> Vec<u8> {
    let text = client_config.get("caBundle").and_then(Value::as_str).unwrap_or_default();
    STANDARD.decode(text).unwrap_or_default()
}

/// The `caBundle`s of this product, as the API server has them at the moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published(Vec<Vec<u8>>);

impl Published {
    /// Takes up one more `caBundle`.
    pub fn push(&mut self, bundle: Vec<u8>) {
        self.0.push(bundle);
    }

    /// All authorities of all bundles, each once.
    pub fn authorities(&self) -> Vec<CertificateDer<'static>> {
        let mut all = Vec::new();
        for certificate in self.0.iter().flat_map(|bundle| certificates(bundle)) {
            if !all.contains(&certificate) {
                all.push(certificate);
            }
        }
        all
    }

    /// Whether every bundle trusts every authority of `wanted`.
    pub fn everywhere(&self, wanted: &[u8]) -> bool {
        let wanted = certificates(wanted);
        self.0.iter().all(|bundle| {
            let present = certificates(bundle);
            wanted.iter().all(|certificate| present.contains(certificate))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // IN-15, IN-39
    fn what_the_environment_says_reaches_the_entries() {
        let target = |name: &'static str, text: &'static str| {
            let settings = Settings::read(|asked| (asked == name).then(|| text.to_owned())).unwrap();
            Target::of(&settings, b"PEM".to_vec())
        };
        let told = target("WEBHOOK_CONFIGURATION_FAILURE_POLICY_PODS", "Ignore");
        assert_eq!((told.pod_failure_policy, told.bundle.as_slice()), (Some(FailurePolicy::Ignore), &b"PEM"[..]));
        let outside = target("WEBHOOK_HOST", "hooks.example");
        assert_eq!(outside.address, Address::Host { host: "hooks.example".into(), port: 9876 });
        assert_eq!(outside.pod_failure_policy, None);
    }

    #[test]
    fn the_path_is_read_from_a_service_or_a_url() {
        for (config, want) in [
            (json!({ "service": { "path": "/mutate-pod" } }), Some("/mutate-pod")),
            (json!({ "url": "https://10.0.0.1:9876/mutate-pod" }), Some("/mutate-pod")),
            (json!({ "service": null, "url": "https://h/x" }), Some("/x")),
            (json!({ "url": "https://h" }), None),
            (json!({ "service": {} }), None),
            (json!({}), None),
        ] {
            assert_eq!(path_of(&config), want, "{config}");
        }
    }
}
