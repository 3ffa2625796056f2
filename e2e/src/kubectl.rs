//! kubectl with a cluster's kubeconfig, for what people type: apply, rollout, auth can-i, get -o yaml.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::command::Run;
use crate::tools::Tools;

/// kubectl bound to one cluster.
#[derive(Clone, Debug)]
pub struct Kubectl {
    binary: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    /// Our own kubectl on a kubeconfig.
    #[must_use]
    pub fn new(tools: &Tools, kubeconfig: &Path) -> Self {
        Self { binary: tools.kubectl(), kubeconfig: kubeconfig.to_owned() }
    }

    /// A command to add to and run: `kubectl.run("get pods -A").output().await`.
    #[must_use]
    pub fn command(&self, line: &str) -> Run {
        Run::new(&self.binary).arg("--kubeconfig").arg(&self.kubeconfig).args(line.split_whitespace())
    }

    /// Runs a line and returns what it printed.
    ///
    /// # Errors
    /// kubectl ended with another status than 0; the error holds what it said.
    pub async fn run(&self, line: &str) -> Result<String> {
        self.command(line).output().await
    }

    /// Applies a manifest given as text.
    ///
    /// # Errors
    /// The API server refused it; the error holds its words.
    pub async fn apply(&self, manifest: &str) -> Result<String> {
        self.command("apply -f -").input(manifest).output().await
    }
}
