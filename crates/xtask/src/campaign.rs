//! `cargo xtask simulate` and `cargo xtask fuzz`: each builds its program and hands the words on to it, which knows them.
//!
//! Both are built with every assertion on: an overflow is a failure.

use anyhow::Result;
use clap::Args;

use crate::layers;

#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// Which of them, and how many; `--help` lists it.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// What is run, seed by seed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Campaign {
    /// Histories of faults over the real controllers.
    Simulate,
    /// Odd requests to admission and conversion.
    Fuzz,
}

impl Campaign {
    pub(crate) async fn run(self, options: &Options) -> Result<()> {
        self.start(&options.words).await
    }

    /// The layer of `cargo xtask test`: as many histories as take about a minute, a hundredth and a half of the inputs of
    /// a full run.
    pub(crate) async fn sample(self) -> Result<()> {
        let size = match self {
            Self::Simulate => "--runs=1500",
            Self::Fuzz => "--inputs=15000",
        };
        self.start(&[size.to_owned()]).await
    }

    async fn start(self, asked: &[String]) -> Result<()> {
        let package = match self {
            Self::Simulate => "kruise-sim",
            Self::Fuzz => "kruise-fuzz",
        };
        let mut words = vec!["run", "--locked", "--quiet", "--profile=simulate", "--package", package, "--"];
        words.extend(asked.iter().map(String::as_str));
        layers::cargo(&words, None).await
    }
}
