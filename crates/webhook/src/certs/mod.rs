//! The serving certificate and its authority: reading, judging, making, keeping, and when to switch (PL-40..46, ruling 21).
//!
//! `material` judges, `generate` makes, `plan` decides what a pass writes, `rotation` decides when a replica serves a new
//! certificate; all four are pure. `store` is the Secret or the folder. Publishing the authority in `caBundle` is
//! `configuration`; the order of all steps is `keeper`.

pub mod generate;
pub mod material;
pub mod plan;
pub mod rotation;
pub mod store;
