//! What tests of this crate share: an API server in memory, as small as the loop's requests, a request of admission and
//! what handlers may use, and any JSON.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;
use proptest::prelude::*;
use runtime::gates::Gates;
use serde_json::{Value, json};

use crate::admission::object::Object;
use crate::admission::protection::ProtectionLog;
use crate::admission::{Desk, Kind, Operation, Privileged, Request as Review, Resource};
use crate::caches::Caches;

/// The creation of nothing by Jane in namespace `shop`; tests say what else it is.
pub(crate) fn request() -> Review {
    Review {
        uid: "u-1".into(),
        kind: Kind::default(),
        resource: Resource::default(),
        sub_resource: String::new(),
        name: String::new(),
        namespace: "shop".into(),
        operation: Operation::Create,
        username: "jane".into(),
        object: Object::absent(),
        old_object: Object::absent(),
        options: Object::absent(),
        dry_run: false,
        deadline: tokio::time::Instant::now() + Duration::from_secs(10),
    }
}

/// With these gates, everything else as in an installation, and no API server.
pub(crate) fn desk(gates: &str) -> Desk {
    Desk {
        gates: Gates::parse(gates, None).unwrap(),
        privileged: Privileged::Accepted,
        client: unreachable_client(),
        caches: Caches::default(),
        protection_log: ProtectionLog::to(std::io::sink()),
    }
}

/// Lists in lists.
pub(crate) fn deep(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

/// A client whose every request fails: for code that must not ask the API server.
pub(crate) fn unreachable_client() -> Client {
    Client::new(
        tower::service_fn(|_: Request<Body>| async {
            Err::<Response<Full<Bytes>>, _>(std::io::Error::other("no API server in this test"))
        }),
        "default",
    )
}

/// Any JSON object of moderate size.
pub(crate) fn object() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "[a-z/~. ]{0,8}".prop_map(Value::from),
    ];
    let member = "[a-zA-Z/~.-]{1,8}";
    leaf.prop_recursive(4, 48, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(member, inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Objects by URL path, with optimistic concurrency and merge patches.
#[derive(Clone, Default)]
pub(crate) struct FakeApi(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    version: u64,
    writes: Vec<String>,
}

impl FakeApi {
    pub(crate) fn client(&self) -> Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let answer = api.answer(&head.method, head.uri.path(), &body);
                let code = answer.get("code").and_then(Value::as_u64).map_or(200, |code| u16::try_from(code).unwrap());
                let body = Full::new(Bytes::from(answer.to_string()));
                Ok::<_, std::io::Error>(Response::builder().status(code).body(body).unwrap())
            }
        });
        Client::new(service, "default")
    }

    /// Stores an object, as somebody else would.
    pub(crate) fn put(&self, path: &str, object: Value) {
        self.0.lock().store(path, object);
    }

    /// Removes an object, as somebody else would.
    pub(crate) fn remove(&self, path: &str) {
        self.0.lock().objects.remove(path);
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        self.0.lock().objects.get(path).cloned().unwrap_or_default()
    }

    /// Verbs and paths of the writes since the last call.
    pub(crate) fn writes(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().writes)
    }

    fn answer(&self, method: &Method, path: &str, body: &[u8]) -> Value {
        let mut state = self.0.lock();
        let sent: Value = serde_json::from_slice(body).unwrap_or_default();
        if *method != Method::GET {
            state.writes.push(format!("{method} {path}"));
        }
        let present = state.objects.get(path).cloned();
        match (method.as_str(), present) {
            ("GET", Some(object)) => object,
            ("POST", _) => {
                let path = format!("{path}/{}", sent["metadata"]["name"].as_str().unwrap());
                if state.objects.contains_key(&path) {
                    return refusal(409, "AlreadyExists");
                }
                state.store(&path, sent)
            }
            ("PUT" | "PATCH", Some(object)) => {
                let wanted = &sent["metadata"]["resourceVersion"];
                if !wanted.is_null() && *wanted != object["metadata"]["resourceVersion"] {
                    return refusal(409, "Conflict");
                }
                let mut after = object;
                if method == Method::PUT {
                    after = sent;
                } else {
                    json_patch::merge(&mut after, &sent);
                }
                state.store(path, after)
            }
            _ => refusal(404, "NotFound"),
        }
    }
}

impl State {
    fn store(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        if object.get("metadata").is_none() {
            object["metadata"] = json!({});
        }
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.objects.insert(path.to_owned(), object.clone());
        object
    }
}

fn refusal(code: u16, reason: &str) -> Value {
    json!({ "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason })
}
