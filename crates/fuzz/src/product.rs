//! The seam: a path and a body go into the real handlers of the webhook, a code and a body come out.
//!
//! Nothing of the product is called elsewhere in this crate.

use std::cell::{Cell, RefCell};
use std::panic;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use kube::Client;
use kube::client::Body;
use runtime::gates::Gates;
use tokio::runtime::Runtime;
use webhook::admission::protection::ProtectionLog;
use webhook::admission::{Desk, Privileged};
use webhook::caches::Caches;
use webhook::server::answer::Answers;
use webhook::server::paths::Paths;

use crate::input::{Input, Settings};

/// The webhook in its settings, on one thread.
pub struct Product {
    runtime: Runtime,
    answers: Vec<(Settings, Answers)>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP code.
    pub code: u16,
    /// The body.
    pub body: Vec<u8>,
    /// The first panic while it was made.
    pub panic: Option<String>,
    /// How long it took.
    pub took: Duration,
}

impl Product {
    /// Sets the webhook up.
    ///
    /// # Errors
    /// Fails where there is no runtime to be had.
    pub fn new() -> anyhow::Result<Self> {
        note_panics();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let entered = runtime.enter();
        let answers = Settings::ALL
            .into_iter()
            .map(|settings| Ok((settings, answers(settings)?)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        drop(entered);
        Ok(Self { runtime, answers })
    }

    /// Sends an input.
    pub fn ask(&self, input: &Input) -> Answer {
        FIRST.take();
        ASKING.set(true);
        let begun = Instant::now();
        let (code, body) = self.runtime.block_on(self.send(input)).unwrap_or_default();
        ASKING.set(false);
        Answer { code, body, panic: FIRST.take(), took: begun.elapsed() }
    }

    /// Nothing where the request can't even be made.
    async fn send(&self, input: &Input) -> Option<(u16, Vec<u8>)> {
        let (_, answers) = self.answers.iter().find(|(settings, _)| *settings == input.settings)?;
        let body = Full::new(Bytes::copy_from_slice(&input.body));
        let request = Request::post(&input.path).body(body).ok()?;
        let (head, body) = answers.answer(request).await.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
        Some((head.status.as_u16(), body))
    }
}

fn answers(settings: Settings) -> anyhow::Result<Answers> {
    let (gates, privileged) = match settings {
        Settings::Plain => ("", Privileged::Accepted),
        Settings::Strict => (
            "ResourcesDeletionProtection=true,KruisePodReadinessGate=true,DefaultHostNetworkHostPortsInPodTemplates=true",
            Privileged::Refused,
        ),
        Settings::Bare => ("TemplateNoDefaults=true", Privileged::Accepted),
    };
    let gates = Gates::parse(gates, None)?;
    let paths = Arc::new(Paths::new(&gates));
    let desk = Desk {
        gates,
        privileged,
        client: pods(),
        caches: Caches::default(),
        protection_log: ProtectionLog::to(std::io::sink()),
    };
    Ok(Answers::new(paths, desk))
}

/// An API server that knows Pods by the first letter of their names: `a` is owned by UID 1, `b` by another, `c` is
/// going, others are not there.
fn pods() -> Client {
    let service = tower::service_fn(|request: Request<Body>| async move {
        let name = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let owned = |uid: &str, more: &str| {
            format!(
                r#"{{"apiVersion":"meta.k8s.io/v1","kind":"PartialObjectMetadata","metadata":{{"name":"x","ownerReferences":[{{"apiVersion":"apps.kruise.io/v1beta1","kind":"CloneSet","name":"web","uid":"{uid}","controller":true}}]{more}}}}}"#
            )
        };
        let (code, body) = match name.chars().next() {
            Some('a') => (200, owned("1", "")),
            Some('b') => (200, owned("2", "")),
            Some('c') => (200, owned("1", r#","deletionTimestamp":"2024-01-01T00:00:00Z""#)),
            _ => {
                (404, r#"{"kind":"Status","status":"Failure","code":404,"reason":"NotFound","message":"none"}"#.into())
            }
        };
        Response::builder().status(code).body(Full::new(Bytes::from(body)))
    });
    Client::new(service, "default")
}

static HOOK: Once = Once::new();

thread_local! {
    static ASKING: Cell<bool> = const { Cell::new(false) };
    static FIRST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The server turns a panic into a 500; this takes its message, and keeps it off the screen. Panics outside a request
/// are shown as ever.
fn note_panics() {
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if ASKING.get() {
                FIRST.with_borrow_mut(|first| {
                    first.get_or_insert_with(|| info.to_string());
                });
            } else {
                before(info);
            }
        }));
    });
}
