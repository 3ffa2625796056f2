//! A node: one process tree in namespaces of its own, with containerd, kubelet and kube-proxy.
//!
//! The first process is the init of a process namespace, so ending it ends everything the node ever started, containers
//! and their shims included. In its mount namespace the folders that kubelet and containerd insist on are the node's
//! own; the host sees none of its mounts.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::cgroups::Cgroups;
use super::control_plane;
use super::layout::{Layout, cgroup_name, node_name};
use super::network::{Network, namespace};
use crate::images::PAUSE;
use crate::paths;
use crate::pki::{Authority, Subject};
use crate::process::{Record, Stat, all};
use crate::progress::Failure;
use crate::tools::Tools;
use crate::wait::{self, Seen};

/// Programs of a node: name in records and logs, name in the process table.
pub(super) const PROGRAMS: [(&str, &str); 3] =
    [("containerd", "containerd"), ("kubelet", "kubelet"), ("proxy", "kube-proxy")];

/// Folders on which a node mounts its own. `/run` and `/var/log` are on every host; these are made if missing.
pub(super) const MOUNT_POINTS: [&str; 2] = ["/var/lib/kubelet", "/var/lib/cni"];

/// Kernel settings that a kubelet insists on. They are the whole machine's: the node shows it files that say so.
const TUNABLES: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

/// What every node needs to know.
pub(super) struct Shared<'a> {
    /// The cluster's folder.
    pub layout: &'a Layout,
    /// Its addresses.
    pub network: &'a Network,
    /// The programs.
    pub tools: &'a Tools,
    /// Who signs its certificate.
    pub authority: &'a Authority,
    /// The machine's control groups.
    pub cgroups: &'a Cgroups,
    /// Where containers' root file systems come from: `overlayfs`, or `native` on a disk without it.
    pub snapshotter: &'a str,
}

