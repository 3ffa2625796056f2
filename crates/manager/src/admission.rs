//! Controllers start once the webhook answers: before that their first Pods would be refused, or miss what admission adds
//! (PL-E4, ruling 22).

use std::time::Duration;

use k8s_openapi::api::{admissionregistration::v1::MutatingWebhookConfiguration, discovery::v1::EndpointSlice};
use kube::{Api, Client, api::ListParams};
use runtime::shutdown::Shutdown;
use tracing::{info, warn};

/// How often is looked (platform section 2, step 13).
const PERIOD: Duration = Duration::from_secs(2);
/// The entry through which Pods pass.
const POD_ENTRY: &str = "mpod.kb.io";
/// The configuration that holds it.
const CONFIGURATION: &str = "kruise-mutating-webhook-configuration";

/// Waits for a ready endpoint and, where Pods are to be admitted, for their entry in the live configuration. A
/// configuration that somebody has removed, to get a cluster going again (IN-79), is not waited for.
pub(crate) async fn wait(client: &Client, namespace: &str, pod_webhook: bool, shutdown: &Shutdown) {
    let mut said = None;
    loop {
        let missing = match missing(client, namespace, pod_webhook).await {
            Ok(None) => return,
            Ok(Some(missing)) => missing,
            Err(error) => {
                warn!(%error, "look whether the webhook answers");
                "an answer of the API server"
            }
        };
        if said != Some(missing) {
            info!("hold the controllers until there is {missing}");
            said = Some(missing);
        }
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = shutdown.requested() => return,
        }
    }
}

/// What is still missing.
async fn missing(client: &Client, namespace: &str, pod_webhook: bool) -> Result<Option<&'static str>, kube::Error> {
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), namespace);
    let of_service = ListParams::default().labels(&format!("kubernetes.io/service-name={}", service_name()));
    let slices = slices.list(&of_service).await?.items;
    if !slices.iter().any(serves) {
        return Ok(Some("a ready endpoint of the webhook"));
    }
    if !pod_webhook {
        return Ok(None);
    }
    let configurations: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
    let entries = configurations.get_opt(CONFIGURATION).await?.map(|found| found.webhooks.unwrap_or_default());
    let admitted = entries.is_none_or(|entries| entries.iter().any(|entry| entry.name == POD_ENTRY));
    Ok((!admitted).then_some("admission of Pods in the webhook configuration"))
}

/// Whether a slice has a ready endpoint that listens. Manager Pods match the Service's selector too, but stand in a
/// slice without ports (ruling 16).
fn serves(slice: &EndpointSlice) -> bool {
    slice.ports.as_ref().is_some_and(|ports| !ports.is_empty())
        && slice
            .endpoints
            .iter()
            .any(|endpoint| endpoint.conditions.as_ref().and_then(|conditions| conditions.ready) != Some(false))
}

fn service_name() -> String {
    std::env::var("SERVICE_NAME")
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "kruise-webhook-service".to_owned())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::discovery::v1::EndpointSlice;
    use serde_json::{Value, json};

    fn serves(ports: Value, ready: Value) -> bool {
        let slice = json!({"metadata": {"name": "s"}, "addressType": "IPv4", "ports": ports, "endpoints": [{"addresses": [], "conditions": {"ready": ready}}]});
        super::serves(&serde_json::from_value::<EndpointSlice>(slice).unwrap())
    }

    #[test] // rulings 16 and 22
    fn only_a_ready_endpoint_with_the_port_serves() {
        let port = json!([{"name": "", "port": 9876}]);
        assert!(serves(port.clone(), json!(true)));
        assert!(serves(port.clone(), Value::Null), "unknown counts as ready");
        assert!(!serves(port, json!(false)));
        assert!(!serves(Value::Null, json!(true)) && !serves(json!([]), json!(true)), "a manager Pod");
    }
}
