//! Tests of the cache without a cluster.

use std::collections::{BTreeMap, BTreeSet};

use api::k8s::{Pod, Text};
use proptest::prelude::*;
use rules::selector::Selector;
use serde_json::json;

use super::*;

fn pod(name: &str, uid: u32, version: u32, node: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": name, "uid": uid.to_string(), "resourceVersion": version.to_string()},
        "spec": {"nodeName": node},
    }))
    .unwrap()
}

fn by_node() -> Vec<Index<Pod>> {
    vec![Index { name: "node", values: |pod| vec![pod.spec.node_name.clone()] }]
}

fn words(changes: &[Change<Pod>]) -> Vec<String> {
    let word = |change: &Change<Pod>| match change {
        Change::Added { new, initial: true } => format!("initial {}", state(new)),
        Change::Added { new, initial: false } => format!("added {}", state(new)),
        Change::Updated { old, new } => format!("updated {} to {}", state(old), state(new)),
        Change::Deleted { last } => format!("deleted {}", state(last)),
    };
    changes.iter().map(word).collect()
}

fn state(pod: &Pod) -> String {
    let meta = &pod.metadata;
    format!("{}@{}", meta.name, meta.resource_version)
}

#[track_caller]
fn check(cache: &mut Cache<Pod>, event: Event<Pod>, want: &[&str]) {
    assert_eq!(words(&cache.apply(event)), want);
}

/// A cache whose first list held `pods`.
fn listed(pods: &[Pod]) -> Cache<Pod> {
    let mut cache = Cache::new(by_node());
    cache.apply(Event::Init);
    for pod in pods {
        cache.apply(Event::InitApply(pod.clone()));
    }
    cache.apply(Event::InitDone);
    cache
}

#[test]
fn the_first_list_is_told_as_initial() {
    let mut cache = Cache::new(by_node());
    check(&mut cache, Event::Init, &[]);
    check(&mut cache, Event::InitApply(pod("a", 1, 5, "n")), &["initial a@5"]);
    check(&mut cache, Event::InitDone, &[]);
    check(&mut cache, Event::Apply(pod("b", 2, 6, "n")), &["added b@6"]);
}

#[test]
fn a_deletion_carries_the_state_at_deletion() {
    let mut cache = listed(&[pod("a", 1, 5, "n")]);
    check(&mut cache, Event::Delete(pod("a", 1, 7, "n")), &["deleted a@7"]);
    assert!(cache.store().is_empty());
    check(&mut cache, Event::Delete(pod("a", 1, 7, "n")), &[]);
}

#[test]
fn a_deletion_missed_while_disconnected_shows_after_the_next_list() {
    let mut cache = listed(&[pod("a", 1, 5, "n"), pod("b", 2, 5, "n"), pod("c", 3, 5, "n")]);
    check(&mut cache, Event::Init, &[]);
    check(&mut cache, Event::InitApply(pod("b", 2, 5, "n")), &[]);
    check(&mut cache, Event::InitDone, &["deleted a@5", "deleted c@5"]);
    assert_eq!(cache.store().len(), 1);
}

#[test]
fn a_list_that_breaks_off_deletes_nothing() {
    let mut cache = listed(&[pod("a", 1, 5, "n"), pod("b", 2, 5, "n")]);
    check(&mut cache, Event::Init, &[]);
    check(&mut cache, Event::InitApply(pod("a", 1, 5, "n")), &[]);
    check(&mut cache, Event::Init, &[]);
    assert_eq!(cache.store().len(), 2);
    check(&mut cache, Event::InitApply(pod("b", 2, 6, "n")), &["updated b@5 to b@6"]);
    check(&mut cache, Event::InitDone, &["deleted a@5"]);
}

#[test]
fn a_successor_of_the_same_name_is_another_object() {
    let mut cache = listed(&[pod("a", 1, 5, "n")]);
    check(&mut cache, Event::Apply(pod("a", 2, 9, "n")), &["deleted a@5", "added a@9"]);
}

