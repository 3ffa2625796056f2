//! `kruise-manager`: every controller behind one leader lease. Flags: `args.rs`. The process: `app.rs`. What a replica
//! runs in it: `replica.rs`.

mod admission;
pub mod app;
pub mod args;
mod features;
pub mod removal;
pub mod replica;
mod start;
