//! Generated CloneSets as the webhooks see them, from the first step to the last.

use std::collections::BTreeMap;

use api::cloneset::{Version, defaults, validation};

use super::*;
use crate::script::{Subject, generate};

/// The objects of a history, checked and defaulted as the webhooks do it on each of its users' steps.
fn admitted(seed: u64) -> Vec<Value> {
    let mut stored = BTreeMap::new();
    let mut all = Vec::new();
    for step in generate(Subject::CloneSet, seed).steps {
        let (target, patch) = match &step {
            Step::Create { target, object } => {
                stored.remove(target);
                (target, object.clone())
            }
            Step::Set { target, patch } => (target, patch.clone()),
            Step::Scale { target, replicas } => (target, json!({"spec": {"replicas": replicas}})),
            _ => continue,
        };
        let old: Option<Value> = stored.get(target).cloned();
        let mut new = old.clone().unwrap_or_default();
        json_patch::merge(&mut new, &patch);
        new["metadata"]["resourceVersion"] = json!("1");
        defaults::apply(&mut new, Version::V1beta1, old.as_ref(), defaults::TemplateDefaults::Inject);
        let denials = match &old {
            Some(old) => validation::on_update(&new, old, Version::V1beta1),
            None => validation::on_create(&new, Version::V1beta1),
        };
        assert!(denials.is_empty(), "seed {seed}: {step}: {denials:?}");
        stored.insert(target.clone(), new.clone());
        all.push(new);
    }
    all
}

#[test]
fn users_never_send_what_the_webhooks_refuse() {
    for seed in 0..400 {
        admitted(seed);
    }
}

#[test]
fn a_paused_cloneset_always_has_a_budget() {
    for object in (0..400).flat_map(admitted) {
        let rolling = &object["spec"]["updateStrategy"]["rollingUpdate"];
        if rolling["paused"] == true {
            assert_eq!(rolling["maxSurge"], 0);
            assert_ne!(rolling["maxUnavailable"], 0);
        }
    }
}

#[test]
fn in_place_only_changes_nothing_but_images_and_metadata() {
    for seed in 0..400 {
        for object in admitted(seed) {
            let main = &object["spec"]["template"]["spec"]["containers"][0];
            let policy = &object["spec"]["updateStrategy"]["rollingUpdate"]["podUpdatePolicy"];
            assert!(policy != "InPlaceOnly" || main.get("env").is_none(), "seed {seed}");
        }
    }
}
