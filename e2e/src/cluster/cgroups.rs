//! Control groups of the nodes, version 1 or 2: made before a kubelet starts, emptied and removed with its node.
//!
//! A node's group `kruise-node<n>` holds `system` (containerd, kubelet, shims) and what the kubelet makes for Pods, so
//! that whatever a node left behind can be found even when every record is lost.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const MOUNT: &str = "/sys/fs/cgroup";
/// What a kubelet asks for.
const NEEDED: [&str; 4] = ["cpu", "cpuset", "memory", "pids"];

/// How this machine's control groups are laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cgroups {
    /// One tree a controller, each a folder here.
    V1(Vec<PathBuf>),
    /// One tree for all.
    V2(PathBuf),
}

impl Cgroups {
    /// Looks at the running machine.
    ///
    /// # Errors
    /// No usable hierarchy, or a controller that a kubelet needs is missing.
    pub fn detect() -> Result<Self> {
        Self::detect_at(Path::new(MOUNT))
    }

    fn detect_at(mount: &Path) -> Result<Self> {
        let (found, names) = if mount.join("cgroup.controllers").is_file() {
            let names = fs::read_to_string(mount.join("cgroup.controllers"))?;
            (Self::V2(mount.to_owned()), names.split_whitespace().map(str::to_owned).collect::<BTreeSet<_>>())
        } else {
            let mut trees = BTreeSet::new();
            let mut names = BTreeSet::new();
            for entry in fs::read_dir(mount).with_context(|| format!("cannot read {}", mount.display()))?.flatten() {
                let Ok(tree) = entry.path().canonicalize() else { continue };
                // `unified` is version 2 without controllers beside version 1: not ours to use.
                if tree.join("cgroup.procs").is_file() && !tree.join("cgroup.controllers").is_file() {
                    names.insert(entry.file_name().to_string_lossy().into_owned());
                    trees.insert(tree);
                }
            }
            (Self::V1(trees.into_iter().collect()), names)
        };
        let missing: Vec<&str> = NEEDED.into_iter().filter(|name| !names.contains(*name)).collect();
        if missing.is_empty() {
            Ok(found)
        } else {
            bail!("control group controllers are missing: {}", missing.join(", "))
        }
    }

    /// `v1` or `v2`.
    #[must_use]
    pub fn version(&self) -> &'static str {
        match self {
            Self::V1(_) => "v1",
            Self::V2(_) => "v2",
        }
    }

    /// Makes a node's group, and says which files its first process writes itself into.
    ///
    /// # Errors
    /// A group cannot be made, or a controller cannot be enabled for it.
    pub fn make(&self, node: &str) -> Result<Vec<PathBuf>> {
        let mut joins = Vec::new();
        for tree in self.trees() {
            let group = tree.join(node);
            let system = group.join("system");
            fs::create_dir_all(&group).with_context(|| format!("cannot make {}", group.display()))?;
            match self {
                Self::V1(_) => copy_cpuset(tree, &group)?,
                Self::V2(_) => {
                    enable_controllers(tree)?;
                    enable_controllers(&group)?;
                }
            }
            fs::create_dir_all(&system)?;
            copy_cpuset(&group, &system)?;
            joins.push(system.join("cgroup.procs"));
        }
        Ok(joins)
    }

    /// Ends every process in the nodes' groups and removes the groups.
    ///
    /// # Errors
    /// A process or a group does not go away within 15 s.
    pub async fn remove(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            let groups = self.groups();
            if groups.is_empty() {
                return Ok(());
            }
            for group in &groups {
                members(group).into_iter().for_each(|pid| {
                    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                });
                remove_tree(group);
            }
            if Instant::now() > deadline {
                bail!("control groups do not empty: {groups:?}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The nodes' groups in every tree. Beside version 1, runc makes groups in `unified` too.
    fn groups(&self) -> Vec<PathBuf> {
        let unified = Path::new(MOUNT).join("unified");
        let trees = self.trees().iter().chain([&unified]);
        let entries = trees.flat_map(|tree| fs::read_dir(tree).into_iter().flatten().flatten());
        entries
            .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with("kruise-node")))
            .map(|entry| entry.path())
            .collect()
    }

    fn trees(&self) -> &[PathBuf] {
        match self {
            Self::V1(trees) => trees,
            Self::V2(tree) => std::slice::from_ref(tree),
        }
    }
}

