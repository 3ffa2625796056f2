//! Taking a cluster down: by records, by the nodes' control groups and by their mount namespaces, nothing else.
//!
//! Works on any remains: a whole cluster, one whose `up` was killed half-way, one from before a reboot.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::layout::Layout;
use super::{Cgroups, network, node};
use crate::lock::Lock;
use crate::process::{self, Record};
use crate::progress::Progress;

/// Takes this machine's cluster down; without one it does nothing.
///
/// # Errors
/// A process survives or a folder cannot be removed.
pub async fn down(progress: &Progress) -> Result<()> {
    let layout = Layout::of_machine();
    let _lock = Lock::take(&layout.lock(), progress).await?;
    if layout.facts().is_none() && !layout.root().exists() {
        progress.say("no cluster on this machine");
        return remove(&layout).await;
    }
    progress.step("take the cluster down", remove(&layout)).await
}

/// Removes whatever is there.
///
/// # Errors
/// As `down`.
pub(super) async fn remove(layout: &Layout) -> Result<()> {
    let ledger = layout.ledger();
    let spaces = node::mount_namespaces(&ledger.records());
    // An init goes with everything in its process namespace; the others follow by record.
    ledger.end_all().await?;
    process::end(&strays(&spaces)).await?;
    if let Ok(cgroups) = Cgroups::detect() {
        cgroups.remove().await?;
    }
    network::remove().await;
    if let Some(facts) = layout.facts() {
        for folder in &facts.mount_points {
            // Only if it is empty: what somebody else put there stays.
            let _ = fs::remove_dir(folder);
        }
        if facts.boot == process::boot() {
            for (file, former) in &facts.raised {
                let _ = fs::write(file, former);
            }
        }
    }
    remove_folder(layout).await
}

/// Processes in a node's mount namespace that are not in its process namespace: shells that somebody opened there.
fn strays(spaces: &[std::path::PathBuf]) -> Vec<Record> {
    let inside = |pid: &i32| fs::read_link(format!("/proc/{pid}/ns/mnt")).is_ok_and(|space| spaces.contains(&space));
    process::all()
        .into_iter()
        .filter(inside)
        .filter_map(|pid| Record::of("process in a node's mount namespace", pid, std::path::Path::new("/dev/null")))
        .collect()
}

/// The kernel unmounts a dead node's file systems a moment after its last process: until then folders are busy.
async fn remove_folder(layout: &Layout) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let root = layout.root().to_owned();
        let outcome = tokio::task::spawn_blocking(move || fs::remove_dir_all(root)).await?;
        match outcome {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !layout.root().exists() => return Ok(()),
            Err(error) if Instant::now() > deadline => {
                return Err(error).with_context(|| format!("cannot remove {}", layout.root().display()));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}
