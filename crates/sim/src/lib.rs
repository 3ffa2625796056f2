//! The real controllers over a simulated API server that breaks everything on purpose.
//!
//! `server` is the API server, `actors` play scheduler, kubelets, garbage collector and users, `link` is the network
//! between a controller and the server with its faults, `world` puts them together and runs one history. `script` is
//! the form of a history, `check` decides whether it kept what was promised, without a line of the planners' code.
//!
//! One thread, paused time, one seed: the same history gives the same requests and answers.

pub mod actors;
pub mod campaign;
pub mod check;
pub mod counts;
pub mod link;
pub mod nature;
mod panics;
pub mod replica;
pub mod script;
pub mod server;
pub mod user;
pub mod world;
