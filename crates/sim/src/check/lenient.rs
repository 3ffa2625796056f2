//! What the writer of a write may have acted on: for one CloneSet, the states of specs and Pods from what its caches had
//! to know up to now. Rules ask for the most lenient of them.

use jiff::Timestamp;

use super::picture::{CLONESETS, Left, Life, PODS, Picture, Set};
use super::spec::Spec;
use crate::server::call::Written;

/// The possible views of one CloneSet at one write.
pub(super) struct Lenient<'a> {
    /// The picture after the write.
    pub(super) picture: &'a Picture,
    /// The CloneSet.
    pub(super) set: &'a Set,
    /// Its specs since the one that the cache had to know.
    pub(super) specs: Vec<&'a Spec>,
    /// Changes of Pods up to this version had to be known.
    pub(super) pods: u64,
    /// When.
    pub(super) at: Timestamp,
    /// The moment that the pass may have taken for now.
    pub(super) began: Timestamp,
}

impl<'a> Lenient<'a> {
    /// Of a CloneSet, at a write.
    pub(super) fn new(picture: &'a Picture, set: &'a Set, written: &Written) -> Self {
        let known = |resource| picture.knowledge.understood(written.at, &written.caller, resource);
        Self {
            picture,
            set,
            specs: set.asked_since(known(CLONESETS)).collect(),
            pods: known(PODS),
            at: written.at,
            began: picture.knowledge.pass_began(written.at),
        }
    }

    /// Its Pods.
    pub(super) fn members(&self) -> impl Iterator<Item = &'a Life> + use<'a> {
        self.picture.members(self.set)
    }

    /// Whether it may look as if it was to be deleted by name or label (CS-4).
    pub(super) fn maybe_specified(&self, life: &Life) -> bool {
        life.pod.specified
            || life.specified > self.pods
            || self.specs.iter().any(|spec| spec.pods_to_delete.contains(&life.pod.name))
    }

    /// Whether it is down, or became ready so lately that it may still look so.
    pub(super) fn maybe_down(&self, life: &Life) -> bool {
        !life.pod.up() || life.up_from > self.pods
    }

    /// Whether it was lost by others so lately that the cache may still show it available.
    pub(super) const fn maybe_unseen(&self, lost: super::picture::Lost) -> bool {
        !lost.ours && lost.version > self.pods
    }

    /// Whether it joined by others so lately that the cache may not show it.
    pub(super) const fn maybe_unknown(&self, life: &Life) -> bool {
        !life.joined.1 && life.joined.0 > self.pods
    }

    /// Pods that others removed so lately that the cache may still show them.
    pub(super) fn maybe_still_there(&self) -> impl Iterator<Item = &'a Left> {
        let seen = self.pods;
        self.set.left.iter().filter(move |left| !left.how.ours && left.how.version > seen)
    }

    /// Whether any Pod is, or lately was, to be deleted by name or label.
    pub(super) fn any_specified(&self) -> bool {
        self.members().any(|life| self.maybe_specified(life))
            || self.maybe_still_there().any(|left| self.maybe_specified(&left.life))
    }

    /// Whether every spec that the writer may have acted on has this property.
    pub(super) fn all(&self, property: impl Fn(&Spec) -> bool) -> bool {
        !self.specs.is_empty() && self.specs.iter().all(|spec| property(spec))
    }
}
