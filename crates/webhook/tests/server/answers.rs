//! Answers without sockets: in time whatever the handler does, and with room for what comes.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::join_all;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Frame, SizeHint};
use kruise_webhook::server::answer::Answers;
use serde_json::{Value, json};

use crate::kit::*;

const CLONE_SETS: &str = "/validate-apps-kruise-io-cloneset";

/// A body that is announced with a length, begins, and does not go on.
struct Stuck {
    announced: u64,
    begin: Option<Bytes>,
}

impl Stuck {
    fn new(announced: usize, sent: usize) -> Self {
        Self {
            announced: announced as u64,
            begin: Some(Bytes::from(vec![b' '; sent])).filter(|begin| !begin.is_empty()),
        }
    }
}

impl Body for Stuck {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.begin.take() {
            Some(begin) => {
                self.announced -= begin.len() as u64;
                Poll::Ready(Some(Ok(Frame::data(begin))))
            }
            None => Poll::Pending,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.announced)
    }
}

fn request<B>(path: &str, body: B) -> Request<B> {
    Request::post(path).body(body).unwrap()
}

fn full(body: impl Into<Bytes>) -> Full<Bytes> {
    Full::new(body.into())
}

async fn text(response: Response<kruise_webhook::server::body::Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// Asks about a CloneSet whose validation reads a Pod live.
fn asks_the_api_server() -> Value {
    let object = json!({
        "apiVersion": "apps.kruise.io/v1alpha1", "kind": "CloneSet",
        "metadata": { "name": "web", "namespace": "shop", "uid": "1" },
        "spec": {
            "replicas": 3, "selector": { "matchLabels": { "app": "web" } },
            "template": { "metadata": { "labels": { "app": "web" } }, "spec": {} },
            "scaleStrategy": { "podsToDelete": ["web-a"] },
        },
    });
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u-7", "operation": "CREATE", "namespace": "shop", "name": "web", "object": object,
            "kind": { "group": "apps.kruise.io", "version": "v1alpha1", "kind": "CloneSet" },
            "resource": { "group": "apps.kruise.io", "version": "v1alpha1", "resource": "clonesets" },
        },
    })
}

/// Answers whose API server takes every request and says nothing.
fn silent() -> Answers {
    let client = kube::Client::new(
        tower::service_fn(|_: Request<kube::client::Body>| {
            std::future::pending::<Result<Response<Full<Bytes>>, std::io::Error>>()
        }),
        "default",
    );
    answers_with(client)
}

