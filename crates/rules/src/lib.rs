//! Decisions shared by several kinds. Pure: no async, no client, no clock (time is an argument), no randomness (a name
//! or a seed is an argument). A test holds this crate's dependency tree to that.

pub mod hash;
pub mod inplace;
pub mod json;
pub mod lifecycle;
pub mod ordering;
pub mod pod;
pub mod readiness;
pub mod revision;
pub mod selector;
pub mod template;
pub mod write;
