//! The TLS server over real sockets: versions of HTTP, certificates that change under open connections, bounds that no
//! client gets past, and the end.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod answers;
mod bounds;
mod kit;
mod limits;
mod odd;

use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use hyper::body::Incoming;
use kit::*;
use kruise_webhook::caches::Needed;
use kruise_webhook::certs::generate::Authority;
use kruise_webhook::certs::material::{Material, certificates};
use kruise_webhook::readiness::Readiness;
use kruise_webhook::server::listener::Drain;
use runtime::shutdown::Shutdown;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

#[tokio::test] // IN-28
async fn requests_are_answered_over_http1_and_http2() {
    let server = start(Drain::default()).await;
    let material = make();
    server.present(&material);
    let mut one = server.http1(&material).await;
    let mut two = server.http2(&material).await;
    assert_eq!(one.send_request(get("/healthz")).await.unwrap().status(), StatusCode::OK);
    let first = body(one.send_request(post("/mutate-pod", &review(&owned_pod()))).await.unwrap()).await;
    let second = body(two.send_request(post("/mutate-pod", &review(&owned_pod()))).await.unwrap()).await;
    assert_eq!(first, second);
    assert_eq!(first["response"]["patchType"], "JSONPatch");
}

#[tokio::test] // PL-48: what is not served fails loudly
async fn what_is_no_question_gets_no_answer() {
    let server = start(Drain::default()).await;
    let material = make();
    server.present(&material);
    let mut sender = server.http2(&material).await;
    for (request, want) in [
        (post("/mutate-apps-kruise-io-sidecarset", &json!({})), StatusCode::NOT_FOUND),
        (get("/mutate-pod"), StatusCode::METHOD_NOT_ALLOWED),
        (post("/mutate-pod", &json!({})), StatusCode::BAD_REQUEST),
        (post("/convert", &json!({})), StatusCode::BAD_REQUEST),
        (post("/mutate-pod", &json!("x".repeat(9 << 20))), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let what = request.uri().to_string();
        assert_eq!(sender.send_request(request).await.unwrap().status(), want, "{what}");
    }
}

#[tokio::test] // platform page, section 13
async fn requests_are_counted_by_path_and_code() {
    let server = start(Drain::default()).await;
    let material = make();
    server.present(&material);
    let mut sender = server.http1(&material).await;
    let text = runtime::metrics::encode().unwrap();
    let exists = r#"controller_runtime_webhook_requests_total{webhook="/validate-pod",code="500"} 0"#;
    assert!(text.contains(exists), "{text}");
    sender.send_request(post("/validate-pod", &review(&owned_pod()))).await.unwrap();
    let text = runtime::metrics::encode().unwrap();
    let counted = r#"controller_runtime_webhook_requests_total{webhook="/validate-pod",code="200"} 1"#;
    assert!(text.contains(counted), "{text}");
    assert!(text.contains(r#"controller_runtime_webhook_requests_in_flight{webhook="/validate-pod"} 0"#));
    assert!(text.contains(r#"controller_runtime_webhook_latency_seconds_count{webhook="/validate-pod"} 1"#));
}

#[tokio::test] // ruling 21
async fn without_a_certificate_nobody_is_answered() {
    let server = start(Drain::default()).await;
    assert!(server.connect(&make(), "h2").await.is_err());
}

#[tokio::test] // IN-35
async fn a_new_certificate_is_shown_at_once_and_drops_no_open_connection() {
    let server = start(Drain::default()).await;
    let (old, new) = (make(), make());
    server.present(&old);
    let mut open = server.http2(&old).await;
    open.send_request(get("/healthz")).await.unwrap();
    let early = server.connect(&old, "h2").await.unwrap();
    server.present(&new);
    let late = server.connect(&new, "h2").await.unwrap();
    assert_eq!(shown(&early), certificates(&old.cert)[0]);
    assert_eq!(shown(&late), certificates(&new.cert)[0]);
    assert!(server.connect(&old, "h2").await.is_err());
    assert_eq!(open.send_request(get("/healthz")).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test] // IN-35
async fn handshakes_succeed_while_certificates_change() {
    let server = Arc::new(start(Drain::default()).await);
    // One authority, so that a client trusts each of them.
    let now = runtime::clock::Clock::system().now();
    let authority = Authority::new(now).unwrap();
    let pairs: Vec<Material> = (0..4).map(|_| authority.issue(NAME, None, now).unwrap()).collect();
    server.present(&pairs[0]);
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (server, trusted) = (Arc::clone(&server), pairs[0].clone());
            tokio::spawn(async move {
                for _ in 0..10 {
                    let mut sender = server.http1(&trusted).await;
                    assert_eq!(sender.send_request(get("/healthz")).await.unwrap().status(), StatusCode::OK);
                }
            })
        })
        .collect();
    let mut turn = 0;
    while clients.iter().any(|client| !client.is_finished()) {
        turn += 1;
        server.present(&pairs[turn % pairs.len()]);
        tokio::task::yield_now().await;
    }
    for client in clients {
        client.await.unwrap();
    }
}

#[tokio::test] // IN-54
async fn at_the_end_requests_in_flight_are_finished_and_connections_told_to_go() {
    for protocol in ["h1", "h2"] {
        let drain = Drain { accepting: Duration::ZERO, finishing: LIMIT };
        let (server, permits, mut arrivals) = start_slow(drain).await;
        let material = make();
        server.present(&material);
        let waiting: JoinHandle<hyper::Result<Response<Incoming>>> = if protocol == "h1" {
            let mut sender = server.http1(&material).await;
            tokio::spawn(async move { sender.send_request(get("/healthz")).await })
        } else {
            let mut sender = server.http2(&material).await;
            tokio::spawn(async move { sender.send_request(get("/healthz")).await })
        };
        tokio::time::timeout(LIMIT, arrivals.wait_for(|count| *count == 1)).await.unwrap().unwrap();
        server.shutdown.request();
        // The port is closed once the drain has begun; the request is still unanswered then.
        let refused = async {
            while TcpStream::connect(server.address).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LIMIT, refused).await.unwrap();
        assert!(!waiting.is_finished() && !server.server.is_finished());
        permits.add_permits(1);
        let answer = tokio::time::timeout(LIMIT, waiting).await.unwrap().unwrap();
        assert_eq!(answer.unwrap().status(), StatusCode::OK, "{protocol}");
        tokio::time::timeout(LIMIT, server.server).await.expect("idle connections hold up the end").unwrap();
    }
}

#[tokio::test] // IN-54
async fn new_connections_are_accepted_while_the_service_forgets_this_replica() {
    let server = start(Drain { accepting: LIMIT, finishing: Duration::ZERO }).await;
    let material = make();
    server.present(&material);
    server.shutdown.request();
    let mut sender = server.http2(&material).await;
    assert_eq!(sender.send_request(get("/healthz")).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test] // IN-54
async fn during_the_drain_each_answer_asks_the_client_to_close_its_kept_connection() {
    let server = start(Drain { accepting: LIMIT, finishing: Duration::ZERO }).await;
    let material = make();
    server.present(&material);
    let (mut kept, mut multiplexed) = (server.http1(&material).await, server.http2(&material).await);
    for farewell in [None, Some("close")] {
        let answer = kept.send_request(get("/healthz")).await.unwrap();
        assert_eq!(answer.headers().get("connection").map(|value| value.to_str().unwrap()), farewell);
        assert!(multiplexed.send_request(get("/healthz")).await.unwrap().headers().get("connection").is_none());
        server.shutdown.request();
    }
    let ended = async { while kept.ready().await.is_ok() {} };
    tokio::time::timeout(LIMIT, ended).await.expect("the connection is closed after its last answer");
}

#[tokio::test] // IN-54
async fn a_request_that_never_ends_does_not_hold_up_the_end() {
    let drain = Drain { accepting: Duration::ZERO, finishing: Duration::from_millis(50) };
    let (server, _permits, mut arrivals) = start_slow(drain).await;
    let material = make();
    server.present(&material);
    let mut sender = server.http2(&material).await;
    let stuck = tokio::spawn(async move { sender.send_request(get("/healthz")).await });
    tokio::time::timeout(LIMIT, arrivals.wait_for(|count| *count == 1)).await.unwrap().unwrap();
    server.shutdown.request();
    tokio::time::timeout(LIMIT, server.server).await.unwrap().unwrap();
    stuck.abort();
}

/// Polls the readiness check until it says what is wanted.
async fn readiness_becomes(readiness: &Readiness, wanted: impl Fn(&Result<(), String>) -> bool) {
    let found = async {
        while !wanted(&readiness.check()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, found).await.unwrap_or_else(|_| panic!("{:?}", readiness.check()));
}

#[tokio::test] // PL-50, PL-E2
async fn readiness_follows_initialisation_certificates_and_the_end() {
    let server = start(Drain::default()).await;
    let readiness = Readiness::default();
    let (initialised, is_initialised) = watch::channel(false);
    let (credentials, shutdown) = (Arc::clone(&server.credentials), Shutdown::manual());
    let nothing = Needed::default();
    let keeping = readiness.clone().keep(server.address.port(), credentials, is_initialised, nothing, shutdown.clone());
    tokio::spawn(keeping);
    server.present(&make());
    assert_eq!(readiness.check(), Err("webhook controller has not initialized".to_owned()));
    initialised.send_replace(true);
    readiness_becomes(&readiness, Result::is_ok).await;

    // Shown and trusted must belong together: a pair that the authority did not sign makes it unready.
    server.credentials.present(make().pair().unwrap(), &make().authority());
    readiness_becomes(&readiness, Result::is_err).await;
    server.present(&make());
    readiness_becomes(&readiness, Result::is_ok).await;

    shutdown.request();
    readiness_becomes(&readiness, |finding| *finding == Err("shutting down".to_owned())).await;
}
