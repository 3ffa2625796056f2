//! The patch formats of the API server, as functions from object and patch to object.

pub mod apply;
pub mod json;
pub mod merge;
pub mod strategic;
