//! How clients on kept connections take their leave once this replica is asked to end (IN-54).
//!
//! An HTTP/1.1 connection that the server closes while it is kept may carry the next request at that very moment. The
//! client then sees a broken pipe, and for a review, which is no request to repeat unasked, the API server fails the call:
//! somebody's Pod is refused. So from the request to stop on each answer asks the client to close its connection, which it
//! does between two requests; what is closed at the end of the drain is what nobody has used all the while. HTTP/2 needs
//! none of this: its streams that came too late are known to both sides, and repeated elsewhere.

use http::header::CONNECTION;
use http::{HeaderValue, Response, Version};
use runtime::shutdown::Shutdown;

/// Says farewell with an answer to a request of this version, if the process is to end. To be called when the answer is
/// made: a request to stop that came meanwhile counts.
pub(super) fn part<B>(version: Version, shutdown: &Shutdown, response: &mut Response<B>) {
    if version < Version::HTTP_2 && shutdown.is_requested() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}
