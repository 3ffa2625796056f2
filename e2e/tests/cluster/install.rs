//! The installation itself: nobody's Pod is refused meanwhile, and all programs say that they are well.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::install::NAMESPACE;
use e2e::wait::{self, Seen};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;

use crate::kit;

#[tokio::test] // issue: from install until ready; PL-48
async fn no_pod_creation_fails_while_the_chart_is_installed() -> Result<()> {
    let installed = kit::installed().await?;
    ensure!(installed.visitors > 20, "only {} Pods came by", installed.visitors);
    ensure!(installed.refused.is_empty(), "{} refused: {:?}", installed.refused.len(), installed.refused.first());
    Ok(())
}

#[tokio::test] // KD-13, KD-20
async fn each_daemon_reports_the_runtime_of_its_node() -> Result<()> {
    kit::installed().await?;
    let cluster = kit::cluster()?;
    let client = cluster.client().await?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let daemons = pods.list(&ListParams::default().labels("control-plane=daemon")).await?;
    ensure!(daemons.items.len() == cluster.nodes().len(), "{} daemons", daemons.items.len());
    for daemon in daemons {
        let name = daemon.metadata.name.context("a Pod has a name")?;
        wait::until("the daemon reports its runtime", Duration::from_secs(60), || async {
            let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{name}:10221/proxy/metrics");
            let text = client.request_text(http::Request::get(path).body(Vec::new())?).await?;
            let line = text.lines().find(|line| line.starts_with("kruise_daemon_runtime_info{"));
            Ok(match line {
                Some(line) if line.contains("runtime=\"containerd\"") && line.contains("version=\"") => Seen::Done(()),
                other => Seen::NotYet(format!("{other:?}")),
            })
        })
        .await?;
    }
    Ok(())
}

#[tokio::test] // IN-85, PL-11
async fn one_manager_leads_and_says_so() -> Result<()> {
    kit::installed().await?;
    let client = kit::cluster()?.client().await?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    wait::until("exactly one manager leads", Duration::from_secs(60), || async {
        let managers = pods.list(&ListParams::default().labels("control-plane=controller-manager")).await?;
        let mut leaders = 0;
        for pod in &managers.items {
            let name = pod.metadata.name.clone().unwrap_or_default();
            if !name.starts_with("kruise-controller-manager-") || pod.metadata.deletion_timestamp.is_some() {
                continue;
            }
            let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{name}:8080/proxy/metrics");
            let text = client.request_text(http::Request::get(path).body(Vec::new())?).await?;
            leaders += text.lines().filter(|line| *line == "kruise_manager_is_leader 1").count();
        }
        Ok(if leaders == 1 { Seen::Done(()) } else { Seen::NotYet(format!("{leaders} leaders")) })
    })
    .await
}
