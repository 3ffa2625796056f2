//! What the manager runs, in order (platform section 2): client, version, caches, election, controllers.

use anyhow::Context as _;
use controllers::{CONTROLLERS, Setup, caches::Caches, setup::KindFlags};
use runtime::{
    ambient::Ambient,
    client::Connection,
    events::Recorder,
    flags::Limits,
    gates::Gate,
    health::{self, Check},
    leader::{self, Leadership},
    resync::Resync,
    shutdown::Shutdown,
};
use tracing::info;

use crate::{admission, args::Args, features, start};

/// User agent of what every replica does; controllers add their name (PL-33).
const USER_AGENT: &str = "kruise-manager";

/// Runs until the end is asked for or leadership is lost.
///
/// # Errors
/// The process cannot start, or must end.
pub(crate) async fn run(args: Args, shutdown: Shutdown) -> anyhow::Result<()> {
    let gates = args.gates.gates().context("--feature-gates")?;
    features::warn_of_missing(&gates);
    let pod_webhook = gates.is_on(Gate::PodWebhook);
    let connection = Connection::open(&args.client, Limits::MANAGER).await?;
    let client = connection.client(USER_AGENT);
    let version = client.apiserver_version().await.context("read the version of the API server")?;
    info!(version = env!("CARGO_PKG_VERSION"), kubernetes = version.git_version, "start");

    let ambient = Ambient::system();
    let recorder = Recorder::start(client.clone(), "kruise-manager", None, ambient.clone(), shutdown.clone());
    let leadership = if args.leader.enable_leader_election {
        let config = leader::Config::from_args(&args.leader, &own_namespace())?;
        // A client of its own: a renewal must not wait behind events and lists.
        leader::run(connection.client(USER_AGENT), config, &recorder, ambient.clone(), shutdown.clone())
    } else {
        Leadership::always()
    };
    let setup = Setup {
        client_for: Box::new({
            let leadership = leadership.clone();
            move |controller| connection.guarded(&format!("{USER_AGENT}/{controller}"), &leadership)
        }),
        caches: Caches::default(),
        gates,
        rate_limit: args.rate_limit.rate_limit(),
        resync: Resync::from_flag(&args.cache.sync_period),
        expectation_timeout: args.controllers.expectation_timeout,
        flags: KindFlags {
            cloneset_workers: args.workers.cloneset_workers,
            cloneset_excludes_preparing_delete: args.controllers.cloneset_scaling_exclude_preparing_delete,
        },
        ambient,
        recorder: recorder.clone(),
    };
    let server = health::Server::new()
        .health_at(&args.health.health_probe_addr)
        .metrics_at(&args.metrics.metrics_addr)
        .live(Check::new("ping", || Ok(())))
        .ready(Check::new("ping", || Ok(())))
        .bind()
        .await?;
    let mut serving = tokio::spawn(server.serve(shutdown.clone()));

    let lead = async {
        if !leadership.acquired().await {
            return Ok(());
        }
        info!("lead");
        let own_namespace = own_namespace();
        let admitted = admission::wait(&client, &own_namespace, pod_webhook, &shutdown);
        // A replica in waiting keeps no caches: they would cost as much as the leader's and be used by nobody.
        start::run(&client, CONTROLLERS, setup, &args.cache, admitted, &shutdown).await
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
