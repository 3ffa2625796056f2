//! What holds for every history of applies.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::server::patch::{Types, apply, strategic};

const MANAGERS: [&str; 3] = ["one", "two", "three"];

fn now() -> jiff::Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

/// Labels and containers with images and environments.
fn pod() -> impl Strategy<Value = Value> {
    let texts = || prop::collection::btree_map("[a-c]", "[12]", 0..3);
    let containers = prop::collection::btree_map("[a-c]", (prop::option::of("[12]"), texts()), 0..3);
    (texts(), containers, any::<bool>()).prop_map(|(labels, containers, turned)| {
        let env = |env: BTreeMap<String, String>| -> Vec<Value> {
            env.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
        };
        let one = |(name, (image, values)): (String, (Option<String>, BTreeMap<String, String>))| {
            let mut container = json!({"name": name});
            if let Some(image) = image {
                container["image"] = json!(image);
            }
            if !values.is_empty() {
                container["env"] = json!(env(values));
            }
            container
        };
        let mut containers: Vec<Value> = containers.into_iter().map(one).collect();
        if turned {
            containers.reverse();
        }
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {}});
        if !labels.is_empty() {
            pod["metadata"]["labels"] = json!(labels);
        }
        if !containers.is_empty() {
            pod["spec"]["containers"] = json!(containers);
        }
        pod
    })
}

fn history() -> impl Strategy<Value = Vec<(usize, Value)>> {
    prop::collection::vec((0..MANAGERS.len(), pod()), 1..6)
}

fn play(history: &[(usize, Value)]) -> Option<Value> {
    let types = Types::native("v1", "Pod").unwrap();
    history.iter().fold(None, |live, (manager, body)| {
        Some(apply::apply(&types, live.as_ref(), body, MANAGERS[*manager], "", true, now()).unwrap())
    })
}

proptest! {
    #[test]
    fn applying_twice_is_applying_once(history in history(), manager in 0..MANAGERS.len(), body in pod()) {
        let mut history = history;
        history.push((manager, body.clone()));
        let once = play(&history);
        history.push((manager, body));
        prop_assert_eq!(play(&history), once);
    }

    #[test]
    fn what_is_applied_is_there(history in history(), body in pod()) {
        let mut history = history;
        history.push((0, body.clone()));
        let after = play(&history).unwrap();
        for (name, value) in body["metadata"]["labels"].as_object().into_iter().flatten() {
            prop_assert_eq!(&after["metadata"]["labels"][name], value);
        }
        for container in body["spec"]["containers"].as_array().into_iter().flatten() {
            let found = after["spec"]["containers"].as_array().unwrap().iter().find(|other| other["name"] == container["name"]);
            prop_assert!(found.is_some());
            if let Some(image) = container.get("image") {
                prop_assert_eq!(found.and_then(|found| found.get("image")), Some(image));
            }
        }
    }

    #[test]
    fn what_others_never_touch_survives(history in history()) {
        let mut mine = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}});
        mine["spec"] = json!({"hostname": "h", "containers": [{"name": "z", "image": "z:1"}]});
        let mut all = vec![(0, mine)];
        all.extend(history.into_iter().map(|(manager, body)| (1 + manager % 2, body)));
        let after = play(&all).unwrap();
        prop_assert_eq!(after["spec"]["hostname"].as_str(), Some("h"));
        let containers = after["spec"]["containers"].as_array().unwrap();
        let mine = json!({"name": "z", "image": "z:1"});
        prop_assert!(containers.contains(&mine));
    }

    #[test]
    fn who_applies_nothing_any_more_owns_nothing(history in history()) {
        let nothing = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}});
        let mut all = history;
        all.extend((0..MANAGERS.len()).map(|manager| (manager, nothing.clone())));
        let after = play(&all).unwrap();
        prop_assert_eq!(after["metadata"].get("managedFields"), None);
        prop_assert_eq!(after["spec"].get("containers"), None);
        prop_assert_eq!(after["metadata"].get("labels"), None);
    }

    #[test]
    fn a_strategic_patch_twice_is_the_patch_once(object in pod(), patch in pod()) {
        let once = strategic::apply("Pod", &object, &patch).unwrap();
        prop_assert_eq!(strategic::apply("Pod", &once, &patch).unwrap(), once);
    }
}
