//! The server over HTTP, as a client sees it.

use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use jiff::Timestamp;
use runtime::clock::Clock;
use serde_json::{Value, json};

use super::{Body, Server};

mod custom;
mod deletion;
mod garbage;
mod lists;
mod subresources;
mod watches;
mod writes;

const PODS: &str = "/api/v1/namespaces/default/pods";

pub(super) fn server() -> Server {
    Server::new(Clock::simulated(Timestamp::UNIX_EPOCH), 7)
}

/// Sends `GET /path`, `PATCH merge /path` ... with a body, null for none.
pub(super) async fn send(server: &Server, line: &str, body: Value) -> http::Response<Body> {
    let mut words: Vec<&str> = line.split(' ').collect();
    let (method, path) = (words.remove(0), words.pop().unwrap());
    let content_type = match words.first() {
        None => "application/json".to_owned(),
        Some(&"apply") => "application/apply-patch+yaml".to_owned(),
        Some(&"strategic") => "application/strategic-merge-patch+json".to_owned(),
        Some(format) => format!("application/{format}-patch+json"),
    };
    let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let request = Request::builder().method(method).uri(path).header("content-type", content_type);
    server.call("tester", request.body(bytes).unwrap()).await
}

/// The answer as code and JSON; text where it is none.
pub(super) async fn ask(server: &Server, line: &str, body: Value) -> (u16, Value) {
    let (parts, body) = send(server, line, body).await.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let text = || Value::from(String::from_utf8_lossy(&bytes).into_owned());
    (parts.status.as_u16(), serde_json::from_slice(&bytes).unwrap_or_else(|_| text()))
}

/// The answer of a request that succeeds.
#[track_caller]
pub(super) fn ok((code, body): (u16, Value)) -> Value {
    assert!((200..300).contains(&code), "{code} {body}");
    body
}

/// Code, reason and message of a request that is refused.
#[track_caller]
pub(super) fn refused((code, body): (u16, Value)) -> (u16, String, String) {
    assert_eq!(body["kind"], "Status", "{code} {body}");
    let text = |member: &str| body[member].as_str().unwrap_or_default().to_owned();
    (code, text("reason"), text("message"))
}

pub(super) fn pod(name: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": "nginx"}]}})
}

pub(super) fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}})
}

/// Lines of a watch, until it says nothing for a second or ends.
pub(super) struct Lines(Body);

impl Lines {
    pub(super) async fn of(server: &Server, path: &str) -> Self {
        let response = send(server, &format!("GET {path}"), Value::Null).await;
        assert_eq!(response.status().as_u16(), 200, "{path}");
        Self(response.into_body())
    }

    /// What is told now: `ADDED a`, `BOOKMARK 7` ...
    pub(super) async fn told(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        while let Ok(Some(frame)) = tokio::time::timeout(Duration::from_secs(1), self.0.frame()).await {
            let event: Value = serde_json::from_slice(frame.unwrap().data_ref().unwrap()).unwrap();
            let object = &event["object"];
            let word = match event["type"].as_str().unwrap() {
                "BOOKMARK" => format!("{}{}", object["metadata"]["resourceVersion"].as_str().unwrap(), end(object)),
                "ERROR" => object["reason"].as_str().unwrap().to_owned(),
                _ => object["metadata"]["name"].as_str().unwrap().to_owned(),
            };
            told.push(format!("{} {word}", event["type"].as_str().unwrap()));
        }
        told
    }

    pub(super) async fn ended(&mut self) -> bool {
        matches!(tokio::time::timeout(Duration::from_secs(1), self.0.frame()).await, Ok(None))
    }
}

fn end(object: &Value) -> &str {
    object["metadata"]["annotations"].get("k8s.io/initial-events-end").map_or("", |_| " end")
}
