//! How clients on kept connections take their leave once this replica is asked to end (IN-54).
//!
//! An HTTP/1.1 connection that the server closes while it is kept may carry the next request at that very moment. The
//! client then sees a broken pipe, and for a review, which is no request to repeat unasked, the API server fails the call:
//! somebody's Pod is refused. So from the request to stop on each answer asks the client to close its connection, which it
//! does between two requests; what is closed at the end of the drain is what nobody has used all the while. HTTP/2 needs
//! none of this: its streams that came too late are known to both sides, and repeated elsewhere.

use std::future::Future;

use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, Version};
use runtime::shutdown::Shutdown;

/// Answers as `answer` does, and after the request to stop says farewell with each answer.
pub fn parting<I, F, A, B>(
    answer: F,
    shutdown: Shutdown,
) -> impl Fn(Request<I>) -> futures::future::BoxFuture<'static, Response<B>> + Clone + Send + Sync + 'static
where
    F: Fn(Request<I>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<B>> + Send + 'static,
{
    move |request| {
        let (version, shutdown, response) = (request.version(), shutdown.clone(), answer(request));
        Box::pin(async move {
            let mut response = response.await;
            // Asked after the answer was made: a request to stop that came meanwhile counts.
            if version < Version::HTTP_2 && shutdown.is_requested() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            response
        })
    }
}
