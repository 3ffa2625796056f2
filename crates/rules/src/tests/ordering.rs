//! CS-50 and CS-56 rule by rule, and the spread rank on worked layouts.

use std::sync::Arc;

use api::k8s::{Pairs, Pod};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// What the rules look at. The default Pod is the one most worth keeping by every rule.
#[derive(Clone)]
struct Traits {
    name: &'static str,
    node: &'static str,
    phase: &'static str,
    ready: bool,
    ready_since: Option<&'static str>,
    state: &'static str,
    cost: Option<&'static str>,
    restarts: i32,
    sidecar_restarts: i32,
    created: Option<&'static str>,
}

const KEPT: Traits = Traits {
    name: "kept",
    node: "n1",
    phase: "Running",
    ready: true,
    ready_since: Some("2026-01-01T00:00:00Z"),
    state: "Normal",
    cost: Some("100"),
    restarts: 0,
    sidecar_restarts: 0,
    created: Some("2026-01-01T00:00:00Z"),
};

/// Goes first by every rule below the one that a test is about.
const GONE: Traits = Traits {
    name: "gone",
    cost: Some("-100"),
    ready_since: Some("2026-01-01T01:00:00Z"),
    restarts: 9,
    sidecar_restarts: 9,
    created: Some("2026-01-01T01:00:00Z"),
    ..KEPT
};

impl Traits {
    fn pod(&self) -> Arc<Pod> {
        let annotations = self.cost.map(|cost| json!({"controller.kubernetes.io/pod-deletion-cost": cost}));
        let ready = if self.ready { "True" } else { "False" };
        let pod = serde_json::from_value(json!({
            "metadata": {
                "name": self.name,
                "labels": {"lifecycle.apps.kruise.io/state": self.state},
                "annotations": annotations,
                "creationTimestamp": self.created,
            },
            "spec": {"nodeName": self.node, "initContainers": [{"name": "proxy", "restartPolicy": "Always"}]},
            "status": {
                "phase": self.phase,
                "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": self.ready_since}],
                "containerStatuses": [{"name": "main", "restartCount": self.restarts}],
                "initContainerStatuses": [{"name": "proxy", "restartCount": self.sidecar_restarts}],
            },
        }));
        Arc::new(pod.unwrap())
    }
}

fn names(pods: &[Arc<Pod>]) -> Vec<&str> {
    pods.iter().map(|pod| pod.metadata.name.as_str()).collect()
}

fn now() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

fn no_labels(_: &str) -> Option<Pairs> {
    None
}

fn for_deletion(pods: &mut [Arc<Pod>], topology_keys: &[&str], node_labels: &NodeLabels) {
    let topology_keys: Vec<String> = topology_keys.iter().map(|key| (*key).to_owned()).collect();
    DeletionOrder { min_ready_seconds: 0, now: now(), topology_keys: &topology_keys, node_labels }.sort(pods);
}

#[track_caller]
fn goes_first(sort: impl Fn(&mut [Arc<Pod>]), first: &Traits, second: &Traits, rule: &str) {
    let (first, second) = (Traits { name: "first", ..first.clone() }, Traits { name: "second", ..second.clone() });
    for mut pods in [[first.pod(), second.pod()], [second.pod(), first.pod()]] {
        sort(&mut pods);
        assert_eq!(names(&pods), ["first", "second"], "{rule}");
    }
}

#[test] // CS-50
fn deletion_rules_count_one_after_the_other() {
    // Each pair differs by its rule alone and, by every later rule, the other way round.
    for (rule, first, second) in [
        ("1 node", Traits { node: "", ..KEPT }, GONE),
        ("2 pending", Traits { phase: "Pending", ..KEPT }, Traits { phase: "Unknown", ..GONE }),
        ("2 unknown", Traits { phase: "Unknown", ..KEPT }, GONE),
        ("2 other phases", Traits { phase: "", ..KEPT }, Traits { phase: "Unknown", ..GONE }),
        ("3 available", Traits { state: "Updating", ..KEPT }, GONE),
        ("4 ready", Traits { ready: false, phase: "Pending", ..KEPT }, Traits { phase: "Pending", ..GONE }),
        ("5 cost", Traits { cost: Some("99"), ..KEPT }, Traits { cost: Some("100"), ..GONE }),
        ("7 ready since", Traits { ready_since: GONE.ready_since, ..KEPT }, Traits { restarts: 9, ..KEPT }),
        ("7 no time", Traits { ready_since: None, ..KEPT }, Traits { restarts: 9, ..KEPT }),
        ("8 restarts", Traits { restarts: 1, ..KEPT }, Traits { created: GONE.created, ..KEPT }),
        ("9 newer", Traits { created: GONE.created, ..KEPT }, KEPT),
        ("9 no time", Traits { created: None, ..KEPT }, GONE_BY_AGE),
    ] {
        goes_first(|pods| for_deletion(pods, &["zone"], &no_labels), &first, &second, rule);
    }
}

