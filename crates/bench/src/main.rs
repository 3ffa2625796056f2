//! `bench`: what manager and webhook need, measured on the real programs against a stand-in API server or a real one.
//! Figures are printed with what they are to be compared with; nothing here fails for being slow.
//!
//! Each measurement has its file; what they share is `harness`, the stand-in `server`, what it holds `objects`; a
//! real API server, for those that can do with one, is `real`.

mod admission;
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

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use harness::{Bench, Programs};

/// Measures manager and webhook on this machine.
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
    #[command(flatten)]
    programs: Programs,
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
    /// Latency, CPU time and memory of Pod admission, beside a handler that does nothing
    Admission(admission::Options),
    /// All of these, at a part of their full size
    Runtime(all::Options),
    /// The stand-in API server, told what to do on stdin
    #[command(hide = true)]
    Serve(server::control::Options),
    /// Reads what the manager caches, once, and throws it away
    #[command(hide = true)]
    Read(read::Options),
    /// The webhook's server with a handler that does nothing
    #[command(hide = true)]
    Noop,
    /// Plays the kubelet of all Pods
    #[command(hide = true)]
    Kubelet(admission::kubelet::Options),
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let Arguments { what, programs } = Arguments::parse();
    // When this is asked to end, what it has started goes with it: children are killed where they are dropped.
    let outcome = tokio::select! {
        outcome = run(what, programs) => outcome,
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

async fn run(what: What, programs: Programs) -> Result<()> {
    match what {
        What::Memory(options) => memory::run(&Bench::new(programs)?, &options).await,
        What::Sync(options) => sync::run(&Bench::new(programs)?, &options).await,
        What::Idle(options) => idle::run(&Bench::new(programs)?, &options).await,
        What::Reconcile(options) => reconcile::run(&Bench::new(programs)?, &options).await,
        What::Admission(options) => admission::run(&Bench::new(programs)?, &options).await,
        What::Runtime(options) => all::run(&Bench::new(programs)?, &options).await,
        What::Serve(options) => server::control::run(&options).await,
        What::Read(options) => read::run(&options).await,
        What::Noop => admission::noop::run().await,
        What::Kubelet(options) => admission::kubelet::run(&options).await,
    }
}
