//! Answers of the API server: JSON, streams of it, and refusals as `Status` objects.

use std::convert::Infallible;

use futures::{Stream, StreamExt as _, stream};
use http::{Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Frame};
use serde_json::{Value, json};

use super::store::Expired;

/// The body of any answer.
pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    code: StatusCode,
    reason: &'static str,
    message: String,
}

impl Refusal {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into() }
    }

    /// The request makes no sense.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// There is no such object.
    pub(crate) fn not_found(resource: &str, name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", format!("{resource} \"{name}\" not found"))
    }

    /// There is nothing at this path.
    pub(crate) fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource")
    }

    /// The path is there, but not for this verb.
    pub(crate) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    /// Somebody else has the name.
    pub(crate) fn already_exists(resource: &str, name: &str) -> Self {
        Self::new(StatusCode::CONFLICT, "AlreadyExists", format!("{resource} \"{name}\" already exists"))
    }

    /// The object is not the one that was judged.
    pub(crate) fn conflict(resource: &str, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {resource} \"{name}\": {why}");
        Self::new(StatusCode::CONFLICT, "Conflict", message)
    }

    /// The version to go on from is forgotten.
    pub(crate) fn expired(from: u64, Expired { oldest }: Expired) -> Self {
        Self::new(StatusCode::GONE, "Expired", format!("too old resource version: {from} ({oldest})"))
    }

    /// A member has a value that is not allowed.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
    }

    /// The patch is of a kind that the stand-in does not know.
    pub(crate) fn unsupported_patch(content_type: &str) -> Self {
        let message = format!("the body of the request was in an unknown format: {content_type}");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    /// The object that says it.
    pub(crate) fn status(&self) -> Value {
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code.as_u16(),
        })
    }

    /// The answer that says it.
    pub(crate) fn response(&self) -> Response<Body> {
        whole(self.code, self.status().to_string())
    }
}

/// JSON in one piece.
pub(crate) fn whole(code: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    answer(code, Full::new(text.into()).boxed_unsync())
}

/// JSON in pieces, as they come.
pub(crate) fn pieces(stream: impl Stream<Item = Bytes> + Send + 'static) -> Response<Body> {
    let frames = stream.map(|piece| Ok(Frame::data(piece)));
    answer(StatusCode::OK, StreamBody::new(frames).boxed_unsync())
}

/// JSON in pieces that are made one by one as they are sent.
pub(crate) fn made(pieces_of: impl Iterator<Item = Bytes> + Send + 'static) -> Response<Body> {
    pieces(stream::iter(pieces_of))
}

fn answer(code: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}
