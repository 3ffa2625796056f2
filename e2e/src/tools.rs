//! The Kubernetes programs, etcd and Helm, built from Go modules into a cache outside the checkout.
//!
//! Versions and checksums are pinned by `e2e/tools/<set>/go.mod` and `go.sum`; each set has a folder of the cache named
//! after its version, and is built only when a program is missing there.
//! Cold it takes some eight minutes on two cores, half a minute with Go's build cache.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::command::Run;
use crate::lock::Lock;
use crate::progress::{Failure, Progress};
use crate::{paths, process};

/// One Go module whose tools are built together.
struct Set {
    name: &'static str,
    /// The module that gives the version.
    module: &'static str,
    /// Program as built, program as we call it.
    programs: &'static [(&'static str, &'static str)],
}

const KUBERNETES: Set = Set {
    name: "kubernetes",
    module: "k8s.io/kubernetes",
    programs: &[
        ("kube-apiserver", "kube-apiserver"),
        ("kube-controller-manager", "kube-controller-manager"),
        ("kube-proxy", "kube-proxy"),
        ("kube-scheduler", "kube-scheduler"),
        ("kubectl", "kubectl"),
        ("kubelet", "kubelet"),
    ],
};
/// Debian's etcd 3.4 lacks progress notifications, without which kube-apiserver refuses streaming lists.
const ETCD: Set = Set { name: "etcd", module: "go.etcd.io/etcd/server/v3", programs: &[("server", "etcd")] };
const HELM: Set = Set { name: "helm", module: "helm.sh/helm/v3", programs: &[("helm", "helm")] };
const SETS: [&Set; 3] = [&KUBERNETES, &ETCD, &HELM];

/// The built programs.
#[derive(Clone, Debug)]
pub struct Tools {
    kubernetes: PathBuf,
    etcd: PathBuf,
    helm: PathBuf,
}

impl Tools {
    /// Names the programs of this checkout's versions without looking whether they are built.
    ///
    /// # Errors
    /// Not in a checkout, or a `go.mod` that cannot be read.
    pub fn locate() -> Result<Self> {
        let root = paths::workspace()?;
        Ok(Self { kubernetes: KUBERNETES.folder(&root)?, etcd: ETCD.folder(&root)?, helm: HELM.folder(&root)? })
    }

    /// Builds what is missing.
    ///
    /// # Errors
    /// Go cannot fetch or build a module; the error names the log.
    pub async fn ensure(progress: &Progress) -> Result<Self> {
        let root = paths::workspace()?;
        if !Self::missing()?.is_empty() {
            let _lock = Lock::take(&paths::cache().join("tools/lock"), progress).await?;
            for set in SETS {
                set.build(&root, progress).await?;
            }
        }
        Self::locate()
    }

    /// The sets that are not built yet, with their versions: `kubernetes 1.34.4`.
    ///
    /// # Errors
    /// As `locate`.
    pub fn missing() -> Result<Vec<String>> {
        let root = paths::workspace()?;
        let mut missing = Vec::new();
        for set in SETS {
            if !set.is_built(&set.folder(&root)?) {
                missing.push(format!("{} {}", set.name, set.version(&root)?));
            }
        }
        Ok(missing)
    }

    /// A program of the Kubernetes set: `kube-apiserver`, `kubelet` ...
    #[must_use]
    pub fn kubernetes(&self, program: &str) -> PathBuf {
        self.kubernetes.join(program)
    }

    /// kubectl.
    #[must_use]
    pub fn kubectl(&self) -> PathBuf {
        self.kubernetes("kubectl")
    }

    /// etcd.
    #[must_use]
    pub fn etcd(&self) -> PathBuf {
        self.etcd.join("etcd")
    }

    /// Helm.
    #[must_use]
    pub fn helm(&self) -> PathBuf {
        self.helm.join("helm")
    }

    /// Changes when any version does: a running cluster of other versions is not reused.
    #[must_use]
    pub fn key(&self) -> String {
        let names =
            [&self.kubernetes, &self.etcd].map(|folder| folder.file_name().unwrap_or_default().to_string_lossy());
        names.join(" ")
    }
}

impl Set {
    fn module_dir(&self, root: &Path) -> PathBuf {
        root.join("e2e/tools").join(self.name)
    }

