//! etcd, kube-apiserver, kube-controller-manager, kube-scheduler and the registry: processes of the host.
//!
//! The API server and the registry listen on the bridge, the others on a loopback address of ours, so that a cluster
//! already on this machine keeps its ports.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;

use super::layout::Layout;
use super::network::{LOOPBACK, Network};
use crate::pki::{Authority, Subject};
use crate::process::Record;
use crate::progress::Failure;
use crate::tools::Tools;
use crate::wait::{self, Seen};
use crate::{apiserver, http, paths};

/// The API server's port.
pub const API_PORT: u16 = 6443;
/// The registry's port.
pub const REGISTRY_PORT: u16 = 5000;
/// Ports on the loopback address: etcd's two, controller-manager, scheduler.
pub const LOOPBACK_PORTS: [u16; 4] = [2379, 2380, 10257, 10259];

/// Makes the authority, all certificates of the host's components and their kubeconfigs.
///
/// # Errors
/// The folder cannot be written.
pub(super) fn make_certificates(layout: &Layout, network: &Network) -> Result<Authority> {
    let authority = Authority::create(&layout.pki())?;
    let (host, service) = (network.host(), network.kubernetes());
    let serves = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
        "127.0.0.1",
        &host,
        &service,
    ];
    authority.issue("apiserver", &Subject { name: "kube-apiserver", serves: &serves, ..Subject::default() })?;
    authority.issue("front-proxy", &Subject { name: "front-proxy", ..Subject::default() })?;
    authority.issue(
        "apiserver-kubelet",
        &Subject { name: "kube-apiserver-kubelet-client", groups: &["system:masters"], ..Subject::default() },
    )?;
    let server = server(network);
    let admin =
        authority.issue("admin", &Subject { name: "admin", groups: &["system:masters"], ..Subject::default() })?;
    authority.kubeconfig(&layout.kubeconfig(), &server, &admin)?;
    for (component, user) in [
        ("controller-manager", "system:kube-controller-manager"),
        ("scheduler", "system:kube-scheduler"),
        ("proxy", "system:kube-proxy"),
    ] {
        let pair = authority.issue(component, &Subject { name: user, ..Subject::default() })?;
        authority.kubeconfig(&layout.kubeconfig_of(component), &server, &pair)?;
    }
    Ok(authority)
}

/// The API server's URL.
#[must_use]
pub(super) fn server(network: &Network) -> String {
    format!("https://{}:{API_PORT}", network.host())
}

/// etcd, until it serves. Its data goes with the cluster, so nothing is synced to disk.
///
/// # Errors
/// It ends or does not serve within 30 s.
pub(super) async fn start_etcd(layout: &Layout, tools: &Tools) -> Result<()> {
    let [client, peer, ..] = LOOPBACK_PORTS;
    let record = start(
        layout,
        "etcd",
        &tools.etcd(),
        &[
            format!("--data-dir={}", layout.etcd().display()),
            "--unsafe-no-fsync".to_owned(),
            "--log-level=warn".to_owned(),
            "--quota-backend-bytes=8589934592".to_owned(),
            format!("--listen-client-urls=http://{LOOPBACK}:{client}"),
            format!("--advertise-client-urls=http://{LOOPBACK}:{client}"),
            format!("--listen-peer-urls=http://{LOOPBACK}:{peer}"),
        ],
    )?;
    let address = format!("{LOOPBACK}:{client}");
    ready(&record, Duration::from_secs(30), async || {
        let answer = http::ask("GET", &address, "/health", "*/*").await?;
        Ok(if answer.status == 200 { Seen::Done(()) } else { Seen::NotYet(format!("status {}", answer.status)) })
    })
    .await
}

