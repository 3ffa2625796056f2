//! `cargo xtask`: the one entry for people and CI. Bare, it lists what it can do.
//!
//! Here is the command line only; each command has its file, and the cluster itself is the crate `e2e`.

mod bench;
mod campaign;
mod chart;
mod cluster;
mod crds;
mod demo;
mod images;
mod layers;
mod lint;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};
use e2e::progress::{Progress, answer, explain};
use e2e::tools::Tools;

use campaign::Campaign;

/// Builds, tests and shows kruise-rs on a real Kubernetes cluster on this machine.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the product at work, step by step, on a cluster of three nodes or on your own.
    Demo(demo::Options),
    /// Run the tests, from fast to real: lint, unit, simulation, fuzzing, api, cluster, bench.
    Test(layers::Options),
    /// Check format, clippy and generated files.
    Lint,
    /// Measure the manager (memory, time to sync, CPU at rest, reconciles) and the webhook (admission of Pods).
    Bench(bench::Options),
    /// Run the real controllers over a simulated API server that breaks everything on purpose.
    Simulate(campaign::Options),
    /// Send odd requests to admission and conversion: no panic, no dropped field.
    Fuzz(campaign::Options),
    /// The cluster on this machine.
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// Build the product's images, or stand-ins for others, into the cluster's registry and print their sizes.
    Images(images::Options),
    /// Write the generated files: definitions, plain manifests, the table of values.
    Crds(crds::Options),
    /// Build Kubernetes, etcd and Helm into the cache.
    Tools,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(command) = Arguments::parse().command else {
        // Printing the list cannot sensibly fail.
        let _ = Arguments::command().print_help();
        return ExitCode::SUCCESS;
    };
    let outcome = tokio::select! {
        outcome = run(command) => outcome,
        _ = tokio::signal::ctrl_c() => {
            eprintln!("\ninterrupted; what runs goes on: `cargo xtask cluster down` ends it");
            return ExitCode::from(130);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\n{}", explain(&error));
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<()> {
    let progress = Progress::start();
    match command {
        Command::Demo(options) => demo::run(&options, &progress).await,
        Command::Test(options) => layers::run(&options, &progress).await,
        Command::Lint => lint::run(&progress).await,
        Command::Bench(options) => bench::run(&options, &progress).await,
        Command::Simulate(options) => Campaign::Simulate.run(&options).await,
        Command::Fuzz(options) => Campaign::Fuzz.run(&options).await,
        Command::Cluster(command) => cluster::run(&command, &progress).await,
        Command::Images(options) => images::run(&options, &progress).await,
        Command::Crds(options) => crds::run(&options, &progress).await,
        Command::Tools => {
            e2e::tools::sweep_drafts();
            let tools = Tools::ensure(&progress).await?;
            answer(format_args!(
                "{}\n{}\n{}",
                tools.kubectl().display(),
                tools.etcd().display(),
                tools.helm().display()
            ));
            Ok(())
        }
    }
}
