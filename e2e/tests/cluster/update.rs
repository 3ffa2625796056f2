//! Updates that cannot be done in place, and what a template may hold.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use serde_json::json;

use crate::kit;

#[tokio::test] // CS-59, CS-45, CS-60
async fn a_change_that_is_not_possible_in_place_recreates_within_max_unavailable() -> Result<()> {
    kit::stage("recreate").await?.play(|stage| async move {
        let strategy = json!({"rollingUpdate": {"podUpdatePolicy": "InPlaceIfPossible", "maxUnavailable": 1}});
        stage.cloneset("web", "nginx:1.25", json!({"replicas": 3, "updateStrategy": strategy})).await?;
        stage.settled("web", 3, 3).await?;
        let before = stage.facts("web").await?;
        let availability = stage.watch_availability("web").await?;
        let env = json!([{"op": "add", "path": "/spec/template/spec/containers/0/env", "value": [{"name": "A", "value": "b"}]}]);
        let patch: kube::api::Patch<()> = kube::api::Patch::Json(serde_json::from_value(env)?);
        stage.clonesets().patch("web", &kube::api::PatchParams::default(), &patch).await?;
        stage.settled("web", 3, 3).await?;
        let after = stage.facts("web").await?;
        ensure!(after.keys().all(|name| !before.contains_key(name)), "{after:?}");
        ensure!(availability.least() >= 2, "only {} Pods were available at one moment", availability.least());
        Ok(())
    })
    .await
}

#[tokio::test] // CS-35, 4.12
async fn surge_pods_come_before_any_pod_is_missing() -> Result<()> {
    kit::stage("surge")
        .await?
        .play(|stage| async move {
            let strategy =
                json!({"rollingUpdate": {"podUpdatePolicy": "ReCreate", "maxUnavailable": 0, "maxSurge": 1}});
            stage.cloneset("web", "nginx:1.25", json!({"replicas": 2, "updateStrategy": strategy})).await?;
            stage.settled("web", 2, 2).await?;
            let availability = stage.watch_availability("web").await?;
            stage.set_image("web", "nginx:1.26").await?;
            stage.settled("web", 2, 2).await?;
            ensure!(availability.least() >= 2, "only {} Pods were available at one moment", availability.least());
            Ok(())
        })
        .await
}

#[tokio::test] // design rule 3: what we don't know survives
async fn a_field_newer_than_our_types_reaches_the_stored_pod() -> Result<()> {
    kit::stage("lossless").await?.play(|stage| async move {
        // `lifecycle.stopSignal` came with Kubernetes 1.33; the API server of this cluster has it switched on.
        let template = json!({"spec": {"os": {"name": "linux"}}});
        let made = stage.cloneset("web", "nginx:1.25", json!({"replicas": 1, "template": template})).await?;
        ensure!(made.spec.template["spec"]["os"]["name"] == json!("linux"), "{}", made.spec.template);
        stage.settled("web", 1, 1).await?;
        let signal = json!([{"op": "add", "path": "/spec/template/spec/containers/0/lifecycle", "value": {"stopSignal": "SIGUSR1"}}]);
        let patch: kube::api::Patch<()> = kube::api::Patch::Json(serde_json::from_value(signal)?);
        stage.clonesets().patch("web", &kube::api::PatchParams::default(), &patch).await?;
        stage.settled("web", 1, 1).await?;
        let any = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Pod"));
        let pods: Api<DynamicObject> = Api::namespaced_with(stage.client().clone(), stage.namespace(), &any);
        let stored = pods.list(&ListParams::default().labels("app=web")).await?;
        let living: Vec<_> = stored.items.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect();
        ensure!(
            living.iter().all(|pod| pod.data.pointer("/spec/containers/0/lifecycle/stopSignal") == Some(&json!("SIGUSR1"))),
            "{living:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test] // PR-1, PR-5, CS-65
async fn pods_carry_both_readiness_gates_and_their_conditions() -> Result<()> {
    kit::stage("gates")
        .await?
        .play(|stage| async move {
            stage.cloneset("web", "nginx:1.25", json!({"replicas": 1})).await?;
            stage.settled("web", 1, 1).await?;
            let pods = stage.pods().list(&ListParams::default()).await?;
            let pod: &Pod = pods.items.first().ok_or_else(|| anyhow::anyhow!("no Pod"))?;
            let gates: Vec<&str> = pod
                .spec
                .iter()
                .flat_map(|spec| spec.readiness_gates.iter().flatten())
                .map(|gate| gate.condition_type.as_str())
                .collect();
            ensure!(gates.contains(&"KruisePodReady") && gates.contains(&"InPlaceUpdateReady"), "{gates:?}");
            let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
            let all_true = conditions
                .filter(|condition| gates.contains(&condition.type_.as_str()))
                .all(|condition| condition.status == "True");
            ensure!(all_true, "{:?}", pod.status);
            Ok(())
        })
        .await
}
