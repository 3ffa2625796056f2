//! What this process wrote and the caches do not show yet: nobody acts twice on a stale cache (PL-70, PL-72).
//!
//! In memory, lost on restart. The write engine registers, watch handlers meet, controllers ask before they plan. One
//! that was not met in time is checked by a live read (ruling 19), see `overdue.rs`. The time starts at the first check
//! that finds it unmet, so a controller that is not asked loses nothing.
//!
//! Nothing is expected for ever: an object that comes and goes between two looks, whose name goes to a successor, or
//! whose owner is made anew, meets or ends what was expected of it. Nor is anything given up that was carried out: what
//! counts is whether the cache has passed the write, not whether an event looked like it.

use std::sync::Arc;
use std::time::Duration;

use api::k8s::{Projection, Text};
use rules::write::Resource;

use crate::informer::{Cached, Change, ObjectKey};

mod overdue;
mod scale;
mod sight;
mod version;

pub use overdue::LiveCheck;
pub use scale::{Action, Expected, Fate, ScaleExpectations, Wait};
pub use sight::{Sight, State};
pub use version::{Observed, VersionExpectations, VersionWait, Writing};

/// One object, whatever its UID.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId {
    /// Resource type.
    pub resource: Resource,
    /// Namespace and name.
    pub key: ObjectKey,
}

/// Whose expectations: an owner that is made anew under its name has none of the old one's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnerId {
    /// Namespace and name.
    pub key: ObjectKey,
    /// UID.
    pub uid: Text,
}

impl OwnerId {
    /// The identity of an object that owns others.
    pub fn of<T: Projection>(owner: &T) -> Self {
        Self { key: ObjectKey::of(owner), uid: owner.metadata().uid.clone() }
    }
}

/// Both kinds of expectations of one controller; clones share them.
#[derive(Clone, Debug)]
pub struct Expectations {
    /// Creations and deletions, by owner.
    pub scale: Arc<ScaleExpectations>,
    /// Updates, by UID of the object.
    pub versions: Arc<VersionExpectations>,
}

/// Who was found waiting for what a change showed, and need wait no longer: wake them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freed {
    /// The owner whose last expected creation or deletion it was.
    pub owner: Option<ObjectKey>,
    /// Whether a version of the object was expected, and by somebody who waits.
    pub object: Observed,
}

impl Expectations {
    /// Expects nothing yet. `timeout` is `--expectation-timeout`.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        Self { scale: Arc::new(ScaleExpectations::new(timeout)), versions: Arc::new(VersionExpectations::new(timeout)) }
    }

    /// Meets what a change of the cache shows, whoever owns the object now.
    pub fn observe<T: Cached>(&self, resource: Resource, change: &Change<T>) -> Freed {
        let (Change::Added { new: object, .. }
        | Change::Updated { new: object, .. }
        | Change::Deleted { last: object }) = change;
        let metadata = object.metadata();
        let (sight, observed) = match change {
            Change::Deleted { .. } => (Sight::gone(object.as_ref()), self.versions.forget(&metadata.uid)),
            Change::Added { .. } | Change::Updated { .. } => {
                (Sight::of(object.as_ref()), self.versions.observe(&metadata.uid, &metadata.resource_version))
            }
        };
        let id = ObjectId { resource, key: ObjectKey::of(object.as_ref()) };
        Freed { owner: self.scale.observe(&id, &sight), object: observed }
    }
}

#[cfg(test)]
mod histories;
