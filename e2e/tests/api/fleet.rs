//! An API server with what the chart installs, and any number of webhook processes behind its Service.
//!
//! The API server is told to call endpoints instead of the Service's address, and picks one anew for each connection, as
//! kube-proxy would. The endpoints are ours to write: without nodes nobody else does.

use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use e2e::apiserver::ApiServer;
use e2e::command::Run;
use e2e::install::{Helm, NAMESPACE};
use e2e::kubectl::Kubectl;
use e2e::manifests;
use e2e::progress::Progress;
use e2e::tools::Tools;
use e2e::wait::{self, Seen};
use e2e::{http, paths, ports, tls};
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// How long the first certificates may take on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// The Secret, and the name that its certificate stands for.
pub(crate) const SECRET: &str = "/api/v1/namespaces/kruise-system/secrets/kruise-webhook-certs";
pub(crate) const NAME: &str = "kruise-webhook-service.kruise-system.svc";
/// Objects with a `caBundle`, by their URL paths.
pub(crate) const MUTATING: &str =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/kruise-mutating-webhook-configuration";
pub(crate) const VALIDATING: &str =
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/kruise-validating-webhook-configuration";
pub(crate) const CRD: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/clonesets.apps.kruise.io";
/// Kinds of the chart without which no webhook starts.
const KINDS: [&str; 5] = [
    "Namespace",
    "Service",
    "CustomResourceDefinition",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// API server and webhook processes; all end with it.
pub(crate) struct Fleet {
    api: ApiServer,
    client: Client,
    manifests: String,
    replicas: Vec<Replica>,
}

/// How one process starts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Launch {
    /// Outside the cluster, on this host (IN-39), instead of behind the Service.
    pub(crate) is_outside: bool,
    /// `CERTS_RENEW_BEFORE`.
    pub(crate) renew_before: &'static str,
    /// `--feature-gates`.
    pub(crate) gates: &'static str,
}

struct Replica {
    process: Child,
    is_outside: bool,
    tls: u16,
    health: u16,
    log: PathBuf,
}

impl Drop for Replica {
    fn drop(&mut self) {
        // Our own child, ended by its handle.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

static BINARY: OnceCell<PathBuf> = OnceCell::const_new();

/// The debug build of the webhook.
async fn binary() -> Result<&'static PathBuf> {
    let build = async || {
        let words = ["build", "--locked", "--package", "kruise-webhook", "--message-format=json"];
        let built = Run::cargo().args(words).dir(paths::workspace()?).output().await.context("build the webhook")?;
        let messages = built.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        messages
            .filter(|message| message["target"]["name"] == json!("kruise-webhook"))
            .find_map(|message| message["executable"].as_str().map(PathBuf::from))
            .context("cargo names no executable")
    };
    BINARY.get_or_try_init(build).await
}

impl Fleet {
    /// Starts an API server and applies what the chart renders with these values (YAML); no webhook runs yet.
    pub(crate) async fn install(values: &str) -> Result<Self> {
        binary().await?;
        let api = ApiServer::start_with(&["--enable-aggregator-routing=true"]).await?;
        let helm = Helm::new(&Tools::ensure(&Progress::silent()).await?, api.kubeconfig());
        let manifests = manifests::choose(&helm.template(&[], values).await?, &KINDS)?;
        let client = api.client().await?;
        let fleet = Self { api, client, manifests, replicas: Vec::new() };
        fleet.apply().await?;
        Ok(fleet)
    }

    /// The same with so many processes, started at once, ready and called.
    pub(crate) async fn running(replicas: usize) -> Result<Self> {
        let mut fleet = Self::install("").await?;
        for _ in 0..replicas {
            fleet.launch(Launch::default())?;
        }
        fleet.ready().await?;
        fleet.active().await?;
        Ok(fleet)
    }

    /// Applies the manifests, as a GitOps tool does again and again.
    pub(crate) async fn apply(&self) -> Result<()> {
        self.kubectl().apply(&self.manifests).await.map(drop)
    }

