//! What this process wrote and the caches do not show yet: nobody acts twice on a stale cache (PL-70, PL-72).
//!
//! In memory, lost on restart. The write engine registers, watch handlers meet, controllers ask before they plan. One
//! that timed out is handed to the caller, who checks it by one live GET, and is dropped (ruling 19). The time starts at
//! the first check that finds it unmet, so a controller that is not asked loses nothing.

use std::sync::Arc;
use std::time::Duration;

mod scale;
mod version;

pub use scale::{Action, Expected, ScaleExpectations, Wait};
pub use version::{Observed, VersionExpectations, VersionWait};

/// Both kinds of expectations of one controller; clones share them.
#[derive(Clone, Debug)]
pub struct Expectations {
    /// Creations and deletions, by owner.
    pub scale: Arc<ScaleExpectations>,
    /// Updates, by UID of the object.
    pub versions: Arc<VersionExpectations>,
}

impl Expectations {
    /// Expects nothing yet. `timeout` is `--expectation-timeout`.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        Self { scale: Arc::new(ScaleExpectations::new(timeout)), versions: Arc::new(VersionExpectations::new(timeout)) }
    }
}
