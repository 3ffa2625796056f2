//! `cargo xtask crds`: writes what is generated, or checks that it is equal to what is committed.
//!
//! What the files hold is `chart`'s business.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use e2e::paths;
use e2e::progress::{Progress, answer};
use e2e::tools::Tools;

use crate::chart;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Write nothing; fail if a file differs.
    #[arg(long)]
    check: bool,
}

pub(crate) async fn run(options: &Options, progress: &Progress) -> Result<()> {
    if options.check {
        return check(progress).await;
    }
    let root = paths::workspace()?;
    // The plain manifests are rendered from the chart, so the definitions have to be in it by then.
    write(&root, chart::crds()?)?;
    for stray in strays(&root)? {
        fs::remove_file(&stray)?;
        answer(format_args!("removed {}", stray.display()));
    }
    write(&root, rendered(&root, progress).await?)
}

/// Fails when a committed file is not what it would be generated to.
pub(crate) async fn check(progress: &Progress) -> Result<()> {
    let root = paths::workspace()?;
    let mut wrong: Vec<String> = strays(&root)?.iter().map(|file| format!("{} has no kind", file.display())).collect();
    let mut files = chart::crds()?;
    files.extend(rendered(&root, progress).await?);
    for (path, text) in files {
        if fs::read_to_string(root.join(&path)).ok().as_deref() != Some(text.as_str()) {
            wrong.push(format!("{path} differs"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { bail!("{}; run `cargo xtask crds`", wrong.join(", ")) }
}

/// What follows from the chart: the README's table of values and the plain manifests.
async fn rendered(root: &Path, progress: &Progress) -> Result<Vec<(String, String)>> {
    let read = |path: &str| fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"));
    let (readme, values) = (format!("{}/README.md", chart::CHART), format!("{}/values.yaml", chart::CHART));
    let table = chart::readme(&read(&readme)?, &read(&values)?)?;
    let helm = Tools::ensure(progress).await?.helm();
    Ok(vec![(readme, table), (chart::PLAIN.to_owned(), chart::plain(&helm, root)?)])
}

fn write(root: &Path, files: Vec<(String, String)>) -> Result<()> {
    for (path, text) in files {
        let file = root.join(&path);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&file, text).with_context(|| format!("cannot write {path}"))?;
        answer(&path);
    }
    Ok(())
}

/// Definitions in the chart that no kind generates any more.
fn strays(root: &Path) -> Result<Vec<PathBuf>> {
    let known: Vec<PathBuf> = chart::crds()?.into_iter().map(|(path, _)| root.join(path)).collect();
    let Ok(entries) = fs::read_dir(root.join(chart::CHART).join("crds-src")) else { return Ok(Vec::new()) };
    Ok(entries.flatten().map(|entry| entry.path()).filter(|file| !known.contains(file)).collect())
}
