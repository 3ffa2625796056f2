//! What the chart's pre-delete hook runs: refuses removal while workloads exist, then hands the cluster back so that
//! nothing is left that needs the webhook (IN-74, IN-75, IN-77, IN-78).

use anyhow::Context as _;
use api::cloneset::v1beta1::CloneSet;
use k8s_openapi::{
    api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use runtime::{
    client,
    flags::{ClientArgs, Limits},
};
use serde_json::json;
use tracing::{error, info};

/// How many objects are named in the refusal (IN-75).
const NAMED: usize = 20;

/// Checks, then deletes the webhook configurations and switches conversion off.
///
/// # Errors
/// A workload still exists, or the API server refuses.
pub async fn check_and_release(args: &ClientArgs) -> anyhow::Result<()> {
    let client = client::connect(args, "kruise-manager/pre-delete", Limits::MANAGER).await?;
    let present = clonesets(&client).await?;
    if !present.is_empty() {
        error!(clonesets = present.join(" "), "there still exists some clonesets in the cluster");
        anyhow::bail!("there still exists some clonesets in the cluster: {}", present.join(" "));
    }
    info!("cluster is clean, ready to delete kruise");
    // Configurations first: from here on no request waits for a webhook that is going away.
    delete::<MutatingWebhookConfiguration>(&client, "kruise-mutating-webhook-configuration").await?;
    delete::<ValidatingWebhookConfiguration>(&client, "kruise-validating-webhook-configuration").await?;
    for crd in api::crds() {
        let name = crd.metadata.name.unwrap_or_default();
        let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
        let none = json!({"spec": {"conversion": {"strategy": "None", "webhook": null}}});
        match crds.patch(&name, &PatchParams::default(), &Patch::Merge(none)).await {
            Ok(_) => info!(crd = name, "switched conversion off"),
            Err(error) if is_not_found(&error) => {}
            Err(error) => return Err(error).with_context(|| format!("switch conversion of {name} off")),
        }
    }
    Ok(())
}

/// Names of some of the CloneSets; a CRD that is not there holds none.
async fn clonesets(client: &Client) -> anyhow::Result<Vec<String>> {
    let all: Api<CloneSet> = Api::all(client.clone());
    match all.list_metadata(&ListParams::default().limit(u32::try_from(NAMED)?)).await {
        Ok(list) => Ok(list
            .items
            .iter()
            .map(|object| {
                let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
                format!("{namespace}/{}", object.metadata.name.as_deref().unwrap_or_default())
            })
            .collect()),
        Err(error) if is_not_found(&error) => Ok(Vec::new()),
        Err(error) => Err(error).context("list clonesets"),
    }
}

async fn delete<K>(client: &Client, name: &str) -> anyhow::Result<()>
where
    K: Resource<DynamicType = (), Scope = kube::core::ClusterResourceScope>
        + Clone
        + serde::de::DeserializeOwned
        + std::fmt::Debug,
{
    match Api::<K>::all(client.clone()).delete(name, &DeleteParams::default()).await {
        Ok(_) => info!(configuration = name, "deleted"),
        Err(error) if is_not_found(&error) => {}
        Err(error) => return Err(error).with_context(|| format!("delete {name}")),
    }
    Ok(())
}

fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}
