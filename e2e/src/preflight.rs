//! What this machine must have before anything is installed, built or started: everything missing is named at once.
//!
//! Facts are tried, not looked up, where that is possible: a mount that works proves more than a module list.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Result, bail};
use nix::sys::statvfs::statvfs;

use crate::cluster::{API_PORT, Cgroups, LOOPBACK_PORTS, Layout, Network, REGISTRY_PORT};
use crate::command::Run;
use crate::progress::{Failure, Progress};
use crate::tools::Tools;
use crate::{packages, paths, process};

/// What has to be brought before a cluster can start.
#[derive(Debug, Default)]
pub struct Needs {
    /// Debian packages to install.
    pub packages: Vec<&'static str>,
}

/// Free space for Go's caches, the tools, the images and the nodes, when the tools are still to be built.
const COLD_DISK_GIB: u64 = 12;
/// Free space when they are there.
const WARM_DISK_GIB: u64 = 3;
/// A cluster of three nodes takes about 2 GiB.
const MEMORY_MIB: u64 = 2_500;
const RUST: (u32, u32) = (1, 95);
const GO: (u32, u32) = (1, 24);

/// Looks at everything that can be seen before packages are installed.
///
/// # Errors
/// One error that names all that is missing or in the way.
pub async fn before(layout: &Layout, progress: &Progress) -> Result<Needs> {
    let needs = Needs { packages: packages::missing() };
    let tools = Tools::missing()?;
    let mut problems = Vec::new();
    let mut note = |problem: Option<String>| problems.extend(problem);
    note(root());
    note(system(&needs));
    note(Cgroups::detect().err().map(|error| format!("{error:#}")));
    note(namespaces().await);
    note(
        (!Path::new("/dev/kmsg").exists()).then(|| "/dev/kmsg is missing: a kubelet reads the kernel's log".to_owned()),
    );
    for (command, wanted, why) in [
        ("git", None, "any version"),
        ("cc", None, "a C compiler: apt-get install gcc libc6-dev"),
        ("cargo", Some(RUST), "https://rustup.rs"),
        ("go", (!tools.is_empty()).then_some(GO), "https://go.dev/dl"),
    ] {
        if command != "go" || !tools.is_empty() {
            note(command_problem(command, wanted, why).await);
        }
    }
    note(disk_problem(tools.is_empty()));
    let ours = layout.ledger().records().iter().any(process::Record::is_alive);
    if !ours {
        note(memory_problem());
        problems.extend(ports_in_use());
        problems.extend(Network::free().err().map(|error| format!("{error:#}")));
    }
    if !problems.is_empty() {
        let mut failure = Failure::new(format!("this machine is not ready:\n  - {}", problems.join("\n  - ")));
        if !needs.packages.is_empty() {
            failure = failure.advise(format!("(packages would be installed: {})", needs.packages.join(" ")));
        }
        bail!(failure.advise("put these right and run the command again; nothing was changed yet"));
    }
    progress.say("preflight: nothing is in the way");
    if !needs.packages.is_empty() {
        progress.say(format_args!("to install with apt-get: {}", needs.packages.join(" ")));
    }
    if !tools.is_empty() {
        progress.say(format_args!(
            "to build from Go modules into {}: {} (some minutes the first time)",
            paths::cache().join("tools").display(),
            tools.join(", ")
        ));
    }
    Ok(needs)
}

/// Tries what needs the installed programs: virtual links, bridges, the firewall features of kube-proxy.
///
/// # Errors
/// One error that names all that the kernel lacks.
pub async fn after_install(layout: &Layout) -> Result<()> {
    fs::create_dir_all(layout.root())?;
    let rule = "-m comment --comment x -m conntrack --ctstate NEW -m statistic --mode random --probability 0.5 \
                -m addrtype --dst-type LOCAL -j MARK --or-mark 0x4000";
    let tries = [
        ("virtual links (veth)", "ip link add probe0 type veth peer name probe1".to_owned()),
        ("bridges", "ip link add probe0 type bridge".to_owned()),
        ("iptables with the matches that kube-proxy uses", format!("iptables -t nat -A OUTPUT {rule}")),
        (
            "iptables address translation",
            "iptables -t nat -A OUTPUT -p tcp -j DNAT --to-destination 10.0.0.1:80".to_owned(),
        ),
    ];
    let mut missing = Vec::new();
    for (feature, line) in tries {
        // In a network namespace that lasts as long as the command: the machine's own tables are not touched.
        if let Err(error) = Run::line("unshare --net").args(line.split_whitespace()).run().await {
            missing.push(format!("{feature}: {error:#}"));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        Failure::new(format!("the kernel lacks what a node needs:\n  - {}", missing.join("\n  - ")))
            .advise(
                "modprobe -a veth bridge br_netfilter nf_conntrack nf_nat xt_comment xt_statistic xt_mark xt_addrtype"
            )
            .advise("in a container: start it with --privileged")
    )
}

/// Where containers' file systems come from: `overlayfs` if the disk under the cluster can, `native` (copies) if not.
pub async fn snapshotter(layout: &Layout) -> &'static str {
    let probe = layout.root().join("overlay-probe");
    let folder = |name: &str| probe.join(name).display().to_string();
    let made = ["lower", "upper", "work", "merged"].iter().all(|name| fs::create_dir_all(probe.join(name)).is_ok());
    let options = format!("lowerdir={},upperdir={},workdir={}", folder("lower"), folder("upper"), folder("work"));
    let mount = Run::line("unshare --mount mount -t overlay overlay -o").arg(options).arg(folder("merged"));
    let works = made && mount.succeeds().await;
    let _ = fs::remove_dir_all(&probe);
    if works { "overlayfs" } else { "native" }
}

