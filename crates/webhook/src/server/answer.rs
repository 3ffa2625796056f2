//! One HTTP request, one HTTP response: reads the body, lets the endpoint answer in time, counts and logs.
//!
//! A refusal is an answer: HTTP 200 with `allowed: false`, also where the handler did not finish in time. Other codes mean
//! that there was no question (404, 405, 408, 413, 400), that there was no room for it (503) or that we failed (500). What
//! is large is worked on beside the threads that serve the connections, so that nobody else waits for it.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;

use futures::FutureExt;
use http::{Method, Request, Response, StatusCode, header};
use hyper::body::{self, Bytes};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tracing::{error, warn};

use super::body::Body;
use super::deadline;
use super::intake::{self, Failure, receive};
use super::metrics::{self, InFlight};
use super::paths::{Admission, Endpoint, Paths};
use super::room::{self, Full, Room};
use crate::admission::review::Question;
use crate::admission::{self, Desk, Refusal, Verdict};
use crate::convert;
use crate::keeper::run::chain;

/// Requests under way at once. Each takes a few KiB before its body comes; the API server waits for far fewer.
const REQUESTS: usize = 4096;

/// Answers requests.
pub struct Answers {
    paths: Arc<Paths>,
    desk: Arc<Desk>,
    requests: Semaphore,
    admission: Room,
    conversion: Room,
}

/// A request without an answer in the review's own form.
#[derive(Debug)]
struct Plain {
    code: StatusCode,
    text: String,
}

impl Answers {
    /// Answers at these paths, with these means.
    pub fn new(paths: Arc<Paths>, desk: Desk) -> Self {
        paths.all().for_each(metrics::announce);
        Self {
            paths,
            desk: Arc::new(desk),
            requests: Semaphore::new(REQUESTS),
            admission: Room::new("admission", room::ADMISSION),
            conversion: Room::new("convert", room::CONVERSION),
        }
    }

    /// Answers a request, in time; a panic below becomes a 500 and ends nothing else. Runs on a tokio runtime with time.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: body::Body<Data = Bytes>,
        B::Error: std::fmt::Display,
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
        B: body::Body<Data = Bytes>,
        B::Error: std::fmt::Display,
    {
        let (room, usual) = match endpoint {
            Endpoint::Healthz => return Ok(plain(StatusCode::OK, "")),
            Endpoint::Convert => (&self.conversion, deadline::LONGEST),
            Endpoint::Admit(_) => (&self.admission, deadline::ADMISSION),
        };
        // The head is not kept while the body comes: only its length is bounded, and it may be longer than the body.
        let (head, body) = request.into_parts();
        if head.method != Method::POST {
            return Err(Plain { code: StatusCode::METHOD_NOT_ALLOWED, text: "POST a review".to_owned() });
        }
        let deadline = deadline::of(head.uri.query(), usual, Instant::now());
        drop(head);
        let Ok(_request) = self.requests.try_acquire() else {
            let text = format!("{REQUESTS} requests are under way already");
            return Err(Plain { code: StatusCode::SERVICE_UNAVAILABLE, text });
        };
        let body = receive(body, room, deadline).await?;
        // Held until nothing of this request is worked on any more: a handler that is late goes on beside.
        let leave = match body.is_large() {
            true => Some(Arc::new(room.work(body.len(), deadline).await?)),
            false => None,
        };
        match endpoint {
            Endpoint::Admit(admission) => self.admit(path, admission, body, leave, deadline).await,
            Endpoint::Convert | Endpoint::Healthz => convert(path, body, leave, deadline).await,
        }
    }

    async fn admit(
        &self,
        path: &str,
        endpoint: Admission,
        body: intake::Received,
        leave: Option<Leave>,
        deadline: Instant,
    ) -> Result<Response<Body>, Plain> {
        let question = match &leave {
            None => Question::read(&body, deadline),
            Some(leave) => beside(leave, async move { Question::read(&body, deadline) }).await,
        };
        let question = Arc::new(question.map_err(|err| bad_request(&err))?);
        let verdict = match &leave {
            None => timeout_at(deadline, admission::decide(endpoint, &question.request, &self.desk)).await,
            Some(leave) => {
                let (question, desk) = (Arc::clone(&question), Arc::clone(&self.desk));
                // Waiting ends in time there too, so that the leave comes back; computing can't be stopped from here.
                let deciding =
                    async move { timeout_at(deadline, admission::decide(endpoint, &question.request, &desk)).await };
                timeout_at(deadline, beside(leave, deciding)).await.flatten()
            }
        };
        let verdict = verdict.unwrap_or_else(|_| {
            metrics::late(path);
            Verdict::Refuse(Refusal::internal("deadline", "there was no verdict within the time-out of the request"))
        });
        admission::log::verdict(path, &question.request, &verdict);
        Ok(json(Body::new(Bytes::from(question.answer(&verdict).to_string()))))
    }
}

/// Leave to work on a large body.
type Leave = Arc<OwnedSemaphorePermit>;

/// Lets large work be done on a thread of its own, which holds the leave until it has ended; a panic goes on here.
async fn beside<T: Send + 'static>(leave: &Leave, work: impl Future<Output = T> + Send + 'static) -> T {
    let (leave, runtime) = (Arc::clone(leave), Handle::current());
    let working = tokio::task::spawn_blocking(move || {
        let done = runtime.block_on(work);
        drop(leave);
        done
    });
    match working.await {
        Ok(done) => done,
        Err(err) if err.is_panic() => resume_unwind(err.into_panic()),
        // Only the end of the runtime cancels it, and then nobody waits here.
        Err(_) => std::future::pending().await,
    }
}

async fn convert(
    path: &str,
    body: intake::Received,
    leave: Option<Leave>,
    deadline: Instant,
) -> Result<Response<Body>, Plain> {
    let converted = move || convert::answer(&body);
    let converted = match &leave {
        None => converted(),
        Some(leave) => match timeout_at(deadline, beside(leave, async move { converted() })).await {
            Ok(converted) => converted,
            Err(_) => {
                metrics::late(path);
                let text = "the conversion did not end within the time-out of the request".to_owned();
                return Err(Plain { code: StatusCode::INTERNAL_SERVER_ERROR, text });
            }
        },
    };
    let convert::Answer { body, failure } = converted.map_err(|err| bad_request(&err))?;
    if let Some(failure) = failure {
        warn!(err = failure, "conversion failed");
    }
    // The next large one has to wait until this answer, which is as large, is on its way.
    Ok(json(Body::keeping(body, leave)))
}

impl From<Failure> for Plain {
    fn from(failure: Failure) -> Self {
        let code = match failure {
            Failure::TooLong(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Failure::Late(_) => StatusCode::REQUEST_TIMEOUT,
            Failure::Full => StatusCode::SERVICE_UNAVAILABLE,
            Failure::Broken(_) => StatusCode::BAD_REQUEST,
        };
        Self { code, text: failure.to_string() }
    }
}

impl From<Full> for Plain {
    fn from(full: Full) -> Self {
        Failure::from(full).into()
    }
}

fn bad_request(err: &dyn std::error::Error) -> Plain {
    Plain { code: StatusCode::BAD_REQUEST, text: chain(err) }
}

fn json(body: Body) -> Response<Body> {
    respond(StatusCode::OK, "application/json", body)
}

fn plain(code: StatusCode, text: &str) -> Response<Body> {
    respond(code, "text/plain; charset=utf-8", Body::new(Bytes::copy_from_slice(text.as_bytes())))
}

fn respond(code: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}
