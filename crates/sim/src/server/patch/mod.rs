//! The patch formats of the API server, as functions from object and patch to object.
//!
//! Nothing here knows a store, a clock or HTTP: what a patch asks for is decided from the two values alone. Whether the
//! result is a valid object is decided by `rules`, names against URLs and preconditions by the core.

pub mod apply;
pub(crate) mod changes;
pub(crate) mod fields;
pub mod json;
pub(crate) mod managed;
pub mod merge;
pub(crate) mod order;
pub mod strategic;
pub(crate) mod structured;
pub(crate) mod table;
pub(crate) mod types;
pub use types::Types;

#[cfg(test)]
mod tests;
