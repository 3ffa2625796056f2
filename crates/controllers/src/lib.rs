//! One folder per kind: observe (from caches) -> plan (pure) -> act (API calls), behind one registration each.
//!
//! A kind states which events wake it, what it sees, and what it wants; informers, queues, expectations, events and the
//! write engine are `runtime`'s.

pub mod caches;
pub mod cloneset;
pub mod pod_readiness;
pub mod setup;

pub use setup::{Registration, Setup};

/// Every controller of the manager, one line per kind.
pub const CONTROLLERS: &[Registration] = &[cloneset::REGISTRATION, pod_readiness::REGISTRATION];
