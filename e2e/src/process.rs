//! Programs that keep running after this one ends, and ending them without ever hitting a stranger.
//!
//! Each is recorded by id and start time, in the boot that it belongs to. A process is signalled only while all three
//! match: ids are reused, and a record may be older than a reboot.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// One started process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What it is, unique in its ledger: `etcd`, `node1-kubelet`.
    pub name: String,
    /// Its id in the root process namespace.
    pub pid: i32,
    /// Its start in clock ticks since boot: field 22 of `/proc/<pid>/stat`.
    pub started: u64,
    /// The boot that both numbers belong to: `/proc/sys/kernel/random/boot_id`.
    pub boot: String,
    /// Where its output goes.
    pub log: PathBuf,
}

impl Record {
    /// Describes a process that runs now; nothing when it is gone.
    #[must_use]
    pub fn of(name: &str, pid: i32, log: &Path) -> Option<Self> {
        let seen = Stat::of(pid)?;
        Some(Self { name: name.to_owned(), pid, started: seen.started, boot: boot(), log: log.to_owned() })
    }

    /// Whether this very process still runs. A zombie does not.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.boot == boot() && Stat::of(self.pid).is_some_and(|seen| seen.started == self.started && !seen.is_zombie())
    }

    /// Signals it if it is still the recorded process.
    pub fn signal(&self, signal: Signal) {
        if self.is_alive() {
            // It may end between the look and the signal: then there is nothing to do.
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }
}

/// What `/proc/<pid>/stat` says about a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The program's name, cut at 15 bytes.
    pub command: String,
    /// One letter: `R`, `S`, `Z` ...
    pub state: char,
    /// Its parent.
    pub parent: i32,
    /// Start in clock ticks since boot.
    pub started: u64,
}

impl Stat {
    /// Reads it; nothing when there is no such process.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name stands in parentheses and may itself hold spaces and parentheses: the last one counts.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once('(')?;
        let (command, rest) = rest.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        Some(Self {
            command: command.to_owned(),
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }

    fn is_zombie(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// Ids of all processes now.
#[must_use]
pub fn all() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The records of one cluster or server: a file each in one folder.
#[derive(Clone, Debug)]
pub struct Ledger {
    dir: PathBuf,
}

impl Ledger {
    /// The ledger in a folder, which need not exist yet.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Starts a program in a session of its own, output to `log`, and records it.
    ///
    /// # Errors
    /// The program is missing, or the record cannot be written (then it is ended again).
    pub fn start(&self, name: &str, command: &[String], log: &Path) -> Result<Record> {
        fs::create_dir_all(&self.dir).with_context(|| format!("cannot make {}", self.dir.display()))?;
        if let Some(folder) = log.parent() {
            fs::create_dir_all(folder)?;
        }
        let out = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        // setsid: neither the terminal's Ctrl-C nor its end reaches the cluster. It keeps its process id.
        let mut child = Command::new("setsid")
            .args(command)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .current_dir("/")
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let pid = i32::try_from(child.id())?;
        let Some(record) = Record::of(name, pid, log) else { bail!("{name} ended at once") };
        if let Err(error) = self.keep(&record) {
            let _ = child.kill();
            return Err(error);
        }
        Ok(record)
    }

    /// Writes a record down, replacing one of the same name.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn keep(&self, record: &Record) -> Result<()> {
        fs::create_dir_all(&self.dir)?;
        let (draft, file) = (self.dir.join(format!(".{}", record.name)), self.file(&record.name));
        fs::write(&draft, serde_json::to_vec_pretty(record)?).context("cannot write a process record")?;
        fs::rename(&draft, &file).context("cannot write a process record")
    }

    /// All records, by name. A half-written one (a crash) is skipped: it names no process.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let files = entries.map(|entry| entry.path()).filter(|file| file.extension().is_some_and(|end| end == "json"));
        let mut records: Vec<Record> =
            files.filter_map(|file| serde_json::from_slice(&fs::read(file).ok()?).ok()).collect();
        records.sort_by(|a, b| a.name.cmp(&b.name));
        records
    }

    /// The record of that name.
    #[must_use]
    pub fn record(&self, name: &str) -> Option<Record> {
        serde_json::from_slice(&fs::read(self.file(name)).ok()?).ok()
    }

    /// Ends every recorded process at once, by force, and forgets them. Waits until they are gone.
    ///
    /// # Errors
    /// A process survives for 10 s, which only one stuck in the kernel does.
    pub async fn end_all(&self) -> Result<()> {
        end(&self.records()).await?;
        for record in self.records() {
            let _ = fs::remove_file(self.file(&record.name));
        }
        Ok(())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.json"))
    }
}

/// Ends these processes by force and waits until they are gone.
///
/// # Errors
/// One survives for 10 s.
pub async fn end(records: &[Record]) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let left: Vec<&Record> = records.iter().filter(|record| record.is_alive()).collect();
        let Some(first) = left.first() else { return Ok(()) };
        if Instant::now() > deadline {
            bail!("{} (process {}) does not end", first.name, first.pid);
        }
        left.iter().for_each(|record| record.signal(Signal::SIGKILL));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// This boot's id: ids and start times mean nothing in another one.
#[must_use]
pub fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(ledger: &Ledger, folder: &Path) -> Record {
        ledger.start("sleeper", &["sleep".into(), "1000".into()], &folder.join("log")).unwrap()
    }

    #[test]
    fn a_name_with_parentheses_and_spaces_is_read() {
        let text = "42 (a) b (c)) S 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 9876 1 2";
        let want = Stat { command: "a) b (c)".into(), state: 'S', parent: 7, started: 9876 };
        assert_eq!(Stat::parse(text), Some(want));
    }

    #[tokio::test]
    async fn a_recorded_process_is_ended_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::at(folder.path().join("processes"));
        let record = sleeper(&ledger, folder.path());
        assert!(record.is_alive());
        ledger.end_all().await.unwrap();
        assert!(!record.is_alive());
        assert_eq!(ledger.records(), []);
    }

    #[tokio::test]
    async fn a_process_with_another_start_time_or_boot_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::at(folder.path().join("processes"));
        let real = sleeper(&ledger, folder.path());
        let other_start = Record { started: real.started + 1, ..real.clone() };
        let other_boot = Record { boot: "another".into(), ..real.clone() };
        end(&[other_start, other_boot]).await.unwrap();
        assert!(real.is_alive());
        end(std::slice::from_ref(&real)).await.unwrap();
        assert!(!real.is_alive());
    }

    #[test]
    fn a_half_written_record_is_skipped() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("etcd.json"), "{\"name\":").unwrap();
        assert_eq!(Ledger::at(folder.path()).records(), []);
    }
}
