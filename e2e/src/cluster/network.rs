//! The addresses of a cluster, and the bridge, namespaces, routes and firewall rules that carry them.
//!
//! The host is a bridge with one address, where API server and registry listen and nothing else does. A node is a
//! network namespace on that bridge. Every node routes straight to every other node's Pods, so the host forwards nothing.

use std::fs;
use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::command::Run;

/// The bridge between host and nodes.
pub(super) const BRIDGE: &str = "kruise0";

/// Where etcd, controller-manager and scheduler listen: a loopback address that no other cluster uses.
pub const LOOPBACK: &str = "127.30.0.1";

/// Three ranges of a cluster, each by its first two or three bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// First three bytes of host and node addresses.
    nodes: [u8; 3],
    /// First two bytes of Pod addresses; the third is the node's number.
    pods: [u8; 2],
    /// First two bytes of Service addresses.
    services: [u8; 2],
}

/// Tried in this order; the first is what Kubernetes users know.
const CANDIDATES: [Network; 3] = [
    Network { nodes: [172, 30, 0], pods: [10, 244], services: [10, 96] },
    Network { nodes: [172, 27, 250], pods: [10, 211], services: [10, 212] },
    Network { nodes: [198, 18, 250], pods: [198, 19], services: [10, 213] },
];

impl Network {
    /// The first set of ranges that no route of this machine touches.
    ///
    /// # Errors
    /// All candidates are in use; the error names the routes.
    pub fn free() -> Result<Self> {
        let table = fs::read_to_string("/proc/net/route").context("cannot read the routing table")?;
        let routes = routes(&table);
        CANDIDATES.into_iter().find(|network| !network.ranges().iter().any(|range| range.meets(&routes))).with_context(
            || format!("every address range that a cluster could use is routed already: {}", shown(&routes)),
        )
    }

    /// The host on the bridge.
    #[must_use]
    pub fn host(&self) -> String {
        let [a, b, c] = self.nodes;
        format!("{a}.{b}.{c}.1")
    }

    /// A node; numbers begin at 1.
    #[must_use]
    pub fn node(&self, number: u8) -> String {
        let [a, b, c] = self.nodes;
        format!("{a}.{b}.{c}.{}", 10 + number)
    }

    /// All Pods.
    #[must_use]
    pub fn pods(&self) -> String {
        let [a, b] = self.pods;
        format!("{a}.{b}.0.0/16")
    }

    /// The Pods of one node.
    #[must_use]
    pub fn pods_of(&self, number: u8) -> String {
        let [a, b] = self.pods;
        format!("{a}.{b}.{number}.0/24")
    }

    /// All Services.
    #[must_use]
    pub fn services(&self) -> String {
        let [a, b] = self.services;
        format!("{a}.{b}.0.0/16")
    }

    /// The Service `kubernetes`.
    #[must_use]
    pub fn kubernetes(&self) -> String {
        let [a, b] = self.services;
        format!("{a}.{b}.0.1")
    }

    fn ranges(&self) -> [Range; 3] {
        let ([a, b, c], [d, e], [f, g]) = (self.nodes, self.pods, self.services);
        [Range::of([a, b, c, 0], 24), Range::of([d, e, 0, 0], 16), Range::of([f, g, 0, 0], 16)]
    }

    /// Makes the bridge and lets its traffic pass the host's firewall.
    ///
    /// # Errors
    /// The kernel has no bridges, or iptables refuses.
    pub async fn make_bridge(&self) -> Result<()> {
        Run::line(&format!("ip link add {BRIDGE} type bridge")).run().await?;
        Run::line(&format!("ip addr add {}/24 dev {BRIDGE}", self.host())).run().await?;
        Run::line(&format!("ip link set {BRIDGE} up")).run().await?;
        for rule in FIREWALL {
            Run::line(&format!("iptables -w -I {rule}")).run().await?;
        }
        Ok(())
    }

    /// Makes a node's namespace with its address and its routes, and the host's route to its Pods.
    ///
    /// # Errors
    /// The kernel has no namespaces or virtual links, or leftovers are in the way.
    pub async fn make_node(&self, number: u8, nodes: u8) -> Result<()> {
        let (space, link, address) = (namespace(number), link(number), self.node(number));
        let mut lines = vec![
            format!("ip netns add {space}"),
            format!("ip link add {link} type veth peer name eth0 netns {space}"),
            format!("ip link set {link} master {BRIDGE} up"),
            format!("ip -n {space} addr add {address}/24 dev eth0"),
            format!("ip -n {space} link set eth0 up"),
            format!("ip -n {space} link set lo up"),
            format!("ip -n {space} route add default via {}", self.host()),
            format!("ip route replace {} via {address} dev {BRIDGE}", self.pods_of(number)),
        ];
        for other in (1..=nodes).filter(|other| *other != number) {
            lines.push(format!("ip -n {space} route add {} via {}", self.pods_of(other), self.node(other)));
        }
        for line in lines {
            Run::line(&line).run().await?;
        }
        let forward = "echo 1 >/proc/sys/net/ipv4/ip_forward";
        Run::line(&format!("ip netns exec {space} sh -c")).arg(forward).run().await
    }
}

