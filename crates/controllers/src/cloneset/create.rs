//! The Pods and claims that a CloneSet creates (CS-48, CS-65..68).
//!
//! Templates pass through as JSON: what this product does not know reaches the Pod all the same.

use std::collections::BTreeSet;

use api::{k8s::Text, keys};
use jiff::Timestamp;
use rules::{
    hash::SAFE_ALPHABET,
    lifecycle::State,
    pod, revision,
    write::{Event, Group, PERSISTENT_VOLUME_CLAIM, POD, Verb, Write},
};
use serde_json::{Map, Value, json};

use super::snapshot::{Revision, RevisionLabel, Snapshot};

/// Letters of an instance id (CS-66).
const ID_LENGTH: usize = 5;

/// Groups that create so many Pods each, at the current revision first, then at the update revision (CS-43).
pub(super) fn groups(world: &Snapshot, at_current: usize, at_update: usize, now: Timestamp) -> Vec<Group> {
    let ids = instance_ids(world, at_current + at_update);
    ids.iter()
        .enumerate()
        .map(|(at, id)| {
            let revision = if at < at_current { &world.revisions.current } else { &world.revisions.update };
            group(world, revision, id, now)
        })
        .collect()
}

/// Instance ids for new Pods: those of claims that no active Pod carries, then random ones; ascending (CS-66).
fn instance_ids(world: &Snapshot, count: usize) -> Vec<String> {
    let claimed = world.claims.iter().filter_map(|claim| claim.metadata.labels.get(keys::INSTANCE_ID_LABEL));
    let active: BTreeSet<&str> = world.pods.iter().filter_map(|pod| pod::instance_id(pod)).collect();
    let free: BTreeSet<&Text> = claimed.clone().filter(|id| !active.contains(id.as_str())).collect();
    let mut taken: BTreeSet<String> = claimed.map(Text::to_string).collect();
    taken.extend(world.pods.iter().chain(&world.inactive).filter_map(|pod| pod::instance_id(pod)).map(str::to_owned));
    let mut chosen: Vec<String> = free.into_iter().take(count).map(Text::to_string).collect();
    let mut random = fastrand::Rng::with_seed(world.seed);
    while chosen.len() < count {
        let id: String = (0..ID_LENGTH).filter_map(|_| random.choice(SAFE_ALPHABET)).map(|c| char::from(*c)).collect();
        if taken.insert(id.clone()) {
            chosen.push(id);
        }
    }
    chosen.sort();
    chosen
}

/// The claims that are not there yet, then the Pod (CS-67).
fn group(world: &Snapshot, revision: &Revision, id: &str, now: Timestamp) -> Group {
    let mut group: Group = claims(world, id);
    let name = format!("{}-{id}", world.name());
    let body = pod(world, revision, id, &name, now);
    group.push(Write {
        resource: POD,
        namespace: Some(world.namespace().to_owned()),
        on_success: Some(Event::normal("SuccessfulCreate", format!("succeed to create pod {name}"))),
        on_failure: Some(Event::warning("FailedCreate", format!("failed to create pod: {{err}}, pod: {body}"))),
        name,
        verb: Verb::Create { body },
        reason: "create Pod",
        revision: Some(revision.name.clone()),
    });
    group
}

