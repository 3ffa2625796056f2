//! Tables of the CloneSet page, in its order, and the properties that hold for any numbers.

pub(crate) mod fixtures;
mod lossless;
mod numbers;
mod order;
mod pick;
mod plan;
mod properties;
mod registered;
mod revisions;
mod scatter;
mod simulated;
mod status;
mod wake;
pub(crate) mod world;
