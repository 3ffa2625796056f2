//! What runs and whether it is well: shown by `cluster status`, and asked before a cluster is reused.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::ListParams;

use super::control_plane::REGISTRY_PORT;
use super::layout::{Facts, Layout, node_name};
use crate::process::{self, Record};
use crate::tools::Tools;
use crate::{apiserver, http};

/// Everything known about this machine's cluster.
#[derive(Debug)]
pub struct Status {
    layout: Layout,
    facts: Option<Facts>,
    processes: Vec<(Record, bool)>,
    nodes: Result<Vec<(String, bool)>>,
}

impl Status {
    /// Whether the cluster is there and all of it is well.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.facts.as_ref().is_some_and(|facts| facts.complete)
            && self.processes.iter().all(|(_, alive)| *alive)
            && self.nodes.as_ref().is_ok_and(|nodes| nodes.iter().all(|(_, ready)| *ready))
    }
}

/// Looks at this machine's cluster.
pub async fn status() -> Status {
    let layout = Layout::of_machine();
    let processes = layout.ledger().records().into_iter().map(|record| (record.is_alive(), record));
    let processes = processes.map(|(alive, record)| (record, alive)).collect();
    let facts = layout.facts();
    let nodes = match &facts {
        Some(_) => nodes(&layout).await,
        None => Ok(Vec::new()),
    };
    Status { layout, facts, processes, nodes }
}

/// Why a cluster cannot be reused, if so.
///
/// # Errors
/// The reason, as a clause for people.
pub(super) async fn reusable(layout: &Layout, facts: &Facts, wanted: Option<u8>, tools: &Tools) -> Result<()> {
    ensure!(facts.boot == process::boot(), "the machine was started anew since");
    ensure!(facts.complete, "it was never completed");
    ensure!(facts.tools == tools.key(), "it runs {}, wanted is {}", facts.tools, tools.key());
    ensure!(wanted.is_none_or(|wanted| wanted == facts.nodes), "it has {} nodes", facts.nodes);
    let records = layout.ledger().records();
    // etcd, API server, controller-manager, scheduler, registry; a node's outer process, init and three programs.
    ensure!(records.len() >= 5 + 5 * usize::from(facts.nodes), "process records are missing");
    if let Some(dead) = records.iter().find(|record| !record.is_alive()) {
        bail!("{} has ended", dead.name);
    }
    let registry = format!("{}:{REGISTRY_PORT}", facts.network.host());
    ensure!(http::ask("GET", &registry, "/v2/", "*/*").await?.status == 200, "the registry is not well");
    let nodes = nodes(layout).await?;
    for name in (1..=facts.nodes).map(node_name) {
        ensure!(nodes.iter().any(|(node, ready)| *node == name && *ready), "{name} is not Ready");
    }
    Ok(())
}

async fn nodes(layout: &Layout) -> Result<Vec<(String, bool)>> {
    let client = apiserver::client(&layout.kubeconfig()).await?;
    let api: Api<Node> = Api::all(client);
    let list = tokio::time::timeout(Duration::from_secs(5), async { api.list(&ListParams::default()).await })
        .await
        .context("the API server does not answer within 5 s")?
        .context("the API server does not answer")?;
    Ok(list.items.iter().map(|node| (node.metadata.name.clone().unwrap_or_default(), is_ready(node))).collect())
}

/// Whether a node's kubelet says that it is ready.
pub(super) fn is_ready(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(facts) = &self.facts else {
            return write!(f, "no cluster on this machine; `cargo xtask cluster up` makes one");
        };
        let verdict = if self.is_healthy() { "healthy" } else { "NOT WELL; `cargo xtask cluster up` renews it" };
        writeln!(f, "cluster of {} nodes ({}): {verdict}", facts.nodes, facts.tools)?;
        for (record, alive) in &self.processes {
            let state = if *alive { "runs" } else { "ENDED" };
            writeln!(f, "  {:<24} {state:<6} process {:<8} log {}", record.name, record.pid, record.log.display())?;
        }
        match &self.nodes {
            Ok(nodes) => {
                for (name, ready) in nodes {
                    writeln!(f, "  {name:<24} {}", if *ready { "Ready" } else { "NOT Ready" })?;
                }
            }
            Err(error) => writeln!(f, "  nodes: {error:#}")?,
        }
        writeln!(f, "  registry                 http://{}:{REGISTRY_PORT}", facts.network.host())?;
        write!(f, "  kubeconfig               {}", self.layout.kubeconfig().display())
    }
}
