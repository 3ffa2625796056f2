//! Parts of manifests, for an API server that has no nodes to run the rest of them.

use anyhow::{Result, ensure};

use crate::paths;

/// The documents of the plain manifests whose kind is one of these, in their order.
///
/// # Errors
/// The manifests are not there, or hold none of them.
pub fn of_kinds(kinds: &[&str]) -> Result<String> {
    choose(&std::fs::read_to_string(paths::workspace()?.join("deploy/kruise.yaml"))?, kinds)
}

/// The documents of a YAML stream whose kind is one of these, in their order.
///
/// # Errors
/// There is none.
pub fn choose(all: &str, kinds: &[&str]) -> Result<String> {
    let of_kind =
        |document: &&str| kinds.iter().any(|kind| document.lines().any(|line| line == format!("kind: {kind}")));
    let chosen: Vec<&str> = all.split("\n---").filter(of_kind).collect();
    ensure!(!chosen.is_empty(), "no {kinds:?} in the manifests");
    Ok(chosen.join("\n---"))
}
