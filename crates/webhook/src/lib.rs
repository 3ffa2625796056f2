//! `kruise-webhook`: admission of Pods and of the suite's kinds, conversion between versions, and the certificates under
//! which the API server calls. Every replica serves; there is no leader.
//!
//! `server` takes requests, `admission`, `pod`, `cloneset` and `convert` answer them; `keeper` keeps `certs` and
//! `configuration` in order beside them, `caches` hold what handlers look up; `app` wires it all up. The only state is in the API server.

pub mod admission;
pub mod app;
pub mod args;
pub mod caches;
pub mod certs;
pub mod cloneset;
pub mod configuration;
pub mod convert;
pub mod keeper;
pub mod pod;
pub mod readiness;
pub mod server;
pub mod settings;

#[cfg(test)]
mod testing;
