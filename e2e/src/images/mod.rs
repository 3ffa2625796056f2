//! The local registry and the images in it: what is pushed under which name, and when nothing needs to be pushed.
//!
//! The nodes' containerd asks this registry for every name, so `nginx:1.25` in a manifest is `library/nginx:1.25` here.
//! An image is built and pushed only when what goes into it changed or the registry lost it.

mod product;
mod standin;

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

pub use self::product::{Built, PROGRAMS, Program, ensure_product, product_reference, release};
pub use self::standin::{StandIn, ensure_standins};
use crate::command::Run;
use crate::lock::Lock;
use crate::progress::{Failure, Progress};
use crate::{http, paths};

/// What holds a Pod's namespaces.
pub const PAUSE: &str = "registry.k8s.io/pause:3.10";

const MANIFESTS: &str =
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";

/// The registry of a cluster.
#[derive(Clone, Debug)]
pub struct Registry {
    address: String,
}

impl Registry {
    /// The registry at `host:port`, plain HTTP.
    #[must_use]
    pub fn at(address: String) -> Self {
        Self { address }
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The digest of an image; none when the registry does not have it.
    ///
    /// # Errors
    /// The registry does not answer.
    pub async fn digest(&self, image: &str) -> Result<Option<String>> {
        let answer = self.manifest("HEAD", image).await?;
        Ok((answer.status == 200).then(|| answer.header("docker-content-digest").unwrap_or_default().to_owned()))
    }

    /// Bytes that a node pulls: configuration and compressed layers.
    ///
    /// # Errors
    /// The registry does not have the image.
    pub async fn compressed_size(&self, image: &str) -> Result<u64> {
        let answer = self.manifest("GET", image).await?;
        if answer.status != 200 {
            bail!("the registry has no {image}: status {}", answer.status);
        }
        let manifest: Manifest = serde_json::from_slice(&answer.body).context("the registry's manifest is no JSON")?;
        Ok(manifest.config.size + manifest.layers.iter().map(|layer| layer.size).sum::<u64>())
    }

    async fn manifest(&self, method: &str, image: &str) -> Result<http::Answer> {
        let Name { repository, tag } = Name::of(image);
        http::ask(method, &self.address, &format!("/v2/{repository}/manifests/{tag}"), MANIFESTS).await
    }

    /// Builds a folder with a Dockerfile and pushes it, unless the image made of equal inputs is there.
    /// Returns whether it was pushed.
    ///
    /// # Errors
    /// buildah fails; the error names its log.
    pub async fn ensure(&self, image: &str, recipe: &Recipe<'_>) -> Result<Pushed> {
        let Name { repository, tag } = Name::of(image);
        let stamp = paths::cache().join("images").join(format!("{}_{tag}", repository.replace('/', "_")));
        let inputs = format!("{:016x}", recipe.inputs);
        if let Some(digest) = self.digest(image).await?
            && fs::read_to_string(&stamp).is_ok_and(|text| text == format!("{inputs} {digest}"))
        {
            return Ok(Pushed::Unchanged);
        }
        let log = paths::cache().join("images").join("buildah.log");
        let _ = fs::remove_file(&log);
        // Storage of its own: the user's images, and a containers configuration of the machine, are not ours.
        let storage = paths::cache().join("buildah");
        let _lock = Lock::take(&storage.with_extension("lock"), &Progress::silent()).await?;
        let buildah = || {
            let folder = |name: &str| storage.join(name).display().to_string();
            Run::line("buildah --storage-driver vfs --root")
                .arg(folder("root"))
                .arg("--runroot")
                .arg(folder("run"))
                .env("BUILDAH_ISOLATION", "chroot")
                .log(&log)
        };
        let policy = storage.join("policy.json");
        fs::create_dir_all(&storage)?;
        fs::write(&policy, r#"{"default": [{"type": "insecureAcceptAnything"}]}"#)?;
        let local = format!("localhost/{repository}:{tag}");
        let work = async {
            let mut build = buildah().args(["bud", "--isolation", "chroot", "--timestamp", "0", "--layers=false"]);
            build = build.arg("--signature-policy").arg(&policy).arg("-f").arg(recipe.dockerfile).arg("-t").arg(&local);
            for (name, value) in recipe.build_args {
                build = build.arg("--build-arg").arg(format!("{name}={value}"));
            }
            build.arg(recipe.context).run().await?;
            let target = format!("docker://{}/{repository}:{tag}", self.address);
            let push = buildah().args(["push", "--tls-verify=false", "--signature-policy"]).arg(&policy);
            push.arg(&local).arg(target).run().await?;
            buildah().args(["rmi", "--force", &local]).run().await
        };
        work.await.map_err(|error| {
            Failure::new(format!("cannot build and push {image}"))
                .because(error)
                .log(&log)
                .advise(format!("rm -rf {} and try again", storage.display()))
        })?;
        let digest = self.digest(image).await?.with_context(|| format!("{image} was pushed but is not there"))?;
        fs::write(&stamp, format!("{inputs} {digest}"))?;
        Ok(Pushed::New)
    }
}

/// Whether an image was pushed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// Built and pushed.
    New,
    /// There already, made of the same inputs.
    Unchanged,
}

/// How to build an image.
#[derive(Debug)]
pub struct Recipe<'a> {
    /// The Dockerfile.
    pub dockerfile: &'a Path,
    /// The folder it copies from.
    pub context: &'a Path,
    /// Build arguments.
    pub build_args: &'a [(&'a str, &'a str)],
    /// Differs when anything that goes into the image does.
    pub inputs: u64,
}

