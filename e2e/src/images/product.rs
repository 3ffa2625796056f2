//! The product's three images: release binaries linked statically, put into `FROM scratch` by the project's Dockerfiles.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{Pushed, Recipe, Registry, fingerprint};
use crate::command::Run;
use crate::paths;
use crate::progress::{Failure, Progress};

/// One of the product's programs.
#[derive(Debug)]
pub struct Program {
    /// Package, program and image: `kruise-manager`.
    pub name: &'static str,
    /// Its Dockerfile at the root of the checkout.
    pub dockerfile: &'static str,
}

/// All of them.
pub const PROGRAMS: [Program; 3] = [
    Program { name: "kruise-manager", dockerfile: "Dockerfile.manager" },
    Program { name: "kruise-webhook", dockerfile: "Dockerfile.webhook" },
    Program { name: "kruise-daemon", dockerfile: "Dockerfile.daemon" },
];

/// An image that is in the registry now.
#[derive(Debug)]
pub struct Built {
    /// Its full name.
    pub image: String,
    /// Bytes that a node pulls.
    pub compressed: u64,
    /// Whether it was pushed now.
    pub pushed: Pushed,
}

/// The name under which the chart looks for a program's image.
#[must_use]
pub fn product_reference(program: &Program) -> String {
    format!("docker.io/kruise-rs/{}:v{}", program.name, env!("CARGO_PKG_VERSION"))
}

/// Compiles the programs and makes sure that the registry has their images.
///
/// # Errors
/// The build or buildah fails; the error names the log.
pub async fn ensure_product(registry: &Registry, progress: &Progress) -> Result<Vec<Built>> {
    let root = paths::workspace()?;
    let release = release(progress).await?;
    let mut built = Vec::new();
    for program in &PROGRAMS {
        let image = product_reference(program);
        let binary = release.join(program.name);
        let bytes = fs::read(&binary).with_context(|| format!("cargo built no {}", binary.display()))?;
        let dockerfile = root.join(program.dockerfile);
        let text = fs::read(&dockerfile).with_context(|| format!("cannot read {}", dockerfile.display()))?;
        // A context of its own: buildah would hash the whole release folder otherwise.
        let context = tempfile::tempdir_in(&release)?;
        fs::hard_link(&binary, context.path().join(program.name))?;
        let recipe = Recipe {
            dockerfile: &dockerfile,
            context: context.path(),
            build_args: &[("STAGE", "prebuilt"), ("BINARY", program.name)],
            inputs: fingerprint(&[&bytes, &text]),
        };
        let pushed = progress.step(&image, registry.ensure(&image, &recipe)).await?;
        let compressed = registry.compressed_size(&image).await?;
        built.push(Built { image, compressed, pushed });
    }
    Ok(built)
}

/// Compiles the programs as they are in their images and returns the folder that holds them.
///
/// # Errors
/// They do not compile; the error names the log.
pub async fn release(progress: &Progress) -> Result<PathBuf> {
    let root = paths::workspace()?;
    progress.step("compile the programs (release, static)", compile(&root)).await
}

/// Naming the target keeps the static flag away from build scripts and procedural macros.
async fn compile(root: &Path) -> Result<PathBuf> {
    let target = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let log = paths::state().join("cargo-release.log");
    let _ = fs::remove_file(&log);
    let flags = "-C target-feature=+crt-static".replace(' ', "\x1f");
    // One by one, as the images' own files build them: together, each would get the features of libraries that another
    // one asks for.
    for program in &PROGRAMS {
        let build = Run::cargo().args(["build", "--release", "--locked", "--target", &target]).dir(root);
        let build = build.args(["--package", program.name]).env("CARGO_ENCODED_RUSTFLAGS", &flags).log(&log);
        let failed = || Failure::new(format!("{} does not compile", program.name)).log(&log);
        build.run().await.map_err(|error| failed().because(error))?;
    }
    let ask = Run::cargo().args(["metadata", "--format-version=1", "--no-deps", "--offline"]).dir(root);
    let metadata: serde_json::Value = serde_json::from_str(&ask.output().await?)?;
    match metadata.get("target_directory").and_then(|folder| folder.as_str()) {
        Some(folder) => Ok(Path::new(folder).join(target).join("release")),
        None => bail!("cargo metadata names no target folder"),
    }
}
