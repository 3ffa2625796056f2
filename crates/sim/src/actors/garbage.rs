//! When the garbage collector works. What it does is the server's: the graph of owners is there.

use super::agenda::{Agenda, Task};
use super::scene::{Millis, Scene, drawn};
use super::{deletion_began, part};
use crate::server::call::Written;

const CALLER: &str = "system:serviceaccount:kube-system:generic-garbage-collector";

/// From a write that may leave garbage to the collector's next pass.
const DELAY: Millis = 50..500;

/// Plans a pass where an object went, began to go, changed its finalizers or its owners. A new object counts too: its
/// owner may be gone already.
pub(super) fn saw(written: &Written, agenda: &mut Agenda, chance: &mut fastrand::Rng) {
    let field = |object, name: &str| part(object, "metadata").and_then(|metadata| metadata.get(name));
    let changed = |name: &str| field(&written.before, name) != field(&written.after, name);
    let matters =
        written.after.is_none() || deletion_began(written) || changed("ownerReferences") || changed("finalizers");
    if matters && !agenda.contains(&Task::CollectGarbage) {
        agenda.add(drawn(written.at, DELAY, chance), Task::CollectGarbage);
    }
}

/// One pass. Another one follows as long as a pass finds something that the server lets it do.
pub(super) fn collect(scene: &mut Scene<'_>) {
    let mut done = 0_usize;
    for call in scene.cluster.garbage() {
        done += usize::from(scene.ask(CALLER, call).is_some());
    }
    if done > 0 {
        scene.later(DELAY, Task::CollectGarbage);
    }
}
