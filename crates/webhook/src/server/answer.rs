//! One HTTP request, one HTTP response: reads the body, lets the endpoint answer, counts and logs.
//!
//! A refusal is an answer: HTTP 200 with `allowed: false`. Other codes mean that there was no question (404, 405, 413,
//! 400) or that we failed (500).

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Bytes;
use serde_json::Value;
use tracing::{debug, error, info, warn};

use super::listener::Body;
use super::metrics::{self, InFlight};
use super::paths::{Admission, Endpoint, Paths};
use crate::admission::review::Question;
use crate::admission::{self, Desk, Verdict};
use crate::keeper::run::chain;

/// Longest body of an AdmissionReview. It holds the object twice, and the API server takes requests up to 3 MiB.
const ADMISSION_LIMIT: usize = 8 << 20;
/// Longest body of a ConversionReview. It holds all objects of a list: 10,000 of 12 KiB.
const CONVERSION_LIMIT: usize = 128 << 20;

/// Answers requests.
pub struct Answers {
    paths: Arc<Paths>,
    desk: Desk,
}

/// A request without an answer in the review's own form.
struct Plain {
    code: StatusCode,
    text: String,
}

impl Answers {
    /// Answers at these paths, with these means.
    pub fn new(paths: Arc<Paths>, desk: Desk) -> Self {
        paths.all().for_each(metrics::announce);
        Self { paths, desk }
    }

    /// Answers a request; a panic below becomes a 500 and ends nothing else.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: hyper::body::Body<Data = Bytes>,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let Some((path, endpoint)) = self.paths.endpoint(request.uri().path()) else {
            warn!(path = request.uri().path(), "request for a path that is not served");
            return plain(StatusCode::NOT_FOUND, "404 page not found");
        };
        let in_flight = InFlight::begin(path);
        let answered = AssertUnwindSafe(self.endpoint(path, endpoint, request)).catch_unwind().await;
        let response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(Plain { code, text })) => {
                warn!(path, code = code.as_u16(), err = text, "request can't be answered");
                plain(code, &text)
            }
            Err(_) => {
                error!(path, "handler panicked");
                plain(StatusCode::INTERNAL_SERVER_ERROR, "the handler panicked")
            }
        };
        in_flight.answered(response.status().as_u16());
        response
    }

    async fn endpoint<B>(&self, path: &str, endpoint: Endpoint, request: Request<B>) -> Result<Response<Body>, Plain>
    where
        B: hyper::body::Body<Data = Bytes>,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let limit = match endpoint {
            Endpoint::Healthz => return Ok(plain(StatusCode::OK, "")),
            Endpoint::Convert => CONVERSION_LIMIT,
            Endpoint::Admit(_) => ADMISSION_LIMIT,
        };
        if request.method() != Method::POST {
            return Err(Plain { code: StatusCode::METHOD_NOT_ALLOWED, text: "POST a review".to_owned() });
        }
        let body = read(request, limit).await?;
        match endpoint {
            Endpoint::Admit(admission) => self.admit(path, admission, &body).await,
            Endpoint::Convert | Endpoint::Healthz => convert(&body),
        }
    }

    async fn admit(&self, path: &str, endpoint: Admission, body: &[u8]) -> Result<Response<Body>, Plain> {
        let question = Question::read(body).map_err(|err| bad_request(&err))?;
        let verdict = admission::decide(endpoint, &question.request, &self.desk).await;
        log(path, &question.request, &verdict);
        Ok(json(&question.answer(&verdict)))
    }
}

fn convert(body: &[u8]) -> Result<Response<Body>, Plain> {
    let answer = crate::convert::answer(body).map_err(|err| bad_request(&err))?;
    if let Some(failure) = answer.failure {
        warn!(err = failure, "conversion failed");
    }
    Ok(json(&answer.review))
}

/// One line a decision; who asked for what is enough to find the request in the API server's audit log.
fn log(path: &str, request: &admission::Request, verdict: &Verdict) {
    let admission::Request { kind, namespace, name, operation, username, uid, .. } = request;
    let object = format!("{namespace}/{name}");
    let kind = &kind.kind;
    match verdict {
        Verdict::Refuse(refusal) => info!(
            path,
            kind,
            object,
            ?operation,
            username,
            uid,
            code = refusal.code,
            reason = refusal.message,
            "refuse"
        ),
        Verdict::Change(patch) => {
            debug!(path, kind, object, ?operation, username, uid, operations = patch.0.len(), "change");
        }
        Verdict::Allow => debug!(path, kind, object, ?operation, username, uid, "allow"),
    }
}

async fn read<B>(request: Request<B>, limit: usize) -> Result<Bytes, Plain>
where
    B: hyper::body::Body<Data = Bytes>,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    match Limited::new(request.into_body(), limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(err) if err.is::<LengthLimitError>() => {
            let text = format!("the body is longer than {limit} bytes");
            Err(Plain { code: StatusCode::PAYLOAD_TOO_LARGE, text })
        }
        Err(err) => Err(Plain { code: StatusCode::BAD_REQUEST, text: format!("read body: {err}") }),
    }
}

fn bad_request(err: &dyn std::error::Error) -> Plain {
    Plain { code: StatusCode::BAD_REQUEST, text: chain(err) }
}

fn json(review: &Value) -> Response<Body> {
    respond(StatusCode::OK, "application/json", Bytes::from(review.to_string()))
}

fn plain(code: StatusCode, text: &str) -> Response<Body> {
    respond(code, "text/plain; charset=utf-8", Bytes::copy_from_slice(text.as_bytes()))
}

fn respond(code: StatusCode, content_type: &'static str, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}