    /// Starts one more process.
    pub(crate) fn launch(&mut self, launch: Launch) -> Result<()> {
        let [tls, health, metrics] = ports::free()?;
        let dir = self.api.dir();
        let log = dir.join(format!("webhook-{}.log", self.replicas.len()));
        let mut command = Command::new(BINARY.get().context("the webhook was not built")?);
        command
            .args([format!("--kubeconfig={}", self.api.kubeconfig().display())])
            .args([format!("--health-probe-addr=127.0.0.1:{health}"), format!("--metrics-addr=127.0.0.1:{metrics}")])
            .args([format!("--protection-log-path={}", dir.display()), format!("--feature-gates={}", launch.gates)])
            .env("POD_NAMESPACE", NAMESPACE)
            .env("POD_NAME", pod_name(self.replicas.len()))
            .env("WEBHOOK_PORT", tls.to_string())
            .env("CERTS_RENEW_BEFORE", launch.renew_before);
        if launch.is_outside {
            command.env("WEBHOOK_HOST", "127.0.0.1").env("WEBHOOK_CERT_DIR", dir.join("certs"));
        }
        let output = std::fs::File::create(&log)?;
        let process =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output).spawn().context("start the webhook")?;
        self.replicas.push(Replica { process, is_outside: launch.is_outside, tls, health, log });
        Ok(())
    }

    /// Waits until all processes are ready, and puts them behind the Service.
    pub(crate) async fn ready(&self) -> Result<()> {
        for number in 0..self.replicas.len() {
            wait::until("the webhook is ready", PATIENCE, async || match self.readiness(number).await? {
                text if text.is_empty() => Ok(Seen::Done(())),
                text => Ok(Seen::NotYet(text)),
            })
            .await
            .with_context(|| self.log(number))?;
        }
        self.endpoints().await
    }

    /// Waits until everything that is served is switched on.
    pub(crate) async fn active(&self) -> Result<()> {
        wait::until("Pods pass admission", PATIENCE, async || {
            let webhooks = self.get(MUTATING).await?["webhooks"].clone();
            let names: Vec<&Value> = webhooks.as_array().into_iter().flatten().map(|entry| &entry["name"]).collect();
            let is_active = names == ["mpod.kb.io", "mcloneset.kb.io"];
            Ok(if is_active { Seen::Done(()) } else { Seen::NotYet(format!("{names:?}")) })
        })
        .await
        .with_context(|| self.log(0))
    }

    /// What the readiness check of a process says; empty when it passes.
    pub(crate) async fn readiness(&self, number: usize) -> Result<String> {
        let address = format!("127.0.0.1:{}", self.replicas[number].health);
        let answer = http::ask("GET", &address, "/readyz", "*/*").await?;
        Ok(if answer.status == 200 { String::new() } else { String::from_utf8_lossy(&answer.body).into_owned() })
    }

    /// What a process has logged.
    pub(crate) fn log(&self, number: usize) -> String {
        std::fs::read_to_string(&self.replicas[number].log).unwrap_or_default()
    }

