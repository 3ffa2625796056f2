//! How long a body may be (platform page, section 8.4), at the edge and over real connections.

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kruise_webhook::certs::material::Material;
use kruise_webhook::server::listener::Drain;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::kit::*;

const MIB: usize = 1 << 20;
/// Path, longest body, and a review without its end.
const LIMITS: [(&str, usize); 2] = [("/mutate-pod", 8 * MIB), ("/convert", 100 * MIB)];

/// A good review of this length.
fn long(path: &str, length: usize) -> Bytes {
    match path {
        "/convert" => padded(&conversion(&json!([])), length),
        _ => padded(&review(&owned_pod()), length),
    }
}

fn conversion(objects: &Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview",
        "request": { "uid": "u-1", "desiredAPIVersion": "apps.kruise.io/v1beta1", "objects": objects },
    })
}

/// Sends a body in pieces of which the server does not know the number.
async fn unannounced(server: &Running, material: &Material, path: &str, body: Bytes) -> Response<Incoming> {
    let stream = server.connect(material, "h2").await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let pieces: Vec<_> =
        body.chunks(MIB).map(|piece| Ok::<_, std::io::Error>(Frame::data(Bytes::copy_from_slice(piece)))).collect();
    let body = StreamBody::new(futures::stream::iter(pieces));
    sender.send_request(Request::post(format!("https://{NAME}{path}")).body(body).unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")] // PL-54, PL-55
async fn the_longest_body_is_answered_and_one_byte_more_is_refused() {
    let server = start(Drain::default()).await;
    let material = make();
    server.present(&material);
    for (path, limit) in LIMITS {
        let mut sender = server.http2(&material).await;
        let answer = sender.send_request(sized(path, long(path, limit))).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert_eq!(body(answer).await["response"]["uid"], "u-1", "{path}");
        let answer = sender.send_request(sized(path, long(path, limit + 1))).await.unwrap();
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE, "{path}");
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(text, format!("the body is longer than {limit} bytes"));
    }
}

#[tokio::test(flavor = "multi_thread")] // PL-54, PL-55
async fn a_body_without_announced_length_is_refused_once_it_is_too_long() {
    let server = start(Drain::default()).await;
    let material = make();
    server.present(&material);
    for (path, limit) in LIMITS {
        let answer = unannounced(&server, &material, path, long(path, limit)).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let answer = unannounced(&server, &material, path, long(path, limit + 1)).await;
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE, "{path}");
    }
}

#[tokio::test] // PL-54, PL-55
async fn an_announced_length_that_is_too_long_is_refused_unread() {
    let server = start(Drain::default()).await;
    let material = make();
    server.present(&material);
    for (path, limit) in LIMITS {
        let mut stream = server.connect(&material, "http/1.1").await.unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: {}\r\n\r\n", limit + 1);
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; 64];
        stream.read_exact(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 413 Payload Too Large"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")] // PL-55
async fn an_answer_of_many_pieces_arrives_whole() {
    let server = start(Drain::default()).await;
    let material = make();
    server.present(&material);
    let object = json!({
        "apiVersion": "apps.kruise.io/v1alpha1", "kind": "CloneSet",
        "metadata": { "name": "web", "namespace": "shop", "annotations": { "long": "x".repeat(10_000) } },
        "spec": { "replicas": 3, "selector": {}, "template": { "spec": {} } },
    });
    let objects = Value::from(vec![object; 1_000]);
    for protocol in ["http/1.1", "h2"] {
        let request = sized("/convert", conversion(&objects).to_string().into());
        let answer = match protocol {
            "h2" => server.http2(&material).await.send_request(request).await.unwrap(),
            _ => server.http1(&material).await.send_request(request).await.unwrap(),
        };
        let converted = body(answer).await;
        assert_eq!(converted["response"]["convertedObjects"].as_array().unwrap().len(), 1_000, "{protocol}");
        assert_eq!(converted["response"]["convertedObjects"][999]["apiVersion"], "apps.kruise.io/v1beta1");
    }
}
