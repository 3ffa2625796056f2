//! `cargo xtask test`: the layers from fast to real, each with its time, and cargo's own closing lines summed up.

use std::env;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use e2e::cluster::{self, Wish};
use e2e::command::set_by_cargo;
use e2e::progress::{Progress, answer, seconds};
use e2e::{paths, tools::Tools};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::campaign::Campaign;
use crate::{bench, images, lint};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Only this layer.
    #[arg(long, value_enum)]
    only: Option<Layer>,
    /// Only tests whose name contains this.
    filter: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Layer {
    /// Format, clippy, generated files.
    Lint,
    /// Everything that needs no cluster.
    Unit,
    /// Histories of faults over the real controllers.
    Simulate,
    /// Odd requests to admission and conversion.
    Fuzz,
    /// kube-apiserver and etcd alone, and what the chart renders.
    Api,
    /// Real nodes.
    Cluster,
    /// Every measurement at a hundredth of its size; fails for what does not work, not for what is slow.
    Bench,
}

const LAYERS: [Layer; 7] =
    [Layer::Lint, Layer::Unit, Layer::Simulate, Layer::Fuzz, Layer::Api, Layer::Cluster, Layer::Bench];

impl Layer {
    /// Whether it is made of tests that a filter can name.
    fn has_tests(self) -> bool {
        !matches!(self, Self::Lint | Self::Simulate | Self::Fuzz | Self::Bench)
    }
}

/// What one layer came to.
struct Outcome {
    layer: Layer,
    took: Duration,
    passed: u64,
    failed: u64,
    error: Option<anyhow::Error>,
}

pub(crate) async fn run(options: &Options, progress: &Progress) -> Result<()> {
    let wanted = |layer: &Layer| options.only.is_none_or(|only| only == *layer);
    let has_tests = |layer: &Layer| options.filter.is_none() || layer.has_tests();
    let mut outcomes = Vec::new();
    for layer in LAYERS.into_iter().filter(wanted).filter(has_tests) {
        progress.say(format_args!("--- {layer:?}"));
        let begun = Instant::now();
        let mut totals = Totals::default();
        let error = one(layer, options.filter.as_deref(), &mut totals, progress).await.err();
        let failed = error.is_some();
        outcomes.push(Outcome { layer, took: begun.elapsed(), passed: totals.passed, failed: totals.failed, error });
        // What is slower proves nothing while what is faster fails.
        if failed {
            break;
        }
    }
    answer(format_args!("\nlayer      time          passed  failed"));
    for outcome in &outcomes {
        let verdict = if outcome.error.is_some() { "  FAILED" } else { "" };
        let Outcome { layer, took, passed, failed, .. } = outcome;
        answer(format_args!(
            "{:<10} {:<13} {passed:>6} {failed:>7}{verdict}",
            format!("{layer:?}").to_lowercase(),
            seconds(*took)
        ));
    }
    let (passed, failed) = outcomes.iter().fold((0, 0), |(p, f), one| (p + one.passed, f + one.failed));
    answer(format_args!("{:<10} {:<13} {passed:>6} {failed:>7}", "all", seconds(progress.elapsed())));
    match outcomes.into_iter().find_map(|outcome| outcome.error.map(|error| (outcome.layer, error))) {
        Some((layer, error)) => Err(error.context(format!("layer {layer:?}"))),
        None if passed == 0 && options.only.is_none_or(Layer::has_tests) => bail!("no test ran"),
        None => Ok(()),
    }
}

async fn one(layer: Layer, filter: Option<&str>, totals: &mut Totals, progress: &Progress) -> Result<()> {
    let mut words = vec!["test", "--locked"];
    let mut threads = None;
    match layer {
        Layer::Lint => return lint::run(progress).await,
        Layer::Unit => words.extend(["--workspace", "--exclude", "e2e"]),
        Layer::Api => {
            Tools::ensure(progress).await?;
            words.extend(["--package", "e2e", "--lib", "--test", "api", "--test", "chart", "--test", "conformance"]);
        }
        Layer::Cluster => {
            let cluster = cluster::up(Wish::default(), progress).await?;
            images::ensure(&cluster, progress).await?;
            words.extend(["--package", "e2e", "--test", "cluster", "--test", "isolation", "--test", "removal"]);
            words.extend(["--test", "upgrade"]);
            threads = Some("--test-threads=2");
        }
        Layer::Simulate => return Campaign::Simulate.sample().await,
        Layer::Fuzz => return Campaign::Fuzz.sample().await,
        Layer::Bench => return bench::sample(progress).await,
    }
    words.extend(filter);
    words.push("--");
    words.extend(threads);
    cargo(&words, Some(totals)).await
}

/// Runs cargo in the checkout, its output shown as it comes. Closing lines of test runs are added up.
pub(crate) async fn cargo(words: &[&str], mut totals: Option<&mut Totals>) -> Result<()> {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(words).current_dir(paths::workspace()?).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    // Set for this program by the cargo that ran it; another package's tests must not see them.
    for name in set_by_cargo() {
        command.env_remove(name);
    }
    let mut child = command.spawn().context("cannot start cargo")?;
    if let Some(output) = child.stdout.take() {
        let mut lines = BufReader::new(output).lines();
        while let Some(line) = lines.next_line().await? {
            answer(&line);
            if let Some(totals) = &mut totals {
                totals.add(&line);
            }
        }
    }
    let status = child.wait().await?;
    if status.success() { Ok(()) } else { bail!("`cargo {}` ended with {status}", words.join(" ")) }
}

/// The sums of `test result:` lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    passed: u64,
    failed: u64,
}

impl Totals {
    /// `test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.05s`
    fn add(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("test result: ") else { return };
        let number = |what: &str| -> u64 {
            let before = rest.split(what).next().unwrap_or_default();
            before.split_whitespace().last().and_then(|word| word.parse().ok()).unwrap_or_default()
        };
        self.passed += number(" passed");
        self.failed += number(" failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_add_up() {
        let mut totals = Totals::default();
        totals.add("running 12 tests");
        totals.add("test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.05s");
        totals.add("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.05s");
        assert_eq!(totals, Totals { passed: 15, failed: 2 });
    }
}
