//! Upkeep at the end of a pass: names of Pods that are gone, revisions that nobody needs (CS-19, CS-20).

use std::collections::BTreeSet;

use api::keys;
use rules::{
    pod, revision,
    write::{CLONE_SET, CONTROLLER_REVISION, Patch, PatchFormat, Step, Subresource, Verb},
};
use serde_json::json;

use super::{scale::concurrent, snapshot::Snapshot, writes};

/// Old revisions kept where nothing is said (CS-20).
const DEFAULT_HISTORY_LIMIT: i32 = 10;

/// Takes names of Pods that are gone out of `podsToDelete`, keeping the order of the rest (CS-19).
#[must_use]
pub fn prune(world: &Snapshot) -> Option<Step> {
    let listed = &world.spec().scale_strategy.as_ref()?.pods_to_delete;
    let present: BTreeSet<&str> = world.pods.iter().map(|pod| pod.metadata.name.as_str()).collect();
    let kept: Vec<&String> = listed.iter().filter(|name| present.contains(name.as_str())).collect();
    if kept.len() == listed.len() {
        return None;
    }
    let body = json!({"spec": {"scaleStrategy": {"podsToDelete": kept}}});
    let verb = Verb::Patch {
        uid: Some(world.cloneset.metadata.uid.to_string()),
        resource_version: Some(world.cloneset.metadata.resource_version.to_string()),
        patches: vec![Patch { subresource: Subresource::None, format: PatchFormat::Merge, body }],
    };
    concurrent(vec![vec![writes::write(CLONE_SET, &world.cloneset.metadata, "prune podsToDelete", verb)]])
}

/// Deletes revisions beyond the limit that are neither in use nor carried by a Pod, oldest first (CS-20).
#[must_use]
pub fn truncate(world: &Snapshot) -> Option<Step> {
    let limit = world.spec().revision_history_limit.unwrap_or(DEFAULT_HISTORY_LIMIT);
    let carried: BTreeSet<&str> = world
        .pods
        .iter()
        .chain(&world.inactive)
        .filter_map(|pod| pod::label(pod, keys::REVISION_LABEL))
        .map(revision::hash_part)
        .collect();
    let in_use = [&world.revisions.current.name, &world.revisions.update.name];
    let idle: Vec<_> = world
        .revisions
        .history
        .iter()
        .filter(|stored| {
            let name = stored.metadata.name.as_str();
            !in_use.iter().any(|used| *used == name) && !carried.contains(revision::hash_part(name))
        })
        .collect();
    let beyond = idle.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
    let groups = idle
        .into_iter()
        .take(beyond)
        .map(|stored| {
            let uid = stored.metadata.uid.to_string();
            vec![writes::write(CONTROLLER_REVISION, &stored.metadata, "truncate history", Verb::Delete { uid })]
        })
        .collect();
    concurrent(groups)
}
