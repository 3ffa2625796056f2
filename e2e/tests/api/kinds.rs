//! The kinds in front of a real kube-apiserver: what is stored, shown in the other version, defaulted and refused.

use anyhow::{Result, bail, ensure};
use e2e::scenario::Stage;
use serde_json::{Value, json};

use crate::fleet::{Fleet, Launch};

#[tokio::test] // IN-39: outside the cluster, its certificates in files
async fn the_webhook_defaults_validates_and_converts() -> Result<()> {
    let mut fleet = Fleet::install("").await?;
    fleet.launch(Launch { is_outside: true, ..Launch::default() })?;
    fleet.ready().await?;
    let stage = Stage::open(fleet.client().clone(), fleet.kubectl(), "api").await?;
    defaults(&stage).await?;
    unknown_members(&stage).await?;
    conversion(&stage).await?;
    refusals(&stage).await?;
    immutable_selector(&stage).await
}

/// CS-100, CS-101, CS-103
async fn defaults(stage: &Stage) -> Result<()> {
    let made = stage
        .cloneset(
            "defaults",
            "nginx:1.25",
            json!({"updateStrategy": {"rollingUpdate": {"podUpdatePolicy": "InPlaceOnly"}}}),
        )
        .await?;
    let spec = serde_json::to_value(&made.spec)?;
    let rolling = &spec["updateStrategy"]["rollingUpdate"];
    ensure!(spec["replicas"] == json!(1) && spec["revisionHistoryLimit"] == json!(10), "{spec}");
    ensure!(
        (&rolling["partition"], &rolling["maxUnavailable"], &rolling["maxSurge"])
            == (&json!(0), &json!("20%"), &json!(0)),
        "{rolling}"
    );
    let container = &spec["template"]["spec"]["containers"][0];
    ensure!(container["terminationMessagePath"] == json!("/dev/termination-log"), "{container}");
    ensure!(spec["template"]["spec"]["dnsPolicy"] == json!("ClusterFirst"), "{spec}");
    Ok(())
}

/// Design rule 3: nothing of a template is pruned on its way into storage.
async fn unknown_members(stage: &Stage) -> Result<()> {
    let future = json!({"template": {"spec": {"fromTheFuture": {"a": [1, 2]}, "containers": [{"name": "main", "image": "nginx:1.25", "alsoNew": true}]}}});
    stage.cloneset("future", "nginx:1.25", future).await?;
    let stored = stage.clonesets().get("future").await?;
    ensure!(stored.spec.template["spec"]["fromTheFuture"] == json!({"a": [1, 2]}), "{}", stored.spec.template);
    ensure!(stored.spec.template["spec"]["containers"][0]["alsoNew"] == json!(true), "{}", stored.spec.template);
    Ok(())
}

/// Page 2.1
async fn conversion(stage: &Stage) -> Result<()> {
    let namespace = stage.namespace();
    let alpha = json!({"apiVersion": "apps.kruise.io/v1alpha1", "kind": "CloneSet",
        "metadata": {"name": "alpha", "namespace": namespace, "annotations": {"apps.kruise.io/image-predownload-parallelism": "3"}},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "alpha"}},
            "scaleStrategy": {"disablePVCReuse": true},
            "updateStrategy": {"type": "InPlaceOnly", "maxUnavailable": "30%"},
            "template": {"metadata": {"labels": {"app": "alpha"}}, "spec": {"containers": [{"name": "main", "image": "nginx:1.25"}]}}}});
    stage.kubectl().apply(&alpha.to_string()).await?;
    let beta = serde_json::to_value(stage.clonesets().get("alpha").await?.spec)?;
    let rolling = &beta["updateStrategy"]["rollingUpdate"];
    ensure!(rolling["podUpdatePolicy"] == json!("InPlaceOnly") && rolling["maxUnavailable"] == json!("30%"), "{beta}");
    ensure!(rolling["inPlaceUpdateStrategy"]["imagePreDownloadParallelism"] == json!(3), "{beta}");
    ensure!(beta["scaleStrategy"]["enablePVCReuse"] == json!(false), "{beta}");
    let line = format!("-n {namespace} get clonesets.v1alpha1.apps.kruise.io alpha -o json");
    let back: Value = serde_json::from_str(&stage.kubectl().run(&line).await?)?;
    ensure!(back["spec"]["updateStrategy"]["type"] == json!("InPlaceOnly"), "{back}");
    ensure!(back["spec"]["scaleStrategy"]["disablePVCReuse"] == json!(true), "{back}");
    Ok(())
}

/// Page 5.2, CS-111
async fn refusals(stage: &Stage) -> Result<()> {
    for (spec, path, words) in [
        // The scale subresource makes the API server itself refuse this, before it asks us.
        (json!({"replicas": -1}), "spec.replicas", "Invalid value: -1"),
        (
            json!({"selector": {"matchLabels": {"app": "x"}}}),
            "spec.template.metadata.labels",
            "`selector` does not match template `labels`",
        ),
        (
            json!({"template": {"spec": {"restartPolicy": "Never"}}}),
            "spec.template.spec.restartPolicy",
            "Unsupported value",
        ),
        (
            json!({"updateStrategy": {"rollingUpdate": {"partition": "5"}}}),
            "spec.updateStrategy.rollingUpdate.partition",
            "invalid type: string is not a percentage",
        ),
        (json!({"scaleStrategy": {"podsToDelete": ["a", "a"]}}), "spec.scaleStrategy.podsToDelete", "duplicated items"),
    ] {
        let Err(error) = stage.cloneset("bad", "nginx:1.25", spec).await else { bail!("{path} was accepted") };
        let text = format!("{error:#}");
        ensure!(text.contains(path) && text.contains(words), "{path}, {words}: {text}");
        let Some(kube::Error::Api(status)) = error.downcast_ref::<kube::Error>() else { bail!("{text}") };
        ensure!(status.code == 422 && status.reason == "Invalid", "{status:?}");
    }
    Ok(())
}

/// Page 5.2, UPDATE
async fn immutable_selector(stage: &Stage) -> Result<()> {
    stage.cloneset("fixed", "nginx:1.25", json!({})).await?;
    let patch = json!({"spec": {"selector": {"matchLabels": {"app": "fixed", "more": "x"}},
        "template": {"metadata": {"labels": {"more": "x"}}}}});
    let Err(error) = stage.patch("fixed", patch).await else { bail!("the selector was changed") };
    ensure!(format!("{error:#}").contains("updates to cloneset spec for fields other than"), "{error:#}");
    Ok(())
}
