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
    kit::installed().await?.clean("installation", 20)
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
    kit::led(&kit::cluster()?).await
}