/// A version 1 cpuset group is empty until it is told its CPUs and memory nodes, and refuses processes until then.
fn copy_cpuset(from: &Path, to: &Path) -> Result<()> {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        let Ok(value) = fs::read_to_string(from.join(name)) else { continue };
        // Under version 2 the file is empty by default and means "all".
        if !value.trim().is_empty() {
            fs::write(to.join(name), &value).with_context(|| format!("cannot write {}", to.join(name).display()))?;
        }
    }
    Ok(())
}

/// Passes all controllers of a version 2 group on to its children.
fn enable_controllers(group: &Path) -> Result<()> {
    let names = fs::read_to_string(group.join("cgroup.controllers"))?;
    let file = group.join("cgroup.subtree_control");
    for name in names.split_whitespace() {
        let outcome = fs::write(&file, format!("+{name}"));
        if outcome.is_err() && NEEDED.contains(&name) {
            outcome.with_context(|| {
                format!(
                    "cannot enable the {name} controller in {}: inside a container, start it with a private cgroup \
                     namespace and move its processes out of the root group",
                    file.display()
                )
            })?;
        }
    }
    Ok(())
}

/// Processes of a group and all groups below it.
fn members(group: &Path) -> BTreeSet<i32> {
    let mut found: BTreeSet<i32> = fs::read_to_string(group.join("cgroup.procs"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.parse().ok())
        // 0 stands for a process of another namespace, and as a target it would be our own process group.
        .filter(|pid| *pid > 1)
        .collect();
    found.extend(children(group).iter().flat_map(|child| members(child)));
    found
}

/// Groups are removed from the leaves upwards; files in them are the kernel's.
fn remove_tree(group: &Path) {
    children(group).iter().for_each(|child| remove_tree(child));
    let _ = fs::remove_dir(group);
}

fn children(group: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        folder
    }

    #[test]
    fn a_unified_tree_is_version_two() {
        let folder = tree(&[("cgroup.controllers", "cpuset cpu io memory pids\n")]);
        assert_eq!(Cgroups::detect_at(folder.path()).unwrap(), Cgroups::V2(folder.path().to_owned()));
    }

    #[test]
    fn one_tree_a_controller_is_version_one_and_names_for_the_same_tree_count_once() {
        let folder = tree(&[
            ("cpu,cpuacct/cgroup.procs", ""),
            ("cpuset/cgroup.procs", ""),
            ("memory/cgroup.procs", ""),
            ("pids/cgroup.procs", ""),
        ]);
        std::os::unix::fs::symlink("cpu,cpuacct", folder.path().join("cpu")).unwrap();
        let Cgroups::V1(trees) = Cgroups::detect_at(folder.path()).unwrap() else { panic!("not version 1") };
        assert_eq!(trees.len(), 4);
    }

    #[test]
    fn a_missing_controller_is_named() {
        let folder = tree(&[("cgroup.controllers", "cpuset cpu io pids\n")]);
        let error = Cgroups::detect_at(folder.path()).unwrap_err();
        assert_eq!(error.to_string(), "control group controllers are missing: memory");
    }

    #[test]
    fn processes_of_groups_below_belong_to_the_group() {
        let folder = tree(&[("g/cgroup.procs", "0\n10\n"), ("g/a/b/cgroup.procs", "11\n")]);
        assert_eq!(members(&folder.path().join("g")), BTreeSet::from([10, 11]));
    }
}
