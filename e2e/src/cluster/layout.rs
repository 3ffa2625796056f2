//! Where one cluster keeps its files, and the facts about it that outlive the run that made it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::network::Network;
use crate::paths;
use crate::process::Ledger;

/// The folder of the cluster.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// This machine's cluster: there is one, since bridge and address ranges are the machine's.
    #[must_use]
    pub fn of_machine() -> Self {
        Self { root: paths::state().join("cluster") }
    }

    /// Everything below goes with the cluster.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Held by `up` and `down`.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.root.with_extension("lock")
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.root.join("kubeconfig")
    }

    /// Certificates and keys.
    #[must_use]
    pub fn pki(&self) -> PathBuf {
        self.root.join("pki")
    }

    /// A certificate or key as an argument.
    #[must_use]
    pub fn pki_file(&self, name: &str) -> String {
        self.pki().join(name).display().to_string()
    }

    /// A component's own kubeconfig.
    #[must_use]
    pub fn kubeconfig_of(&self, component: &str) -> PathBuf {
        self.pki().join(format!("{component}.kubeconfig"))
    }

    /// A component's log: `etcd`, `kube-apiserver`, `node1-kubelet` ...
    #[must_use]
    pub fn log(&self, component: &str) -> PathBuf {
        self.logs().join(format!("{component}.log"))
    }

    /// The folder of all logs.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.root.join("log")
    }

    /// etcd's data.
    #[must_use]
    pub fn etcd(&self) -> PathBuf {
        self.root.join("etcd")
    }

    /// A node's folder; its `run` is the node's `/run`, so the host reaches containerd's socket there.
    #[must_use]
    pub fn node(&self, number: u8) -> PathBuf {
        self.root.join(node_name(number))
    }

    /// The processes.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        Ledger::at(self.root.join("processes"))
    }

    fn facts_file(&self) -> PathBuf {
        self.root.join("cluster.json")
    }

    /// The facts, if there is a cluster and its facts are readable.
    #[must_use]
    pub fn facts(&self) -> Option<Facts> {
        serde_json::from_slice(&fs::read(self.facts_file()).ok()?).ok()
    }

    /// Writes the facts down.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn keep(&self, facts: &Facts) -> Result<()> {
        fs::create_dir_all(&self.root).with_context(|| format!("cannot make {}", self.root.display()))?;
        fs::write(self.facts_file(), serde_json::to_vec_pretty(facts)?).context("cannot write the cluster's facts")
    }
}

/// What a later run must know to reuse or remove a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// How many nodes.
    pub nodes: u8,
    /// Versions of the tools that run it.
    pub tools: String,
    /// Its addresses.
    pub network: Network,
    /// The boot it was made in.
    pub boot: String,
    /// Whether it was once ready: an interrupted `up` leaves false.
    pub complete: bool,
    /// Empty folders made outside as mount points, removed with it.
    pub mount_points: Vec<PathBuf>,
    /// Kernel limits raised for it: file and former value.
    pub raised: Vec<(PathBuf, String)>,
}

/// `node1`, `node2` ...
#[must_use]
pub fn node_name(number: u8) -> String {
    format!("node{number}")
}

/// The control group of a node.
#[must_use]
pub(super) fn cgroup_name(number: u8) -> String {
    format!("kruise-node{number}")
}
