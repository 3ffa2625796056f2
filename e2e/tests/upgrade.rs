//! From the chart of the commit before, to the present one, back, and forth again, under a constant stream of Pods.
//! Runs after all other scenarios, since it replaces what they stand on, and finds what removal has left.

use std::time::Duration;

use anyhow::Result;
use e2e::cluster::Cluster;
use e2e::install::{self, Helm};
use e2e::progress::answer;
use e2e::scenario::Visitors;

const LIMIT: Duration = Duration::from_secs(240);
/// Pods that come by after each step, when the predecessors are gone.
const AFTER: u64 = 100;

#[tokio::test] // IN-47, IN-64, PL-48
async fn nobody_notices_upgrade_and_rollback() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (commit, before) = install::previous_chart(folder.path()).await?;
    let cluster = Cluster::attach()?;
    let client = cluster.client().await?;
    let helm = Helm::new(cluster.tools(), &cluster.kubeconfig());
    helm.uninstall(LIMIT).await?;
    answer(format_args!("upgrade from the chart of {commit}"));
    // The programs are the present ones: what is upgraded is everything around them.
    let tag = format!("imageTag=v{}", env!("CARGO_PKG_VERSION"));
    // Whatever the charts differ in, the Pods are to be replaced in each step.
    let (level_before, level) = ("manager.log.level=4", "manager.log.level=5");
    let visitors = Visitors::start(&client, "default");
    helm.install_from(&before, &[&tag, level_before], LIMIT).await?;
    helm.admission(client.clone(), LIMIT).await?;
    visitors.stop().clean("installation of the chart before", AFTER)?;

    for step in ["upgrade", "rollback", "second upgrade"] {
        let visitors = Visitors::served(&client, "default");
        match step {
            // To the revision before the present one.
            "rollback" => {
                helm.command("rollback kruise --wait --timeout").arg(format!("{}s", LIMIT.as_secs())).run().await?
            }
            _ => helm.install(&[&tag, level], LIMIT).await?,
        }
        install::webhooks(client.clone(), LIMIT).await?;
        visitors.until(visitors.so_far().came + AFTER).await?;
        visitors.stop().clean(step, AFTER)?;
    }
    Ok(())
}
