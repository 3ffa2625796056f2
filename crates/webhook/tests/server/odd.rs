//! What is no honest request: an answer that says so, or an end of the connection; and the server goes on.

use std::fmt::Write as _;

use http::StatusCode;
use kruise_webhook::server::listener::Drain;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::kit::*;

/// Sends bytes as they are over TLS and returns the first line of the answer; empty if there is none.
async fn first_line(server: &Running, material: &kruise_webhook::certs::material::Material, bytes: &[u8]) -> String {
    let mut stream = server.connect(material, "http/1.1").await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let read = async {
        let mut piece = [0; 512];
        while !answer.contains(&b'\n') {
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(count) => answer.extend_from_slice(&piece[..count]),
            }
        }
    };
    tokio::time::timeout(LIMIT, read).await.expect("no answer and no end");
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn odd_requests_over_http1_get_a_clear_answer() {
    let server = start(Drain::default()).await;
    let material = make();
    server.present(&material);
    let review = review(&owned_pod()).to_string();
    let length = review.len();
    for (request, want) in [
        ("GET /healthz HTTP/1.0\r\n\r\n".to_owned(), "HTTP/1.0 200 OK"),
        (format!("POST /mutate-pod HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{review}"), "HTTP/1.0 200 OK"),
        (
            format!("POST /mutate-pod HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{review}"),
            "HTTP/1.1 200 OK",
        ),
        ("GET https://elsewhere/healthz HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "HTTP/1.1 200 OK"),
        ("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "HTTP/1.1 404 Not Found"),
        ("CONNECT elsewhere:443 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "HTTP/1.1 404 Not Found"),
        ("POST //mutate-pod HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "HTTP/1.1 404 Not Found"),
        ("POST /../mutate-pod HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "HTTP/1.1 404 Not Found"),
        ("POST /%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "HTTP/1.1 404 Not Found"),
        ("DELETE /mutate-pod HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "HTTP/1.1 405 Method Not Allowed"),
        ("POST /convert HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".to_owned(), "HTTP/1.1 400 Bad Request"),
        ("POST /convert HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".to_owned(), "HTTP/1.1 400 Bad Request"),
        ("\u{1}\u{2}garbage\r\n\r\n".to_owned(), "HTTP/1.1 400 Bad Request"),
        ("PRI * HTTP/3.0\r\n\r\n".to_owned(), "HTTP/1.1 400 Bad Request"),
        (format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000)), "HTTP/1.1 431 Request Header Fields Too Large"),
        (
            format!("GET / HTTP/1.1\r\nlong: {}\r\n\r\n", "x".repeat(100_000)),
            "HTTP/1.1 431 Request Header Fields Too Large",
        ),
        (many_headers(), "HTTP/1.1 431 Request Header Fields Too Large"),
    ] {
        let shown = &request[..request.len().min(60)];
        assert_eq!(first_line(&server, &material, request.as_bytes()).await, want, "{shown}");
    }
    let path = b"POST /mutate-\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n";
    let answer = first_line(&server, &material, path).await;
    assert!(["HTTP/1.1 400 Bad Request", "HTTP/1.1 404 Not Found"].contains(&answer.as_str()), "{answer}");
    let mut sender = server.http2(&material).await;
    assert_eq!(sender.send_request(get("/healthz")).await.unwrap().status(), StatusCode::OK);
}

fn many_headers() -> String {
    let mut text = "GET / HTTP/1.1\r\n".to_owned();
    (0..1_000).for_each(|number| write!(text, "h{number}: x\r\n").unwrap());
    text + "\r\n"
}

#[tokio::test]
async fn what_is_no_tls_ends_the_connection_and_nothing_else() {
    let server = start(Drain::default()).await;
    let material = make();
    server.present(&material);
    for bytes in [
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        vec![0; 4_096],
        vec![0xff; 4_096],
        // The head of a TLS record of 16 KiB, and of a ClientHello without end.
        [vec![0x16, 3, 1, 0x40, 0], vec![1, 0xff, 0xff, 0xff, 3, 3], vec![7; 20_000]].concat(),
    ] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        // The server may hang up before all is written.
        let _ = stream.write_all(&bytes).await;
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(LIMIT, stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "{:?}: the connection stays open", &bytes[..5]);
    }
    let mut sender = server.http1(&material).await;
    assert_eq!(sender.send_request(get("/healthz")).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test] // PL-54, PL-55
async fn bodies_that_are_no_reviews_are_bad_requests() {
    let server = start(Drain::default()).await;
    let material = make();
    server.present(&material);
    let mut sender = server.http2(&material).await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let mut deep_object = review(&json!("DEEP")).to_string();
    deep_object = deep_object.replace("\"DEEP\"", &deep);
    for path in ["/mutate-pod", "/convert", "/mutate-apps-kruise-io-cloneset"] {
        for body in [
            String::new(),
            "null".to_owned(),
            "\u{0}".to_owned(),
            "{".to_owned(),
            deep.clone(),
            json!({ "kind": "AdmissionReview", "apiVersion": "v7", "request": {} }).to_string(),
            Value::from(vec![1; 50_000]).to_string(),
        ] {
            let shown = body.chars().take(40).collect::<String>();
            let answer = sender.send_request(sized(path, body.into())).await.unwrap();
            assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{path} {shown}");
        }
        let answer = sender.send_request(sized(path, vec![0xff; 100].into())).await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{path}");
    }
    // An object too deep is refused as part of the review or as a verdict; it never passes.
    let answer = sender.send_request(sized("/mutate-pod", deep_object.into())).await.unwrap();
    if answer.status() == StatusCode::OK {
        assert_eq!(body(answer).await["response"]["allowed"], false);
    } else {
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    }
}
