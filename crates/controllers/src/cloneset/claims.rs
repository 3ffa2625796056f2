//! Claims whose Pod was removed by somebody else, where replacements do not take them over (CS-62, CS-63).

use std::{collections::BTreeMap, sync::Arc};

use api::{
    k8s::{PersistentVolumeClaim, Pod},
    keys,
};
use rules::{
    pod,
    write::{Event, PERSISTENT_VOLUME_CLAIM, Patch, PatchFormat, Step, Subresource, Verb, Write},
};
use serde_json::json;

use super::{scale::concurrent, snapshot::Snapshot, writes};

/// What a claim is to the Pods that there are.
enum Fate<'a> {
    /// An active Pod has it.
    Kept,
    /// A Pod that ended or is being deleted has it: it goes with that Pod.
    GoesWith(&'a Pod),
    /// Nobody has it.
    Deleted,
}

/// Hands claims over to their ending Pod, deletes those without one; `None` where claims are reused (CS-62).
#[must_use]
pub fn clean_up(world: &Snapshot) -> Option<Step> {
    if world.reuses_claims() {
        return None;
    }
    let of = |pods: &'_ [Arc<Pod>]| -> BTreeMap<String, Arc<Pod>> {
        pods.iter().filter_map(|pod| Some((pod::instance_id(pod)?.to_owned(), Arc::clone(pod)))).collect()
    };
    let (active, inactive) = (of(&world.pods), of(&world.inactive));
    let fate = |claim: &PersistentVolumeClaim| {
        let id = claim.metadata.labels.get(keys::INSTANCE_ID_LABEL);
        match id {
            Some(id) if active.contains_key(id.as_str()) => Fate::Kept,
            Some(id) => inactive.get(id.as_str()).map_or(Fate::Deleted, |pod| Fate::GoesWith(pod)),
            None => Fate::Deleted,
        }
    };
    let groups = world
        .claims
        .iter()
        .filter_map(|claim| match fate(claim) {
            Fate::Kept => None,
            Fate::GoesWith(pod) => hand_over(world, claim, pod),
            Fate::Deleted => {
                let mut write = writes::delete_claim(claim, "pvc");
                write.on_failure = write.on_failure.map(|event| Event {
                    message: event.message.replacen("failed to delete pvc", "failed to clean up PVC", 1),
                    ..event
                });
                Some(write)
            }
        })
        .map(|write| vec![write])
        .collect();
    concurrent(groups)
}

/// Claims that the rest of the pass may count on.
#[must_use]
pub fn kept(world: &Snapshot) -> Vec<Arc<PersistentVolumeClaim>> {
    if world.reuses_claims() {
        return world.claims.clone();
    }
    let active: Vec<&str> = world.pods.iter().filter_map(|pod| pod::instance_id(pod)).collect();
    let id = |claim: &PersistentVolumeClaim| claim.metadata.labels.get(keys::INSTANCE_ID_LABEL).cloned();
    world.claims.iter().filter(|claim| id(claim).is_some_and(|id| active.contains(&id.as_str()))).cloned().collect()
}

/// Replaces the CloneSet's owner reference by a controller reference to the Pod.
fn hand_over(world: &Snapshot, claim: &PersistentVolumeClaim, pod: &Pod) -> Option<Write> {
    let uid = &world.cloneset.metadata.uid;
    let mut owners = claim.metadata.owner_references.to_vec();
    owners.retain(|owner| owner.uid != *uid);
    let mut owners = serde_json::to_value(owners).ok()?;
    owners.as_array_mut()?.push(json!({
        "apiVersion": "v1", "kind": "Pod", "name": pod.metadata.name, "uid": pod.metadata.uid,
        "controller": true, "blockOwnerDeletion": true,
    }));
    let name = claim.metadata.name.to_string();
    let patch = Patch {
        subresource: Subresource::None,
        format: PatchFormat::Merge,
        body: json!({"metadata": {"ownerReferences": owners}}),
    };
    let verb = Verb::Patch {
        uid: Some(claim.metadata.uid.to_string()),
        resource_version: Some(claim.metadata.resource_version.to_string()),
        patches: vec![patch],
    };
    Some(Write {
        on_failure: Some(Event::warning("FailedUpdate", format!("failed to update PVC {name}: {{err}}"))),
        ..writes::write(PERSISTENT_VOLUME_CLAIM, &claim.metadata, "hand claim over to its Pod", verb)
    })
}
