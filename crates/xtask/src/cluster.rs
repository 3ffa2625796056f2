//! `cargo xtask cluster`: up, down, status, kubeconfig.

use anyhow::{Result, bail};
use clap::Subcommand;
use e2e::cluster::{self, Cluster, Wish};
use e2e::progress::{Progress, answer};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Bring it up, or reuse the one that runs if it is healthy.
    Up {
        /// Number of nodes; without it as many as run already, or three.
        #[arg(long, value_parser = clap::value_parser!(u8).range(1..=20))]
        nodes: Option<u8>,
    },
    /// Take it down and remove everything that belongs to it.
    Down,
    /// Show what runs and whether it is well; fails when it is not.
    Status,
    /// Print the path of the administrator's kubeconfig.
    Kubeconfig,
}

pub(crate) async fn run(command: &Command, progress: &Progress) -> Result<()> {
    match command {
        Command::Up { nodes } => {
            let cluster = cluster::up(Wish { nodes: *nodes }, progress).await?;
            answer(format_args!("export KUBECONFIG={}", cluster.kubeconfig().display()));
            answer(format_args!(
                "export PATH={}:$PATH",
                cluster.tools().kubectl().parent().unwrap_or(&cluster.logs()).display()
            ));
            Ok(())
        }
        Command::Down => cluster::down(progress).await,
        Command::Status => {
            let status = cluster::status().await;
            answer(&status);
            if status.is_healthy() { Ok(()) } else { bail!("no healthy cluster") }
        }
        Command::Kubeconfig => {
            answer(format_args!("{}", Cluster::attach()?.kubeconfig().display()));
            Ok(())
        }
    }
}