/// With Docker or a firewall on the host, frames between nodes and to the host are dropped otherwise.
const FIREWALL: [&str; 3] =
    ["INPUT -i kruise0 -j ACCEPT", "FORWARD -i kruise0 -j ACCEPT", "FORWARD -o kruise0 -j ACCEPT"];

/// The name of a node's network namespace.
#[must_use]
pub(super) fn namespace(number: u8) -> String {
    format!("kruise-node{number}")
}

fn link(number: u8) -> String {
    format!("kruise-n{number}")
}

/// Takes down whatever of it is there, in any state, also after a crash.
pub(super) async fn remove() {
    for entry in fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        if let Some(name) = entry.file_name().to_str().filter(|name| name.starts_with("kruise-node")) {
            let _ = Run::line(&format!("ip netns del {name}")).run().await;
        }
    }
    for entry in fs::read_dir("/sys/class/net").into_iter().flatten().flatten() {
        if let Some(name) = entry.file_name().to_str().filter(|name| name.starts_with("kruise-n") || *name == BRIDGE) {
            let _ = Run::line(&format!("ip link del {name}")).run().await;
        }
    }
    for rule in FIREWALL {
        // As often as it is there: a crash may have left one.
        while Run::line(&format!("iptables -w -D {rule}")).succeeds().await {}
    }
}

/// A range of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    first: u32,
    mask: u32,
}

impl Range {
    fn of(address: [u8; 4], bits: u32) -> Self {
        Self { first: u32::from(Ipv4Addr::from(address)), mask: u32::MAX.checked_shl(32 - bits).unwrap_or(0) }
    }

    fn meets(&self, others: &[Self]) -> bool {
        others.iter().any(|other| {
            let wider = self.mask & other.mask;
            self.first & wider == other.first & wider
        })
    }
}

/// Destinations in `/proc/net/route`, without the default route and without our own bridge.
fn routes(table: &str) -> Vec<Range> {
    let number = |hex: &str| u32::from_str_radix(hex, 16).ok().map(u32::swap_bytes);
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let (link, first, mask) = (fields.next()?, fields.next()?, fields.nth(5)?);
            Some((link, Range { first: number(first)?, mask: number(mask)? }))
        })
        .filter(|(link, range)| *link != BRIDGE && range.mask != 0)
        .map(|(_, range)| range)
        .collect()
}

fn shown(routes: &[Range]) -> String {
    let lines: Vec<String> =
        routes.iter().map(|range| format!("{}/{}", Ipv4Addr::from(range.first), range.mask.leading_ones())).collect();
    lines.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        docker0\t00001EAC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
        kruise0\t0001F40A\t0B001EAC\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";

    #[test]
    fn the_default_route_and_our_own_bridge_are_in_nobodys_way() {
        assert_eq!(routes(TABLE), [Range::of([172, 30, 0, 0], 16)]);
    }

    #[test]
    fn a_range_in_use_is_avoided() {
        let [first, second, _] = CANDIDATES;
        let routes = routes(TABLE);
        assert!(first.ranges().iter().any(|range| range.meets(&routes)));
        assert!(!second.ranges().iter().any(|range| range.meets(&routes)));
    }

    #[test]
    fn ranges_meet_when_one_holds_the_other() {
        let narrow = Range::of([10, 244, 3, 0], 24);
        let wide = Range::of([10, 0, 0, 0], 8);
        assert!(narrow.meets(std::slice::from_ref(&wide)) && wide.meets(std::slice::from_ref(&narrow)));
        assert!(!narrow.meets(&[Range::of([10, 244, 4, 0], 24)]));
    }

    #[test]
    fn addresses_follow_the_number_of_the_node() {
        let [network, ..] = CANDIDATES;
        assert_eq!(network.node(2), "172.30.0.12");
        assert_eq!(network.pods_of(2), "10.244.2.0/24");
        assert_eq!(network.kubernetes(), "10.96.0.1");
    }
}
