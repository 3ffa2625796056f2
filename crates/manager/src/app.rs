//! What the manager runs, in order (platform section 2): client, version, caches, election, controllers.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use controllers::{CONTROLLERS, Setup, caches::Caches, setup::KindFlags};
use futures::future::join_all;
use runtime::{
    client::Connection,
    events::Recorder,
    flags::Limits,
    gates::{Gate, Gates},
    health::{self, Check},
    informer::Synced,
    leader::{self, Leadership},
    shutdown::Shutdown,
};
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::{admission, args::Args};

/// Gates whose feature this build does not have yet: switched on they change nothing, and that is said at the start.
const WITHOUT_EFFECT: [Gate; 4] = [
    Gate::PreDownloadImageForInPlaceUpdate,
    Gate::PreDownloadImageForDaemonSetUpdate,
    Gate::InPlaceWorkloadVerticalScaling,
    Gate::PodUnavailableBudgetUpdateGate,
];

/// User agent of what every replica does; controllers add their name (PL-33).
const USER_AGENT: &str = "kruise-manager";

/// Runs until the end is asked for or leadership is lost.
///
/// # Errors
/// The process cannot start, or must end.
pub(crate) async fn run(args: Args, shutdown: Shutdown) -> anyhow::Result<()> {
    let gates = args.gates.gates().context("--feature-gates")?;
    warn_of_gates_without_effect(&gates);
    let pod_webhook = gates.is_on(Gate::PodWebhook);
    let connection = Connection::open(&args.client, Limits::MANAGER).await?;
    let client = connection.client(USER_AGENT);
    let version = client.apiserver_version().await.context("read the version of the API server")?;
    info!(version = env!("CARGO_PKG_VERSION"), kubernetes = version.git_version, "start");

    let recorder = Recorder::start(client.clone(), "kruise-manager", None, shutdown.clone());
    let leadership = if args.leader.enable_leader_election {
        let config = leader::Config::from_args(&args.leader, &own_namespace())?;
        // A client of its own: a renewal must not wait behind events and lists.
        leader::run(connection.client(USER_AGENT), config, &recorder, shutdown.clone())
    } else {
        Leadership::always()
    };
    let mut setup = Setup {
        client_for: Box::new({
            let leadership = leadership.clone();
            move |controller| connection.guarded(&format!("{USER_AGENT}/{controller}"), &leadership)
        }),
        caches: Caches::default(),
        gates,
        rate_limit: args.rate_limit.rate_limit(),
        expectation_timeout: args.controllers.expectation_timeout,
        flags: KindFlags {
            cloneset_workers: args.workers.cloneset_workers,
            cloneset_excludes_preparing_delete: args.controllers.cloneset_scaling_exclude_preparing_delete,
        },
        recorder: recorder.clone(),
    };
    let runs: Vec<_> = CONTROLLERS.iter().map(|kind| (kind.register)(&mut setup, shutdown.clone())).collect();
    let synced = Arc::new(setup.caches.synced());

    let server = health::Server::new()
        .health_at(&args.health.health_probe_addr)
        .metrics_at(&args.metrics.metrics_addr)
        .live(Check::new("ping", || Ok(())))
        .ready(Check::new("ping", || Ok(())))
        .bind()
        .await?;
    let mut serving = tokio::spawn(server.serve(shutdown.clone()));

    let mut tasks = JoinSet::new();
    let caches = setup.caches;
    let lead = async {
        if !leadership.acquired().await {
            return Ok(());
        }
        // A replica in waiting keeps no caches: they would cost as much as the leader's and be used by nobody.
        caches.start(&client, &args.cache.namespace, &shutdown, &mut tasks);
        wait_for_caches(&synced, args.cache.controller_cache_sync_timeout, &shutdown).await?;
        admission::wait(&client, &own_namespace(), pod_webhook, &shutdown).await;
        if !shutdown.is_requested() {
            info!(controllers = CONTROLLERS.len(), "lead");
            join_all(runs).await;
        }
        anyhow::Ok(())
    };
    tokio::select! {
        ended = lead => ended?,
        () = leadership.lost() => anyhow::bail!("leadership was lost"),
        ended = &mut serving => {
            ended.context("the health server panicked")??;
        }
    }
    shutdown.requested().await;
    leadership.over().await;
    Ok(())
}

fn own_namespace() -> String {
    std::env::var("POD_NAMESPACE")
        .ok()
        .filter(|namespace| !namespace.is_empty())
        .unwrap_or_else(|| "kruise-system".to_owned())
}

fn warn_of_gates_without_effect(gates: &Gates) {
    for gate in WITHOUT_EFFECT.into_iter().filter(|gate| gates.is_on(*gate)) {
        warn!(gate = gate.name(), "this feature gate is on, but its feature is not in this version yet");
    }
}

/// Every cache must show its first list in time; one that does not ends the process (flag
/// `--controller-cache-sync-timeout`).
async fn wait_for_caches(synced: &[Synced], limit: Duration, shutdown: &Shutdown) -> anyhow::Result<()> {
    let all = join_all(synced.iter().map(Synced::wait));
    tokio::select! {
        done = tokio::time::timeout(limit, all) => match done {
            Ok(_) => Ok(()),
            Err(_) => {
                let late: Vec<&str> = synced.iter().filter(|one| !one.is_synced()).map(Synced::kind).collect();
                anyhow::bail!("caches not synced within {limit:?}: {}", late.join(", "))
            }
        },
        () = shutdown.requested() => Ok(()),
    }
}