/// kube-apiserver, until it is ready.
///
/// # Errors
/// It ends or is not ready within three minutes.
pub(super) async fn start_apiserver(layout: &Layout, tools: &Tools, network: &Network) -> Result<()> {
    let pki = |name: &str| layout.pki_file(name);
    let [etcd, ..] = LOOPBACK_PORTS;
    let record = start(
        layout,
        "kube-apiserver",
        &tools.kubernetes("kube-apiserver"),
        &[
            format!("--etcd-servers=http://{LOOPBACK}:{etcd}"),
            format!("--bind-address={}", network.host()),
            format!("--advertise-address={}", network.host()),
            format!("--secure-port={API_PORT}"),
            format!("--service-cluster-ip-range={}", network.services()),
            format!("--tls-cert-file={}", pki("apiserver.crt")),
            format!("--tls-private-key-file={}", pki("apiserver.key")),
            format!("--client-ca-file={}", pki("ca.crt")),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--enable-admission-plugins=NodeRestriction".to_owned(),
            "--allow-privileged=true".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", pki("sa.pub")),
            format!("--service-account-signing-key-file={}", pki("sa.key")),
            format!("--kubelet-client-certificate={}", pki("apiserver-kubelet.crt")),
            format!("--kubelet-client-key={}", pki("apiserver-kubelet.key")),
            format!("--kubelet-certificate-authority={}", pki("ca.crt")),
            "--kubelet-preferred-address-types=InternalIP".to_owned(),
            // Webhooks are called at endpoint addresses, to which this host has routes: no kube-proxy is needed here.
            "--enable-aggregator-routing=true".to_owned(),
            format!("--requestheader-client-ca-file={}", pki("ca.crt")),
            "--requestheader-allowed-names=front-proxy".to_owned(),
            "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
            "--requestheader-group-headers=X-Remote-Group".to_owned(),
            "--requestheader-username-headers=X-Remote-User".to_owned(),
            format!("--proxy-client-cert-file={}", pki("front-proxy.crt")),
            format!("--proxy-client-key-file={}", pki("front-proxy.key")),
            // A Pod field newer than the types of 1.32: a scenario shows that it reaches the stored Pod.
            "--feature-gates=ContainerStopSignals=true".to_owned(),
            "--max-requests-inflight=2000".to_owned(),
            "--max-mutating-requests-inflight=1000".to_owned(),
        ],
    )?;
    let client = apiserver::client(&layout.kubeconfig()).await?;
    ready(&record, Duration::from_secs(180), async || {
        let answer = client.request_text(::http::Request::get("/readyz").body(Vec::new())?).await?;
        Ok(if answer == "ok" { Seen::Done(()) } else { Seen::NotYet(answer) })
    })
    .await
}

/// How often the controller-manager is started before its end counts as a failure.
const STARTS: u32 = 3;

/// kube-controller-manager, until it has made the ServiceAccount without which no Pod can be created. It gives up when
/// the API server answers slowly at its start, as on a busy machine: then it is started again.
/// Without leader election, which only delays the start of a single one.
///
/// # Errors
/// It ends three times, or does nothing for two minutes.
pub(super) async fn start_controller_manager(layout: &Layout, tools: &Tools) -> Result<()> {
    let pki = |name: &str| layout.pki_file(name);
    let [_, _, port, _] = LOOPBACK_PORTS;
    let args = [
        format!("--kubeconfig={}", layout.kubeconfig_of("controller-manager").display()),
        format!("--bind-address={LOOPBACK}"),
        format!("--secure-port={port}"),
        "--leader-elect=false".to_owned(),
        "--use-service-account-credentials".to_owned(),
        format!("--service-account-private-key-file={}", pki("sa.key")),
        format!("--root-ca-file={}", pki("ca.crt")),
        format!("--cluster-signing-cert-file={}", pki("ca.crt")),
        format!("--cluster-signing-key-file={}", pki("ca.key")),
        "--kube-api-qps=200".to_owned(),
        "--kube-api-burst=400".to_owned(),
    ];
    let accounts: Api<ServiceAccount> = Api::default_namespaced(apiserver::client(&layout.kubeconfig()).await?);
    let mut starts = 0;
    loop {
        starts += 1;
        let name = "kube-controller-manager";
        let record = start(layout, name, &tools.kubernetes(name), &args)?;
        let works = ready(&record, Duration::from_secs(120), async || {
            let account = accounts.get_opt("default").await?;
            Ok(account.map_or_else(|| Seen::NotYet("no default ServiceAccount".to_owned()), |_| Seen::Done(())))
        });
        match works.await {
            Err(_) if starts < STARTS && !record.is_alive() => {}
            outcome => return outcome,
        }
    }
}