#[test]
fn an_older_or_equal_version_changes_nothing() {
    let mut cache = listed(&[pod("a", 1, 10, "n")]);
    check(&mut cache, Event::Apply(pod("a", 1, 10, "n")), &[]);
    check(&mut cache, Event::Apply(pod("a", 1, 9, "m")), &[]);
    assert_eq!(cache.store().by_index("node", "n").len(), 1);
}

#[test]
fn an_index_follows_the_object() {
    let mut cache = listed(&[pod("a", 1, 5, "")]);
    cache.apply(Event::Apply(pod("a", 1, 6, "n")));
    let store = cache.store();
    assert!(store.by_index("node", "").is_empty());
    assert_eq!(state(&store.by_index("node", "n")[0]), "a@6");
    assert_eq!(store.get(&ObjectKey::new("shop", "a")).unwrap().spec.node_name, "n");
}

#[derive(Clone, Debug)]
enum Action {
    Put { name: u8, uid: u32, labels: Vec<u8> },
    Delete { name: u8 },
    Relist { keep: Vec<u8> },
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let labels = proptest::collection::vec(0..4u8, 0..3);
    let put = (0..6u8, 1..3u32, labels).prop_map(|(name, uid, labels)| Action::Put { name, uid, labels });
    let delete = (0..6u8).prop_map(|name| Action::Delete { name });
    let relist = proptest::collection::vec(0..6u8, 0..6).prop_map(|keep| Action::Relist { keep });
    proptest::collection::vec(prop_oneof![6 => put, 2 => delete, 1 => relist], 1..60)
}

proptest! {
    // The naive model is a map; the index of it is a search through all of it. Changes, replayed, give the same map.
    #[test]
    fn objects_indices_and_changes_agree_with_a_naive_model(actions in actions()) {
        let values: fn(&Pod) -> Vec<Text> = |pod| pod.metadata.finalizers.to_vec();
        let mut cache = Cache::new(vec![Index { name: "label", values }]);
        let store = cache.store();
        let mut model: BTreeMap<String, Pod> = BTreeMap::new();
        let mut replayed: BTreeMap<String, Pod> = BTreeMap::new();
        for (version, action) in actions.into_iter().enumerate() {
            let version = u32::try_from(version).unwrap() + 1;
            let mut events = Vec::new();
            match action {
                Action::Put { name, uid, labels } => {
                    let mut new = pod(&format!("p{name}"), uid, version, "n");
                    new.metadata.finalizers = labels.iter().map(|label| label.to_string().into()).collect();
                    model.insert(format!("p{name}"), new.clone());
                    events.push(Event::Apply(new));
                }
                Action::Delete { name } => {
                    if let Some(old) = model.remove(&format!("p{name}")) {
                        events.push(Event::Delete(old));
                    }
                }
                Action::Relist { keep } => {
                    let keep: BTreeSet<_> = keep.iter().map(|name| format!("p{name}")).collect();
                    model.retain(|name, _| keep.contains(name));
                    events.push(Event::Init);
                    events.extend(model.values().cloned().map(Event::InitApply));
                    events.push(Event::InitDone);
                }
            }
            for event in events {
                for change in cache.apply(event) {
                    match change {
                        Change::Added { new, .. } => {
                            prop_assert!(replayed.insert(new.metadata.name.to_string(), new.as_ref().clone()).is_none());
                        }
                        Change::Updated { old, new } => {
                            let before = replayed.insert(new.metadata.name.to_string(), new.as_ref().clone());
                            prop_assert_eq!(before, Some(old.as_ref().clone()));
                        }
                        Change::Deleted { last } => {
                            prop_assert!(replayed.remove(last.metadata.name.as_str()).is_some());
                        }
                    }
                }
            }
            prop_assert_eq!(&replayed, &model);
            let held: Vec<Pod> = store.all().iter().map(|pod| pod.as_ref().clone()).collect();
            prop_assert_eq!(held, model.values().cloned().collect::<Vec<_>>());
            let mut used = BTreeSet::new();
            for label in 0..4u8 {
                let label = label.to_string();
                let found: Vec<Pod> = store.by_index("label", &label).iter().map(|pod| pod.as_ref().clone()).collect();
                let naive: Vec<Pod> = model.values().filter(|pod| values(pod).iter().any(|value| *value == label)).cloned().collect();
                if !naive.is_empty() {
                    used.insert(label);
                }
                prop_assert_eq!(found, naive);
            }
            prop_assert_eq!(store.inner.read().index_sizes(), vec![used.len()], "empty values are dropped");
        }
    }
}

