//! Which controllers run, and when each begins: its definitions are installed (PL-20), its caches are complete (PL-21),
//! and the webhook answers (PL-E4).
//!
//! Each waits for itself, so one whose kind is missing holds up none of the others. What is asked for and waited for is
//! `runtime`'s; when a replica leads is `app.rs`.

use std::collections::BTreeSet;

use controllers::{Registration, Setup, setup::Run};
use futures::{FutureExt as _, future::try_join_all};
use kube::Client;
use rules::write::Resource;
use runtime::{
    discovery,
    flags::CacheArgs,
    informer::{Synced, Waited},
    shutdown::Shutdown,
};
use tracing::info;

/// Runs the controllers until the end is asked for.
///
/// # Errors
/// The caches of a controller are not complete in time (flag `--controller-cache-sync-timeout`), and not because one of
/// its kinds is not installed.
pub(crate) async fn run(
    client: &Client,
    all: &[Registration],
    mut setup: Setup,
    args: &CacheArgs,
    admitted: impl Future<Output = ()>,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let absent = tokio::select! {
        biased;
        absent = discovery::absent(client, all.iter().flat_map(|kind| kind.needs).copied(), &setup.ambient.chance) => absent,
        () = shutdown.requested() => return Ok(()),
    };
    let ready = all.iter().filter(|kind| is_installed(kind, &absent));
    let controllers: Vec<_> = ready.map(|kind| Controller::register(kind, &mut setup, shutdown)).collect();
    let _watches = setup.caches.start(client, &args.namespace, shutdown);
    let admitted = admitted.shared();
    try_join_all(controllers.into_iter().map(|one| one.run(args, admitted.clone(), shutdown))).await?;
    Ok(())
}

/// Whether all definitions that a controller needs are installed; says so if not.
fn is_installed(kind: &Registration, absent: &BTreeSet<Resource>) -> bool {
    let missing = kind.needs.iter().find(|need| absent.contains(need));
    if let Some(missing) = missing {
        info!(controller = kind.identity.name, crd = discovery::crd_name(missing), "skip controller, CRD is missing");
    }
    missing.is_none()
}

/// A controller that has joined the process, but does not work yet.
struct Controller {
    name: &'static str,
    caches: Vec<Synced>,
    work: Run,
}

impl Controller {
    fn register(kind: &Registration, setup: &mut Setup, shutdown: &Shutdown) -> Self {
        let work = (kind.register)(setup, shutdown.clone());
        Self { name: kind.identity.name, caches: setup.caches.just_wanted(), work }
    }

    async fn run(
        self,
        args: &CacheArgs,
        admitted: impl Future<Output = ()>,
        shutdown: &Shutdown,
    ) -> anyhow::Result<()> {
        let Self { name, caches, work } = self;
        let limit = args.controller_cache_sync_timeout;
        let waited = tokio::select! {
            biased;
            waited = Waited::for_all(&caches, limit) => waited,
            () = shutdown.requested() => return Ok(()),
        };
        match waited {
            Waited::Complete => {}
            Waited::NotInstalled(kinds) => {
                info!(controller = name, kinds = kinds.join(", "), "skip controller, a kind is not installed");
                return Ok(());
            }
            Waited::Late(kinds) => anyhow::bail!("{name}: caches not synced within {limit:?}: {}", kinds.join(", ")),
        }
        admitted.await;
        if !shutdown.is_requested() {
            info!(controller = name, "start controller");
            work.await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
