//! Small images under the names that manifests use: busybox, a web server, and a program that only waits.
//!
//! Each tag holds a file with its own name, `/www/version`, so that each has its own digest and a rollout from one to the
//! next is visible from outside. They end at once on TERM: a test that waits for grace periods tests the wrong thing.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{Pushed, Recipe, Registry, fingerprint};
use crate::command::Run;
use crate::{packages, paths};

/// A name with the command that its containers run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandIn {
    image: String,
    command: Vec<String>,
}

impl StandIn {
    /// `NAME:TAG` serves HTTP on `$PORT`, else 80; `NAME:TAG=COMMAND WORDS` runs the command.
    ///
    /// # Errors
    /// The name is empty or has no tag.
    pub fn parse(text: &str) -> Result<Self> {
        let (image, command) = text.split_once('=').unwrap_or((text, "nginx"));
        if image.is_empty() || !image.contains(':') {
            bail!("not NAME:TAG or NAME:TAG=COMMAND: {text:?}");
        }
        Ok(Self { image: image.to_owned(), command: command.split_whitespace().map(str::to_owned).collect() })
    }

    /// The name.
    #[must_use]
    pub fn image(&self) -> &str {
        &self.image
    }
}

/// A web server in the foreground. Where port 80 is refused (not root) it waits, as a container that stays up must.
const SERVE: &str =
    "#!/bin/sh\ntrap 'exit 0' TERM INT QUIT\n(httpd -f -p \"${PORT:-80}\" -h /www || sleep 2147483647) &\nwait\n";
/// Only waits.
const IDLE: &str = "#!/bin/sh\ntrap 'exit 0' TERM INT QUIT\nwhile :; do sleep 3600 & wait $!; done\n";
/// Programs by the names that public manifests call.
const PROGRAMS: [(&str, &str); 5] = [
    ("usr/sbin/nginx", SERVE),
    ("usr/local/bin/httpd-foreground", SERVE),
    ("usr/local/bin/docker-entrypoint.sh", "#!/bin/sh\nexec \"$@\"\n"),
    ("usr/bin/redis-server", IDLE),
    ("usr/bin/idle", IDLE),
];

/// Makes sure that the registry has them. Returns those that were pushed now.
///
/// # Errors
/// No static busybox can be had, or buildah fails.
pub async fn ensure_standins(registry: &Registry, wanted: &[StandIn]) -> Result<Vec<String>> {
    let busybox = busybox().await?;
    let bytes = fs::read(&busybox).with_context(|| format!("cannot read {}", busybox.display()))?;
    let work = tempfile::tempdir()?;
    let root = work.path().join("root");
    lay_out(&root, &busybox).await?;
    let programs: Vec<&[u8]> = PROGRAMS.iter().map(|(_, text)| text.as_bytes()).collect();
    let mut pushed = Vec::new();
    for standin in wanted {
        let command = serde_json::to_string(&standin.command)?;
        let text = format!(
            "FROM scratch\nCOPY root /\nENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nCMD {command}\n"
        );
        let dockerfile = work.path().join("Dockerfile");
        fs::write(&dockerfile, &text)?;
        fs::write(root.join("www/version"), format!("{}\n", standin.image))?;
        let mut parts = programs.clone();
        parts.extend([bytes.as_slice(), text.as_bytes(), standin.image.as_bytes()]);
        let recipe =
            Recipe { dockerfile: &dockerfile, context: work.path(), build_args: &[], inputs: fingerprint(&parts) };
        if registry.ensure(&standin.image, &recipe).await? == Pushed::New {
            pushed.push(standin.image.clone());
        }
    }
    Ok(pushed)
}

async fn lay_out(root: &Path, busybox: &Path) -> Result<()> {
    for folder in ["bin", "www", "tmp", "etc", "data", "usr/bin", "usr/sbin", "usr/local/bin", "var/log", "root"] {
        fs::create_dir_all(root.join(folder))?;
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    fs::copy(busybox, root.join("bin/busybox"))?;
    let names = Run::new(busybox).arg("--list").output().await?;
    for name in names.lines().filter(|name| !matches!(*name, "busybox" | "nginx")) {
        symlink("busybox", root.join("bin").join(name))?;
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n")?;
    fs::write(root.join("etc/group"), "root:x:0:\nnogroup:x:65534:\n")?;
    fs::write(root.join("www/index.html"), "ok\n")?;
    for (file, text) in PROGRAMS {
        fs::write(root.join(file), text)?;
        fs::set_permissions(root.join(file), fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// The machine's busybox if it is static, else Debian's, fetched without installing it: it would replace another busybox.
async fn busybox() -> Result<PathBuf> {
    if let Some(file) = paths::which("busybox")
        && is_static(&fs::read(&file)?)
    {
        return Ok(file);
    }
    let folder = packages::unpack("busybox-static").await?;
    let found =
        ["bin/busybox", "usr/bin/busybox"].map(|name| folder.join(name)).into_iter().find(|file| file.is_file());
    found.context("the package busybox-static holds no busybox")
}

/// A dynamic program names its loader in a program header of type 3 (PT_INTERP).
fn is_static(elf: &[u8]) -> bool {
    let number = |at: usize, len: usize| -> Option<usize> {
        let bytes = elf.get(at..at + len)?;
        Some(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
    };
    let loader = || {
        let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
        (0..count).map(|index| number(table + index * size, 4)).find(|kind| *kind == Some(3))
    };
    elf.starts_with(b"\x7fELF\x02\x01") && loader().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_alone_serves_and_a_command_may_follow() {
        assert_eq!(StandIn::parse("nginx:1.25").unwrap().command, ["nginx"]);
        assert_eq!(StandIn::parse("busybox:1.36=sleep 3600").unwrap().command, ["sleep", "3600"]);
        assert!(StandIn::parse("nginx").is_err());
    }

    #[test]
    fn a_dynamic_program_is_not_static() {
        assert!(!is_static(&fs::read("/proc/self/exe").unwrap()));
        assert!(!is_static(b"#!/bin/sh\n"));
    }
}
