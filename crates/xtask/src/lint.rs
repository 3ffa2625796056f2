//! `cargo xtask lint`: format, clippy without a warning, generated files equal to what they are generated from.

use anyhow::Result;
use e2e::progress::Progress;

use crate::{crds, layers};

pub(crate) async fn run(progress: &Progress) -> Result<()> {
    progress.step("format", layers::cargo(&["fmt", "--all", "--check"], None)).await?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"];
    progress.step("clippy", layers::cargo(&clippy, None)).await?;
    progress.step("generated files", crds::check(progress)).await
}