    /// An EndpointSlice for each process behind the Service.
    async fn endpoints(&self) -> Result<()> {
        for (number, replica) in self.replicas.iter().enumerate().filter(|(_, replica)| !replica.is_outside) {
            let name = pod_name(number);
            let slice = json!({
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "name": name, "namespace": NAMESPACE,
                    "labels": { "kubernetes.io/service-name": "kruise-webhook-service" },
                },
                "addressType": "IPv4",
                "ports": [{ "name": "https", "port": replica.tls, "protocol": "TCP" }],
                "endpoints": [{
                    "addresses": [host()?],
                    "conditions": { "ready": true },
                    "targetRef": { "kind": "Pod", "name": name, "namespace": NAMESPACE },
                }],
            });
            self.kubectl().apply(&slice.to_string()).await?;
        }
        Ok(())
    }

    /// Waits until each process shows a certificate of this authority (PEM) for a name.
    pub(crate) async fn serves(&self, name: &str, authority: &str) -> Result<()> {
        wait::until("every replica serves under the authority", PATIENCE, async || {
            for replica in &self.replicas {
                tls::verify(&format!("127.0.0.1:{}", replica.tls), name, authority.as_bytes()).await?;
            }
            Ok(Seen::Done(()))
        })
        .await
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn kubectl(&self) -> Kubectl {
        self.api.kubectl()
    }

    /// An object.
    pub(crate) async fn get(&self, url: &str) -> Result<Value> {
        let found = self.client.request(::http::Request::get(url).body(Vec::new())?).await;
        found.with_context(|| format!("get {url}"))
    }

    /// Merges a patch into an object, as somebody else would.
    pub(crate) async fn patch(&self, url: &str, patch: &Value) -> Result<()> {
        let request = ::http::Request::patch(url).header("content-type", "application/merge-patch+json");
        let patched: Result<Value, _> = self.client.request(request.body(patch.to_string().into_bytes())?).await;
        patched.map(drop).with_context(|| format!("patch {url}"))
    }

    /// Deletes an object, as somebody else would.
    pub(crate) async fn delete(&self, url: &str) -> Result<()> {
        let deleted: Result<Value, _> = self.client.request(::http::Request::delete(url).body(Vec::new())?).await;
        deleted.map(drop).with_context(|| format!("delete {url}"))
    }

    /// A key of the Secret, decoded; none while it is missing or empty.
    pub(crate) async fn stored(&self, key: &str) -> Result<Option<String>> {
        let Ok(secret) = self.get(SECRET).await else { return Ok(None) };
        let Some(text) = secret["data"][key].as_str().filter(|text| !text.is_empty()) else { return Ok(None) };
        Ok(Some(String::from_utf8(STANDARD.decode(text)?)?))
    }

    /// Every `caBundle`, in PEM; empty where there is none.
    pub(crate) async fn bundles(&self) -> Result<Vec<String>> {
        let mut bundles = Vec::new();
        for object in [MUTATING, VALIDATING, CRD] {
            let object = self.get(object).await?;
            let mut configs: Vec<&Value> =
                object["webhooks"].as_array().into_iter().flatten().map(|entry| &entry["clientConfig"]).collect();
            if object["kind"] == json!("CustomResourceDefinition") {
                configs.push(&object["spec"]["conversion"]["webhook"]["clientConfig"]);
            }
            for config in configs {
                bundles.push(String::from_utf8(STANDARD.decode(config["caBundle"].as_str().unwrap_or_default())?)?);
            }
        }
        Ok(bundles)
    }

    /// Waits until every `caBundle` is this one, of as many entries as there should be.
    pub(crate) async fn trusted(&self, authority: &str) -> Result<()> {
        wait::until("every caBundle is the authority", PATIENCE, async || {
            let bundles = self.bundles().await?;
            let right = bundles.iter().filter(|bundle| *bundle == authority).count();
            Ok(if right == bundles.len() && right >= ENTRIES {
                Seen::Done(())
            } else {
                Seen::NotYet(format!("{right} of {} bundles", bundles.len()))
            })
        })
        .await
    }

    /// Versions of everything that a webhook writes.
    pub(crate) async fn versions(&self) -> Result<Vec<String>> {
        let mut versions = Vec::new();
        for object in [SECRET, MUTATING, VALIDATING, CRD] {
            let version = self.get(object).await?["metadata"]["resourceVersion"].as_str().map(str::to_owned);
            versions.push(format!("{object} {}", version.context("an object without version")?));
        }
        Ok(versions)
    }

    /// How often the API server was asked for our Secret: each pass asks once.
    async fn passes(&self) -> Result<f64> {
        let text = self.client.request_text(::http::Request::get("/metrics").body(Vec::new())?).await?;
        let is_it = |line: &&str| {
            line.starts_with("apiserver_request_total{")
                && [r#"resource="secrets""#, r#"verb="GET""#, r#"code="200""#].iter().all(|label| line.contains(label))
        };
        text.lines()
            .filter(is_it)
            .map(|line| anyhow::Ok(line.rsplit(' ').next().unwrap_or_default().parse::<f64>()?))
            .sum()
    }

    /// Makes every process pass some `times`, by changes that mean nothing, and waits until they have. A change that
    /// comes during a pass may be part of the next one, so there are as many as it takes.
    pub(crate) async fn pass(&self, times: u32) -> Result<()> {
        let replicas = u32::try_from(self.replicas.len())?;
        let wanted = self.passes().await? + f64::from(replicas * times);
        let touches = std::sync::atomic::AtomicU32::new(0);
        wait::until("every replica has passed", PATIENCE, async || {
            let touch = touches.fetch_add(1, std::sync::atomic::Ordering::SeqCst).to_string();
            self.patch(SECRET, &json!({"metadata": {"labels": {"touched": touch}}})).await?;
            let passes = self.passes().await?;
            Ok(if passes >= wanted { Seen::Done(()) } else { Seen::NotYet(format!("{passes} of {wanted} passes")) })
        })
        .await
    }
}

/// Entries of both configurations and the definition.
const ENTRIES: usize = 6;

fn pod_name(number: usize) -> String {
    format!("kruise-webhook-5d9c-{number}")
}

/// An address of this host that may stand in an EndpointSlice: no loopback. Nothing is sent.
fn host() -> Result<String> {
    let probe = UdpSocket::bind("0.0.0.0:0")?;
    probe.connect("203.0.113.1:9").context("this host has no address but loopback, and no Service can point to it")?;
    let address = probe.local_addr()?.ip();
    ensure!(!address.is_loopback(), "this host has no address but loopback, and no Service can point to it");
    Ok(address.to_string())
}
