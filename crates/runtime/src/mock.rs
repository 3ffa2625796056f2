//! A scripted API server under a real `kube::Client`, for tests: a function answers, a log keeps what was asked.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body as Served;
use futures::StreamExt;
use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};

/// A request as the server saw it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    /// `POST /api/v1/...`, without query.
    pub(crate) what: String,
    pub(crate) query: String,
    pub(crate) content_type: String,
    pub(crate) body: Value,
    /// Requests under way when it came, itself included.
    pub(crate) under_way: usize,
}

/// What the server does with a request.
pub(crate) enum Answer {
    Ok(Value),
    /// HTTP status and Kubernetes' reason.
    Refuse(u16, &'static str),
    /// A watch that tells these lines, and then nothing more, for ever.
    Lines(Vec<Value>),
    /// A watch that tells these lines, and then ends.
    LinesAndEnd(Vec<Value>),
    /// Nothing, for ever.
    Silence,
    /// The answer, after a while.
    Late(Duration, Box<Self>),
}

/// What the server was asked.
#[derive(Clone, Default)]
pub(crate) struct Log {
    asked: Arc<Mutex<Vec<Asked>>>,
    under_way: Arc<Mutex<usize>>,
}

impl Log {
    pub(crate) fn all(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }

    /// The request lines alone.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked.lock().iter().map(|asked| asked.what.clone()).collect()
    }
}

/// A client of a server that answers by this function.
pub(crate) fn server(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> (Client, Log) {
    let (log, answer) = (Log::default(), Arc::new(answer));
    let kept = log.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let (log, answer) = (log.clone(), Arc::clone(&answer));
        async move {
            let (parts, body) = request.into_parts();
            let bytes = body.collect_bytes().await?;
            let under_way = {
                let mut under_way = log.under_way.lock();
                *under_way += 1;
                *under_way
            };
            let asked = Asked {
                what: format!("{} {}", parts.method, parts.uri.path()),
                query: parts.uri.query().unwrap_or_default().to_owned(),
                content_type: parts
                    .headers
                    .get(http::header::CONTENT_TYPE)
                    .map_or_else(String::new, |value| value.to_str().unwrap().to_owned()),
                body: serde_json::from_slice(&bytes).unwrap_or_default(),
                under_way,
            };
            log.asked.lock().push(asked.clone());
            let response = respond(answer(&asked)).await;
            *log.under_way.lock() -= 1;
            response
        }
    });
    (Client::new(service, "default"), kept)
}

async fn respond(mut answer: Answer) -> Result<Response<Served>, tower::BoxError> {
    loop {
        let (code, body) = match answer {
            Answer::Ok(body) => (200, body),
            Answer::Refuse(code, reason) => (code, refusal(code, reason)),
            Answer::Lines(lines) => {
                let forever = futures::stream::pending::<Result<Vec<u8>, tower::BoxError>>();
                return watch(futures::stream::iter(encoded(lines)).chain(forever));
            }
            Answer::LinesAndEnd(lines) => return watch(futures::stream::iter(encoded(lines))),
            Answer::Silence => std::future::pending().await,
            Answer::Late(delay, later) => {
                tokio::time::sleep(delay).await;
                answer = *later;
                continue;
            }
        };
        return Ok(Response::builder().status(code).body(Served::from(body.to_string()))?);
    }
}

fn encoded(lines: Vec<Value>) -> Vec<Result<Vec<u8>, tower::BoxError>> {
    lines.into_iter().map(|line| Ok(format!("{line}\n").into_bytes())).collect()
}

fn watch(
    lines: impl futures::Stream<Item = Result<Vec<u8>, tower::BoxError>> + Send + 'static,
) -> Result<Response<Served>, tower::BoxError> {
    Ok(Response::builder().status(200).body(Served::from_stream(lines))?)
}

fn refusal(code: u16, reason: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": "no"})
}
