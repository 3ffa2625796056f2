//! Watches and lists on their way to a replica: held back, broken, and noted as they are delivered.
//!
//! A watch that is held back loses nothing: its lines wait in order, as they would in a cache of the server that is
//! behind, or in a connection that is stuck.

use futures::{Stream, StreamExt};
use http::Response;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use serde_json::json;
use tower::BoxError;

use super::{Break, Link};
use crate::server::Body;
use runtime::clock;

/// Mark of the bookmark that ends a streamed list.
const END_OF_LIST: &[u8] = b"k8s.io/initial-events-end";

/// A list: delivered once its last page is.
pub(super) async fn list(link: Link, resource: String, answer: Response<Body>) -> Response<Body> {
    link.way().await;
    let (parts, body) = answer.into_parts();
    let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let of_list = serde_json::from_slice::<serde_json::Value>(&bytes).unwrap_or_default();
    let metadata = of_list.get("metadata");
    let text = |member: &str| metadata.and_then(|metadata| metadata.get(member)?.as_str());
    if let (None | Some(""), Some(Ok(version))) = (text("continue"), text("resourceVersion").map(str::parse)) {
        link.deliver(&resource, version);
    }
    Response::from_parts(parts, whole(bytes))
}

/// A watch, line by line.
pub(super) fn watch(link: Link, resource: String, streams_list: bool, answer: Response<Body>) -> Response<Body> {
    let (parts, body) = answer.into_parts();
    if !parts.status.is_success() {
        return Response::from_parts(parts, body);
    }
    let lines = lines(link, resource, streams_list, body.into_data_stream());
    Response::from_parts(parts, Body::new(StreamBody::new(lines.map(|line| line.map(Frame::data)))))
}

/// An answer that is there at once.
pub(super) fn whole(bytes: Bytes) -> Body {
    Body::new(Full::new(bytes).map_err(Into::into))
}

/// What one watch has come to.
struct Telling<S> {
    link: Link,
    resource: String,
    from: S,
    /// How often watches of the resource had been broken when this one began.
    broken_before: u64,
    /// Whether what is told is the list still, in no order of versions.
    listing: bool,
    over: bool,
}

fn lines<S>(link: Link, resource: String, listing: bool, from: S) -> impl Stream<Item = Result<Bytes, BoxError>>
where
    S: Stream<Item = Result<Bytes, BoxError>> + Unpin + Send + 'static,
{
    let broken_before = link.inner.state.lock().broken.get(&resource).map_or(0, |broken| broken.0);
    let telling = Telling { link, resource, from, broken_before, listing, over: false };
    futures::stream::unfold(telling, |mut telling| async move {
        let line = telling.next().await?;
        Some((line, telling))
    })
}

/// What comes next.
enum Next {
    Line(Bytes),
    End,
    Broken(Break),
}

impl<S: Stream<Item = Result<Bytes, BoxError>> + Unpin> Telling<S> {
    async fn next(&mut self) -> Option<Result<Bytes, BoxError>> {
        if self.over {
            return None;
        }
        match self.wait().await {
            Next::Line(line) => {
                self.note(&line);
                Some(Ok(line))
            }
            Next::End => None,
            Next::Broken(Break::Cut) => {
                self.over = true;
                Some(Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()))
            }
            Next::Broken(Break::Expire) => {
                self.over = true;
                let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                    "message": "too old resource version", "reason": "Expired", "code": 410});
                Some(Ok(Bytes::from(format!("{}\n", json!({"type": "ERROR", "object": status})))))
            }
        }
    }

    async fn wait(&mut self) -> Next {
        let link = self.link.clone();
        loop {
            let changed = link.inner.changed.notified();
            let (blocked, broken) = {
                let state = link.inner.state.lock();
                (
                    state.blocked.get(&self.resource).copied().max(link.inner.wire.outage()),
                    state.broken.get(&self.resource).copied(),
                )
            };
            if let Some((times, how)) = broken
                && times > self.broken_before
            {
                return Next::Broken(how);
            }
            if let Some(until) = blocked.filter(|until| *until > clock::instant()) {
                tokio::select! {
                    biased;
                    () = changed => {}
                    () = tokio::time::sleep_until(until.into()) => {}
                }
                continue;
            }
            tokio::select! {
                biased;
                () = link.died() => std::future::pending().await,
                () = changed => {}
                line = self.from.next() => return match line {
                    Some(Ok(line)) => Next::Line(line),
                    Some(Err(_)) | None => Next::End,
                },
            }
        }
    }

    fn note(&mut self, line: &[u8]) {
        if self.listing {
            let ends = line.windows(END_OF_LIST.len()).any(|window| window == END_OF_LIST);
            self.listing = !ends;
            if !ends {
                return;
            }
        }
        if let Some(version) = version_in(line) {
            self.link.deliver(&self.resource, version);
        }
    }
}

/// The resourceVersion of the object in the last line: quotes within texts are escaped, so the bytes are found nowhere
/// else.
fn version_in(lines: &[u8]) -> Option<u64> {
    const KEY: &[u8] = b"\"resourceVersion\":\"";
    let line = lines.strip_suffix(b"\n").unwrap_or(lines);
    let line = line.rsplit(|byte| *byte == b'\n').next()?;
    let at = line.windows(KEY.len()).position(|window| window == KEY)? + KEY.len();
    let digits = line.get(at..)?.split(|byte| *byte == b'"').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_object_in_the_last_line() {
        for (lines, want) in [
            ("{\"metadata\":{\"resourceVersion\":\"7\"}}\n", Some(7)),
            (
                "{\"metadata\":{\"annotations\":{\"a\":\"{\\\"resourceVersion\\\":\\\"1\\\"}\"},\"resourceVersion\":\"8\"}}",
                Some(8),
            ),
            ("{\"metadata\":{\"resourceVersion\":\"7\"}}\n{\"metadata\":{\"resourceVersion\":\"9\"}}\n", Some(9)),
            ("{}\n", None),
        ] {
            assert_eq!(version_in(lines.as_bytes()), want, "{lines}");
        }
    }
}