const GONE_BY_AGE: Traits = Traits { created: GONE.created, ..KEPT };

#[test] // CS-50, rule 3
fn a_pod_younger_than_min_ready_seconds_goes_before_an_available_one() {
    let young = Traits { ready_since: Some("2026-01-01T11:59:50Z"), cost: Some("100"), ..KEPT };
    let cheap = Traits { cost: Some("-100"), ..KEPT };
    let sort = |seconds: i32| {
        move |pods: &mut [Arc<Pod>]| {
            DeletionOrder { min_ready_seconds: seconds, now: now(), topology_keys: &[], node_labels: &no_labels }
                .sort(pods);
        }
    };
    goes_first(sort(10), &young, &cheap, "still too young at 10 s");
    goes_first(sort(9), &cheap, &young, "available after 9 s");
}

#[test] // CS-50, rule 7
fn the_time_of_a_ready_condition_that_is_not_true_is_no_rule() {
    let not_ready = Traits { ready: false, ..KEPT };
    let restarted = Traits { restarts: 1, ..not_ready };
    let lately_broken = Traits { ready_since: GONE.ready_since, ..not_ready };
    goes_first(|pods| for_deletion(pods, &[], &no_labels), &restarted, &lately_broken, "restarts decide");
}

#[test] // CS-50, rule 5
fn only_a_plain_int32_is_a_deletion_cost() {
    for (text, cost) in [
        (Some("0"), 0),
        (Some("7"), 7),
        (Some("-7"), -7),
        (Some("2147483647"), i32::MAX),
        (Some("-2147483648"), i32::MIN),
        (Some("2147483648"), 0),
        (Some("+7"), 0),
        (Some("07"), 0),
        (Some("7.5"), 0),
        (Some(" 7"), 0),
        (Some("-"), 0),
        (Some(""), 0),
        (None, 0),
    ] {
        assert_eq!(deletion_cost(&Traits { cost: text, ..KEPT }.pod()), cost, "{text:?}");
    }
}

#[test] // CS-56
fn update_rules_count_one_after_the_other() {
    for (rule, first, second) in [
        ("no node", Traits { node: "", ..KEPT }, GONE),
        ("pending", Traits { phase: "Pending", ..KEPT }, Traits { phase: "Unknown", ..GONE }),
        ("unknown", Traits { phase: "Unknown", ..KEPT }, GONE),
        ("not ready", Traits { ready: false, ..KEPT }, GONE),
        ("ready since", Traits { ready_since: GONE.ready_since, ..KEPT }, Traits { restarts: 9, ..KEPT }),
        ("restarts", Traits { restarts: 1, ..KEPT }, Traits { sidecar_restarts: 9, ..KEPT }),
        ("sidecar restarts", Traits { sidecar_restarts: 1, ..KEPT }, GONE_BY_AGE),
        ("newer", GONE_BY_AGE, KEPT),
        ("availability is no rule", GONE_BY_AGE, Traits { state: "Updating", ..KEPT }),
        ("cost is no rule", GONE_BY_AGE, Traits { cost: Some("-100"), ..KEPT }),
    ] {
        goes_first(sort_for_update, &first, &second, rule);
    }
}

/// Equal Pods but for name and place; older first, so that the last is the first to go of its place.
fn layout(places: &[(&'static str, &'static str)]) -> Vec<Arc<Pod>> {
    const CREATED: [&str; 6] = [
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:01Z",
        "2026-01-01T00:00:02Z",
        "2026-01-01T00:00:03Z",
        "2026-01-01T00:00:04Z",
        "2026-01-01T00:00:05Z",
    ];
    let place = |(&(name, node), created)| Traits { name, node, created: Some(created), ..KEPT }.pod();
    places.iter().zip(CREATED).map(place).collect()
}

