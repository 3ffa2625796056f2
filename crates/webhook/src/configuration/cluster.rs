//! Reads and patches the objects that name this webhook, as JSON, so that nothing in them is lost.
//!
//! What to write is `webhooks` and `crds`. Each object is read by name: the rights can be limited to these names, and no
//! other CRD is ever fetched.

use kube::api::{GetParams, ListParams, Patch, PatchParams, Request};
use kube::{Client, Error};
use serde_json::Value;

use super::crds::Kind;
use super::webhooks::Flavour;

/// An object can't be read or written; check the webhook's ClusterRole.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The chart or the manifests must install it (PL-47).
    #[error("not found {kind} {name}")]
    NotFound {
        /// Kind of the object.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The request failed.
    #[error("{verb} {object}")]
    Request {
        /// What was tried.
        verb: &'static str,
        /// On which object.
        object: String,
        /// The answer.
        #[source]
        source: Box<Error>,
    },
}

/// Access to the configuration objects.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
}

/// Where an object is found.
struct Location<'a> {
    url: &'static str,
    kind: &'static str,
    name: &'a str,
}

impl<'a> Location<'a> {
    fn webhooks(flavour: Flavour) -> Self {
        let url = match flavour {
            Flavour::Mutating => "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
            Flavour::Validating => "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
        };
        Self { url, kind: flavour.kind(), name: flavour.object() }
    }

    fn crd(kind: &'a Kind) -> Self {
        let url = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        Self { url, kind: "CustomResourceDefinition", name: &kind.crd }
    }

    fn failed(&self, verb: &'static str, source: Error) -> ClusterError {
        ClusterError::Request { verb, object: format!("{} {}", self.kind, self.name), source: Box::new(source) }
    }
}

impl Cluster {
    /// Uses a client.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Reads a webhook configuration.
    ///
    /// # Errors
    /// Fails where it is absent or can't be read.
    pub async fn webhooks(&self, flavour: Flavour) -> Result<Value, ClusterError> {
        let location = Location::webhooks(flavour);
        let missing = ClusterError::NotFound { kind: location.kind, name: location.name.to_owned() };
        self.get(&location).await?.ok_or(missing)
    }

    /// Reads a CRD; `None` where it is not installed.
    ///
    /// # Errors
    /// Fails where it can't be read.
    pub async fn crd(&self, kind: &Kind) -> Result<Option<Value>, ClusterError> {
        self.get(&Location::crd(kind)).await
    }

    /// Patches a webhook configuration and returns it as stored.
    ///
    /// # Errors
    /// Fails where it changed since it was read, or can't be written.
    pub async fn patch_webhooks(&self, flavour: Flavour, patch: &Value) -> Result<Value, ClusterError> {
        self.patch(&Location::webhooks(flavour), patch).await
    }

    /// Patches a CRD and returns it as stored.
    ///
    /// # Errors
    /// Fails where it changed since it was read, or can't be written.
    pub async fn patch_crd(&self, kind: &Kind, patch: &Value) -> Result<Value, ClusterError> {
        self.patch(&Location::crd(kind), patch).await
    }

    /// The endpoints behind the Service.
    ///
    /// # Errors
    /// Fails where the EndpointSlices of the namespace can't be listed.
    pub async fn endpoints(&self, namespace: &str, service: &str) -> Result<Endpoints, ClusterError> {
        let url = format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices");
        let selector = format!("kubernetes.io/service-name={service}");
        let request = Request::new(url).list(&ListParams::default().labels(&selector));
        let failed = |source| ClusterError::Request {
            verb: "list",
            object: format!("EndpointSlices of Service {namespace}/{service}"),
            source: Box::new(source),
        };
        let request = request.map_err(|err| failed(Error::BuildRequest(err)))?;
        let slices: Value = self.client.request(request).await.map_err(failed)?;
        Ok(Endpoints::read(&slices))
    }

