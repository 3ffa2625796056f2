//! What the daemon does from start to end, in order (KD-1, KD-7).
//!
//! Fatal are only faults that a restart or an operator mends: flags, the API server, the node's name, the address.
//! A node without a working container runtime is unready and stays up (KD-12, IN-57).

use std::time::Duration;

use anyhow::Context;
use runtime::client::{connect, words};
use runtime::flags::Limits;
use runtime::health::{Check, Server};
use runtime::shutdown::Shutdown;
use tracing::info;

use crate::args::Args;
use crate::metrics::RuntimeInfo;
use crate::runtimes::{Board, Pace, Runtimes};

/// How requests of the daemon show in the API server's log and in managed fields (KD-5).
const USER_AGENT: &str = "kruise-daemon";

/// How long answers in flight may take at the end; half of the Pod's grace period (KD-31).
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Runs until the end is asked for.
///
/// # Errors
///
/// A fault at the start, or an HTTP server that fails later (KD-7).
pub(crate) async fn run(args: Args, shutdown: Shutdown) -> anyhow::Result<()> {
    let Args { log: _, client, gates, pprof, sockets, accepted: _, addr, node_name } = args;
    gates.gates()?;
    let client = connect(&client, USER_AGENT, Limits::DAEMON).await?;
    let server = client.apiserver_version().await.map_err(|err| anyhow::anyhow!(words(&err)));
    let server = server.context("cannot read the version of the API server")?;
    if pprof.enable_pprof {
        info!(flag = "enable-pprof", "go on without a profiler, there is none");
    }
    anyhow::ensure!(!node_name.is_empty(), "not found NODE_NAME in environments");
    info!(node = node_name, apiserver = server.git_version, version = env!("CARGO_PKG_VERSION"), "start");

    let mut runtimes = Runtimes::watch(&sockets.places(), Pace::default());
    let board = runtimes.board();
    runtime::metrics::registry().register_collector(Box::new(RuntimeInfo::of(board.clone())));
    let has_runtime = Check::telling("container-runtime", move || readiness(&board.borrow()));
    let http = Server::new().health_at(&addr).metrics_at(&addr).ready(has_runtime).bind().await?;

    let serving = http.serve(shutdown.clone());
    let ending = async {
        shutdown.requested().await;
        tokio::time::sleep(LAST_ANSWERS).await;
    };
    tokio::select! {
        served = serving => served,
        () = ending => Ok(()),
        () = runtimes.ended() => anyhow::bail!("the watch over container runtimes ended"),
    }
}

/// For `/readyz`: the working runtimes in words, or why there is none (KD-12).
fn readiness(board: &Board) -> Result<String, String> {
    board.readiness().map_err(|unready| unready.to_string())?;
    Ok(board.working().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}