/// Starts a node; its network namespace is there already. Returns before it is ready.
///
/// # Errors
/// A file cannot be written or a program is missing.
pub(super) fn start(shared: &Shared<'_>, number: u8) -> Result<()> {
    let layout = shared.layout;
    let (name, dir) = (node_name(number), layout.node(number));
    for folder in ["run", "log/pods", "kubelet", "cni", "cni-state", "containerd", "volume-plugins", "tunables"] {
        fs::create_dir_all(dir.join(folder)).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    let address = shared.network.node(number);
    let subject = Subject {
        name: &format!("system:node:{name}"),
        groups: &["system:nodes"],
        serves: &[&name, &address],
        ends: None,
    };
    let pair = shared.authority.issue(&name, &subject)?;
    let server = control_plane::server(shared.network);
    shared.authority.kubeconfig(&layout.kubeconfig_of(&name), &server, &pair)?;

    let registry = format!("http://{}:{}", shared.network.host(), control_plane::REGISTRY_PORT);
    let hosts = dir.join("registries/_default");
    fs::create_dir_all(&hosts)?;
    // `server` too is ours: an image that is not in the registry fails at once instead of being sought in the world.
    let text = format!("server = \"{registry}\"\n[host.\"{registry}\"]\n  capabilities = [\"pull\", \"resolve\"]\n");
    fs::write(hosts.join("hosts.toml"), text)?;
    fs::write(dir.join("cni/10-kruise.conflist"), pod_network(shared.network, number, &dir))?;
    fs::write(dir.join("containerd.toml"), containerd_config(&dir, shared.snapshotter))?;
    fs::write(dir.join("kubelet.yaml"), kubelet_config(shared, number))?;
    fs::write(dir.join("resolv.conf"), "")?;
    for (setting, value) in TUNABLES {
        fs::write(dir.join("tunables").join(setting.replace('/', "-")), value)?;
    }
    let joins = shared.cgroups.make(&cgroup_name(number))?;
    let init = dir.join("init.sh");
    fs::write(&init, init_script(shared, number, &joins)?)?;

    let space = format!("--net=/run/netns/{}", namespace(number));
    let words =
        ["nsenter", &space, "unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc", "bash"];
    let mut command: Vec<String> = words.map(str::to_owned).to_vec();
    command.push(init.display().to_string());
    layout.ledger().start(&name, &command, &layout.log(&name))?;
    Ok(())
}

/// Waits until a node's programs run and records each, so that `status` sees one that ended and a test can end one.
///
/// # Errors
/// One of them does not run within a minute.
pub(super) async fn record_programs(layout: &Layout, number: u8) -> Result<()> {
    let name = node_name(number);
    let outer = layout.ledger().record(&name).with_context(|| format!("{name} has no record"))?;
    let found = wait::until(&format!("the programs of {name} run"), Duration::from_secs(60), async || {
        if !outer.is_alive() {
            bail!("{name} ended");
        }
        let table: Vec<(i32, Stat)> = all().into_iter().filter_map(|pid| Some((pid, Stat::of(pid)?))).collect();
        let Some((init, _)) = table.iter().find(|(_, stat)| stat.parent == outer.pid) else {
            return Ok(Seen::NotYet("no init process".to_owned()));
        };
        let mut found = vec![(format!("{name}-init"), *init, name.clone())];
        for (program, command) in PROGRAMS {
            let child = table.iter().find(|(_, stat)| stat.parent == *init && stat.command == command);
            match child {
                Some((pid, _)) => found.push((format!("{name}-{program}"), *pid, format!("{name}-{program}"))),
                None => return Ok(Seen::NotYet(format!("no {command}"))),
            }
        }
        Ok(Seen::Done(found))
    })
    .await
    .map_err(|error| {
        // The last program that said anything is the one that stopped the others.
        let spoke = |log: &PathBuf| log.metadata().is_ok_and(|meta| meta.len() > 0);
        let logs = ["kubelet", "containerd"].map(|program| layout.log(&format!("{name}-{program}")));
        let log = logs.into_iter().find(spoke).unwrap_or_else(|| layout.log(&name));
        Failure::new(format!("{name} does not start")).because(error).log(log)
    })?;
    for (record, pid, log) in found {
        // One that ended in this very moment is seen by the wait for the node itself.
        if let Some(record) = Record::of(&record, pid, &layout.log(&log)) {
            layout.ledger().keep(&record)?;
        }
    }
    Ok(())
}

/// The mount namespaces of the nodes that still run: whatever else is in them belongs to us too.
#[must_use]
pub(super) fn mount_namespaces(records: &[Record]) -> Vec<PathBuf> {
    let space = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
    let own = space(i32::try_from(std::process::id()).unwrap_or_default());
    records
        .iter()
        .filter(|record| record.name.ends_with("-init") && record.is_alive())
        .filter_map(|record| space(record.pid))
        .filter(|found| Some(found) != own.as_ref())
        .collect()
}

/// Point-to-point links: all traffic of Pods is routed, so Services work without bridge filtering in the kernel.
fn pod_network(network: &Network, number: u8, dir: &Path) -> String {
    let config = serde_json::json!({
        "cniVersion": "0.4.0",
        "name": "kruise",
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": false,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": network.pods_of(number)}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "dataDir": dir.join("cni-state/addresses"),
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    });
    config.to_string()
}

fn containerd_config(dir: &Path, snapshotter: &str) -> String {
    let plugins = ["/usr/lib/cni", "/opt/cni/bin"].into_iter().find(|folder| Path::new(folder).join("ptp").is_file());
    format!(
        r#"version = 2
root = "{dir}/containerd"
state = "/run/containerd/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs", "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  disable_hugetlb_controller = true
  disable_apparmor = true
  # Without CAP_SYS_RESOURCE the score cannot be lowered, and runc would fail with "can't get final child's PID".
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{dir}/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{dir}/registries"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"#,
        dir = dir.display(),
        plugins = plugins.unwrap_or("/usr/lib/cni"),
    )
}

