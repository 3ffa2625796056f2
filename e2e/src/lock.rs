//! One run at a time: an advisory lock on a file, given back by the kernel however the holder ends.

use std::fs::{File, TryLockError};
use std::path::Path;

use anyhow::{Context, Result};

use crate::progress::Progress;

/// Held until dropped, or until the process is gone.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, waiting for another holder to finish.
    ///
    /// # Errors
    /// The lock file cannot be made.
    pub async fn take(file: &Path, progress: &Progress) -> Result<Self> {
        let held = open(file)?;
        match held.try_lock() {
            Ok(()) => return Ok(Self { _file: held }),
            Err(TryLockError::Error(error)) => return Err(error).context("cannot lock"),
            Err(TryLockError::WouldBlock) => {
                progress.say(format_args!("waiting for another run to let go of {}", file.display()));
            }
        }
        let held = tokio::task::spawn_blocking(move || held.lock().map(|()| held)).await?.context("cannot lock")?;
        Ok(Self { _file: held })
    }
}

fn open(file: &Path) -> Result<File> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(file)
        .with_context(|| format!("cannot open {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_holder_waits_for_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lock");
        let first = Lock::take(&file, &Progress::silent()).await.unwrap();
        let progress = Progress::silent();
        let mut second = std::pin::pin!(Lock::take(&file, &progress));
        assert!(futures::poll!(&mut second).is_pending());
        drop(first);
        second.await.unwrap();
    }
}
