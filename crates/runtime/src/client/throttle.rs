//! Between us and the API server: the rate limit, leadership, time-outs, `Retry-After`, and the count of requests
//! (ruling 13).
//!
//! Waiting for its turn or for a pause costs a request nothing: leadership is asked for, and time-outs begin, right
//! before each send. A request is sent again only when the server says that it did nothing and when to come back: 429,
//! and for reads 5xx with `Retry-After`. A lost answer to a write is never followed by a second try here, as the first
//! may have been carried out; nor is a 5xx, with which the API server also says that it does not know.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tracing::debug;

use super::failure::{Failure, told_apart};
use crate::clock;
use crate::flags::Limits;
use crate::leader::{self, Leadership, Permit};
use crate::metrics;
use crate::queue::Bucket;

/// How long a read may take until its first byte: the API server ends one after 60 s.
const READ_TIMEOUT: Duration = Duration::from_secs(64);
/// How often a request that the server turned away is sent again.
const RETRIES: u32 = 10;
/// The longest pause that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Extension of a read of one object: each send has this long until its last byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WholeAnswerWithin(pub(crate) Duration);

/// The same client behind a limit of its own (PL-33).
pub(super) fn throttled(
    pool: Client,
    host: String,
    agent: HeaderValue,
    limits: Limits,
    leadership: Option<Leadership>,
) -> Client {
    let namespace = pool.default_namespace().to_owned();
    let bucket = Mutex::new(Bucket::new(limits.qps, limits.burst));
    let throttle = Arc::new(Throttle { pool, host, agent, bucket, leadership });
    let service = tower::service_fn(move |request: Request<Body>| {
        let throttle = Arc::clone(&throttle);
        async move { throttle.send(request).await }
    });
    Client::new(service, namespace)
}

struct Throttle {
    pool: Client,
    host: String,
    agent: HeaderValue,
    bucket: Mutex<Option<Bucket>>,
    /// What every write needs; `None` where every replica may write.
    leadership: Option<Leadership>,
}

/// How much of an answer must come in which time.
enum Patience {
    FirstByte(Duration),
    Whole(Duration),
}

impl Throttle {
    async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, kube::Error> {
        request.headers_mut().insert(header::USER_AGENT, self.agent.clone());
        let effect = Effect::of(request.method());
        let mut next = Some(request);
        let mut retries = 0;
        loop {
            let Some(request) = next.take() else {
                return Err(kube::Error::Service("request cannot be sent again".into()));
            };
            let copy = copy_of(&request);
            self.wait_for_turn().await;
            // Held until the answer is there: the lease is not released while a write is under way.
            let permit = self.permit(effect)?;
            let response = self.send_once(request).await?;
            drop(permit);
            let Some(pause) = pause_asked_for(&response, effect) else { return Ok(response) };
            if retries == RETRIES || copy.is_none() {
                return Ok(response);
            }
            retries += 1;
            debug!(status = response.status().as_u16(), ?pause, "server asks to come back later");
            tokio::time::sleep(pause).await;
            next = copy;
        }
    }

    async fn wait_for_turn(&self) {
        let pause = self.bucket.lock().as_mut().map_or(Duration::ZERO, |bucket| bucket.take(clock::instant()));
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }

    /// Permission for one send; `None` where none is needed.
    fn permit(&self, effect: Effect) -> Result<Option<Permit>, Failure> {
        match (effect, &self.leadership) {
            (Effect::Write, Some(leadership)) => leadership.permit().map(Some).ok_or(Failure::NotLeader),
            (Effect::Write, None) | (Effect::Read, _) => Ok(None),
        }
    }

    fn patience(&self, request: &Request<Body>) -> Patience {
        if Effect::of(request.method()) == Effect::Write {
            let limit = self.leadership.as_ref().map_or(leader::LONGEST_WRITE, Leadership::write_timeout);
            return Patience::Whole(limit);
        }
        let within = request.extensions().get::<WholeAnswerWithin>();
        within.map_or(Patience::FirstByte(READ_TIMEOUT), |within| Patience::Whole(within.0))
    }

    async fn send_once(&self, request: Request<Body>) -> Result<Response<Body>, kube::Error> {
        let method = request.method().clone();
        let answer = match self.patience(&request) {
            Patience::FirstByte(limit) => within(limit, self.pool.send(request)).await,
            Patience::Whole(limit) => within(limit, self.whole(request)).await,
        };
        let code =
            answer.as_ref().map_or_else(|_| "<error>".to_owned(), |response| response.status().as_str().to_owned());
        REQUESTS.get_or_create(&Label { code, method: method.to_string(), host: self.host.clone() }).inc();
        answer.map_err(told_apart)
    }

    /// Sends the request and takes in all of its answer.
    async fn whole(&self, request: Request<Body>) -> Result<Response<Body>, kube::Error> {
        let (parts, body) = self.pool.send(request).await?.into_parts();
        Ok(Response::from_parts(parts, Body::from(body.collect_bytes().await?)))
    }
}

/// Whether a request can change the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Read,
    Write,
}

impl Effect {
    fn of(method: &Method) -> Self {
        match *method {
            Method::GET | Method::HEAD => Self::Read,
            _ => Self::Write,
        }
    }
}

async fn within<T>(limit: Duration, answer: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| Err(Failure::TimedOut(limit).into()))
}

/// How long to wait before the request may be sent again; `None` where the answer is final.
fn pause_asked_for(response: &Response<Body>, effect: Effect) -> Option<Duration> {
    let header = response.headers().get(header::RETRY_AFTER);
    let asked = header.and_then(|value| value.to_str().ok()?.parse().ok()).map(Duration::from_secs);
    match response.status() {
        StatusCode::TOO_MANY_REQUESTS => Some(asked.unwrap_or(Duration::from_secs(1)).min(LONGEST_PAUSE)),
        status if status.is_server_error() && effect == Effect::Read => asked.map(|pause| pause.min(LONGEST_PAUSE)),
        _ => None,
    }
}

fn copy_of(request: &Request<Body>) -> Option<Request<Body>> {
    let mut copy = Request::new(request.body().try_clone()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    Some(copy)
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Label {
    code: String,
    method: String,
    host: String,
}

static REQUESTS: LazyLock<Family<Label, Counter>> = LazyLock::new(|| {
    metrics::counters("rest_client_requests", "Number of HTTP requests, partitioned by status code, method, and host")
});
