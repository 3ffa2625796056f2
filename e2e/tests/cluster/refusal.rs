//! What is refused, in the words of the API server.

use anyhow::{Result, bail, ensure};
use serde_json::json;

use crate::kit;

#[tokio::test] // page 5.2
async fn a_bad_cloneset_is_refused_with_the_path_of_the_field() -> Result<()> {
    kit::stage("refusal")
        .await?
        .play(|stage| async move {
            let selector = json!({"selector": {"matchLabels": {"app": "other"}}});
            let negative = json!({"replicas": -1});
            let strategy = json!({"updateStrategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 0}}});
            for (spec, path) in [
                (selector, "spec.template.metadata.labels"),
                (negative, "spec.replicas"),
                (strategy, "spec.updateStrategy.rollingUpdate.maxUnavailable"),
            ] {
                let Err(error) = stage.cloneset("web", "nginx:1.25", spec).await else { bail!("{path} was accepted") };
                let text = format!("{error:#}");
                ensure!(text.contains(path) && text.contains("is invalid"), "{path}: {text}");
            }
            ensure!(
                stage.clonesets().list(&kube::api::ListParams::default()).await?.items.is_empty(),
                "something was stored"
            );
            Ok(())
        })
        .await
}
