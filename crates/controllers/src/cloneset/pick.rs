//! Which Pods go when a CloneSet has too many (CS-49, CS-50).
//!
//! How many go is `numbers`; whether a picked Pod may go now is decided where the step is planned. The order within a
//! group is `rules::ordering`.

use std::sync::Arc;

use api::k8s::Pod;
use rules::ordering::DeletionOrder;

/// The Pods to choose from, by side (CS-7).
#[derive(Clone, Copy, Debug)]
pub struct Groups<'a> {
    /// Pods that are not updated.
    pub old: &'a [Arc<Pod>],
    /// Updated Pods.
    pub new: &'a [Arc<Pod>],
}

/// Picks `count` Pods to delete, up to `count_old` of them old ones, those that go first in front (CS-49).
///
/// Fewer are picked only where a group has fewer than its share.
#[must_use]
pub fn victims(groups: Groups<'_>, count: i64, count_old: i64, order: &DeletionOrder<'_>) -> Vec<Arc<Pod>> {
    let from_old = count_old.clamp(0, count.max(0));
    let from_new = count - from_old;
    let mut picked = first(groups.old, from_old, order);
    picked.extend(first(groups.new, from_new, order));
    picked
}

/// The first Pods of one group; they are put in order only where some of them stay.
fn first(group: &[Arc<Pod>], count: i64, order: &DeletionOrder<'_>) -> Vec<Arc<Pod>> {
    let count = usize::try_from(count).unwrap_or_default();
    let mut pods = group.to_vec();
    if count < pods.len() {
        if count > 0 {
            order.sort(&mut pods);
        }
        pods.truncate(count);
    }
    pods
}
