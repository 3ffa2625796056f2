//! Running other programs to their end, with an error that shows the command and the last words of its output.
//!
//! Programs that keep running are `process`.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::io::AsyncWriteExt;

/// One program to run.
#[derive(Debug)]
pub struct Run {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
    input: Option<String>,
    log: Option<PathBuf>,
}

impl Run {
    /// The program, found on `PATH`.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            dir: None,
            input: None,
            log: None,
        }
    }

    /// The words of a command line, split at white space: `Run::line("ip link add kruise0 type bridge")`.
    #[must_use]
    pub fn line(line: &str) -> Self {
        let mut words = line.split_whitespace();
        Self::new(words.next().unwrap_or_default()).args(words)
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// An environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Cargo of the checkout, as a person would run it: without what the cargo that started this program has set for it.
    #[must_use]
    pub fn cargo() -> Self {
        let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let run = set_by_cargo().fold(Self::new("env"), |run, name| run.arg("--unset").arg(name));
        run.arg(program)
    }

    /// The folder to run in.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Text for its standard input; without it the input is empty.
    #[must_use]
    pub fn input(mut self, text: impl Into<String>) -> Self {
        self.input = Some(text.into());
        self
    }

    /// Also append everything it says to a file.
    #[must_use]
    pub fn log(mut self, file: impl Into<PathBuf>) -> Self {
        self.log = Some(file.into());
        self
    }

    /// Runs it and returns what it printed on stdout, without the last newline.
    ///
    /// # Errors
    /// It could not be started, or ended with another status than 0: the error holds its last words.
    pub async fn output(self) -> Result<String> {
        let shown = self.to_string();
        let mut command = tokio::process::Command::new(&self.program);
        command.args(&self.args).envs(self.env.iter().map(|(name, value)| (name, value))).kill_on_drop(true);
        command.stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        let mut child = command.spawn().with_context(|| format!("cannot start `{shown}`"))?;
        if let (Some(input), Some(mut stdin)) = (self.input, child.stdin.take()) {
            // The program may end without reading all: its status tells the story, not the broken pipe.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        let ended = child.wait_with_output().await.with_context(|| format!("lost track of `{shown}`"))?;
        let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        if let Some(log) = &self.log {
            append(log, &format!("$ {shown}\n{out}{err}"))?;
        }
        if !ended.status.success() {
            bail!("`{shown}` ended with {}: {}", ended.status, last_words(&out, &err));
        }
        Ok(out.trim_end_matches('\n').to_owned())
    }

    /// Runs it for its effect.
    ///
    /// # Errors
    /// As `output`.
    pub async fn run(self) -> Result<()> {
        self.output().await.map(drop)
    }

    /// Whether it ends with status 0.
    pub async fn succeeds(self) -> bool {
        self.output().await.is_ok()
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.program.to_string_lossy())?;
        self.args.iter().try_for_each(|arg| write!(f, " {}", arg.to_string_lossy()))
    }
}

/// The variables that the cargo that started this program has set for it. Build scripts of dependencies look at them, and
/// would be run again whenever they come and go.
pub fn set_by_cargo() -> impl Iterator<Item = OsString> {
    std::env::vars_os().map(|(name, _)| name).filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
    })
}

/// Appends to a file, making its folder when it is missing.
///
/// # Errors
/// The file cannot be written.
pub fn append(file: &std::path::Path, text: &str) -> Result<()> {
    use std::io::Write;
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut open = std::fs::OpenOptions::new().create(true).append(true).open(file)?;
    open.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", file.display()))
}

fn last_words(out: &str, err: &str) -> String {
    let said: Vec<&str> =
        [err, out].into_iter().find(|text| !text.trim().is_empty()).unwrap_or("it said nothing").lines().collect();
    said.iter().skip(said.len().saturating_sub(15)).copied().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_answer_comes_without_the_last_newline() {
        assert_eq!(Run::line("echo two words").output().await.unwrap(), "two words");
    }

    #[tokio::test]
    async fn input_reaches_the_program() {
        assert_eq!(Run::new("cat").input("a\nb").output().await.unwrap(), "a\nb");
    }

    #[tokio::test]
    async fn a_failure_names_the_command_and_its_last_words() {
        let error = Run::new("sh").args(["-c", "echo no such thing >&2; exit 3"]).run().await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("exit 3` ended with exit status: 3: no such thing"), "{text}");
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let error = Run::line("no-such-program-here").run().await.unwrap_err();
        assert!(format!("{error:#}").contains("cannot start `no-such-program-here`"), "{error:#}");
    }
}
