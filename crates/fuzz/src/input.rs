//! One input: what is sent where, to a webhook with which settings. Also as a file that can be replayed.

use std::fmt;

/// A request, and the settings of the webhook that gets it.
#[derive(Clone, PartialEq, Eq)]
pub struct Input {
    /// Settings of the webhook.
    pub settings: Settings,
    /// Path of the request.
    pub path: String,
    /// Its body.
    pub body: Vec<u8>,
}

/// Flags and gates of the webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settings {
    /// As installed.
    Plain,
    /// Deletion protection, readiness gates for all Pods, host ports in templates, no privileged containers.
    Strict,
    /// Templates are left without defaults.
    Bare,
}

impl Settings {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Strict, Self::Bare];

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Strict => "strict",
            Self::Bare => "bare",
        }
    }
}

/// The file is none of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an input begins with a line of settings (plain, strict or bare) and path")]
pub struct NoInput;

impl Input {
    /// The input as a file: a line `plain /mutate-pod`, then the body.
    pub fn to_file(&self) -> Vec<u8> {
        let mut file = format!("{} {}\n", self.settings.name(), self.path).into_bytes();
        file.extend_from_slice(&self.body);
        file
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Fails where the first line is not of that form.
    pub fn of_file(file: &[u8]) -> Result<Self, NoInput> {
        let end = file.iter().position(|byte| *byte == b'\n').ok_or(NoInput)?;
        let (head, body) = file.split_at(end);
        let (settings, path) = std::str::from_utf8(head).ok().and_then(|head| head.split_once(' ')).ok_or(NoInput)?;
        let settings = Settings::ALL.into_iter().find(|known| known.name() == settings).ok_or(NoInput)?;
        if path.parse::<http::uri::PathAndQuery>().is_err() {
            return Err(NoInput);
        }
        let body = body.get(1..).unwrap_or_default().to_vec();
        Ok(Self { settings, path: path.to_owned(), body })
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Longer bodies are cut: the file has them whole.
        const SHOWN: usize = 4_000;
        let shown = self.body.get(..SHOWN).unwrap_or(&self.body);
        write!(f, "{} {} {}", self.settings.name(), self.path, String::from_utf8_lossy(shown))?;
        if self.body.len() > SHOWN { write!(f, "... ({} bytes)", self.body.len()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_survives_its_file() {
        let input = Input { settings: Settings::Strict, path: "/convert".into(), body: b"\xff\nx".to_vec() };
        assert_eq!(Input::of_file(&input.to_file()), Ok(input));
        assert_eq!(Input::of_file(b"odd /convert\n{}"), Err(NoInput));
        assert_eq!(Input::of_file(b"plain /convert"), Err(NoInput));
    }
}