fn root() -> Option<String> {
    (!nix::unistd::geteuid().is_root()).then(|| "not root: nodes are made of namespaces and mounts".to_owned())
}

fn system(needs: &Needs) -> Option<String> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let debian =
        release.lines().any(|line| line.starts_with("ID") && (line.contains("debian") || line.contains("ubuntu")));
    let installs = debian && paths::which("apt-get").is_some();
    // A machine that has everything may be of any kind.
    if installs || needs.packages.is_empty() {
        return None;
    }
    Some(format!("not Debian or Ubuntu with apt-get, and these are missing: {}", needs.packages.join(" ")))
}

async fn namespaces() -> Option<String> {
    let tried = Run::line("unshare --mount --uts --pid --net --fork --kill-child --mount-proc true").run().await;
    tried
        .err()
        .map(|error| format!("namespaces cannot be made (in a container: start it with --privileged): {error:#}"))
}

async fn command_problem(command: &str, wanted: Option<(u32, u32)>, remedy: &str) -> Option<String> {
    if paths::which(command).is_none() {
        return Some(format!("{command} is not on PATH ({remedy})"));
    }
    let (major, minor) = wanted?;
    let ask = if command == "go" { "version" } else { "--version" };
    let said = Run::new(command).arg(ask).output().await.unwrap_or_default();
    let found = version(&said);
    (found < Some((major, minor)))
        .then(|| format!("{command} {major}.{minor} or newer is needed, found: {said} ({remedy})"))
}

/// The first `major.minor` in what a program says about itself: `go version go1.26.8 linux/amd64`.
fn version(said: &str) -> Option<(u32, u32)> {
    said.split_whitespace().find_map(|word| {
        let mut numbers = word.trim_start_matches(|letter: char| !letter.is_ascii_digit()).split('.');
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    })
}

fn disk_problem(warm: bool) -> Option<String> {
    let wanted = if warm { WARM_DISK_GIB } else { COLD_DISK_GIB };
    let short: Vec<String> = [paths::cache(), paths::state()]
        .iter()
        .filter_map(|folder| {
            let there = folder.ancestors().find(|above| above.exists())?;
            let disk = statvfs(there).ok()?;
            let free = (disk.blocks_available() * disk.fragment_size()) >> 30;
            (free < wanted).then(|| format!("{free} GiB free under {}, {wanted} GiB are needed", folder.display()))
        })
        .collect();
    (!short.is_empty()).then(|| short.join("; "))
}

fn memory_problem() -> Option<String> {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let available = line.split_whitespace().next()?.parse::<u64>().ok()? / 1024;
    (available < MEMORY_MIB).then(|| format!("{available} MiB of memory are free, {MEMORY_MIB} MiB are needed"))
}

/// Listeners on our ports that would refuse us the address: those on all addresses or on ours.
fn ports_in_use() -> Vec<String> {
    let wanted = BTreeSet::from_iter([API_PORT, REGISTRY_PORT].into_iter().chain(LOOPBACK_PORTS));
    let mut taken: Vec<Listener> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .flat_map(|table| listeners(&fs::read_to_string(table).unwrap_or_default()))
        .filter(|listener| wanted.contains(&listener.port))
        .collect();
    taken.sort_by_key(|listener| listener.port);
    taken.dedup_by_key(|listener| listener.port);
    taken
        .iter()
        .map(|listener| {
            let owner = owner(listener.inode).unwrap_or_else(|| "another process".to_owned());
            format!("port {}, which the cluster needs, is in use by {owner}", listener.port)
        })
        .collect()
}

#[derive(Debug, PartialEq, Eq)]
struct Listener {
    port: u16,
    inode: u64,
}

/// Sockets in state listen (`0A`) on every address, or on our loopback address, in a `/proc/net/tcp` table.
fn listeners(table: &str) -> Vec<Listener> {
    let listener = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (address, port) = fields.get(1)?.split_once(':')?;
        let blocks = address.chars().all(|digit| digit == '0') || address == "01001E7F";
        let listens = *fields.get(3)? == "0A";
        (blocks && listens).then_some(())?;
        Some(Listener { port: u16::from_str_radix(port, 16).ok()?, inode: fields.get(9)?.parse().ok()? })
    };
    table.lines().skip(1).filter_map(listener).collect()
}

fn owner(inode: u64) -> Option<String> {
    let socket = format!("socket:[{inode}]");
    process::all().into_iter().find_map(|pid| {
        let mut files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
        files.any(|file| fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == socket.as_str())).then_some(())?;
        Some(format!("{} (process {pid})", process::Stat::of(pid)?.command))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_programs_say() {
        assert_eq!(version("go version go1.26.8 linux/amd64"), Some((1, 26)));
        assert_eq!(version("cargo 1.95.0 (f2d3ce0bd 2026-03-21)"), Some((1, 95)));
        assert_eq!(version("no number"), None);
    }

    #[test]
    fn only_listeners_that_block_our_addresses_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 00000000:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 1\n\
            1: 0100007F:094B 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4712 1\n\
            2: 01001E7F:094B 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4713 1\n\
            3: 00000000:192B 0200A8C0:1234 01 00000000:00000000 00:00000000 00000000 0 0 4714 1\n";
        let want = [Listener { port: 5000, inode: 4711 }, Listener { port: 2379, inode: 4713 }];
        assert_eq!(listeners(table), want);
    }

    #[test]
    fn a_listener_is_found_and_named() {
        let socket = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let found = listeners(&fs::read_to_string("/proc/net/tcp").unwrap());
        let mine = found.iter().find(|listener| listener.port == port).unwrap();
        assert!(owner(mine.inode).unwrap().contains(&format!("process {}", std::process::id())));
    }
}
