//! Clients that take their time, and what they must not be able to take from others: answers, places, memory.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kruise_webhook::certs::material::Material;
use kruise_webhook::server::body::Body;
use kruise_webhook::server::listener::{Bounds, Drain};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::kit::*;

const S: fn(u64) -> Duration = Duration::from_secs;

/// Sends part of a request and then nothing.
async fn stalled(server: &Running, material: &Material, bytes: &[u8]) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut stream = server.connect(material, "http/1.1").await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// Reads until the server hangs up; what it said.
async fn until_the_end(mut stream: impl tokio::io::AsyncRead + Unpin) -> String {
    let mut said = Vec::new();
    let _ = tokio::time::timeout(LIMIT, stream.read_to_end(&mut said)).await.expect("the connection stays open");
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_slow_clients_keep_no_review_waiting() {
    let bounds = Bounds { handshake: S(4), hurry: S(4), idle: S(4), ..Bounds::default() };
    let server = start_within(bounds, Drain::default()).await;
    let material = make();
    server.present(&material);
    let mut slow = Vec::new();
    let mut strangers = Vec::new();
    for _ in 0..60 {
        strangers.push(TcpStream::connect(server.address).await.unwrap());
        slow.push(stalled(&server, &material, b"").await);
        slow.push(stalled(&server, &material, b"POST /mutate-pod HTTP/1.1\r\nHost: x\r\nX: ").await);
        let unsent = format!("POST /mutate-pod HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", 8 << 20);
        slow.push(stalled(&server, &material, unsent.as_bytes()).await);
        slow.push(stalled(&server, &material, format!("{unsent}{{").as_bytes()).await);
    }
    let mut sender = server.http2(&material).await;
    for _ in 0..50 {
        let asked = sender.send_request(post("/mutate-pod", &review(&owned_pod())));
        let answer = tokio::time::timeout(S(2), asked).await.expect("an honest review waits").unwrap();
        assert_eq!(body(answer).await["response"]["patchType"], "JSONPatch");
    }
    let mut other = server.http1(&material).await;
    assert_eq!(other.send_request(get("/healthz")).await.unwrap().status(), StatusCode::OK);
    // A large review finds room too: what was announced and not sent takes none.
    let large = sized("/mutate-pod", padded(&review(&owned_pod()), 6 << 20));
    assert_eq!(other.send_request(large).await.unwrap().status(), StatusCode::OK);
    for stream in slow {
        until_the_end(stream).await;
    }
    for stream in strangers {
        until_the_end(stream).await;
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up_with_a_clear_text() {
    let server = start(Drain::default()).await;
    let material = make();
    server.present(&material);
    let head = "POST /mutate-pod?timeout=1s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{";
    let said = until_the_end(stalled(&server, &material, head.as_bytes()).await).await;
    assert!(said.starts_with("HTTP/1.1 408 Request Timeout"), "{said}");
    assert!(said.ends_with("the body did not arrive in time: 1 bytes so far"), "{said}");
}

#[tokio::test]
async fn streams_beyond_the_bound_wait_and_the_rest_is_answered() {
    let server = start(Drain::default()).await;
    let material = make();
    server.present(&material);
    let stream = server.connect(&material, "h2").await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    // Each sends its head and one byte, and then nothing.
    let ask = |sender: &hyper::client::conn::http2::SendRequest<_>| {
        let mut sender = sender.clone();
        let first = futures::stream::iter([Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(b"{")))]);
        let body = StreamBody::new(futures::StreamExt::chain(first, futures::stream::pending()));
        let request = Request::post(format!("https://{NAME}/mutate-pod?timeout=2s")).body(body).unwrap();
        tokio::spawn(async move { sender.send_request(request).await })
    };
    let stuck: Vec<_> = (0..1_000).map(|_| ask(&sender)).collect();
    let mut honest = server.http2(&material).await;
    let asked = honest.send_request(post("/mutate-pod", &review(&owned_pod())));
    assert_eq!(tokio::time::timeout(S(5), asked).await.unwrap().unwrap().status(), StatusCode::OK);
    let mut answered = 0;
    for request in stuck {
        let ended = tokio::time::timeout(LIMIT, request).await.expect("a stuck request does not end").unwrap();
        answered += usize::from(ended.is_ok_and(|answer| answer.status() == StatusCode::REQUEST_TIMEOUT));
    }
    assert!(answered >= 250, "only {answered}");
}

/// Bounds of which each is soon reached.
fn tight() -> Bounds {
    Bounds {
        handshake: S(1),
        hurry: S(1),
        idle: S(3600),
        unread: S(1),
        look: Duration::from_millis(50),
        ..Bounds::default()
    }
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_thrown_away_with_its_connection() {
    for protocol in ["http/1.1", "h2"] {
        let (kept, thrown_away) = oneshot::channel::<()>();
        let kept = Arc::new(Mutex::new(Some(kept)));
        let server = serve_within(tight(), Drain::default(), move |_| {
            let body = Body::keeping(Bytes::from(vec![b'x'; 64 << 20]), kept.lock().unwrap().take());
            async move { Response::new(body) }
        })
        .await;
        let material = make();
        server.present(&material);
        let throw = tokio::time::timeout(LIMIT, thrown_away);
        if protocol == "h2" {
            let mut sender = server.http2(&material).await;
            let answer = sender.send_request(get("/healthz")).await.unwrap();
            assert!(throw.await.expect("it is kept").is_err());
            assert!(answer.into_body().collect().await.is_err());
        } else {
            let stream = stalled(&server, &material, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
            assert!(throw.await.expect("it is kept").is_err());
            assert!(until_the_end(stream).await.len() < 64 << 20);
        }
    }
}

#[tokio::test] // IN-54: the API server does not repeat a review that meets a closing connection
async fn a_kept_connection_stays_however_long_nothing_is_asked_on_it() {
    let server = start_within(Bounds { idle: S(3600), ..tight() }, Drain::default()).await;
    let material = make();
    server.present(&material);
    let (mut used, mut fresh) = (server.http1(&material).await, server.http1(&material).await);
    let mut multiplexed = server.http2(&material).await;
    assert_eq!(used.send_request(get("/healthz")).await.unwrap().status(), StatusCode::OK);
    // Longer than any bound but that of idle connections, several times.
    tokio::time::sleep(4 * tight().hurry).await;
    for connection in [&mut used, &mut fresh] {
        assert_eq!(connection.send_request(get("/healthz")).await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(multiplexed.send_request(get("/healthz")).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_until_a_place_is_free() {
    let bounds = Bounds { open: 2, ..tight() };
    let server = start_within(Bounds { hurry: S(3600), ..bounds }, Drain::default()).await;
    let material = make();
    server.present(&material);
    let first = server.http1(&material).await;
    let _second = server.http1(&material).await;
    let waiting = server.connect(&material, "h2");
    let mut waiting = std::pin::pin!(waiting);
    assert!(tokio::time::timeout(Duration::from_millis(300), waiting.as_mut()).await.is_err());
    drop(first);
    tokio::time::timeout(LIMIT, waiting).await.expect("the free place is not given on").unwrap();
}

#[tokio::test]
async fn who_asks_nothing_leaves_the_place_to_others() {
    let server = start_within(Bounds { open: 4, ..tight() }, Drain::default()).await;
    let material = make();
    server.present(&material);
    let mut idle = Vec::new();
    for protocol in ["h2", "http/1.1", "h2", "http/1.1"] {
        idle.push(server.connect(&material, protocol).await.unwrap());
    }
    let mut sender = tokio::time::timeout(LIMIT, server.http2(&material)).await.expect("no place becomes free");
    assert_eq!(sender.send_request(get("/healthz")).await.unwrap().status(), StatusCode::OK);
}
