//! Whether objects that somebody else keeps fit the certificates that somebody else keeps (PL-46, IN-38).
//!
//! Nothing is written in this mode: each finding is an error, and the pass is repeated until there is none.

use serde_json::Value;

use super::webhooks::{Flavour, served};
use super::{bundle_of, crds};

/// What does not fit yet. The texts are those that operators search for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExternalError {
    /// The injector has not put the authority into a webhook configuration yet.
    #[error("caBundle of {kind} {name} does not match the external caBundle")]
    Webhook {
        /// Kind of the configuration.
        kind: &'static str,
        /// Its name.
        name: &'static str,
    },
    /// The injector has not put the authority into a CRD yet.
    #[error("caBundle of CRD {0} does not match external caBundle")]
    Crd(String),
    /// A CRD converts by webhook and does not say where.
    #[error("bad conversion configuration of CRD {0}")]
    Conversion(String),
}

/// Checks a webhook configuration.
///
/// # Errors
/// Fails where a served entry trusts something else than `bundle`.
pub fn check_webhooks(
    flavour: Flavour,
    live: &Value,
    bundle: &[u8],
    is_served: impl Fn(&str) -> bool,
) -> Result<(), ExternalError> {
    if served(live, is_served).all(|config| bundle_of(config) == bundle) {
        return Ok(());
    }
    Err(ExternalError::Webhook { kind: flavour.kind(), name: flavour.object() })
}

/// Checks a CRD.
///
/// # Errors
/// Fails where it converts by webhook and trusts something else than `bundle`, or names no client configuration.
pub fn check_crd(kind: &crds::Kind, live: &Value, bundle: &[u8]) -> Result<(), ExternalError> {
    if !crds::converts(kind, live) {
        return Ok(());
    }
    let config = crds::client_config(live).ok_or_else(|| ExternalError::Conversion(kind.crd.clone()))?;
    if bundle_of(config) == bundle { Ok(()) } else { Err(ExternalError::Crd(kind.crd.clone())) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(path: &str, bundle: &str) -> Result<(), ExternalError> {
        let live = json!({ "webhooks": [{ "clientConfig": { "caBundle": bundle, "service": { "path": path } } }] });
        check_webhooks(Flavour::Mutating, &live, b"PEM", |path| path == "/mutate-pod")
    }

    #[test] // PL-46
    fn a_served_entry_must_trust_the_external_authority() {
        assert_eq!(check("/mutate-pod", "UEVN"), Ok(()));
        assert_eq!(check("/somebody-else", ""), Ok(()));
        assert_eq!(
            check("/mutate-pod", "").unwrap_err().to_string(),
            "caBundle of MutatingWebhookConfiguration kruise-mutating-webhook-configuration does not match the external \
             caBundle"
        );
    }

    #[test] // PL-46
    fn a_conversion_crd_must_trust_the_external_authority() {
        let kind = crds::Kind {
            crd: "clonesets.apps.kruise.io".into(),
            group: "apps.kruise.io".into(),
            kind: "CloneSet".into(),
            versions: vec!["v1beta1".into()],
        };
        let check = |strategy: &str, webhook: Value| {
            let live = json!({ "spec": {
                "group": "apps.kruise.io", "names": { "kind": "CloneSet" }, "versions": [{ "name": "v1beta1" }],
                "conversion": { "strategy": strategy, "webhook": webhook },
            } });
            check_crd(&kind, &live, b"PEM").map_err(|err| err.to_string())
        };
        assert_eq!(check("Webhook", json!({ "clientConfig": { "caBundle": "UEVN" } })), Ok(()));
        assert_eq!(check("None", Value::Null), Ok(()));
        assert_eq!(
            check("Webhook", json!({ "clientConfig": { "caBundle": "Cg==" } })).unwrap_err(),
            "caBundle of CRD clonesets.apps.kruise.io does not match external caBundle"
        );
        assert_eq!(
            check("Webhook", json!({})).unwrap_err(),
            "bad conversion configuration of CRD clonesets.apps.kruise.io"
        );
    }
}
