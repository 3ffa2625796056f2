//! The process: client, version, health server, and the replica within (platform section 2).

use std::pin::pin;

use anyhow::Context as _;
use runtime::{
    ambient::Ambient,
    client::Connection,
    flags::Limits,
    gates::Gate,
    health::{self, Check},
    leader,
    shutdown::Shutdown,
};
use tracing::info;

use crate::{
    admission,
    args::Args,
    features,
    replica::{Replica, USER_AGENT},
};

/// Runs until the end is asked for or leadership is lost.
///
/// # Errors
/// The process cannot start, or must end.
pub async fn run(args: Args, shutdown: Shutdown) -> anyhow::Result<()> {
    let gates = args.gates.gates().context("--feature-gates")?;
    features::warn_of_missing(&gates);
    let pod_webhook = gates.is_on(Gate::PodWebhook);
    let connection = Connection::open(&args.client, Limits::MANAGER).await?;
    let client = connection.client(USER_AGENT);
    let version = client.apiserver_version().await.context("read the version of the API server")?;
    info!(version = env!("CARGO_PKG_VERSION"), kubernetes = version.git_version, "start");

    let own_namespace = own_namespace();
    let election = match args.leader.enable_leader_election {
        true => Some(leader::Config::from_args(&args.leader, &own_namespace)?),
        false => None,
    };
    let server = health::Server::new()
        .health_at(&args.health.health_probe_addr)
        .metrics_at(&args.metrics.metrics_addr)
        .live(Check::new("ping", || Ok(())))
        .ready(Check::new("ping", || Ok(())))
        .bind()
        .await?;
    let mut serving = tokio::spawn(server.serve(shutdown.clone()));

    let replica = Replica { args, gates, connection, election, ambient: Ambient::system() };
    let admitted = admission::wait(&client, &own_namespace, pod_webhook, &shutdown);
    let mut running = pin!(replica.run(admitted, shutdown.clone()));
    tokio::select! {
        biased;
        ended = &mut running => ended,
        ended = &mut serving => {
            ended.context("the health server panicked")??;
            // Asked to stop, it ends at once; the replica has a Lease to give back (IN-52).
            running.await
        }
    }
}

fn own_namespace() -> String {
    std::env::var("POD_NAMESPACE")
        .ok()
        .filter(|namespace| !namespace.is_empty())
        .unwrap_or_else(|| "kruise-system".to_owned())
}