    async fn get(&self, location: &Location<'_>) -> Result<Option<Value>, ClusterError> {
        let failed = |source| location.failed("get", source);
        let request = Request::new(location.url).get(location.name, &GetParams::default());
        let request = request.map_err(|err| failed(Error::BuildRequest(err)))?;
        match self.client.request(request).await {
            Ok(object) => Ok(Some(object)),
            Err(Error::Api(status)) if status.is_not_found() => Ok(None),
            Err(source) => Err(failed(source)),
        }
    }

    async fn patch(&self, location: &Location<'_>, patch: &Value) -> Result<Value, ClusterError> {
        let failed = |source| location.failed("patch", source);
        let request = Request::new(location.url).patch(location.name, &PatchParams::default(), &Patch::Merge(patch));
        let request = request.map_err(|err| failed(Error::BuildRequest(err)))?;
        self.client.request(request).await.map_err(failed)
    }
}

/// What stands behind the Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Whether one of them is ready.
    pub is_ready: bool,
    /// Names of their Pods, ready or not.
    pods: Vec<String>,
}

impl Endpoints {
    /// Reads a list of EndpointSlices; an unknown readiness counts as ready, as the API defines. Slices without a port are
    /// of the manager's Pods, which match the Service's selector as well (ruling 16).
    fn read(slices: &Value) -> Self {
        let list = |value: &Value, name: &str| value.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        let mut endpoints = Self::default();
        for slice in list(slices, "items").iter().filter(|slice| !list(slice, "ports").is_empty()) {
            for endpoint in list(slice, "endpoints") {
                endpoints.is_ready |= endpoint.pointer("/conditions/ready") != Some(&Value::Bool(false));
                endpoints.pods.extend(endpoint.pointer("/targetRef/name").and_then(Value::as_str).map(str::to_owned));
            }
        }
        endpoints
    }

    /// Whether each of them is of the same making as the Pod of that name: a replica of another version may not serve
    /// what this one serves. Pods of one ReplicaSet share their name up to the last dash.
    pub fn are_siblings_of(&self, pod: &str) -> bool {
        let set = |name: &str| name.rsplit_once('-').map_or_else(|| name.to_owned(), |(set, _)| set.to_owned());
        self.pods.iter().all(|other| set(other) == set(pod))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn endpoints(slices: &[(Value, Value)]) -> Endpoints {
        let slice = |(ports, endpoint): &(Value, Value)| json!({ "ports": ports, "endpoints": [endpoint] });
        Endpoints::read(&json!({ "items": slices.iter().map(slice).collect::<Vec<_>>() }))
    }

    fn port() -> Value {
        json!([{ "name": "webhook-server", "port": 9876 }])
    }

    #[test]
    fn a_service_is_reachable_through_a_ready_endpoint_with_a_port() {
        for (ports, conditions, want) in [
            (port(), json!({ "ready": true }), true),
            (port(), json!({}), true),
            (port(), json!({ "ready": false }), false),
            (json!([]), json!({ "ready": true }), false),
        ] {
            let is_ready = endpoints(&[(ports.clone(), json!({ "conditions": conditions }))]).is_ready;
            assert_eq!(is_ready, want, "{ports} {conditions}");
        }
        assert!(!endpoints(&[]).is_ready);
    }

    #[test] // IN-68
    fn siblings_are_the_pods_of_one_replica_set() {
        let pod = |name: &str| json!({ "targetRef": { "name": name }, "conditions": { "ready": false } });
        let ours = "kruise-webhook-5d9c-abcde";
        let manager = (json!([]), pod("kruise-controller-manager-77f-fghij"));
        let one = (port(), pod("kruise-webhook-5d9c-fghij"));
        let old = (port(), pod("kruise-webhook-84b7-klmno"));
        assert!(endpoints(&[]).are_siblings_of(ours));
        assert!(endpoints(&[one.clone(), manager]).are_siblings_of(ours));
        assert!(!endpoints(&[one, old]).are_siblings_of(ours));
    }
}
