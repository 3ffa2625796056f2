//! The in-place engine: moves a running Pod to another revision without deleting it (IU-1..53).
//!
//! [`judge`] says whether two templates differ only in what a running Pod can take, [`start`] and [`refresh`] give the
//! patches, [`is_complete`] reads whether the containers have followed. Which Pod may be updated now is the workload's
//! decision; a judgement of "not possible" never becomes a recreation here (IU-84).

mod apply;
mod complete;
mod diff;
mod judge;
mod state;

pub use apply::{Refresh, Start, refresh, start};
pub use complete::{Broken, is_complete};
pub use judge::{Change, EnvFromMetadata, Obstacle, judge};
pub(crate) use state::seconds_text;
pub use state::{Grace, State, has_state, is_waiting_for_grace};

#[cfg(test)]
mod tests;
