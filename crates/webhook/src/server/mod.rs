//! The TLS server: connections, the certificate they are answered with, and which path is answered by what.
//!
//! `listener` accepts and drains, `credentials` holds the certificate of the moment, `paths` is the table of paths,
//! `answer` turns one HTTP request into one HTTP response, `metrics` counts them. What an answer says is decided by
//! `admission` and `convert`.

pub mod answer;
pub mod credentials;
pub mod listener;
pub mod metrics;
pub mod parting;
pub mod paths;
