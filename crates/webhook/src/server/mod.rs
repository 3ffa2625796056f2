//! The TLS server: connections, the certificate they are answered with, and which path is answered by what.
//!
//! `listener` accepts and drains, `credentials` holds the certificate of the moment, `paths` is the table of paths,
//! `answer` turns one HTTP request into one HTTP response, `metrics` counts them. What an answer says is decided by
//! `admission` and `convert`. Nobody can make the server wait or grow without end: `connection` bounds what a client may
//! take its time for, `deadline` when an answer is due, `intake` and `room` what is read and held.

pub mod answer;
pub mod body;
mod connection;
pub mod credentials;
pub mod deadline;
pub mod intake;
pub mod listener;
pub mod metrics;
mod parting;
pub mod paths;
mod places;
pub mod room;
