//! `simulate`: the real controllers over a simulated API server, history by history. `cargo xtask simulate` builds and
//! runs it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;
use sim::campaign::{Campaign, Failed, Report};
use sim::script::History;
use sim::script::generate::Subject;
use sim::world::{self, Options};

/// Runs histories of faults over the real controllers, and fails at the first that breaks a promise.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask simulate", bin_name = "cargo xtask simulate")]
struct Arguments {
    /// The kind that histories are about.
    #[arg(long, default_value = "CloneSet", ignore_case = true)]
    kind: Subject,
    /// How many histories, beside the known ones.
    #[arg(long, default_value_t = 1_000)]
    runs: u64,
    /// The first seed; each history takes the next.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many at once; 0 for one on each processor.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Run this script alone, and print all requests.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Print the history of `--seed` and end.
    #[arg(long)]
    show: bool,
    /// Flags of the manager.
    #[arg(last = true)]
    flags: Vec<String>,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(err) => {
            eprintln!("{err:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode> {
    let Arguments { kind, runs, seed, threads, script, show, flags } = arguments;
    if show {
        print!("{}", sim::script::generate::generate(kind, seed));
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(script) = script {
        let text = std::fs::read_to_string(&script).with_context(|| format!("read {}", script.display()))?;
        let history: History = text.parse().with_context(|| format!("parse {}", script.display()))?;
        return play(&history, flags);
    }
    let threads = match threads {
        0 => thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let begun = Instant::now();
    let campaign = Campaign { subject: kind, runs, seed, threads, options: Options { flags, keep_log: false } };
    let report = campaign.run()?;
    print(&report, begun.elapsed().as_secs_f64(), threads);
    Ok(match &report.failure {
        None => ExitCode::SUCCESS,
        Some(failed) => {
            tell(failed);
            ExitCode::FAILURE
        }
    })
}

fn play(history: &History, flags: Vec<String>) -> Result<ExitCode> {
    let outcome = world::run(history, &Options { flags, keep_log: true })?;
    outcome.log.iter().for_each(|line| println!("{line}"));
    println!("digest {:016x}, lasted {:?}", outcome.digest, outcome.lasted);
    Ok(match outcome.violation {
        None => ExitCode::SUCCESS,
        Some(violation) => {
            println!("BROKEN: {violation}");
            ExitCode::FAILURE
        }
    })
}

fn print(report: &Report, seconds: f64, threads: usize) {
    let Report { histories, numbers, steps, lasted, failure: _ } = report;
    let each = seconds * 1_000.0 * threads as f64 / (*histories).max(1) as f64;
    let hours = lasted.as_secs_f64() / 3_600.0;
    println!(
        "{histories} histories, {hours:.0} hours of their clusters' time, in {seconds:.0} s; {each:.0} ms of a thread each"
    );
    println!("\nsteps");
    steps.iter().for_each(|(sort, count)| println!("{count:>12}  {sort}"));
    println!("\nwhat happened");
    numbers.iter().for_each(|(what, count)| println!("{count:>12}  {what}"));
}

fn tell(failed: &Failed) {
    println!("\nBROKEN: {}", failed.violation);
    println!(
        "\nfound by the history of seed {} ({} steps); the shortest that does the same:\n",
        failed.history.seed,
        failed.history.steps.len()
    );
    print!("{}", failed.shortest);
    println!("\nplay it with `cargo xtask simulate --script FILE`");
}
