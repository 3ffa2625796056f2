//! `cargo xtask bench`: builds what is measured and hands the words on to the crate `kruise-bench`, which knows them.
//!
//! What is measured are the programs of the images: release, static.

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
    let mut built = Vec::new();
    let missing = not_named(asked);
    if !missing.is_empty() {
        let release = images::release(progress).await?;
        for option in missing {
            built.push(format!("--{option}={}", release.join(format!("kruise-{option}")).display()));
        }
    }
    words.extend(built.iter().map(String::as_str));
    layers::cargo(&words, None).await
}

/// Programs that can be measured: the names of options, and of programs behind "kruise-".
const PROGRAMS: [&str; 2] = ["manager", "webhook"];

/// The programs that are needed and that nobody has named.
fn not_named(words: &[String]) -> Vec<&'static str> {
    if words.is_empty() || words.iter().any(|word| word == "--help" || word == "-h") {
        return Vec::new();
    }
    let is_named = |program: &str| {
        let option = format!("--{program}");
        words.iter().any(|word| word.strip_prefix(&option).is_some_and(|rest| rest.is_empty() || rest.starts_with('=')))
    };
    PROGRAMS.into_iter().filter(|program| !is_named(program)).collect()
}

#[cfg(test)]
mod tests {
    use super::not_named;

    #[test]
    fn programs_are_built_unless_they_are_named_or_only_help_is_wanted() {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for (line, wanted) in [
            ("memory --pods 1000", vec!["manager", "webhook"]),
            ("sync --manager /tmp/kruise-manager", vec!["webhook"]),
            ("sync --manager=/tmp/kruise-manager --webhook=/tmp/w", vec![]),
            ("idle --help", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(not_named(&words(line)), wanted, "{line}");
        }
    }
}
