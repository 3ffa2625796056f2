//! A scripted API server under a real `kube::Client`, for tests: a function answers, a log keeps what was asked. And one
//! that holds a Lease, for tests of leaders.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body as Served;
use futures::StreamExt;
use http::{Request, Response};
use jiff::Timestamp;
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::ambient::Ambient;
use crate::client::{Connection, Guarded};
use crate::events::Recorder;
use crate::flags::Limits;
use crate::leader::{self, Leadership};
use crate::shutdown::Shutdown;

const S: fn(u64) -> Duration = Duration::from_secs;

/// A request as the server saw it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    /// `POST /api/v1/...`, without query.
    pub(crate) what: String,
    pub(crate) query: String,
    pub(crate) content_type: String,
    pub(crate) user_agent: String,
    pub(crate) accept: String,
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
    /// HTTP status and `Retry-After`.
    ComeBack(u16, &'static str),
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
            let header =
                |name| parts.headers.get(name).map_or_else(String::new, |value| value.to_str().unwrap().to_owned());
            let asked = Asked {
                what: format!("{} {}", parts.method, parts.uri.path()),
                query: parts.uri.query().unwrap_or_default().to_owned(),
                content_type: header(http::header::CONTENT_TYPE),
                user_agent: header(http::header::USER_AGENT),
                accept: header(http::header::ACCEPT),
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
        let (code, retry_after, body) = match answer {
            Answer::Ok(body) => (200, None, body),
            Answer::Refuse(code, reason) => (code, None, refusal(code, reason)),
            Answer::ComeBack(code, seconds) => (code, Some(seconds), refusal(code, "TooManyRequests")),
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
        let mut response = Response::builder().status(code);
        if let Some(seconds) = retry_after {
            response = response.header(http::header::RETRY_AFTER, seconds);
        }
        return Ok(response.body(Served::from(body.to_string()))?);
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

/// Time and chance of a test.
pub(crate) fn ambient() -> Ambient {
    Ambient::simulated(Timestamp::UNIX_EPOCH, 1)
}

/// A client without limits that is bound to this leadership.
pub(crate) fn guarded(client: Client, leadership: &Leadership) -> Guarded {
    Connection::over(client, Limits { qps: 0, burst: 0 }).guarded("test", leadership)
}

/// A server with one Lease and optimistic locking.
#[derive(Clone, Default)]
pub(crate) struct Cluster {
    pub(crate) lease: Arc<Mutex<Option<Value>>>,
    /// While true, the Lease gets no answer.
    pub(crate) down: Arc<Mutex<bool>>,
}

/// A candidate for the Lease with the defaults of the flags.
pub(crate) fn candidate(identity: &str) -> leader::Config {
    leader::Config {
        namespace: "kruise-system".to_owned(),
        name: "kruise-manager".to_owned(),
        identity: identity.to_owned(),
        lease_duration: S(15),
        renew_deadline: S(10),
        retry_period: S(2),
    }
}

/// The line that ends a streamed list.
pub(crate) fn end_of_list(kind: &str, version: u32) -> Value {
    let metadata =
        json!({"resourceVersion": version.to_string(), "annotations": {"k8s.io/initial-events-end": "true"}});
    json!({"type": "BOOKMARK", "object": {"kind": kind, "apiVersion": "v1", "metadata": metadata}})
}

impl Cluster {
    /// Stands for election with the defaults of the flags.
    pub(crate) fn start(&self, identity: &str, shutdown: &Shutdown) -> Leadership {
        let cluster = self.clone();
        let (client, _) = server(move |asked| cluster.answer(asked));
        leader::run(client, candidate(identity), &Recorder::silent(), ambient(), shutdown.clone())
    }

    fn answer(&self, asked: &Asked) -> Answer {
        if *self.down.lock() {
            return Answer::Silence;
        }
        let mut lease = self.lease.lock();
        let version = |lease: &Value| lease["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse::<u32>().ok());
        match (asked.what.split(' ').next().unwrap(), lease.as_mut()) {
            ("GET", Some(lease)) => Answer::Ok(lease.clone()),
            ("GET", None) => Answer::Refuse(404, "NotFound"),
            ("POST", None) | ("PUT", Some(_)) => {
                let before = lease.as_ref().and_then(version);
                if before != version(&asked.body) {
                    return Answer::Refuse(409, "Conflict");
                }
                let mut new = asked.body.clone();
                new["metadata"]["resourceVersion"] = json!((before.unwrap_or_default() + 1).to_string());
                new["metadata"]["uid"] = json!("lease-uid");
                *lease = Some(new.clone());
                Answer::Ok(new)
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn spec(&self, field: &str) -> Value {
        self.lease.lock().as_ref().unwrap()["spec"][field].clone()
    }
}