fn claims(world: &Snapshot, id: &str) -> Group {
    let present: BTreeSet<&str> = world.claims.iter().map(|claim| claim.metadata.name.as_str()).collect();
    let selector = world.spec().selector.match_labels.clone().unwrap_or_default();
    let missing = world.spec().volume_claim_templates.iter().filter_map(|template| {
        let name = format!("{}-{}-{id}", template_name(template), world.name());
        (!present.contains(name.as_str())).then_some((template, name))
    });
    missing
        .map(|(template, name)| {
            let mut labels = object(template.pointer("/metadata/labels"));
            labels.extend(selector.iter().map(|(key, value)| (key.clone(), json!(value))));
            labels.insert(keys::INSTANCE_ID_LABEL.to_owned(), json!(id));
            let body = json!({
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {
                    "name": name,
                    "namespace": world.namespace(),
                    "labels": labels,
                    "annotations": object(template.pointer("/metadata/annotations")),
                    "ownerReferences": [world.owner_reference()],
                },
                "spec": template.get("spec").cloned().unwrap_or_else(|| json!({})),
            });
            Write {
                resource: PERSISTENT_VOLUME_CLAIM,
                namespace: Some(world.namespace().to_owned()),
                on_success: None,
                on_failure: Some(Event::warning("FailedCreate", format!("failed to create pvc: {{err}}, pvc: {body}"))),
                name,
                verb: Verb::Create { body },
                reason: "create claim",
                revision: None,
            }
        })
        .collect()
}

/// The Pod object: the template, the owner, the labels, the readiness gate and the claims' volumes (CS-65, CS-68).
fn pod(world: &Snapshot, revision: &Revision, id: &str, name: &str, now: Timestamp) -> Value {
    let template = |at: &str| revision.template.pointer(at);
    let (state_labels, state_annotations) = State::PreparingNormal.marks(now);
    let mut labels = object(template("/metadata/labels"));
    labels.extend(revision_labels(&revision.name, world.settings.revision_label));
    labels.insert(keys::INSTANCE_ID_LABEL.to_owned(), json!(id));
    labels.extend(state_labels.into_iter().map(|(key, value)| (key, json!(value))));
    let mut annotations = object(template("/metadata/annotations"));
    annotations.extend(state_annotations.into_iter().map(|(key, value)| (key, json!(value))));
    let mut metadata = json!({
        "name": name,
        "generateName": format!("{}-", world.name()),
        "namespace": world.namespace(),
        "labels": labels,
        "annotations": annotations,
        "ownerReferences": [world.owner_reference()],
    });
    if let (Some(finalizers), Some(metadata)) = (template("/metadata/finalizers"), metadata.as_object_mut()) {
        metadata.insert("finalizers".to_owned(), finalizers.clone());
    }
    let mut spec = object(template("/spec"));
    let gates = spec.entry("readinessGates").or_insert_with(|| json!([]));
    if let Some(gates) = gates.as_array_mut() {
        let gate = json!({"conditionType": keys::INPLACE_READY_CONDITION});
        if !gates.contains(&gate) {
            gates.push(gate);
        }
    }
    let claim_volumes: Vec<Value> = world
        .spec()
        .volume_claim_templates
        .iter()
        .map(|claim| {
            let volume = template_name(claim);
            json!({"name": volume, "persistentVolumeClaim": {"claimName": format!("{volume}-{}-{id}", world.name()), "readOnly": false}})
        })
        .collect();
    if !claim_volumes.is_empty() {
        let mut volumes = claim_volumes;
        let own = spec.get("volumes").and_then(Value::as_array).cloned().unwrap_or_default();
        let replaced: Vec<Option<Value>> = volumes.iter().map(|volume| volume.get("name").cloned()).collect();
        volumes.extend(own.into_iter().filter(|volume| !replaced.contains(&volume.get("name").cloned())));
        spec.insert("volumes".to_owned(), json!(volumes));
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
}

/// The labels by which a Pod names its revision (RV-7).
pub(super) fn revision_labels(name: &str, form: RevisionLabel) -> [(String, Value); 2] {
    let hash = revision::hash_part(name);
    let label = match form {
        RevisionLabel::Name => name,
        RevisionLabel::Hash => hash,
    };
    [(keys::REVISION_LABEL.to_owned(), json!(label)), (keys::TEMPLATE_HASH_LABEL.to_owned(), json!(hash))]
}

fn template_name(claim: &Value) -> &str {
    claim.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

fn object(value: Option<&Value>) -> Map<String, Value> {
    value.and_then(Value::as_object).cloned().unwrap_or_default()
}