#[track_caller]
fn assert_late(status: StatusCode, said: &str) {
    assert_eq!(status, StatusCode::OK);
    let review: Value = serde_json::from_str(said).unwrap();
    let message = "there was no verdict within the time-out of the request";
    let want = json!({ "status": "Failure", "code": 500, "reason": "InternalError", "message": message });
    assert_eq!(review["response"], json!({ "uid": "u-7", "allowed": false, "status": want }));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_does_not_finish_is_answered_for_before_the_time_out() {
    let answers = silent();
    let begun = tokio::time::Instant::now();
    for (query, millis) in [("", 9_500), ("?timeout=3s", 2_700), ("?timeout=10m", 29_500)] {
        let before = begun.elapsed();
        let asked = request(&format!("{CLONE_SETS}{query}"), full(asks_the_api_server().to_string()));
        let answer = answers.answer(asked).await;
        let took = begun.elapsed() - before;
        assert!(took.abs_diff(Duration::from_millis(millis)) < Duration::from_millis(10), "{query}: {took:?}");
        let status = answer.status();
        assert_late(status, &text(answer).await);
    }
    let metrics = runtime::metrics::encode().unwrap();
    let counted = format!(r#"kruise_webhook_late_total{{webhook="{CLONE_SETS}"}} 3"#);
    assert!(metrics.contains(&counted), "{metrics}");
}

#[tokio::test]
async fn a_large_review_is_answered_in_time_as_well() {
    let answers = silent();
    let path = "/validate-apps-kruise-io-v1alpha1-cloneset?timeout=1s";
    // The second needs the leave of the first, whose handler would wait for ever.
    for _ in 0..2 {
        let answer = answers.answer(request(path, full(padded(&asks_the_api_server(), 8 << 20)))).await;
        let status = answer.status();
        assert_late(status, &text(answer).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_too_slowly_is_given_up_before_the_time_out() {
    let answers = silent();
    let begun = tokio::time::Instant::now();
    let answer = answers.answer(request("/mutate-pod", Stuck::new(50, 10))).await;
    assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(text(answer).await, "the body did not arrive in time: 10 bytes so far");
    assert!(begun.elapsed() < Duration::from_secs(6));
}

#[tokio::test(start_paused = true)]
async fn bodies_that_are_announced_and_not_sent_take_no_room() {
    let answers = silent();
    let nothing = (0..3_000).map(|_| answers.answer(request("/mutate-pod", Stuck::new(8 << 20, 0))));
    let honest = async {
        for length in [1_000, 8 << 20] {
            let asked = request("/mutate-pod?timeout=1s", full(padded(&review(&owned_pod()), length)));
            assert_eq!(answers.answer(asked).await.status(), StatusCode::OK, "{length}");
        }
    };
    let (given_up, ()) = tokio::join!(join_all(nothing), honest);
    assert!(given_up.iter().all(|answer| answer.status() == StatusCode::REQUEST_TIMEOUT));
}

#[tokio::test(start_paused = true)]
async fn a_large_body_without_room_waits_and_a_small_one_does_not() {
    let answers = silent();
    // Four times 8 MiB is all there is.
    let holding = (0..4).map(|_| answers.answer(request("/mutate-pod", Stuck::new(8 << 20, 1 << 20))));
    let others = async {
        let large = |timeout| {
            let path = format!("/mutate-pod?timeout={timeout}");
            answers.answer(request(&path, full(padded(&review(&owned_pod()), 1 << 20))))
        };
        let refused = large("3s").await;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(text(refused).await, "too many bodies are held at once, no room for this one in time");
        let small = request("/mutate-pod?timeout=100ms", full(review(&owned_pod()).to_string()));
        assert_eq!(answers.answer(small).await.status(), StatusCode::OK);
        // Those who do not go on are given up after 7 s, and then there is room.
        assert_eq!(large("10s").await.status(), StatusCode::OK);
    };
    let (given_up, ()) = tokio::join!(join_all(holding), others);
    assert!(given_up.iter().all(|answer| answer.status() == StatusCode::REQUEST_TIMEOUT));
}

#[tokio::test(start_paused = true)]
async fn the_room_of_a_conversion_whose_client_goes_away_is_free_again() {
    let answers = silent();
    let stuck = answers.answer(request("/convert", Stuck::new(100 << 20, 1 << 20)));
    assert!(tokio::time::timeout(Duration::from_secs(1), stuck).await.is_err());
    let review = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview",
        "request": { "uid": "u-1", "desiredAPIVersion": "apps.kruise.io/v1beta1", "objects": [] },
    });
    let asked = request("/convert?timeout=2s", full(padded(&review, 100 << 20)));
    assert_eq!(answers.answer(asked).await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn too_many_requests_at_once_are_refused_with_a_clear_text() {
    let answers = silent();
    let waiting = (0..4_096).map(|_| answers.answer(request("/mutate-pod", Stuck::new(50, 0))));
    let refused = async {
        let answer = answers.answer(request("/mutate-pod", full("{}"))).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(text(answer).await, "4096 requests are under way already");
        let health = Request::get("/healthz").body(full("")).unwrap();
        assert_eq!(answers.answer(health).await.status(), StatusCode::OK);
    };
    tokio::join!(join_all(waiting), refused);
}

#[tokio::test(start_paused = true)] // platform page, section 13
async fn a_request_whose_client_goes_away_is_counted() {
    let answers = silent();
    let path = "/mutate-apps-kruise-io-v1alpha1-cloneset";
    let sample = |name: &str, labels: &str| {
        let start = format!("{name}{{webhook=\"{path}\"{labels}}} ");
        let text = runtime::metrics::encode().unwrap();
        text.lines().find_map(|line| line.strip_prefix(&start)).unwrap().to_owned()
    };
    assert_eq!(sample("controller_runtime_webhook_requests_total", ",code=\"200\""), "0");
    let asked = answers.answer(request(path, Stuck::new(50, 10)));
    assert!(tokio::time::timeout(Duration::from_secs(1), asked).await.is_err());
    assert_eq!(sample("controller_runtime_webhook_requests_total", ",code=\"500\""), "1");
    assert_eq!(sample("controller_runtime_webhook_requests_in_flight", ""), "0");
    assert_eq!(sample("controller_runtime_webhook_latency_seconds_count", ""), "1");
}
