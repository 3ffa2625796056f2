//! What the API server demands of objects: names and metadata, the native kinds' own rules, schemas of CRDs.

pub mod metadata;
pub mod native;
pub mod pod;
pub mod schema;
