//! Small plain-text HTTP questions to servers on this machine: is the registry up, what does a manifest say.
//!
//! HTTP/1.0, so that the answer is the bytes until the connection closes. TLS is the kube client's business.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Header lines, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value; the name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Asks `method path` of a server at `address` (`host:port`), waiting at most 5 s.
///
/// # Errors
/// No connection, no answer in time, or no HTTP.
pub async fn ask(method: &str, address: &str, path: &str, accept: &str) -> Result<Answer> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nAccept: {accept}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        Ok::<_, std::io::Error>(bytes)
    };
    let bytes = tokio::time::timeout(Duration::from_secs(5), exchange)
        .await
        .with_context(|| format!("no answer from {address} within 5 s"))?
        .with_context(|| format!("cannot talk to {address}"))?;
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Result<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").context("the answer is not HTTP")?;
    let (head, body) = bytes.split_at(end);
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let Some(status) = status else { bail!("the answer is not HTTP") };
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Ok(Answer { status, headers, body: body.get(4..).unwrap_or_default().to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_status_headers_and_body() {
        let answer = parse(b"HTTP/1.0 200 OK\r\nDocker-Content-Digest: sha256:1\r\n\r\n{}").unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("docker-content-digest"), Some("sha256:1"));
        assert_eq!(answer.body, b"{}");
    }

    #[test]
    fn garbage_is_refused() {
        assert!(parse(b"SSH-2.0-x").is_err());
        assert!(parse(b"hello\r\n\r\n").is_err());
    }
}
