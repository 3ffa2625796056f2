//! The manager dies in the middle of a rollout: the next one goes on, and no Pod is lost or restarted twice.

use anyhow::{Context, Result, ensure};
use e2e::install::NAMESPACE;
use e2e::scenario::PATIENCE;
use e2e::wait::{self, Seen};
use serde_json::json;

use crate::kit;

#[tokio::test] // design rule 2
async fn a_rollout_survives_the_death_of_the_manager() -> Result<()> {
    let _alone = kit::alone().await?;
    kit::stage("death").await?.play(|stage| async move {
        let strategy = json!({"rollingUpdate": {"podUpdatePolicy": "InPlaceOnly", "maxUnavailable": 1}});
        stage.cloneset("web", "nginx:1.25", json!({"replicas": 4, "updateStrategy": strategy})).await?;
        stage.settled("web", 4, 4).await?;
        let before = stage.facts("web").await?;
        stage.set_image("web", "nginx:1.26").await?;
        wait::object("the rollout has begun", &stage.clonesets(), "web", PATIENCE, |set| {
            let updated = set.and_then(|set| set.status.as_ref()).map_or(0, |status| status.updated_replicas);
            if (1..4).contains(&updated) { Seen::Done(()) } else { Seen::NotYet(format!("{updated} updated")) }
        })
        .await?;
        let kill = "delete pods --force --grace-period=0 -l control-plane=controller-manager,app.kubernetes.io/component!=webhook";
        stage.kubectl().run(&format!("-n {NAMESPACE} {kill}")).await.context("kill the managers")?;
        stage.settled("web", 4, 4).await?;
        for (name, pod) in stage.facts("web").await? {
            let was = before.get(&name).with_context(|| format!("{name} is new"))?;
            ensure!(was.uid == pod.uid && pod.restarts == was.restarts + 1, "{name}: {was:?} -> {pod:?}");
        }
        Ok(())
    })
    .await
}
