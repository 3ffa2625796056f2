//! `fuzz`: odd requests into the real handlers of the webhook. `cargo xtask fuzz` builds and runs it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use fuzz::campaign::{Campaign, Failed, Report};
use fuzz::generate::Target;
use fuzz::input::Input;
use fuzz::oracle::Judge;

/// Sends odd requests to admission and conversion, and fails at the first answer that breaks a promise.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask fuzz", bin_name = "cargo xtask fuzz")]
struct Arguments {
    /// How many inputs.
    #[arg(long, default_value_t = 1_000_000)]
    inputs: u64,
    /// The first seed; each 250 inputs take the next.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only inputs for this.
    #[arg(long, value_enum)]
    target: Option<Wanted>,
    /// How many at once; 0 for one on each processor.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Send this input alone: a file that a failure left behind, or one of `crates/fuzz/corpus`.
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Wanted {
    /// Reviews of Pods and CloneSets.
    Admission,
    /// Reviews of objects in another version.
    Conversion,
    /// Reviews with bytes changed, and bytes that are no review.
    Bytes,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(err) => {
            eprintln!("{err:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    if let Some(file) = &arguments.replay {
        let bytes = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
        let input = Input::of_file(&bytes).with_context(|| format!("read {}", file.display()))?;
        return Ok(match Judge::new()?.check(&input) {
            Ok(what) => {
                println!("{what}");
                ExitCode::SUCCESS
            }
            Err(violation) => {
                println!("BROKEN: {violation}");
                ExitCode::FAILURE
            }
        });
    }
    let targets = match arguments.target {
        None => Target::ALL.to_vec(),
        Some(Wanted::Admission) => vec![Target::Admission],
        Some(Wanted::Conversion) => vec![Target::Conversion],
        Some(Wanted::Bytes) => vec![Target::Bytes],
    };
    let threads = match arguments.threads {
        0 => thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let begun = Instant::now();
    let campaign = Campaign { targets, inputs: arguments.inputs, seed: arguments.seed, threads };
    let report = campaign.run()?;
    print(&report, begun.elapsed().as_secs_f64());
    match &report.failure {
        None => Ok(ExitCode::SUCCESS),
        Some(failed) => {
            tell(failed)?;
            Ok(ExitCode::FAILURE)
        }
    }
}

fn print(report: &Report, seconds: f64) {
    let Report { inputs, outcomes, failure: _ } = report;
    println!("{inputs} inputs in {seconds:.0} s, {:.0} a second", *inputs as f64 / seconds.max(0.001));
    for (target, outcomes) in outcomes {
        println!("\n{}", target.name());
        outcomes.iter().for_each(|(what, count)| println!("{count:>12}  {what}"));
    }
}

fn tell(failed: &Failed) -> Result<()> {
    let Failed { seed, input, violation } = failed;
    let file = std::env::temp_dir().join(format!("kruise-fuzz-{seed}.input"));
    std::fs::write(&file, input.to_file()).with_context(|| format!("write {}", file.display()))?;
    println!("\nBROKEN: {violation}");
    println!("\nfound from seed {seed}; the shortest that does the same:\n\n{input:?}");
    println!(
        "\nit is in {}; play it with `cargo xtask fuzz --replay FILE`, keep it in crates/fuzz/corpus",
        file.display()
    );
    Ok(())
}
