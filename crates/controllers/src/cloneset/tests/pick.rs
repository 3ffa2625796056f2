//! CS-49 and the way to the order of CS-50, which has its own tests in `rules::ordering`.

use std::{cell::Cell, sync::Arc};

use api::k8s::{Pairs, Pod};
use rules::ordering::DeletionOrder;

use super::fixtures::{names, now, pod};
use crate::cloneset::pick::{Groups, victims};

fn no_labels(_: &str) -> Option<Pairs> {
    None
}

fn order() -> DeletionOrder<'static> {
    DeletionOrder { min_ready_seconds: 0, now: now(), topology_keys: &[], node_labels: &no_labels }
}

/// Three Pods a side; within a side the second is not ready and the third the youngest. Each has its own node.
fn sides() -> ([Arc<Pod>; 3], [Arc<Pod>; 3]) {
    let side = |name: &str| {
        let own = |index: usize| pod(&format!("{name}-{index}")).node(&format!("{name}-{index}"));
        [own(1), own(2).not_ready(), own(3).ready_for(60)]
    };
    (side("old").map(|pod| pod.old().build()), side("new").map(|pod| pod.build()))
}

#[test] // CS-49, CS-50
fn old_pods_fill_their_share_and_updated_ones_the_rest() {
    let (old, new) = sides();
    for (count, count_old, want) in [
        (2, 2, ["old-2", "old-3"].as_slice()),
        (2, 5, &["old-2", "old-3"]),
        (2, 1, &["old-2", "new-2"]),
        (3, 1, &["old-2", "new-2", "new-3"]),
        (2, 0, &["new-2", "new-3"]),
        (4, 3, &["old-1", "old-2", "old-3", "new-2"]),
        (0, 0, &[]),
    ] {
        let picked = victims(Groups { old: &old, new: &new }, count, count_old, &order());
        assert_eq!(names(&picked), want, "{count}, {count_old} of them old");
    }
}

#[test] // CS-49
fn a_group_that_goes_as_a_whole_is_not_sorted() {
    let (old, new) = sides();
    let picked = victims(Groups { old: &old, new: &new }, 6, 3, &order());
    assert_eq!(names(&picked), ["old-1", "old-2", "old-3", "new-1", "new-2", "new-3"]);
}

#[test] // CS-49
fn more_than_there_are_picks_all() {
    let (old, new) = sides();
    let picked = victims(Groups { old: &old[..1], new: &new[..1] }, 9, 4, &order());
    assert_eq!(names(&picked), ["old-1", "new-1"]);
}

#[test] // CS-50, rule 6: the spread rank is over the group that is sorted
fn nodes_are_counted_within_the_side_alone() {
    let on = |name: &str, node: &str| pod(name).node(node);
    let old = [on("old-1", "a").old().build(), on("old-2", "a").old().build(), on("old-3", "a").old().build()];
    // among all Pods `a` is the crowded node, among the updated ones it is `b`
    let new = [on("new-1", "a").build(), on("new-2", "b").build(), on("new-3", "b").build()];
    let picked = victims(Groups { old: &old, new: &new }, 1, 0, &order());
    assert_eq!(names(&picked), ["new-2"]);
}

#[test] // CS-50
fn nodes_are_looked_up_only_where_constraints_ask_and_some_pods_stay() {
    let (old, new) = sides();
    let read = Cell::new(0);
    let look_up = |_: &str| {
        read.set(read.get() + 1);
        None
    };
    let zone = ["zone".to_owned()];
    let order = DeletionOrder { min_ready_seconds: 0, now: now(), topology_keys: &zone, node_labels: &look_up };
    let groups = Groups { old: &old, new: &new };
    assert_eq!(victims(groups, 6, 3, &order).len(), 6);
    assert_eq!(read.get(), 0);
    assert_eq!(victims(groups, 1, 1, &order).len(), 1);
    assert_eq!(read.get(), 3);
}
