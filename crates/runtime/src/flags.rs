//! Command line flags under the names of OpenKruise (platform section 3, install section 11, IN-59).
//!
//! Groups to `#[command(flatten)]`, one per part; a process takes those of its own parts. Values are written as Go
//! writes them. An unknown flag is refused by clap; a flag given twice takes its last value, as in Go, if the process
//! sets `#[command(args_override_self = true)]`.

mod client;
mod controllers;
mod duration;
mod log;
mod process;

pub use client::{ClientArgs, Limits};
pub use controllers::{ControllerArgs, WorkerArgs};
pub use duration::{DurationError, duration};
pub use log::{AcceptedLogArgs, LogArgs, LoggingFormat};
pub use process::{CacheArgs, GateArgs, HealthArgs, LeaderArgs, MetricsArgs, PprofArgs, RateLimitArgs};

/// Reads a boolean as Go's flag packages do.
///
/// # Errors
/// Anything but `1 t T true TRUE True 0 f F false FALSE False`.
pub fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

#[cfg(test)]
mod tests;
