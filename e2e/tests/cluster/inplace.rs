//! The main thing: a new image, the same Pods.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::kit;

#[tokio::test] // IU-20..53, CS-57, CS-59
async fn a_new_image_restarts_one_container_and_keeps_the_pods() -> Result<()> {
    kit::stage("inplace")
        .await?
        .play(|stage| async move {
            let strategy = json!({"rollingUpdate": {"podUpdatePolicy": "InPlaceIfPossible", "maxUnavailable": 1}});
            stage.cloneset("web", "nginx:1.25", json!({"replicas": 4, "updateStrategy": strategy})).await?;
            let first = stage.settled("web", 4, 4).await?;
            let before = stage.facts("web").await?;
            let availability = stage.watch_availability("web").await?;
            stage.set_image("web", "nginx:1.26").await?;
            let second = stage.settled("web", 4, 4).await?;
            let after = stage.facts("web").await?;

            ensure!(before.keys().eq(after.keys()), "names: {before:?} {after:?}");
            for (name, pod) in &after {
                let was = &before[name];
                ensure!((&was.uid, &was.ip) == (&pod.uid, &pod.ip), "{name} was recreated");
                ensure!(pod.restarts == was.restarts + 1, "{name} restarted {} times", pod.restarts - was.restarts);
                ensure!(pod.image.ends_with("nginx:1.26"), "{name} runs {}", pod.image);
                ensure!(pod.in_place_ready == "True", "{name}: InPlaceUpdateReady is {}", pod.in_place_ready);
                ensure!(pod.revision != was.revision, "{name} keeps its revision label");
            }
            ensure!(availability.least() >= 3, "only {} Pods were available at one moment", availability.least());
            ensure!(
                availability.times_unready_in_place() == 4,
                "marked unready {} times",
                availability.times_unready_in_place()
            );
            let revision =
                |set: &api::cloneset::v1beta1::CloneSet| set.status.clone().unwrap_or_default().update_revision;
            ensure!(revision(&first) != revision(&second), "the revision did not change");
            Ok(())
        })
        .await
}

#[tokio::test] // CS-30, CS-38
async fn a_partition_holds_half_back_until_it_is_released() -> Result<()> {
    kit::stage("partition")
        .await?
        .play(|stage| async move {
            let strategy = json!({"rollingUpdate": {"podUpdatePolicy": "InPlaceOnly", "maxUnavailable": "50%"}});
            stage.cloneset("web", "nginx:1.25", json!({"replicas": 4, "updateStrategy": strategy})).await?;
            stage.settled("web", 4, 4).await?;
            stage.patch("web", json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": "50%"}}}})).await?;
            stage.set_image("web", "nginx:1.26").await?;
            stage.settled("web", 4, 2).await?;
            let images = |facts: &std::collections::BTreeMap<String, e2e::scenario::PodFacts>| {
                facts.values().filter(|pod| pod.image.ends_with("nginx:1.26")).count()
            };
            ensure!(images(&stage.facts("web").await?) == 2, "half of the Pods run the new image");
            stage.patch("web", json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}})).await?;
            let settled = stage.settled("web", 4, 4).await?;
            ensure!(images(&stage.facts("web").await?) == 4, "all Pods run the new image");
            let status = settled.status.unwrap_or_default();
            ensure!(status.current_revision == status.update_revision, "{status:?}");
            Ok(())
        })
        .await
}

#[tokio::test] // IU-30, IU-31
async fn a_grace_period_lets_traffic_drain_before_the_restart() -> Result<()> {
    kit::stage("grace")
        .await?
        .play(|stage| async move {
            let strategy = json!({"rollingUpdate": {"podUpdatePolicy": "InPlaceIfPossible", "maxUnavailable": 1,
            "inPlaceUpdateStrategy": {"gracePeriodSeconds": 3}}});
            stage.cloneset("web", "nginx:1.25", json!({"replicas": 1, "updateStrategy": strategy})).await?;
            stage.settled("web", 1, 1).await?;
            stage.set_image("web", "nginx:1.26").await?;
            // Unready, with the new revision label, while the old image still runs.
            let drained = e2e::wait::all(
                "the Pod is unready before its image changes",
                &stage.pods(),
                kube::runtime::watcher::Config::default(),
                e2e::scenario::PATIENCE,
                |pods| {
                    let Some(pod) = pods.first() else { return e2e::wait::Seen::NotYet("no Pod".to_owned()) };
                    let facts = e2e::scenario::PodFacts::of(pod);
                    let wanted =
                        pod.spec.as_ref().and_then(|spec| spec.containers.first()?.image.clone()).unwrap_or_default();
                    match (facts.in_place_ready.as_str(), wanted.as_str()) {
                        ("False", "nginx:1.25") => e2e::wait::Seen::Done(facts),
                        other => e2e::wait::Seen::NotYet(format!("{other:?}")),
                    }
                },
            )
            .await?;
            ensure!(!drained.ready, "the Pod is still Ready");
            stage.settled("web", 1, 1).await?;
            Ok(())
        })
        .await
}
