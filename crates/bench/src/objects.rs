//! The objects of a cluster that nobody has to store: Pods, Nodes and CloneSets, each a function of its number.
//!
//! Here is what they have in common: where a name lives, and numbers that look random but never change. What an object
//! holds is `pods.rs`, `nodes.rs`, `clonesets.rs` and `webhook.rs`, what is asked about Pods `reviews.rs`; how it becomes text quickly is `template.rs`.

pub(crate) mod clonesets;
pub(crate) mod nodes;
pub(crate) mod pods;
pub(crate) mod reviews;
mod shape;
mod template;
pub(crate) mod webhook;

/// Namespaces that workloads are spread over.
const NAMESPACES: u32 = 20;

/// Namespace and name; the namespace of a cluster-scoped object is empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// Namespace.
    pub(crate) namespace: String,
    /// Name.
    pub(crate) name: String,
}

impl Key {
    /// A key from its parts.
    pub(crate) fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

/// All namespaces that workloads stand in.
pub(crate) fn namespaces() -> impl Iterator<Item = String> {
    (0..NAMESPACES).map(namespace_of)
}

/// The namespace of a workload.
fn namespace_of(owner: u32) -> String {
    format!("team-{:02}", owner % NAMESPACES)
}

/// The name of a workload.
fn name_of(owner: u32) -> String {
    format!("web-{owner:05}")
}

/// What numbers are drawn for, so that equal numbers of two kinds give different ones.
#[derive(Clone, Copy)]
enum Draw {
    PodUid = 1,
    NodeUid,
    CloneSetUid,
    Container,
    Revision,
    Suffix,
}

/// A number that looks random, always the same for the same question.
fn draw(what: Draw, of: u32, nth: u32) -> u64 {
    let mut bits = (what as u64) << 56 ^ u64::from(nth) << 40 ^ u64::from(of);
    for factor in [0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb_u64] {
        bits = (bits ^ bits >> 29).wrapping_mul(factor);
    }
    bits ^ bits >> 32
}

/// A UID in the form of version 4.
fn uid(what: Draw, of: u32) -> String {
    let (high, low) = (draw(what, of, 0), draw(what, of, 1));
    let (first, second, third) = (high >> 32, high >> 16 & 0xffff, high & 0xfff);
    format!("{first:08x}-{second:04x}-4{third:03x}-8{:03x}-{:012x}", low >> 52, low & 0xffff_ffff_ffff)
}

/// A text of letters and digits as Kubernetes puts behind generated names: without vowels, so that it spells nothing.
fn suffix(mut number: u64, length: usize) -> String {
    const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut text = String::with_capacity(length);
    for _ in 0..length {
        let at = usize::try_from(number % 27).unwrap_or_default();
        text.push(LETTERS.get(at).map_or('x', |letter| char::from(*letter)));
        number /= 27;
    }
    text
}

/// A time of day, for heartbeats: each number is a second later.
fn time(second: u32) -> String {
    format!("2026-02-03T{:02}:{:02}:{:02}Z", second / 3600 % 24, second / 60 % 60, second % 60)
}
