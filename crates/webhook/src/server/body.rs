//! The body of an answer: in pieces, so that a client that does not read makes us keep it once and not once more in the
//! buffers on the way.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{self, Bytes, Frame, SizeHint};

/// Bytes of a piece: a few TLS records.
const PIECE: usize = 64 << 10;

/// Body of an answer.
#[derive(Clone, Debug, Default)]
pub struct Body(Bytes);

impl Body {
    /// A body.
    pub fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// A body that keeps `kept` until the last byte of it is sent, or its connection is gone.
    pub fn keeping<K: Send + 'static>(bytes: Bytes, kept: K) -> Self {
        Self(keep(bytes, kept))
    }
}

/// The same bytes, which keep something as long as any part of them is there.
pub(super) fn keep<K: Send + 'static>(bytes: Bytes, kept: K) -> Bytes {
    struct Kept<K>(Bytes, K);
    impl<K> AsRef<[u8]> for Kept<K> {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    Bytes::from_owner(Kept(bytes, kept))
}

impl body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.0.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.0.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}
