//! Wires the webhook up and runs it to its end (platform page, section 2; IN-49, IN-54).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use runtime::client::Connection;
use runtime::flags::Limits;
use runtime::gates::Gate;
use runtime::health::{self, Check};
use runtime::shutdown::Shutdown;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::admission::protection::ProtectionLog;
use crate::admission::{Desk, Privileged};
use crate::args::Args;
use crate::caches::{Caches, Watches};
use crate::certs::store::Store;
use crate::configuration::cluster::Cluster;
use crate::keeper::{Keeper, Mode, run as keeper};
use crate::readiness::Readiness;
use crate::server::answer::Answers;
use crate::server::credentials::Credentials;
use crate::server::listener::{self, Drain};
use crate::server::paths::Paths;
use crate::settings::{Keeping, Settings};

/// User agents (PL-33): of admission, and of the certificate and configuration loop.
const USER_AGENTS: (&str, &str) = ("kruise-manager", "kruise-manager/webhook-controller");

/// From the request to stop to the end, whatever hangs: the process is gone within 10 s (IN-54). What the drain may take
/// ([`Drain::default`]) fits in.
const END: Duration = Duration::from_millis(9_500);

/// Runs until shutdown.
///
/// # Errors
/// Fails where a flag or variable has no safe reading, an address is taken, or the first certificates and configurations do
/// not come to be in time.
pub async fn run(args: Args, shutdown: Shutdown) -> anyhow::Result<()> {
    let Args { log: _, client, gates, metrics, health, controllers, accepted: _ } = args;
    let gates = gates.gates().context("--feature-gates")?;
    let settings = Settings::read(|name| std::env::var(name).ok())?;
    let folder = &controllers.protection_log_path;
    let protection_log = ProtectionLog::open(folder).unwrap_or_else(|err| {
        // Admission does not depend on it: each refusal is in this log as well (IN-89).
        warn!(%err, folder = %folder.display(), "no protection log");
        ProtectionLog::to(std::io::sink())
    });
    let connection = Connection::open(&client, Limits::MANAGER).await.context("connect to the API server")?;
    let (own, keepers) = (connection.client(USER_AGENTS.0), connection.client(USER_AGENTS.1));
    let mut watches = Watches::default();
    let caches = Caches::new(&mut watches);
    let needed = watches.needed();

    let paths = Arc::new(Paths::new(&gates));
    let credentials = Arc::new(Credentials::default());
    let mode = if gates.is_on(Gate::EnableExternalCerts) { Mode::External } else { Mode::Own };
    let privileged = if controllers.allow_privileged { Privileged::Accepted } else { Privileged::Refused };
    let answers =
        Arc::new(Answers::new(Arc::clone(&paths), Desk { gates, privileged, client: own, caches, protection_log }));
    let keeper = Keeper::new(
        settings.clone(),
        mode,
        paths,
        Cluster::new(keepers.clone()),
        store(&settings, mode, &keepers),
        Arc::clone(&credentials),
    );

    let readiness = Readiness::default();
    let ready = readiness.clone();
    let probes = health::Server::new()
        .health_at(&health.health_probe_addr)
        .metrics_at(&metrics.metrics_addr)
        .live(Check::new("ping", || Ok(())))
        .ready(Check::new("webhook-ready", move || ready.check()))
        .bind()
        .await?;
    let listener = listen(settings.port).await?;
    let tls = listener::tls(Arc::clone(&credentials)).context("set up TLS")?;
    info!(port = settings.port, name = settings.server_name(), ?mode, "start webhook");

    // Probes and metrics outlive the request to stop: during the drain the kubelet must see "not ready", and the last
    // scrape the last requests.
    let drained = Shutdown::manual();
    let probes = tokio::spawn(probes.serve(drained.clone()));
    let (initialised, is_initialised) = watch::channel(false);
    // A client of their own: lists do not take from what live reads of handlers may ask for.
    let _watches = watches.start(&connection.client(USER_AGENTS.0), &shutdown);
    let shown = Arc::clone(&credentials);
    tokio::spawn(readiness.keep(settings.port, shown, is_initialised.clone(), needed, shutdown.clone()));
    let keeping = tokio::spawn(keeper::run(keeper, keepers, initialised, shutdown.clone()));
    let answer = move |request| {
        let answers = Arc::clone(&answers);
        async move { answers.answer(request).await }
    };
    let server = tokio::spawn(listener::serve(listener, tls, answer, shutdown.clone(), Drain::default()));

    await_start(mode, controllers.webhook_initialize_timeout, is_initialised, &shutdown).await?;
    let ending = async {
        // Without the loop certificates would end unnoticed one day: better a restart now. Asked to stop, it ends first.
        keeping.await.context("the certificate and configuration loop panicked")?;
        server.await.context("the webhook server panicked")?;
        drained.request();
        probes.await.context("the health server panicked")?
    };
    end_in_time(ending, &shutdown).await
}