    fn version(&self, root: &Path) -> Result<String> {
        let file = self.module_dir(root).join("go.mod");
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        version_of(self.module, &text)
            .map(str::to_owned)
            .with_context(|| format!("{} does not require {}", file.display(), self.module))
    }

    fn folder(&self, root: &Path) -> Result<PathBuf> {
        Ok(paths::cache().join("tools").join(format!("{}-{}", self.name, self.version(root)?)))
    }

    fn is_built(&self, folder: &Path) -> bool {
        self.programs.iter().all(|(_, program)| paths::is_executable(&folder.join(program)))
    }

    async fn build(&self, root: &Path, progress: &Progress) -> Result<()> {
        let folder = self.folder(root)?;
        if self.is_built(&folder) {
            return Ok(());
        }
        let version = self.version(root)?;
        let log = paths::cache().join(format!("tools/{}.log", self.name));
        // Built aside and moved into place, so that an interrupted build leaves nothing that looks finished.
        let draft = folder.with_file_name(format!("{}-{version}.draft-{}", self.name, std::process::id()));
        let go = Run::line("go install -trimpath -mod=readonly -ldflags")
            .arg(self.linker_flags(&version))
            .arg("tool")
            .dir(self.module_dir(root))
            .env("GOBIN", &draft)
            .env("CGO_ENABLED", "0")
            .env("GOWORK", "off")
            .env("GOFLAGS", "")
            .env("GOOS", "")
            .env("GOARCH", "")
            .log(&log);
        let what = format!("build {} {version}", self.name);
        progress.step(&what, go.run()).await.map_err(|error| {
            Failure::new(format!("cannot build {} {version} from its Go module", self.name))
                .because(error)
                .log(&log)
                .advise("`go env GOPROXY` must name a reachable module proxy; behind a proxy set HTTPS_PROXY")
                .advise("a full disk shows as a failing link step: Go's caches need about 6 GiB")
        })?;
        for (built, called) in self.programs {
            if built != called {
                fs::rename(draft.join(built), draft.join(called))?;
            }
        }
        let _ = fs::remove_dir_all(&folder);
        fs::rename(&draft, &folder).with_context(|| format!("cannot move the tools to {}", folder.display()))?;
        Ok(())
    }

    /// Without its version a Kubernetes program calls itself v0.0.0 and version checks go wrong.
    fn linker_flags(&self, version: &str) -> String {
        let stripped = "-s -w";
        if self.name != KUBERNETES.name {
            return stripped.to_owned();
        }
        let package = "k8s.io/component-base/version";
        let mut parts = version.split('.');
        let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        format!(
            "{stripped} -X {package}.gitVersion=v{version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor} \
             -X {package}.gitTreeState=clean"
        )
    }
}

/// The version that a `go.mod` requires of a module, without the `v`.
fn version_of<'a>(module: &str, go_mod: &'a str) -> Option<&'a str> {
    go_mod.lines().filter(|line| !line.contains("=>")).find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word == "require");
        (words.next() == Some(module)).then(|| words.next()?.strip_prefix('v'))?
    })
}

/// Removes what interrupted builds left; their process id stands in the name.
pub fn sweep_drafts() {
    for entry in fs::read_dir(paths::cache().join("tools")).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.rsplit_once(".draft-").and_then(|(_, pid)| pid.parse().ok());
        if owner.is_some_and(|pid: i32| process::Stat::of(pid).is_none()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_either_form_of_require() {
        let block =
            "replace k8s.io/kubernetes => ./x v9.9.9\nrequire (\n\tk8s.io/kubernetes v1.34.4\n\tother v1.0.0\n)\n";
        assert_eq!(version_of("k8s.io/kubernetes", block), Some("1.34.4"));
        assert_eq!(version_of("other/v3", "require other/v3 v3.6.5 // indirect"), Some("3.6.5"));
        assert_eq!(version_of("absent", block), None);
    }

    #[test]
    fn every_set_is_pinned_in_this_checkout() {
        let root = paths::workspace().unwrap();
        for set in SETS {
            assert!(set.version(&root).unwrap().split('.').count() == 3, "{}", set.name);
            assert!(set.module_dir(&root).join("go.sum").is_file(), "{}", set.name);
        }
    }
}
