//! The two servers: what is in them before a script, and how they are asked.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use e2e::apiserver::ApiServer;
use e2e::wait::{self, Seen};
use futures::StreamExt;
use http_body_util::BodyExt;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::script::Request;

/// How long an event of a watch may take.
const EVENT: Duration = Duration::from_secs(10);

static DEFINED: OnceCell<()> = OnceCell::const_new();

/// One of the two.
pub(crate) struct Server {
    client: kube::Client,
    simulated: Option<sim::server::Server>,
}

impl Server {
    /// The kube-apiserver that all scripts share.
    pub(crate) async fn real() -> Result<Self> {
        let file = Kubeconfig::read_from(ApiServer::shared().await?.kubeconfig())?;
        let mut config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        // A refusal with a time to wait is an answer like any other.
        config.default_retry = false;
        let client = kube::Client::try_from(config)?;
        DEFINED.get_or_try_init(|| define(&client)).await?;
        Ok(Self { client, simulated: None })
    }

    /// A simulated one of the script's own.
    pub(crate) fn simulated() -> Result<Self> {
        let server = sim::server::Server::new(runtime::clock::Clock::system(), 1);
        for crd in definitions()? {
            server.install(&crd).map_err(|failure| anyhow!("{failure:?}"))?;
        }
        Ok(Self { client: server.client("user"), simulated: Some(server) })
    }

    /// Makes the script's namespace.
    pub(crate) async fn prepare(&self, namespace: &str) -> Result<()> {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}).to_string();
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let path = "/api/v1/namespaces".to_owned();
        let answer = self.ask(&Request { method: "POST".to_owned(), path, headers, body, events: 0 }).await?;
        ensure!(answer["status"] == 201, "namespace {namespace}: {answer}");
        Ok(())
    }

    /// `status` and `body` of the answer, or `status` and `events` of a watch.
    pub(crate) async fn ask(&self, request: &Request) -> Result<Value> {
        if request.method == "COMPACT" {
            self.simulated.iter().for_each(sim::server::Server::compact);
            return Ok(json!({"status": 200}));
        }
        let mut built = http::Request::builder().method(request.method.as_str()).uri(&request.path);
        for (name, value) in &request.headers {
            built = built.header(name, value);
        }
        let answer = self.client.send(built.body(Body::from(request.body.clone().into_bytes()))?).await?;
        let status = answer.status().as_u16();
        if request.events > 0 && status == 200 {
            return Ok(json!({"status": status, "events": events(answer.into_body(), request.events).await?}));
        }
        let bytes = answer.into_body().collect().await?.to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&bytes)));
        Ok(json!({"status": status, "body": body}))
    }
}

/// So many events, or fewer and why there are no more.
async fn events(body: Body, wanted: usize) -> Result<Vec<Value>> {
    let mut data = body.into_data_stream();
    let (mut text, mut events) = (Vec::new(), Vec::new());
    while events.len() < wanted {
        match timeout(EVENT, data.next()).await {
            Ok(Some(bytes)) => text.extend_from_slice(&bytes?),
            Ok(None) => return Ok([events, vec![json!("the watch ended")]].concat()),
            Err(_) => return Ok([events, vec![json!("nothing more came")]].concat()),
        }
        while let Some(end) = text.iter().position(|byte| *byte == b'\n').filter(|_| events.len() < wanted) {
            let line: Vec<u8> = text.drain(..=end).collect();
            events.push(serde_json::from_slice(&line).context("an event is not JSON")?);
        }
    }
    Ok(events)
}

/// The kinds of the scripts, and the product's own in its stored version: without conversion they need no webhook.
fn definitions() -> Result<Vec<CustomResourceDefinition>> {
    let text = include_str!("definitions.yaml");
    let mut all: Vec<CustomResourceDefinition> =
        text.split("\n---\n").map(serde_saphyr::from_str).collect::<Result<_, _>>()?;
    for mut crd in api::crds() {
        crd.spec.conversion = None;
        crd.spec.versions.retain(|version| version.storage);
        all.push(crd);
    }
    Ok(all)
}

async fn define(client: &kube::Client) -> Result<()> {
    let api: kube::Api<CustomResourceDefinition> = kube::Api::all(client.clone());
    for crd in definitions()? {
        api.create(&kube::api::PostParams::default(), &crd).await?;
        let (group, plural) = (&crd.spec.group, &crd.spec.names.plural);
        for version in &crd.spec.versions {
            let path = format!("/apis/{group}/{}/{plural}", version.name);
            wait::until("a definition is served", Duration::from_secs(20), || async {
                let answer = client.request_text(http::Request::get(&path).body(Vec::new())?).await;
                Ok(answer.map_or_else(|error| Seen::NotYet(error.to_string()), |_| Seen::Done(())))
            })
            .await?;
        }
    }
    Ok(())
}