#[derive(Deserialize)]
struct Manifest {
    config: Blob,
    layers: Vec<Blob>,
}

#[derive(Deserialize)]
struct Blob {
    size: u64,
}

/// An image's name in our registry: without the registry that it names, with `library/` where Docker Hub means that.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    repository: String,
    tag: String,
}

impl Name {
    fn of(image: &str) -> Self {
        let (registry, rest) = match image.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
            _ => ("docker.io", image),
        };
        let (path, tag) = rest.rsplit_once(':').unwrap_or((rest, "latest"));
        let official = registry == "docker.io" && !path.contains('/');
        Self { repository: if official { format!("library/{path}") } else { path.to_owned() }, tag: tag.to_owned() }
    }
}

/// Differs when one of the parts does. The hash is of this toolchain; another one builds the images once more.
fn fingerprint(parts: &[&[u8]]) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

const PAUSE_SOURCE: &str = r"#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* Holds a Pod's namespaces open, and reaps the orphans of a Pod that shares its process namespace. */
static void leave(int number) { (void)number; _exit(0); }
static void reap(int number) { (void)number; while (waitpid(-1, 0, WNOHANG) > 0) {} }

int main(void) {
    signal(SIGINT, leave);
    signal(SIGTERM, leave);
    signal(SIGCHLD, reap);
    for (;;) pause();
}
";

/// Makes sure that the registry has the pause image.
///
/// # Errors
/// No C compiler, no static C library, or buildah fails.
pub async fn ensure_pause(registry: &Registry) -> Result<()> {
    let dockerfile = "FROM scratch\nCOPY pause /pause\nUSER 65535:65535\nENTRYPOINT [\"/pause\"]\n";
    let inputs = fingerprint(&[PAUSE_SOURCE.as_bytes(), dockerfile.as_bytes()]);
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name);
    fs::write(file("pause.c"), PAUSE_SOURCE)?;
    fs::write(file("Dockerfile"), dockerfile)?;
    let compile = Run::line("cc -static -Os -o").arg(file("pause")).arg(file("pause.c"));
    compile.run().await.context("cannot compile the pause program: a C compiler with its static library is needed")?;
    let recipe = Recipe { dockerfile: &file("Dockerfile"), context: folder.path(), build_args: &[], inputs };
    registry.ensure(PAUSE, &recipe).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_registry_and_docker_hubs_own_gain_library() {
        for (image, repository, tag) in [
            ("nginx:1.25", "library/nginx", "1.25"),
            ("docker.io/nginx", "library/nginx", "latest"),
            ("docker.io/kruise-rs/kruise-manager:v0.1.0", "kruise-rs/kruise-manager", "v0.1.0"),
            ("kruise-rs/kruise-manager:v0.1.0", "kruise-rs/kruise-manager", "v0.1.0"),
            ("registry.k8s.io/pause:3.10", "pause", "3.10"),
            ("localhost:5000/a/b:c", "a/b", "c"),
        ] {
            assert_eq!(Name::of(image), Name { repository: repository.into(), tag: tag.into() }, "{image}");
        }
    }

    #[test]
    fn the_fingerprint_knows_where_one_part_ends() {
        assert_ne!(fingerprint(&[b"ab", b"c"]), fingerprint(&[b"a", b"bc"]));
    }
}
