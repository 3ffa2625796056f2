//! Where things lie: the checkout, the cache that survives a cluster, the state that goes with it.
//!
//! Nothing is ever written into the checkout. All three can be moved by environment variables.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The root of the checkout: the nearest folder upwards that holds `Cargo.lock`.
///
/// Read at run time, not at build time, so that two clones can share a target folder.
///
/// # Errors
/// Neither the package's folder nor the working folder lies in a checkout.
pub fn workspace() -> Result<PathBuf> {
    let mut starts = Vec::new();
    starts.extend(env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from));
    starts.push(env::current_dir().context("the working folder is gone")?);
    starts
        .iter()
        .flat_map(|start| start.ancestors())
        .find(|folder| folder.join("Cargo.lock").is_file())
        .map(Path::to_path_buf)
        .context("not inside a checkout of kruise-rs: change into it first")
}

/// Tools, packages and registry content: `$XDG_CACHE_HOME/kruise-rs`, else `~/.cache/kruise-rs`.
#[must_use]
pub fn cache() -> PathBuf {
    match env::var_os("XDG_CACHE_HOME").filter(|folder| Path::new(folder).is_absolute()) {
        Some(folder) => PathBuf::from(folder).join("kruise-rs"),
        None => home().join(".cache/kruise-rs"),
    }
}

/// Clusters, their records and logs: `$KRUISE_STATE_DIR`, else `/var/lib/kruise-rs` for root,
/// else `$XDG_STATE_HOME/kruise-rs` or `~/.local/state/kruise-rs`.
///
/// Sockets lie below it, so a long path (the limit is 107 bytes) makes containerd fail.
#[must_use]
pub fn state() -> PathBuf {
    if let Some(folder) = env::var_os("KRUISE_STATE_DIR").filter(|folder| Path::new(folder).is_absolute()) {
        return PathBuf::from(folder);
    }
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from("/var/lib/kruise-rs");
    }
    match env::var_os("XDG_STATE_HOME").filter(|folder| Path::new(folder).is_absolute()) {
        Some(folder) => PathBuf::from(folder).join("kruise-rs"),
        None => home().join(".local/state/kruise-rs"),
    }
}

fn home() -> PathBuf {
    env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from)
}

/// The full path of a command on `PATH`, or in the folders where Debian keeps administration tools.
#[must_use]
pub fn which(command: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .map(|folder| folder.join(command))
        .find(|file| is_executable(file))
}

/// Whether the file is there and may be executed by somebody.
#[must_use]
pub fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