fn kubelet_config(shared: &Shared<'_>, number: u8) -> String {
    let (dir, name) = (shared.layout.node(number), node_name(number));
    let config = serde_json::json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": shared.network.node(number),
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": shared.layout.pki_file("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": shared.layout.pki_file(&format!("{name}.crt")),
        "tlsPrivateKeyFile": shared.layout.pki_file(&format!("{name}.key")),
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", cgroup_name(number)),
        "enforceNodeAllocatable": [],
        "failCgroupV1": false,
        "failSwapOn": false,
        "healthzBindAddress": "127.0.0.1",
        "readOnlyPort": 0,
        "maxPods": 200,
        // The disk is the machine's and its own affair: no eviction and no image collection for its sake.
        "evictionHard": {
            "memory.available": "1%", "nodefs.available": "1%", "imagefs.available": "1%",
            "nodefs.inodesFree": "1%", "imagefs.inodesFree": "1%",
        },
        "imageGCHighThresholdPercent": 100,
        "serializeImagePulls": false,
        "nodeStatusUpdateFrequency": "5s",
        "kubeAPIQPS": 100,
        "kubeAPIBurst": 200,
        "resolvConf": dir.join("resolv.conf"),
        "volumePluginDir": dir.join("volume-plugins"),
    });
    format!("{config:#}\n")
}

/// The node's first process. `0` in a cgroup.procs file is the writer itself.
fn init_script(shared: &Shared<'_>, number: u8, joins: &[PathBuf]) -> Result<String> {
    let layout = shared.layout;
    let (name, dir) = (node_name(number), layout.node(number).display().to_string());
    let containerd = paths::which("containerd").context("containerd is not installed")?;
    let join: String = joins.iter().map(|file| format!("echo 0 >{}\n", file.display())).collect();
    let tunables: String = TUNABLES
        .iter()
        .map(|(setting, _)| {
            let file = format!("{dir}/tunables/{}", setting.replace('/', "-"));
            format!("[ ! -e /proc/sys/{setting} ] || mount --bind {file} /proc/sys/{setting}\n")
        })
        .collect();
    Ok(format!(
        r#"set -eu
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
{join}mount --make-rprivate /
mount --make-rshared /
mount --bind {dir}/run /run
mkdir -p /run/containerd /run/netns /run/lock
mount --bind {dir}/log /var/log
mkdir -p /var/log/pods /var/log/containers /var/log/kruise-daemon
mount --bind {dir}/kubelet /var/lib/kubelet
mount --bind {dir}/cni-state /var/lib/cni
{tunables}hostname {name}
{containerd} -c {dir}/containerd.toml >{containerd_log} 2>&1 &
for i in $(seq 300); do [ -S /run/containerd/containerd.sock ] && break; sleep .1; done
{kubelet} --config={dir}/kubelet.yaml --kubeconfig={kubeconfig} --hostname-override={name} --node-ip={address} --root-dir=/var/lib/kubelet --v=2 >{kubelet_log} 2>&1 &
{proxy} --kubeconfig={proxy_config} --hostname-override={name} --proxy-mode=iptables --cluster-cidr={pods} --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0 --healthz-bind-address=127.0.0.1:10256 --metrics-bind-address=127.0.0.1:10249 >{proxy_log} 2>&1 &
# Children end, and shims leave orphans here: an init reaps them and stays.
while :; do wait; sleep 3600 & done
"#,
        containerd = containerd.display(),
        containerd_log = layout.log(&format!("{name}-containerd")).display(),
        kubelet = shared.tools.kubernetes("kubelet").display(),
        kubelet_log = layout.log(&format!("{name}-kubelet")).display(),
        kubeconfig = layout.kubeconfig_of(&name).display(),
        address = shared.network.node(number),
        proxy = shared.tools.kubernetes("kube-proxy").display(),
        proxy_config = layout.kubeconfig_of("proxy").display(),
        proxy_log = layout.log(&format!("{name}-proxy")).display(),
        pods = shared.network.pods(),
    ))
}
