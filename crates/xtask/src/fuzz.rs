//! `cargo xtask fuzz`: builds the fuzzer and hands the words on to the crate `kruise-fuzz`, which knows them.

use anyhow::Result;
use clap::Args;

use crate::layers;

#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// Which inputs, and how many; `--help` lists it.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

pub(crate) async fn run(options: &Options) -> Result<()> {
    fuzz(&options.words).await
}

/// A hundredth and a half of the inputs of a full run: the layer of `cargo xtask test`.
pub(crate) async fn sample() -> Result<()> {
    fuzz(&["--inputs=15000".to_owned()]).await
}

async fn fuzz(asked: &[String]) -> Result<()> {
    // With assertions on, as the simulation: an overflow is a failure.
    let mut words = vec!["run", "--locked", "--quiet", "--profile=simulate", "--package", "kruise-fuzz", "--"];
    words.extend(asked.iter().map(String::as_str));
    layers::cargo(&words, None).await
}
