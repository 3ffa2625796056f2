//! Debian packages: which ones this machine lacks, and installing them without touching anything that runs.
//!
//! Nothing is removed or replaced (`--no-remove`), no service starts, now or at the next boot. An installed containerd,
//! Debian's or Docker's, is used as it is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::command::Run;
use crate::paths;
use crate::progress::{Failure, Progress};

/// A package, how to see that it is not needed, and the services that come with it.
struct Package {
    name: &'static str,
    present: fn() -> bool,
    services: &'static [&'static str],
}

const PACKAGES: [Package; 8] = [
    Package { name: "iproute2", present: || has("ip"), services: &[] },
    Package { name: "iptables", present: || has("iptables"), services: &[] },
    Package { name: "containerd", present: || has("containerd"), services: &["containerd.service"] },
    Package { name: "runc", present: || has("runc"), services: &[] },
    Package { name: "containernetworking-plugins", present: has_ptp, services: &[] },
    Package { name: "docker-registry", present: || has("docker-registry"), services: &["docker-registry.service"] },
    Package { name: "buildah", present: || has("buildah"), services: &[] },
    Package { name: "ca-certificates", present: || Path::new("/etc/ssl/certs").is_dir(), services: &[] },
];

fn has(command: &str) -> bool {
    paths::which(command).is_some()
}

fn has_ptp() -> bool {
    ["/usr/lib/cni/ptp", "/opt/cni/bin/ptp"].iter().any(|file| Path::new(file).is_file())
}

/// What this machine lacks.
#[must_use]
pub fn missing() -> Vec<&'static str> {
    PACKAGES.iter().filter(|package| !(package.present)()).map(|package| package.name).collect()
}

/// Installs packages; none is a quick yes.
///
/// # Errors
/// apt-get fails, or would have to remove something.
pub async fn install(names: &[&'static str], progress: &Progress) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let log = paths::state().join("apt.log");
    let work = async {
        let _policy = ServicePolicy::forbid(Path::new("/usr/sbin"))?;
        // A mirror that answers in part is good enough if the packages are found; else the next step says so.
        let _ = apt("update -q").log(&log).run().await;
        let line = "install -q -y --no-remove --no-install-recommends";
        apt(line).args(names).log(&log).run().await?;
        disable_services(names).await
    };
    let what = format!("install {}", names.join(" "));
    progress.step(&what, work).await.map_err(|error| {
        Failure::new("apt-get cannot install the packages")
            .because(error)
            .log(&log)
            .advise(format!("apt-get install --no-install-recommends {}", names.join(" ")))
            .advise("if it wants to remove something, decide yourself: this command never does")
    })?;
    let still: Vec<_> = missing().into_iter().filter(|name| names.contains(name)).collect();
    if still.is_empty() { Ok(()) } else { bail!("installed, but their programs are not found: {}", still.join(" ")) }
}

fn apt(line: &str) -> Run {
    Run::line("apt-get -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0")
        .args(line.split_whitespace())
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("NEEDRESTART_SUSPEND", "1")
}

/// Services of packages that we brought must not start at the next boot either.
async fn disable_services(names: &[&'static str]) -> Result<()> {
    if !Path::new("/run/systemd/system").is_dir() {
        return Ok(());
    }
    let services = PACKAGES.iter().filter(|package| names.contains(&package.name)).flat_map(|package| package.services);
    for service in services {
        Run::line("systemctl disable --quiet").arg(service).run().await?;
    }
    Ok(())
}

/// Fetches a package and unpacks it into the cache, without installing it: for files that go into images.
///
/// # Errors
/// apt-get cannot fetch it.
pub async fn unpack(name: &str) -> Result<PathBuf> {
    let folder = paths::cache().join("packages").join(name);
    if folder.join("usr").exists() || folder.join("bin").exists() {
        return Ok(folder);
    }
    let fetched = tempfile::tempdir()?;
    // apt fetches as its own user, who cannot write here; the warning about it is harmless.
    if !apt("download -q").arg(name).dir(fetched.path()).succeeds().await {
        apt("update -q").run().await?;
        apt("download -q").arg(name).dir(fetched.path()).run().await?;
    }
    let mut archives = fs::read_dir(fetched.path())?.flatten().map(|entry| entry.path());
    let archive = archives
        .find(|file| file.extension().is_some_and(|end| end == "deb"))
        .with_context(|| format!("apt-get fetched no {name}"))?;
    fs::create_dir_all(&folder)?;
    Run::line("dpkg-deb -x").arg(archive).arg(&folder).run().await?;
    Ok(folder)
}

const MARK: &str = "# Made by kruise-rs while it installs packages: no service is started.";

/// While it lives, package scripts may not start services. What was there before comes back afterwards, also after a
/// crash: the next run finds the saved file.
struct ServicePolicy {
    file: PathBuf,
    saved: PathBuf,
}

impl ServicePolicy {
    fn forbid(folder: &Path) -> Result<Self> {
        let policy = Self { file: folder.join("policy-rc.d"), saved: folder.join("policy-rc.d.kruise-rs-saved") };
        policy.restore();
        if policy.file.exists() {
            fs::rename(&policy.file, &policy.saved).context("cannot set the policy for services aside")?;
        }
        fs::write(&policy.file, format!("#!/bin/sh\n{MARK}\nexit 101\n")).context("cannot write policy-rc.d")?;
        fs::set_permissions(&policy.file, fs::Permissions::from_mode(0o755))?;
        Ok(policy)
    }

    fn restore(&self) {
        if fs::read_to_string(&self.file).is_ok_and(|text| text.contains(MARK)) {
            let _ = fs::remove_file(&self.file);
        }
        if self.saved.exists() {
            let _ = fs::rename(&self.saved, &self.file);
        }
    }
}

impl Drop for ServicePolicy {
    fn drop(&mut self) {
        self.restore();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_service_starts_while_packages_are_installed_and_the_former_policy_returns() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy-rc.d");
        fs::write(&file, "exit 0\n").unwrap();
        let policy = ServicePolicy::forbid(folder.path()).unwrap();
        assert!(fs::read_to_string(&file).unwrap().ends_with("exit 101\n"));
        drop(policy);
        assert_eq!(fs::read_to_string(&file).unwrap(), "exit 0\n");
    }

    #[test]
    fn a_policy_left_by_a_crash_goes() {
        let folder = tempfile::tempdir().unwrap();
        std::mem::forget(ServicePolicy::forbid(folder.path()).unwrap());
        drop(ServicePolicy::forbid(folder.path()).unwrap());
        assert!(!folder.path().join("policy-rc.d").exists());
    }
}
