//! `bench`: what the manager needs, measured on the real program against a stand-in API server. Figures are printed with
//! what they are to be compared with; nothing here fails for being slow.
//!
//! Each measurement has its file; what they share is `harness`, the stand-in `server`, what it holds `objects`; a
//! real API server, for those that can do with one, is `real`.

mod all;
mod harness;
mod idle;
mod memory;
mod objects;
mod read;
mod real;
mod reconcile;
mod server;
mod sync;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use harness::Bench;

/// Measures the manager against a stand-in API server on this machine.
#[derive(Debug, Parser)]
#[command(
    name = "bench",
    bin_name = "cargo xtask bench",
    disable_help_subcommand = true,
    arg_required_else_help = true
)]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// Another program to measure than the kruise-manager that stands beside this one
    #[arg(long, global = true, value_name = "PATH")]
    manager: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Memory for each Pod, and the peak when everything is listed again
    Memory(memory::Options),
    /// Time until all caches are complete, beside that of only reading the same bytes
    Sync(sync::Options),
    /// CPU time while Nodes report and nothing has to be done
    Idle(idle::Options),
    /// Passes a second over a CloneSet that has nothing to do
    Reconcile(reconcile::Options),
    /// All of these, at a part of their full size
    Runtime(all::Options),
    /// The stand-in API server, told what to do on stdin
    #[command(hide = true)]
    Serve(server::control::Options),
    /// Reads what the manager caches, once, and throws it away
    #[command(hide = true)]
    Read(read::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { what, manager } = Arguments::parse();
    // When this is asked to end, what it has started goes with it: children are killed where they are dropped.
    let outcome = tokio::select! {
        outcome = run(what, manager) => outcome,
        asked = asked_to_end() => asked.and_then(|()| anyhow::bail!("interrupted")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn asked_to_end() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        asked = tokio::signal::ctrl_c() => asked?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

async fn run(what: What, manager: Option<PathBuf>) -> Result<()> {
    match what {
        What::Memory(options) => memory::run(&Bench::new(manager)?, &options).await,
        What::Sync(options) => sync::run(&Bench::new(manager)?, &options).await,
        What::Idle(options) => idle::run(&Bench::new(manager)?, &options).await,
        What::Reconcile(options) => reconcile::run(&Bench::new(manager)?, &options).await,
        What::Runtime(options) => all::run(&Bench::new(manager)?, &options).await,
        What::Serve(options) => server::control::run(&options).await,
        What::Read(options) => read::run(&options).await,
    }
}