/// kube-scheduler.
///
/// # Errors
/// The program is missing.
pub(super) fn start_scheduler(layout: &Layout, tools: &Tools) -> Result<()> {
    let [_, _, _, port] = LOOPBACK_PORTS;
    let args = [
        format!("--kubeconfig={}", layout.kubeconfig_of("scheduler").display()),
        format!("--bind-address={LOOPBACK}"),
        format!("--secure-port={port}"),
        "--leader-elect=false".to_owned(),
        "--kube-api-qps=1000".to_owned(),
        "--kube-api-burst=2000".to_owned(),
    ];
    start(layout, "kube-scheduler", &tools.kubernetes("kube-scheduler"), &args).map(drop)
}

/// The registry, until it answers. Its content lies in the cache: pushing is skipped when nothing changed.
///
/// # Errors
/// It ends or does not answer within 20 s.
pub(super) async fn start_registry(layout: &Layout, network: &Network) -> Result<()> {
    let program = paths::which("docker-registry").context("docker-registry is not installed")?;
    let address = format!("{}:{REGISTRY_PORT}", network.host());
    let (content, file) = (paths::cache().join("registry"), layout.root().join("registry.yml"));
    std::fs::create_dir_all(&content)?;
    let config = format!(
        "version: 0.1\nlog: {{level: warn, accesslog: {{disabled: true}}}}\nhttp: {{addr: \"{address}\"}}\n\
         storage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n",
        content.display()
    );
    std::fs::write(&file, config)?;
    let record = start(layout, "registry", &program, &["serve".to_owned(), file.display().to_string()])?;
    ready(&record, Duration::from_secs(20), async || {
        let answer = http::ask("GET", &address, "/v2/", "*/*").await?;
        Ok(if answer.status == 200 { Seen::Done(()) } else { Seen::NotYet(format!("status {}", answer.status)) })
    })
    .await
}

fn start(layout: &Layout, name: &str, program: &Path, args: &[String]) -> Result<Record> {
    let mut command = vec![program.display().to_string()];
    command.extend_from_slice(args);
    layout.ledger().start(name, &command, &layout.log(name))
}

/// Waits until a started process serves, and no longer than it lives.
async fn ready<F>(record: &Record, limit: Duration, mut look: impl FnMut() -> F) -> Result<()>
where
    F: Future<Output = Result<Seen<()>>>,
{
    let what = format!("{} serves", record.name);
    let outcome = wait::until(&what, limit, || {
        let alive = record.is_alive();
        let look = look();
        // A dead process is an answer too: it ends the waiting.
        async move { if alive { Ok(promote(look.await?)) } else { Ok(Seen::Done(false)) } }
    })
    .await;
    let failure = match outcome {
        Ok(true) => return Ok(()),
        Ok(false) => Failure::new(format!("{} ended right after its start", record.name)),
        Err(error) => Failure::new(format!("{} does not come up", record.name)).because(error),
    };
    bail!(failure.log(&record.log).advise("cargo xtask cluster down && cargo xtask cluster up"))
}

fn promote(seen: Seen<()>) -> Seen<bool> {
    match seen {
        Seen::Done(()) => Seen::Done(true),
        Seen::NotYet(text) => Seen::NotYet(text),
    }
}