#[test] // PL-35
fn pods_are_found_by_owner_node_and_claim() {
    let pod = |namespace: &str, name: &str, owner: &str, node: &str, claim: &str| -> Pod {
        serde_json::from_value(json!({
            "metadata": {"namespace": namespace, "name": name, "uid": name, "resourceVersion": "1",
                "ownerReferences": [{"uid": owner}, {"uid": "both"}]},
            "spec": {"nodeName": node, "volumes": [{"persistentVolumeClaim": {"claimName": claim}}]}}))
        .unwrap()
    };
    let mut cache = Cache::new(vec![by_owner(), indices::by_node()]);
    cache.apply(Event::Apply(pod("shop", "a", "x", "n", "data-0")));
    // An index that comes later holds what was there before; one that is there already is not made anew.
    cache.index(by_claim());
    cache.index(by_owner());
    cache.apply(Event::Apply(pod("shop", "b", "y", "", "data-1")));
    cache.apply(Event::Apply(pod("bank", "c", "y", "n", "data-0")));
    let store = cache.store();
    let names =
        |pods: Vec<Arc<Pod>>| pods.iter().map(|pod| pod.metadata.name.to_string()).collect::<Vec<_>>().join(" ");
    assert_eq!(names(store.owned_by("y")), "c b");
    assert_eq!(names(store.owned_by("both")), "c a b");
    assert_eq!(names(store.on_node("n")), "c a");
    assert_eq!(names(store.using_claim("shop", "data-0")), "a");
}

#[test]
fn select_finds_what_a_walk_through_the_namespace_finds() {
    let pod = |namespace: &str, name: &str, labels: serde_json::Value| -> Pod {
        serde_json::from_value(json!({"metadata": {"namespace": namespace, "name": name, "uid": name,
            "resourceVersion": "1", "labels": labels}}))
        .unwrap()
    };
    let mut cache = listed(&[
        pod("shop", "a", json!({"app": "web", "tier": "front"})),
        pod("shop", "b", json!({"app": "web"})),
        pod("shop", "c", json!({"app": "db", "apps.kruise.io/cloneset-instance-id": "c"})),
        pod("shop", "d", json!({})),
        pod("bank", "e", json!({"app": "web"})),
    ]);
    selectable().into_iter().for_each(|index| cache.index(index));
    let cases = [
        (json!({"matchLabels": {"app": "web"}}), "a b"),
        (json!({"matchLabels": {"app": "web", "tier": "front"}}), "a"),
        (json!({"matchLabels": {"apps.kruise.io/cloneset-instance-id": "c"}}), "c"),
        (json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "db"]}]}), "a b c"),
        (json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}), "c d"),
        (json!({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}), "b c d"),
        (json!({}), "a b c d"),
    ];
    let store = cache.store();
    for (selector, want) in cases {
        let compiled = Selector::compile(&serde_json::from_value(selector.clone()).unwrap()).unwrap();
        let found = store.select("shop", &compiled);
        let names: Vec<_> = found.iter().map(|pod| pod.metadata.name.as_str()).collect();
        assert_eq!(names.join(" "), want, "{selector}");
    }
}
