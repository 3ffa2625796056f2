//! Bringing a cluster up, from whatever is there.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::runtime::watcher;

use super::layout::{Facts, Layout, node_name};
use super::network::Network;
use super::{Cgroups, Cluster, control_plane, down, node, status};
use crate::images::{self, Registry};
use crate::lock::Lock;
use crate::progress::{Failure, Progress};
use crate::tools::Tools;
use crate::wait::{self, Seen};
use crate::{apiserver, packages, preflight, process};

/// How many nodes a new cluster has unless somebody says otherwise.
const NODES: u8 = 3;

/// Kernel limits below which three kubelets and containerds run out, and what they are raised to.
const LIMITS: [(&str, u64); 2] =
    [("/proc/sys/fs/inotify/max_user_instances", 8192), ("/proc/sys/fs/inotify/max_user_watches", 1_048_576)];

/// What the caller wants.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// Number of nodes; none takes what is there, or three.
    pub nodes: Option<u8>,
}

/// Makes sure that a healthy cluster runs: checks the machine, installs and builds what is missing, reuses or renews.
///
/// # Errors
/// Something is in the way or a component fails; `progress::explain` tells the whole story.
pub async fn up(wish: Wish, progress: &Progress) -> Result<Cluster> {
    let layout = Layout::of_machine();
    let needs = preflight::before(&layout, progress).await?;
    let _lock = Lock::take(&layout.lock(), progress).await?;
    packages::install(&needs.packages, progress).await?;
    let tools = Tools::ensure(progress).await?;

    if let Some(facts) = layout.facts() {
        let health = status::reusable(&layout, &facts, wish.nodes, &tools).await;
        match health {
            Ok(()) => {
                progress
                    .say(format_args!("the cluster of {} nodes from an earlier run is healthy: reused", facts.nodes));
                return Ok(Cluster { layout, facts, tools });
            }
            Err(reason) => progress.say(format_args!("the cluster of an earlier run is not reused: {reason:#}")),
        }
    }
    if layout.root().exists() {
        progress.step("remove the earlier cluster", down::remove(&layout)).await?;
    } else {
        down::remove(&layout).await?;
    }
    preflight::after_install(&layout).await?;
    let nodes = wish.nodes.unwrap_or(NODES);
    let cluster = make(layout, tools, nodes, progress).await?;
    progress.say(format_args!("cluster of {nodes} nodes is ready; kubeconfig: {}", cluster.kubeconfig().display()));
    Ok(cluster)
}

async fn make(layout: Layout, tools: Tools, nodes: u8, progress: &Progress) -> Result<Cluster> {
    let network = Network::free()?;
    let mut facts = Facts {
        nodes,
        tools: tools.key(),
        network: network.clone(),
        boot: process::boot(),
        complete: false,
        mount_points: missing_mount_points(),
        raised: low_limits(),
    };
    // Written before anything is made, so that an interrupted run can be cleaned.
    layout.keep(&facts)?;
    let cgroups = Cgroups::detect()?;
    for folder in &facts.mount_points {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    for (file, wanted) in LIMITS.iter().filter(|(file, _)| facts.raised.iter().any(|(one, _)| one == Path::new(file))) {
        fs::write(file, wanted.to_string()).with_context(|| format!("cannot raise {file}"))?;
    }
    let authority = control_plane::make_certificates(&layout, &network)?;
    progress
        .step("bridge and node networks", async {
            network.make_bridge().await?;
            for number in 1..=nodes {
                network.make_node(number, nodes).await?;
            }
            Ok(())
        })
        .await?;
    let serving = async {
        progress.step("etcd", control_plane::start_etcd(&layout, &tools)).await?;
        progress.step("kube-apiserver", control_plane::start_apiserver(&layout, &tools, &network)).await
    };
    let pulling = async {
        progress.step("registry", control_plane::start_registry(&layout, &network)).await?;
        let registry = Registry::at(format!("{}:{}", network.host(), control_plane::REGISTRY_PORT));
        progress.step("pause image", images::ensure_pause(&registry)).await
    };
    tokio::try_join!(serving, pulling)?;
    control_plane::start_scheduler(&layout, &tools)?;
    let snapshotter = preflight::snapshotter(&layout).await;
    let shared = node::Shared {
        layout: &layout,
        network: &network,
        tools: &tools,
        authority: &authority,
        cgroups: &cgroups,
        snapshotter,
    };
    let what = format!("{nodes} nodes (containerd, kubelet, kube-proxy each)");
    let running = async {
        for number in 1..=nodes {
            node::start(&shared, number)?;
        }
        for number in 1..=nodes {
            node::record_programs(&layout, number).await?;
        }
        nodes_ready(&layout, nodes).await
    };
    tokio::try_join!(
        progress.step("kube-controller-manager", control_plane::start_controller_manager(&layout, &tools)),
        progress.step(&what, running),
    )?;
    if let Some(dead) = layout.ledger().records().into_iter().find(|record| !record.is_alive()) {
        bail!(Failure::new(format!("{} has ended", dead.name)).log(dead.log));
    }
    facts.complete = true;
    layout.keep(&facts)?;
    Ok(Cluster { layout, facts, tools })
}

async fn nodes_ready(layout: &Layout, nodes: u8) -> Result<()> {
    let api: Api<Node> = Api::all(apiserver::client(&layout.kubeconfig()).await?);
    let mut first_unready = node_name(1);
    let outcome =
        wait::all("all nodes are Ready", &api, watcher::Config::default(), Duration::from_secs(180), |found| {
            let ready: Vec<&str> = found
                .iter()
                .filter(|node| status::is_ready(node))
                .filter_map(|node| node.metadata.name.as_deref())
                .collect();
            let missing: Vec<String> =
                (1..=nodes).map(node_name).filter(|name| !ready.contains(&name.as_str())).collect();
            match missing.first() {
                None => Seen::Done(()),
                Some(first) => {
                    first_unready.clone_from(first);
                    Seen::NotYet(format!("not Ready: {}", missing.join(", ")))
                }
            }
        })
        .await;
    outcome.map_err(|error| {
        Failure::new("not all nodes become Ready")
            .because(error)
            .log(layout.log(&format!("{first_unready}-kubelet")))
            .advise(format!("containerd's words: {}", layout.log(&format!("{first_unready}-containerd")).display()))
            .advise("cargo xtask cluster down && cargo xtask cluster up")
            .into()
    })
}

fn missing_mount_points() -> Vec<PathBuf> {
    node::MOUNT_POINTS.iter().map(PathBuf::from).filter(|folder| !folder.exists()).collect()
}

fn low_limits() -> Vec<(PathBuf, String)> {
    let current = |file: &str| fs::read_to_string(file).map(|text| text.trim().to_owned());
    LIMITS
        .iter()
        .filter_map(|(file, wanted)| Some((*file, *wanted, current(file).ok()?)))
        .filter(|(_, wanted, now)| now.parse::<u64>().is_ok_and(|now| now < *wanted))
        .map(|(file, _, now)| (PathBuf::from(file), now))
        .collect()
}