/// The end of the parts, or that of the time for it.
async fn end_in_time(parts: impl Future<Output = anyhow::Result<()>>, shutdown: &Shutdown) -> anyhow::Result<()> {
    let time_is_up = async {
        shutdown.requested().await;
        tokio::time::sleep(END).await;
    };
    tokio::select! {
        ended = parts => ended,
        () = time_is_up => {
            warn!("end now, without what did not end in time");
            Ok(())
        }
    }
}

/// Waits for the first success of the loop, in the mode in which it depends on nobody else (PL-41, IN-38).
async fn await_start(
    mode: Mode,
    limit: Duration,
    mut initialised: watch::Receiver<bool>,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let started = async { initialised.wait_for(|initialised| *initialised).await.is_ok() };
    let expired = async {
        match mode {
            Mode::Own => tokio::time::sleep(limit).await,
            Mode::External => std::future::pending().await,
        }
    };
    tokio::select! {
        // First: asked to stop, the loop ends too, and that is no failure.
        biased;
        () = shutdown.requested() => Ok(()),
        started = started => {
            if !started {
                bail!("the certificate and configuration loop ended");
            }
            info!("webhook is initialised");
            Ok(())
        }
        () = expired => bail!("failed to start webhook controller for waiting more than {}s", limit.as_secs()),
    }
}

/// Where certificates are kept. Those that somebody else keeps are in the Secret (PL-46).
fn store(settings: &Settings, mode: Mode, client: &kube::Client) -> Store {
    match (&settings.keeping, mode) {
        (Keeping::Files(dir), Mode::Own) => Store::Files { dir: dir.clone() },
        (Keeping::Files(_) | Keeping::Secret, _) => Store::Secret {
            api: Box::new(kube::Api::namespaced(client.clone(), &settings.namespace)),
            name: settings.secret.clone(),
        },
    }
}

/// Listens on all addresses, of both families where the node has both.
async fn listen(port: u16) -> anyhow::Result<TcpListener> {
    match listener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).await {
        Ok(listener) => Ok(listener),
        Err(_) => listener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
            .await
            .with_context(|| format!("listen on port {port}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)] // PL-41, IN-49
    async fn without_first_certificates_the_process_ends_after_the_limit() {
        let (_loop, initialised) = watch::channel(false);
        let err = await_start(Mode::Own, Duration::from_secs(60), initialised, &Shutdown::manual()).await.unwrap_err();
        assert_eq!(err.to_string(), "failed to start webhook controller for waiting more than 60s");
    }

    #[tokio::test(start_paused = true)] // IN-38
    async fn external_certificates_are_waited_for_without_limit() {
        let (_loop, initialised) = watch::channel(false);
        let shutdown = Shutdown::manual();
        let waiting = await_start(Mode::External, Duration::from_secs(60), initialised, &shutdown);
        assert!(tokio::time::timeout(Duration::from_secs(3600), waiting).await.is_err());
    }

    #[tokio::test]
    async fn a_request_to_stop_ends_the_wait_even_when_the_loop_has_ended_already() {
        let (ended, initialised) = watch::channel(false);
        let shutdown = Shutdown::manual();
        shutdown.request();
        drop(ended);
        for _ in 0..20 {
            let waiting = await_start(Mode::Own, Duration::from_secs(60), initialised.clone(), &shutdown);
            assert!(waiting.await.is_ok());
        }
    }

    #[tokio::test(start_paused = true)] // IN-54
    async fn what_hangs_does_not_hold_up_the_end() {
        let shutdown = Shutdown::manual();
        let running = end_in_time(std::future::pending(), &shutdown);
        let mut running = std::pin::pin!(running);
        assert!(tokio::time::timeout(Duration::from_secs(3600), running.as_mut()).await.is_err());
        shutdown.request();
        assert!(tokio::time::timeout(Duration::from_secs(10), running).await.unwrap().is_ok());
    }

    #[test] // IN-54
    fn the_drain_fits_into_the_end() {
        let Drain { accepting, finishing } = Drain::default();
        assert!(accepting + finishing < END && END < Duration::from_secs(10));
    }

    #[tokio::test]
    async fn a_loop_that_ends_by_itself_ends_the_process() {
        let (ended, initialised) = watch::channel(false);
        drop(ended);
        let shutdown = Shutdown::manual();
        let waiting = await_start(Mode::External, Duration::from_secs(60), initialised, &shutdown);
        assert_eq!(waiting.await.unwrap_err().to_string(), "the certificate and configuration loop ended");
    }
}
