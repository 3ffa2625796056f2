//! The cluster on one machine: brought up, reused, looked at, taken down.
//!
//! A cluster left by an earlier run is reused when it is healthy and of our versions, and removed otherwise: whatever
//! ended the earlier run, `up` goes on from there. How a node is made is `node`; what runs on the host `control_plane`.

mod cgroups;
mod control_plane;
mod down;
mod layout;
mod network;
mod node;
mod status;
mod up;

use std::path::PathBuf;

use anyhow::{Result, bail};

pub use self::cgroups::Cgroups;
pub use self::control_plane::{API_PORT, LOOPBACK_PORTS, REGISTRY_PORT};
pub use self::down::down;
pub use self::layout::{Facts, Layout, node_name};
pub use self::network::{LOOPBACK, Network};
pub use self::status::{Status, status};
pub use self::up::{Wish, up};
use crate::images::Registry;
use crate::kubectl::Kubectl;
use crate::process::Record;
use crate::tools::Tools;
use crate::{apiserver, images};

/// A running cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    layout: Layout,
    facts: Facts,
    tools: Tools,
}

impl Cluster {
    /// The cluster that `up` made on this machine.
    ///
    /// # Errors
    /// There is none, or the last `up` did not finish.
    pub fn attach() -> Result<Self> {
        let layout = Layout::of_machine();
        match layout.facts() {
            Some(facts) if facts.complete && facts.boot == crate::process::boot() => {
                Ok(Self { layout, facts, tools: Tools::locate()? })
            }
            Some(_) => bail!("the cluster is not whole: run `cargo xtask cluster up`"),
            None => bail!("no cluster on this machine: run `cargo xtask cluster up`"),
        }
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.layout.kubeconfig()
    }

    /// A client with all rights.
    ///
    /// # Errors
    /// The kubeconfig cannot be read.
    pub async fn client(&self) -> Result<kube::Client> {
        apiserver::client(&self.kubeconfig()).await
    }

    /// kubectl for it.
    #[must_use]
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::new(&self.tools, &self.kubeconfig())
    }

    /// Its registry.
    #[must_use]
    pub fn registry(&self) -> Registry {
        images::Registry::at(format!("{}:{REGISTRY_PORT}", self.facts.network.host()))
    }

    /// The programs it runs on.
    #[must_use]
    pub fn tools(&self) -> &Tools {
        &self.tools
    }

    /// Names of its nodes.
    #[must_use]
    pub fn nodes(&self) -> Vec<String> {
        (1..=self.facts.nodes).map(node_name).collect()
    }

    /// containerd's socket of a node, reachable from the host.
    #[must_use]
    pub fn containerd_socket(&self, node: &str) -> PathBuf {
        self.layout.root().join(node).join("run/containerd/containerd.sock")
    }

    /// The recorded process of a component: `etcd`, `kube-apiserver`, `node1-kubelet`, `node2-containerd` ...
    #[must_use]
    pub fn process(&self, component: &str) -> Option<Record> {
        self.layout.ledger().record(component)
    }

    /// The folder of the component logs.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.layout.logs()
    }
}
