//! `cargo xtask bench`: builds what is measured and hands the words on to the crate `kruise-bench`, which knows them.
//!
//! What is measured is the manager of the images: release, static.

use anyhow::Result;
use clap::Args;
use e2e::{images, progress::Progress};

use crate::layers;

#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// What to measure, and how much of it; `--help` lists it.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

pub(crate) async fn run(options: &Options, progress: &Progress) -> Result<()> {
    measure(Profile::Release, &options.words, progress).await
}

/// How the bench itself is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Profile {
    /// For figures.
    Release,
    /// To see that everything works.
    Dev,
}

/// Every measurement at a hundredth of its size, so that none can rot: the layer of `cargo xtask test`.
pub(crate) async fn sample(progress: &Progress) -> Result<()> {
    measure(Profile::Dev, &["runtime".to_owned(), "--scale=0.01".to_owned()], progress).await
}

async fn measure(profile: Profile, asked: &[String], progress: &Progress) -> Result<()> {
    let mut words = vec!["run", "--locked", "--quiet", "--package", "kruise-bench"];
    if profile == Profile::Release {
        words.push("--release");
    }
    words.push("--");
    words.extend(asked.iter().map(String::as_str));
    let mut manager = None;
    if measures_own_build(asked) {
        let release = images::release(progress).await?;
        manager = Some(release.join("kruise-manager").display().to_string());
    }
    words.extend(manager.iter().flat_map(|manager| ["--manager", manager]));
    layers::cargo(&words, None).await
}

/// Whether a manager is needed that nobody has named.
fn measures_own_build(words: &[String]) -> bool {
    let asks_for_help = words.is_empty() || words.iter().any(|word| word == "--help" || word == "-h");
    let names_one = words.iter().any(|word| word == "--manager" || word.starts_with("--manager="));
    !asks_for_help && !names_one
}

#[cfg(test)]
mod tests {
    use super::measures_own_build;

    #[test]
    fn the_manager_is_built_unless_one_is_named_or_only_help_is_wanted() {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for (line, wanted) in [
            ("memory --pods 1000", true),
            ("sync --manager /tmp/kruise-manager", false),
            ("sync --manager=/tmp/kruise-manager", false),
            ("idle --help", false),
            ("", false),
        ] {
            assert_eq!(measures_own_build(&words(line)), wanted, "{line}");
        }
    }
}
