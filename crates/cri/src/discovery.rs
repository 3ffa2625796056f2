//! Where on the node a runtime may listen (KD-10, KD-11, IN-56).
//!
//! Names only: whether something is there, and what, shows when a connection is opened.

use std::path::{Path, PathBuf};

/// Sockets below the host's `/var/run`, in the order in which they are tried; the first that works holds the images.
///
/// containerd and its K3s layout, CRI-O, cri-dockerd (KD-10). The order is the documented one: changing it changes
/// which runtime pulls the images of a node that has several.
const KNOWN: [&str; 6] = [
    "containerd.sock",
    "containerd/containerd.sock",
    "crio.sock",
    "crio/crio.sock",
    "cri-dockerd.sock",
    "cri-dockerd/cri-dockerd.sock",
];

/// Where the host's socket directory is mounted in the daemon's Pod (KD-10).
pub const HOST_RUN: &str = "/hostvarrun";

/// The places below `root` where a runtime may listen, in order; with `only`, that one file below `root` and no other.
///
/// An empty `only` counts as none, as an empty flag does. A leading slash of `only` does not leave `root`.
#[must_use]
pub fn places(root: &Path, only: Option<&str>) -> Vec<PathBuf> {
    match only.map(|file| file.trim_start_matches('/')).filter(|file| !file.is_empty()) {
        Some(file) => vec![root.join(file)],
        None => KNOWN.iter().map(|file| root.join(file)).collect(),
    }
}

/// The endpoint of a socket as CRI tools write it, such as `unix:///hostvarrun/containerd/containerd.sock` (KD-11).
#[must_use]
pub fn endpoint(socket: &Path) -> String {
    format!("unix://{}", socket.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn below_hostvarrun(only: Option<&str>) -> Vec<String> {
        places(Path::new(HOST_RUN), only).iter().map(|place| endpoint(place)).collect()
    }

    #[test] // KD-10, KD-11
    fn the_known_sockets_come_in_the_documented_order() {
        assert_eq!(
            below_hostvarrun(None),
            [
                "unix:///hostvarrun/containerd.sock",
                "unix:///hostvarrun/containerd/containerd.sock",
                "unix:///hostvarrun/crio.sock",
                "unix:///hostvarrun/crio/crio.sock",
                "unix:///hostvarrun/cri-dockerd.sock",
                "unix:///hostvarrun/cri-dockerd/cri-dockerd.sock",
            ]
        );
    }

    #[test] // KD-10
    fn a_named_socket_file_is_the_only_place() {
        for named in ["k3s/containerd.sock", "/k3s/containerd.sock"] {
            assert_eq!(below_hostvarrun(Some(named)), ["unix:///hostvarrun/k3s/containerd.sock"], "{named}");
        }
    }

    #[test] // KD-10
    fn an_empty_socket_file_flag_counts_as_not_given() {
        assert_eq!(below_hostvarrun(Some("")), below_hostvarrun(None));
    }
}
