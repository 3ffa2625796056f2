//! `cargo xtask simulate`: builds the simulation and hands the words on to the crate `kruise-sim`, which knows them.

use anyhow::Result;
use clap::Args;

use crate::layers;

#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// Which histories, and how many; `--help` lists it.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

pub(crate) async fn run(options: &Options) -> Result<()> {
    simulate(&options.words).await
}

/// As many histories as take about a minute: the layer of `cargo xtask test`.
pub(crate) async fn sample() -> Result<()> {
    simulate(&["--runs=1500".to_owned()]).await
}

async fn simulate(asked: &[String]) -> Result<()> {
    let mut words = vec!["run", "--locked", "--quiet", "--profile=simulate", "--package", "kruise-sim", "--"];
    words.extend(asked.iter().map(String::as_str));
    layers::cargo(&words, None).await
}
