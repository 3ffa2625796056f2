//! What the kernel says of a process: memory and CPU time, from `/proc/<pid>`.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Ticks per second in `/proc/<pid>/stat`: Linux promises 100 to user space.
const TICKS_PER_SECOND: u64 = 100;

/// One process, by its id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(pub(super) u32);

impl Process {
    /// VmRSS in KiB.
    pub(crate) fn resident(self) -> Result<u64> {
        self.memory("VmRSS:")
    }

    /// VmHWM in KiB: the most that was resident since the start or the last [`Self::reset_peak`].
    pub(crate) fn peak(self) -> Result<u64> {
        self.memory("VmHWM:")
    }

    /// Lets the peak begin anew, from what is resident now.
    pub(crate) fn reset_peak(self) -> Result<()> {
        fs::write(self.path("clear_refs"), "5").context("cannot reset the peak")
    }

    /// CPU time so far, user and system, to a hundredth of a second.
    pub(crate) fn cpu(self) -> Result<Duration> {
        let text = self.read("stat")?;
        let ticks = ticks(&text).context("/proc/<pid>/stat cannot be read")?;
        Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
    }

    fn memory(self, label: &str) -> Result<u64> {
        let text = self.read("status")?;
        let line = text.lines().find_map(|line| line.strip_prefix(label));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.with_context(|| format!("no {label} in /proc/<pid>/status"))
    }

    fn read(self, file: &str) -> Result<String> {
        fs::read_to_string(self.path(file)).with_context(|| format!("process {} is gone", self.0))
    }

    fn path(self, file: &str) -> String {
        format!("/proc/{}/{file}", self.0)
    }
}

/// User and system time. The command, in parentheses, may hold spaces: fields are counted after it.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_after_the_name() {
        assert_eq!(ticks("7 (a ) b) S 1 7 7 0 -1 4194560 100 0 0 0 31 11 0 0 20 0 3 0 99"), Some(42));
    }

    #[test]
    fn this_process_is_resident() {
        let own = Process(std::process::id());
        // Not beside each other: other tests of this process take memory between two looks.
        assert!(own.resident().unwrap() > 100 && own.peak().unwrap() > 100);
        own.cpu().unwrap();
    }
}
