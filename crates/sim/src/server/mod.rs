//! The simulated API server: what kube-apiserver answers, from memory.
//!
//! `core` is synchronous and takes the time as an argument; `service` puts it under a real `kube::Client`. What it cannot
//! do it refuses loudly: HTTP 501 with a message that begins with `simulator:`, never a guess.

pub mod call;
pub mod failure;
pub mod kind;
pub mod patch;
pub mod rules;