#[test] // CS-50, rule 6 without constraints
fn the_most_crowded_node_gives_first() {
    let mut pods = layout(&[("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("b2", "b"), ("c1", "c")]);
    for_deletion(&mut pods, &[], &no_labels);
    // ranks: a3 2, a2 1, b2 1, then the last one of each node with 0; newer first among equals
    assert_eq!(names(&pods), ["a3", "b2", "a2", "c1", "b1", "a1"]);
}

#[test] // CS-50, rule 6 without constraints
fn single_and_unassigned_pods_are_not_crowded() {
    let pods = layout(&[("a1", "a"), ("a2", "a"), ("b1", "b"), ("u1", ""), ("u2", "")]);
    assert_eq!(crowding(&pods, &[]), [0.0, 1.0, 0.0, 0.0, 0.0]);
}

#[test] // CS-50, rule 6 without constraints
fn a_pod_with_low_cost_goes_before_the_crowded_node_gives() {
    let mut pods = layout(&[("a1", "a"), ("a2", "a")]);
    pods.push(Traits { name: "b1", node: "b", cost: Some("99"), ..KEPT }.pod());
    for_deletion(&mut pods, &[], &no_labels);
    assert_eq!(names(&pods), ["b1", "a2", "a1"]);
}

/// Zones: `a`, `b` in z1; `c` in z2; `d` without a zone; `e` cannot be read. Every readable node has its host name.
fn zones(node: &str) -> Option<Pairs> {
    let zone = match node {
        "a" | "b" => Some("z1"),
        "c" => Some("z2"),
        "d" => None,
        _ => return None,
    };
    let labels = [("zone", zone), ("kubernetes.io/hostname", Some(node))];
    Some(labels.into_iter().filter_map(|(key, value)| Some((key.into(), value?.into()))).collect())
}

fn crowding(pods: &[Arc<Pod>], topology_keys: &[&str]) -> Vec<f64> {
    let topology_keys: Vec<String> = topology_keys.iter().map(|key| (*key).to_owned()).collect();
    let order = DeletionOrder { min_ready_seconds: 0, now: now(), topology_keys: &topology_keys, node_labels: &zones };
    let mut placed: Vec<Placed> = pods.iter().map(|pod| Placed::new(pod)).collect();
    order.rank_spread(&mut placed);
    placed.iter().map(|one| one.crowding.0).collect()
}

#[test] // CS-50, rule 6 with constraints
fn a_topology_group_ranks_by_node_then_down_to_one() {
    let pods = layout(&[("a1", "a"), ("a2", "a"), ("b1", "b"), ("c1", "c"), ("d1", "d"), ("e1", "e")]);
    let two_zones = 4.0_f64.ln();
    // z1: a2 shares its node and goes first (3), then b1 (newer, 2), then a1 (1); z2: c1 (1); no zone or node: 0
    let want = [1.0 * two_zones, 3.0 * two_zones, 2.0 * two_zones, 1.0 * two_zones, 0.0, 0.0];
    assert_eq!(crowding(&pods, &["zone"]), want);
}

#[test] // CS-50, rule 6 with constraints
fn host_names_are_groups_like_any_other_and_constraints_add_up() {
    let pods = layout(&[("a1", "a"), ("a2", "a"), ("c1", "c"), ("d1", "d")]);
    let (three_hosts, two_zones) = (5.0_f64.ln(), 4.0_f64.ln());
    let hosts = [1.0 * three_hosts, 2.0 * three_hosts, 1.0 * three_hosts, 1.0 * three_hosts];
    assert_eq!(crowding(&pods, &["kubernetes.io/hostname"]), hosts);
    let zones = [1.0 * two_zones, 2.0 * two_zones, 1.0 * two_zones, 0.0];
    let sum: Vec<f64> = zones.iter().zip(hosts).map(|(zone, host)| zone + host).collect();
    assert_eq!(crowding(&pods, &["zone", "kubernetes.io/hostname"]), sum);
}

#[test] // CS-50, rule 6
fn each_node_is_read_once_and_only_with_constraints() {
    let read = std::cell::RefCell::new(Vec::new());
    let look_up = |node: &str| {
        read.borrow_mut().push(node.to_owned());
        zones(node)
    };
    let mut pods = layout(&[("a1", "a"), ("a2", "a"), ("b1", "b"), ("u", "")]);
    for_deletion(&mut pods, &[], &look_up);
    assert!(read.borrow().is_empty());
    for_deletion(&mut pods, &["zone", "rack"], &look_up);
    assert_eq!(*read.borrow(), ["a", "b"]);
}

#[test]
fn topology_keys_are_read_from_the_template() {
    let template = json!({"spec": {"topologySpreadConstraints": [{"topologyKey": "zone"}, {"topologyKey": "rack"}]}});
    assert_eq!(topology_keys(&template), ["zone", "rack"]);
    assert!(topology_keys(&Value::Null).is_empty());
}

fn any_pod() -> impl Strategy<Value = Arc<Pod>> {
    let time = || prop::sample::select(&[None, KEPT.created, GONE.created, Some("2026-01-01T11:59:59Z")][..]);
    let place = (prop::sample::select(&["", "a", "b", "c"][..]), prop::sample::select(&["Pending", "Running"][..]));
    let cost = prop::sample::select(&[None, Some("-1"), Some("5")][..]);
    (place, any::<bool>(), time(), cost, 0..3_i32, time()).prop_map(
        |((node, phase), ready, ready_since, cost, restarts, created)| {
            Traits { name: "any", node, phase, ready, ready_since, cost, restarts, created, ..KEPT }.pod()
        },
    )
}

/// The rules of CS-50 but for rule 6, as a person reads them: the first that tells the Pods apart decides.
fn naive(a: &Pod, b: &Pod) -> Ordering {
    let later = |a: Option<Timestamp>, b: Option<Timestamp>| match (a, b) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(a), Some(b)) => b.cmp(&a),
    };
    let since = |pod: &Pod| pod::ready_condition(pod)?.last_transition_time;
    let born = |pod: &Pod| pod.metadata.creation_timestamp;
    let available = |pod: &Pod| pod::is_available(pod, 5, now());
    let phase = |pod: &Pod| u8::from(pod.status.phase == "Running");
    if is_assigned(a) != is_assigned(b) {
        return is_assigned(a).cmp(&is_assigned(b));
    }
    if phase(a) != phase(b) {
        return phase(a).cmp(&phase(b));
    }
    if available(a) != available(b) {
        return available(a).cmp(&available(b));
    }
    if pod::is_ready(a) != pod::is_ready(b) {
        return pod::is_ready(a).cmp(&pod::is_ready(b));
    }
    if deletion_cost(a) != deletion_cost(b) {
        return deletion_cost(a).cmp(&deletion_cost(b));
    }
    if pod::is_ready(a) && later(since(a), since(b)).is_ne() {
        return later(since(a), since(b));
    }
    pod::max_restarts(b).cmp(&pod::max_restarts(a)).then(later(born(a), born(b)))
}

proptest! {
    #[test] // CS-50
    fn the_order_of_deletion_is_that_of_the_rules(mut pods in prop::collection::vec(any_pod(), 0..8)) {
        let mut want = pods.clone();
        want.sort_by(|a, b| naive(a, b));
        // a topology key that no node has leaves rule 6 without a say
        let keys = ["none".to_owned()];
        DeletionOrder { min_ready_seconds: 5, now: now(), topology_keys: &keys, node_labels: &no_labels }.sort(&mut pods);
        prop_assert_eq!(pods, want);
    }

    #[test] // CS-50, rule 6
    fn equal_pods_leave_the_nodes_evenly_filled(nodes in prop::collection::vec(0..3_usize, 0..12), count in 0..12_usize) {
        let name = |index: usize| ["a", "b", "c"][index];
        let mut pods: Vec<_> = nodes.iter().map(|node| Traits { node: name(*node), ..KEPT }.pod()).collect();
        for_deletion(&mut pods, &[], &no_labels);
        let kept = pods.split_off(count.min(pods.len()));
        let on = |pods: &[Arc<Pod>], node: &str| pods.iter().filter(|pod| pod.spec.node_name == node).count();
        let most = ["a", "b", "c"].iter().map(|node| on(&kept, node)).max().unwrap_or_default();
        for node in ["a", "b", "c"] {
            // a node that gave a Pod has no fewer left than the fullest one, but for one
            prop_assert!(on(&pods, node) == 0 || on(&kept, node) + 1 >= most);
        }
    }
}
