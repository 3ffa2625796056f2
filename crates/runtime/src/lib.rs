//! What every process needs to live in a cluster: client, caches, queues, expectations, the write engine, leader
//! election, events, metrics, health, flags, gates and logs.
//!
//! Nothing in here knows a kind of ours: what to watch, when to wake up and what to write is decided by the crates
//! above. Only [`clock`] reads the time of day and only
//! [`ambient`] draws lots; both are values that the shell hands on.

pub mod act;
pub mod ambient;
pub mod client;
pub mod clock;
pub mod controller;
pub mod discovery;
pub mod events;
pub mod expectations;
pub mod flags;
pub mod gates;
pub mod health;
pub mod informer;
pub mod leader;
pub mod metrics;
pub mod queue;
pub mod resync;
pub mod shutdown;
pub mod telemetry;

#[cfg(test)]
mod mock;
