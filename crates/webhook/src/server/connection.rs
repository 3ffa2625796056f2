//! What a client may take its time for. A connection on which nothing is asked, or whose answers are not read, is ended in
//! bounded time: it takes a place from somebody else. Bodies that come slowly are `intake.rs`'s matter, and a request under
//! way always ends (`deadline.rs`).

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::body::keep;

/// Bounds of connections.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Open at once; more wait to be accepted. An API server keeps one or a few.
    pub open: usize,
    /// Of these, in the midst of their TLS handshake.
    pub handshakes: usize,
    /// Longest handshake.
    pub handshake: Duration,
    /// Longest time without a request where places are scarce.
    pub hurry: Duration,
    /// Longest time without a request, be it that none comes or that its head takes so long. The API server leaves idle
    /// connections after 90 s by itself, and must: it does not repeat a review that meets a closing connection.
    pub idle: Duration,
    /// From an answer until the client has read it: nobody waits longer for one.
    pub unread: Duration,
    /// How often the above is looked at.
    pub look: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        const S: fn(u64) -> Duration = Duration::from_secs;
        Self {
            open: 512,
            handshakes: 256,
            handshake: S(10),
            hurry: S(10),
            idle: S(120),
            unread: super::deadline::LONGEST,
            look: S(2),
        }
    }
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stays.
    Stay,
    /// It is asked to end.
    Close,
    /// It ends now.
    Drop,
}

/// What happens on a connection.
#[derive(Clone)]
pub(super) struct Activity(Arc<Mutex<State>>);

struct State {
    /// Since when no request is under way.
    idle_since: Instant,
    /// Requests whose answer is not sent to its end, and when they were answered.
    under_way: BTreeMap<u64, Option<Instant>>,
    next: u64,
}

impl Activity {
    pub(super) fn new(now: Instant) -> Self {
        let state = State { idle_since: now, under_way: BTreeMap::new(), next: 0 };
        Self(Arc::new(Mutex::new(state)))
    }

    /// A request has come; it is under way until the token is gone.
    pub(super) fn begin(&self) -> Token {
        let mut state = self.0.lock();
        let number = state.next;
        state.next += 1;
        state.under_way.insert(number, None);
        Token { activity: self.clone(), number }
    }

    /// What is to become of the connection now; `scarce`: there are few places left.
    pub(super) fn fate(&self, now: Instant, bounds: &Bounds, scarce: bool) -> Fate {
        let state = self.0.lock();
        let unread = state.under_way.values().flatten().min();
        if unread.is_some_and(|since| now - *since > bounds.unread) {
            return Fate::Drop;
        }
        if !state.under_way.is_empty() {
            return Fate::Stay;
        }
        let limit = if scarce { bounds.hurry } else { bounds.idle };
        match now - state.idle_since {
            idle if idle > limit + bounds.hurry => Fate::Drop,
            idle if idle > limit => Fate::Close,
            _ => Fate::Stay,
        }
    }
}

/// A request under way.
pub(super) struct Token {
    activity: Activity,
    number: u64,
}

impl Token {
    /// The request is answered; it stays under way until the body has been sent.
    pub(super) fn answered<B>(self, body: B) -> Sending<B> {
        self.activity.0.lock().under_way.insert(self.number, Some(Instant::now()));
        Sending { body, token: Arc::new(self) }
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        let mut state = self.activity.0.lock();
        state.under_way.remove(&self.number);
        if state.under_way.is_empty() {
            state.idle_since = Instant::now();
        }
    }
}

/// A body on its way; each piece of it keeps the request under way until it is written or thrown away.
pub(super) struct Sending<B> {
    body: B,
    token: Arc<Token>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Sending<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let token = Arc::clone(&self.token);
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(|data| keep(data, token)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn fate(activity: &Activity, scarce: bool) -> Fate {
        activity.fate(Instant::now(), &Bounds::default(), scarce)
    }

    #[tokio::test(start_paused = true)]
    async fn where_places_are_scarce_a_connection_that_asks_nothing_is_closed_soon_and_then_dropped() {
        let activity = Activity::new(Instant::now());
        for (after, want) in [(9, Fate::Stay), (2, Fate::Close), (8, Fate::Close), (2, Fate::Drop)] {
            tokio::time::advance(S(after)).await;
            assert_eq!((fate(&activity, true), fate(&activity, false)), (want, Fate::Stay));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn between_requests_a_connection_may_rest_unless_places_are_scarce() {
        let activity = Activity::new(Instant::now());
        drop(activity.begin());
        tokio::time::advance(S(100)).await;
        assert_eq!((fate(&activity, false), fate(&activity, true)), (Fate::Stay, Fate::Drop));
        tokio::time::advance(S(21)).await;
        assert_eq!(fate(&activity, false), Fate::Close);
        drop(activity.begin());
        tokio::time::advance(S(11)).await;
        assert_eq!((fate(&activity, false), fate(&activity, true)), (Fate::Stay, Fate::Close));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_under_way_until_its_last_byte_is_gone() {
        let activity = Activity::new(Instant::now());
        let asked = activity.begin();
        tokio::time::advance(S(200)).await;
        assert_eq!(fate(&activity, true), Fate::Stay);
        let mut body = asked.answered(Full::new(Bytes::from_static(b"answer")));
        let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let part = piece.slice(0..1);
        drop((body, piece));
        tokio::time::advance(S(29)).await;
        assert_eq!(fate(&activity, true), Fate::Stay);
        tokio::time::advance(S(2)).await;
        assert_eq!(fate(&activity, false), Fate::Drop);
        drop(part);
        assert_eq!(fate(&activity, false), Fate::Stay);
    }
}
