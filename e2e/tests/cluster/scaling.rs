//! Creation with defaults, scaling up, and down with one chosen Pod first.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::kit;

#[tokio::test] // CS-100, CS-101, CS-103
async fn a_cloneset_gets_its_defaults_from_the_webhook() -> Result<()> {
    kit::stage("defaults")
        .await?
        .play(|stage| async move {
            let made = stage.cloneset("web", "nginx:1.25", json!({"replicas": null})).await?;
            let spec = serde_json::to_value(&made.spec)?;
            ensure!(spec["replicas"] == json!(1) && spec["revisionHistoryLimit"] == json!(10), "{spec}");
            ensure!(spec["updateStrategy"]["type"] == json!("RollingUpdate"), "{spec}");
            ensure!(spec["updateStrategy"]["rollingUpdate"]["maxUnavailable"] == json!("20%"), "{spec}");
            ensure!(spec["template"]["spec"]["restartPolicy"] == json!("Always"), "{spec}");
            stage.settled("web", 1, 1).await?;
            Ok(())
        })
        .await
}

#[tokio::test] // CS-43, CS-45, CS-19
async fn scaling_down_takes_the_chosen_pod_first() -> Result<()> {
    kit::stage("scaling")
        .await?
        .play(|stage| async move {
            stage.cloneset("web", "nginx:1.25", json!({"replicas": 3})).await?;
            stage.settled("web", 3, 3).await?;
            stage.patch("web", json!({"spec": {"replicas": 5}})).await?;
            stage.settled("web", 5, 5).await?;
            let before = stage.facts("web").await?;
            let chosen = before.keys().nth(2).cloned().unwrap_or_default();
            stage.patch("web", json!({"spec": {"replicas": 4, "scaleStrategy": {"podsToDelete": [chosen]}}})).await?;
            let settled = stage.settled("web", 4, 4).await?;
            let after = stage.facts("web").await?;
            ensure!(!after.contains_key(&chosen), "{chosen} is still there");
            ensure!(
                after.iter().all(|(name, pod)| before.get(name).is_some_and(|was| was.uid == pod.uid)),
                "{after:?}"
            );
            e2e::wait::object("podsToDelete is pruned", &stage.clonesets(), "web", e2e::scenario::PATIENCE, |found| {
                let left = found
                    .and_then(|set| set.spec.scale_strategy.as_ref())
                    .map_or(0, |scale| scale.pods_to_delete.len());
                if left == 0 { e2e::wait::Seen::Done(()) } else { e2e::wait::Seen::NotYet(format!("{left} names")) }
            })
            .await?;
            ensure!(settled.status.is_some_and(|status| status.label_selector == "app=web"), "labelSelector");
            Ok(())
        })
        .await
}

#[tokio::test] // PL-85
async fn the_scale_subresource_works_in_both_versions() -> Result<()> {
    kit::stage("scale")
        .await?
        .play(|stage| async move {
            stage.cloneset("web", "nginx:1.25", json!({"replicas": 1})).await?;
            stage.settled("web", 1, 1).await?;
            let namespace = stage.namespace().to_owned();
            for (version, replicas) in [("v1alpha1", 2), ("v1beta1", 1)] {
                let line = format!("-n {namespace} scale clonesets.{version}.apps.kruise.io web --replicas={replicas}");
                stage.kubectl().run(&line).await?;
                stage.settled("web", replicas, replicas).await?;
            }
            Ok(())
        })
        .await
}

#[tokio::test] // page 2.1, IN-44
async fn both_versions_show_the_same_object() -> Result<()> {
    kit::stage("versions").await?.play(|stage| async move {
        let namespace = stage.namespace().to_owned();
        let alpha = format!(
            r#"{{"apiVersion": "apps.kruise.io/v1alpha1", "kind": "CloneSet", "metadata": {{"name": "web", "namespace": "{namespace}"}},
            "spec": {{"replicas": 1, "selector": {{"matchLabels": {{"app": "web"}}}}, "updateStrategy": {{"type": "InPlaceIfPossible", "maxUnavailable": 2}},
            "template": {{"metadata": {{"labels": {{"app": "web"}}}}, "spec": {{"containers": [{{"name": "main", "image": "nginx:1.25"}}]}}}}}}}}"#
        );
        stage.kubectl().apply(&alpha).await?;
        let beta = stage.clonesets().get("web").await?;
        let strategy = serde_json::to_value(&beta.spec.update_strategy)?;
        ensure!(strategy["rollingUpdate"]["podUpdatePolicy"] == json!("InPlaceIfPossible"), "{strategy}");
        let read = stage.kubectl().run(&format!("-n {namespace} get clonesets.v1alpha1.apps.kruise.io web -o jsonpath={{.spec.updateStrategy.type}}/{{.spec.updateStrategy.maxUnavailable}}")).await?;
        ensure!(read.trim() == "InPlaceIfPossible/2", "{read}");
        stage.settled("web", 1, 1).await?;
        Ok(())
    })
    .await
}
