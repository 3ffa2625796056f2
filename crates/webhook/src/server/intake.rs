//! Reads the body of a request into one buffer: no longer than allowed, in time, and only with room for it (`room.rs`).
//!
//! A body whose announced length is too long is refused unread. One that arrives too slowly is given up: who holds room
//! has to fill it.

use std::ops::Deref;
use std::pin::pin;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes};
use tokio::time::{Instant, timeout_at};

use super::room::{Full, Held, Room, SMALL};

/// How long a body may take whatever its length. The API server sends it right behind the head.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes a second that a large body must come with besides: the longest gets 25 s.
const PACE: usize = 4 << 20;

/// A body, with the room that it takes.
#[derive(Debug)]
pub struct Received {
    bytes: Bytes,
    held: Held,
}

impl Deref for Received {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        &self.bytes
    }
}

impl Received {
    /// Whether it is too long to be answered between other requests.
    pub fn is_large(&self) -> bool {
        self.held.is_large()
    }
}

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It is longer than allowed.
    #[error("the body is longer than {0} bytes")]
    TooLong(usize),
    /// It did not arrive in time.
    #[error("the body did not arrive in time: {0} bytes so far")]
    Late(usize),
    /// There was no room for it in time.
    #[error("too many bodies are held at once, no room for this one in time")]
    Full,
    /// The connection failed, or what was sent is no body.
    #[error("read body: {0}")]
    Broken(String),
}

impl From<Full> for Failure {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

/// Reads a body.
///
/// # Errors
/// Says why it was given up.
pub async fn receive<B>(body: B, room: &Room, deadline: Instant) -> Result<Received, Failure>
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    let longest = room.longest();
    let hint = body.size_hint();
    if hint.lower() > longest as u64 {
        return Err(Failure::TooLong(longest));
    }
    // Exact where the length was announced.
    let announced = hint.exact().and_then(|length| usize::try_from(length).ok());
    let mut body = pin!(body);
    let mut held = room.nothing();
    let mut until = deadline.min(Instant::now() + PATIENCE);
    let mut buffer = Buffer::default();
    loop {
        let frame = match timeout_at(until, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(err))) => return Err(Failure::Broken(err.to_string())),
            Ok(None) => break,
            Err(_) => return Err(Failure::Late(buffer.len())),
        };
        let Ok(chunk) = frame.into_data() else { continue };
        let length = buffer.len() + chunk.len();
        if length > longest {
            return Err(Failure::TooLong(longest));
        }
        if length <= SMALL {
            let asked = Instant::now();
            room.small(&mut held, length, deadline).await?;
            // It was us who did not read.
            until = deadline.min(until + asked.elapsed());
        } else if !held.is_large() {
            let whole = announced.unwrap_or(longest);
            room.large(&mut held, whole.max(length), deadline).await?;
            until = deadline.min(Instant::now() + PATIENCE + Duration::from_secs((whole / PACE) as u64));
            if buffer.len() > 0 {
                buffer.reserve(announced.unwrap_or_default());
            }
        }
        buffer.add(chunk, announced.unwrap_or_default().min(SMALL));
    }
    held.give_back(buffer.len());
    Ok(Received { bytes: buffer.finish(), held })
}

/// What has arrived: a single piece stays where it is, several come into one buffer.
#[derive(Default)]
struct Buffer {
    first: Bytes,
    all: Vec<u8>,
}

impl Buffer {
    fn len(&self) -> usize {
        self.first.len() + self.all.len()
    }

    /// Makes the buffer `length` large at once.
    fn reserve(&mut self, length: usize) {
        self.all.reserve_exact(length.saturating_sub(self.all.len()));
    }

    fn add(&mut self, chunk: Bytes, expected: usize) {
        if self.len() == 0 {
            self.first = chunk;
            return;
        }
        if self.all.is_empty() {
            self.reserve(expected);
        }
        self.all.extend_from_slice(&std::mem::take(&mut self.first));
        self.all.extend_from_slice(&chunk);
    }

    fn finish(self) -> Bytes {
        if self.all.is_empty() { self.first } else { Bytes::from(self.all) }
    }
}
