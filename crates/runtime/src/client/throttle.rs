//! Between us and the API server: the rate limit, time-outs, `Retry-After`, and the count of requests (ruling 13).
//!
//! A request is sent again only when the server says that it did nothing and when to come back: 429, or 5xx with
//! `Retry-After`. A lost answer is never followed by a second try here, as the first may have been carried out.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header};
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tracing::debug;

use crate::clock;
use crate::flags::Limits;
use crate::metrics;
use crate::queue::Bucket;

/// How long a write may take: the API server itself gives webhooks up to 30 s.
const WRITE_TIMEOUT: Duration = Duration::from_secs(34);
/// How long a read may take until its first byte: the API server ends one after 60 s.
const READ_TIMEOUT: Duration = Duration::from_secs(64);
/// How often a request that the server turned away is sent again.
const RETRIES: u32 = 10;
/// The longest pause that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The same client behind a limit of its own (PL-33).
pub(super) fn throttled(inner: Client, namespace: String, host: String, limits: Limits) -> Client {
    let throttle = Arc::new(Throttle { inner, host, bucket: Mutex::new(Bucket::new(limits.qps, limits.burst)) });
    let service = tower::service_fn(move |request: Request<Body>| {
        let throttle = Arc::clone(&throttle);
        async move { throttle.send(request).await }
    });
    Client::new(service, namespace)
}

struct Throttle {
    inner: Client,
    host: String,
    bucket: Mutex<Option<Bucket>>,
}

impl Throttle {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, kube::Error> {
        let mut next = Some(request);
        let mut retries = 0;
        loop {
            let Some(request) = next.take() else {
                return Err(kube::Error::Service("request cannot be sent again".into()));
            };
            let copy = copy_of(&request);
            self.wait_for_turn().await;
            let response = self.send_once(request).await?;
            let Some(pause) = pause_asked_for(&response) else { return Ok(response) };
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

    async fn send_once(&self, request: Request<Body>) -> Result<Response<Body>, kube::Error> {
        let method = request.method().clone();
        let timeout = if method == Method::GET { READ_TIMEOUT } else { WRITE_TIMEOUT };
        let answer = match tokio::time::timeout(timeout, self.inner.send(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(kube::Error::Service(format!("no answer within {timeout:?}").into())),
        };
        let code =
            answer.as_ref().map_or_else(|_| "<error>".to_owned(), |response| response.status().as_str().to_owned());
        REQUESTS.get_or_create(&Label { code, method: method.to_string(), host: self.host.clone() }).inc();
        answer
    }
}

/// How long to wait before the request may be sent again; `None` where the answer is final.
fn pause_asked_for(response: &Response<Body>) -> Option<Duration> {
    let header = response.headers().get(header::RETRY_AFTER);
    let asked = header.and_then(|value| value.to_str().ok()?.parse().ok()).map(Duration::from_secs);
    match response.status() {
        StatusCode::TOO_MANY_REQUESTS => Some(asked.unwrap_or(Duration::from_secs(1)).min(LONGEST_PAUSE)),
        status if status.is_server_error() => asked.map(|pause| pause.min(LONGEST_PAUSE)),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A client whose server gives these answers in turn: status and `Retry-After`.
    fn client(answers: Vec<(u16, Option<&'static str>)>, limits: Limits) -> (Client, Arc<Mutex<usize>>) {
        let calls = Arc::new(Mutex::new(0));
        let count = Arc::clone(&calls);
        let service = tower::service_fn(move |request: Request<Body>| {
            let at = {
                let mut count = count.lock();
                *count += 1;
                *count - 1
            };
            let (status, retry_after) = answers[at.min(answers.len() - 1)];
            async move {
                let sent = request.into_body().collect_bytes().await?;
                let mut response = Response::builder().status(status);
                if let Some(seconds) = retry_after {
                    response = response.header(header::RETRY_AFTER, seconds);
                }
                Ok::<_, tower::BoxError>(response.body(Body::from(sent.to_vec()))?)
            }
        });
        (throttled(Client::new(service, "default"), "default".to_owned(), "test".to_owned(), limits), calls)
    }

    fn request(method: Method) -> Request<Body> {
        Request::builder().method(method).uri("/api").body(Body::from(b"body".to_vec())).unwrap()
    }

    // Ruling 13
    #[tokio::test(start_paused = true)]
    async fn a_429_is_sent_again_when_the_server_said() {
        let (client, calls) = client(vec![(429, Some("7")), (429, None), (201, None)], Limits::MANAGER);
        let start = clock::instant();
        let response = client.send(request(Method::POST)).await.unwrap();
        assert_eq!(response.status(), 201);
        assert_eq!(response.into_body().collect_bytes().await.unwrap().as_ref(), b"body", "the body was sent again");
        assert_eq!((clock::instant() - start).as_secs(), 8);
        assert_eq!(*calls.lock(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_error_is_final_unless_the_server_says_when_to_come_back() {
        let (client, calls) = client(vec![(503, Some("1")), (503, None), (200, None)], Limits::MANAGER);
        assert_eq!(client.send(request(Method::POST)).await.unwrap().status(), 503);
        assert_eq!(*calls.lock(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_beyond_the_burst_wait_for_their_turn() {
        let (client, _) = client(vec![(200, None)], Limits { qps: 10, burst: 3 });
        let start = clock::instant();
        for _ in 0..5 {
            client.send(request(Method::GET)).await.unwrap();
        }
        assert_eq!((clock::instant() - start).as_millis(), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_are_counted_by_code_and_method() {
        let (client, _) = client(vec![(404, None)], Limits::MANAGER);
        client.send(request(Method::DELETE)).await.unwrap();
        let text = metrics::encode().unwrap();
        assert!(
            text.contains("rest_client_requests_total{code=\"404\",method=\"DELETE\",host=\"test\"} 1\n"),
            "{text}"
        );
    }
}
