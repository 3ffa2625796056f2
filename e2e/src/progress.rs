//! What a person sees while something takes time: one line a step with elapsed time, and a failure that helps.
//!
//! A step that takes longer than two seconds announces itself and then reports every half minute, so that nobody
//! wonders whether it hangs. Lines go to stderr; stdout belongs to answers.

use std::fmt;
use std::future::Future;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;

/// Prints lines that begin with the time since it was made.
#[derive(Clone, Debug)]
pub struct Progress {
    started: Instant,
    silent: bool,
}

impl Progress {
    /// Starts the clock.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now(), silent: false }
    }

    /// Prints nothing: for tests that start servers of their own.
    #[must_use]
    pub fn silent() -> Self {
        Self { started: Instant::now(), silent: true }
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// One line.
    pub fn say(&self, text: impl fmt::Display) {
        if !self.silent {
            let mut out = std::io::stderr().lock();
            // A closed stderr is no reason to stop building a cluster.
            let _ = writeln!(out, "[{}] {text}", clock(self.started.elapsed()));
        }
    }

    /// Does the work and prints one line when it is done, more if it takes long.
    ///
    /// # Errors
    /// The work's own.
    pub async fn step<T>(&self, what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let begun = Instant::now();
        let mut work = std::pin::pin!(work);
        let mut patience = Duration::from_secs(2);
        loop {
            match tokio::time::timeout(patience, &mut work).await {
                Ok(Ok(value)) => {
                    self.say(format_args!("{what}: done in {}", seconds(begun.elapsed())));
                    return Ok(value);
                }
                Ok(Err(error)) => {
                    self.say(format_args!("{what}: FAILED after {}", seconds(begun.elapsed())));
                    return Err(error);
                }
                Err(_) if patience < Duration::from_secs(30) => {
                    self.say(format_args!("{what} ..."));
                    patience = Duration::from_secs(30);
                }
                Err(_) => self.say(format_args!("{what} ... still at it, {}", seconds(begun.elapsed()))),
            }
        }
    }
}

/// One line on stdout: an answer that somebody may pipe elsewhere. A reader that is gone is no failure.
pub fn answer(text: impl fmt::Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// A failed step with all that a reader needs next: the log that explains it and what to try.
#[derive(Debug)]
pub struct Failure {
    what: String,
    log: Option<PathBuf>,
    advice: Vec<String>,
    source: Option<anyhow::Error>,
}

impl Failure {
    /// What failed, as a clause: `etcd did not answer within 30 s`.
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), log: None, advice: Vec::new(), source: None }
    }

    /// The log whose tail explains it.
    #[must_use]
    pub fn log(mut self, file: impl Into<PathBuf>) -> Self {
        self.log = Some(file.into());
        self
    }

    /// One thing to try.
    #[must_use]
    pub fn advise(mut self, text: impl Into<String>) -> Self {
        self.advice.push(text.into());
        self
    }

    /// What lies underneath.
    #[must_use]
    pub fn because(mut self, source: anyhow::Error) -> Self {
        self.source = Some(source);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}

/// The whole story of an error: its chain, the tails of the logs it names, the advice.
#[must_use]
pub fn explain(error: &anyhow::Error) -> String {
    let mut text = format!("failed: {error:#}");
    let failures: Vec<&Failure> = error.chain().filter_map(|cause| cause.downcast_ref::<Failure>()).collect();
    for log in failures.iter().filter_map(|failure| failure.log.as_deref()) {
        text.push_str(&format!("\n\nlast lines of {}:\n", log.display()));
        for line in tail(log, 30) {
            text.push_str(&format!("  | {line}\n"));
        }
    }
    let advice: Vec<&String> = failures.iter().flat_map(|failure| &failure.advice).collect();
    if !advice.is_empty() {
        text.push_str("\nwhat to try:\n");
        for line in advice {
            text.push_str(&format!("  - {line}\n"));
        }
    }
    text
}

/// The last lines of a file; what cannot be read is said in a line of its own.
#[must_use]
pub fn tail(file: &Path, lines: usize) -> Vec<String> {
    match std::fs::read(file) {
        Err(error) => vec![format!("(cannot read {}: {error})", file.display())],
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let all: Vec<&str> = text.lines().collect();
            all.iter().skip(all.len().saturating_sub(lines)).map(|line| (*line).to_owned()).collect()
        }
    }
}

/// `1.4 s`, `2 min 05 s`.
#[must_use]
pub fn seconds(duration: Duration) -> String {
    match duration.as_secs() {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        whole => format!("{} min {:02} s", whole / 60, whole % 60),
    }
}

fn clock(duration: Duration) -> String {
    let tenths = duration.as_millis() / 100;
    format!("{:02}:{:02}.{}", tenths / 600, tenths / 10 % 60, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_with_its_causes_its_log_and_its_advice() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("etcd.log");
        std::fs::write(&log, "first\nbind: address already in use\n").unwrap();
        let failure = Failure::new("etcd did not answer").log(&log).advise("end the other etcd");
        let error = anyhow::Error::from(failure.because(anyhow::anyhow!("connection refused"))).context("cluster up");

        let text = explain(&error);

        assert!(text.starts_with("failed: cluster up: etcd did not answer: connection refused"), "{text}");
        assert!(text.contains("  | bind: address already in use"), "{text}");
        assert!(text.contains("  - end the other etcd"), "{text}");
    }

    #[test]
    fn a_tail_is_the_last_lines() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        std::fs::write(&log, "a\nb\nc\n").unwrap();
        assert_eq!(tail(&log, 2), ["b", "c"]);
    }

    #[test]
    fn times_are_written_for_people() {
        for (millis, want) in [(1_440, "1.4 s"), (59_900, "59.9 s"), (125_000, "2 min 05 s")] {
            assert_eq!(seconds(Duration::from_millis(millis)), want);
        }
        assert_eq!(clock(Duration::from_millis(61_250)), "01:01.2");
    }
}
