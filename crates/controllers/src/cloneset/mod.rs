//! CloneSet: interchangeable Pods of one template, each with its own claims (page `cloneset.md`).
//!
//! A pass is `observe` (caches to snapshot), `plan` (pure), `act` (`reconcile`, over the write engine). Scaling and
//! updating never happen in the same pass, and no pass starts while the caches are behind our own writes (CS-92).

pub mod claims;
pub mod create;
pub mod history;
mod matters;
pub mod numbers;
pub mod observe;
pub mod order;
pub mod pick;
pub mod plan;
pub mod reconcile;
pub mod revisions;
pub mod scale;
pub mod scatter;
pub mod snapshot;
pub mod status;
pub mod update;
pub mod wake;
pub mod writes;

#[cfg(test)]
mod tests;

use rules::{inplace::EnvFromMetadata, write::CLONE_SET};
use runtime::{
    act::{Engine, Limits},
    controller::{self, Identity},
    expectations::Expectations,
    gates::{Gate, Gates},
    informer::ObjectKey,
    queue::Queue,
    resync,
    shutdown::Shutdown,
};

use self::{
    numbers::{PreparingDelete, Rollback},
    observe::Stores,
    reconcile::Reconciler,
    snapshot::{ClaimChange, PreparingUpdate, RevisionLabel, Settings},
};
use crate::setup::{KindFlags, Registration, Run, Setup};

/// The controller of this kind.
pub const REGISTRATION: Registration = Registration {
    identity: Identity { name: "cloneset-controller", kind: "CloneSet" },
    needs: &[CLONE_SET],
    register,
};

fn register(setup: &mut Setup, shutdown: Shutdown) -> Run {
    let queue = Queue::new(REGISTRATION.identity.name, setup.rate_limit);
    let expectations = Expectations::new(setup.expectation_timeout);
    wake::register(&mut setup.caches, &queue, &expectations);
    let client = (setup.client_for)(REGISTRATION.identity.name);
    let recorder = setup.recorder.with_component(REGISTRATION.identity.name);
    let reconciler = Reconciler::new(
        Stores {
            clonesets: setup.caches.clonesets.wanted().store(),
            pods: setup.caches.pods.wanted().store(),
            claims: setup.caches.claims.wanted().store(),
            revisions: setup.caches.revisions.wanted().store(),
            nodes: setup.caches.nodes.wanted().store(),
        },
        client.client().clone(),
        Engine::new(client, recorder.clone(), setup.ambient.chance.clone(), Limits::default()),
        recorder,
        expectations,
        settings(&setup.gates, setup.flags),
        setup.ambient.clone(),
    );
    let clonesets = setup.caches.clonesets.wanted().store();
    let keys = move || clonesets.all().iter().map(|cloneset| ObjectKey::of(cloneset.as_ref())).collect();
    let resyncing = resync::run(setup.resync, keys, queue.clone(), shutdown.clone());
    let workers = setup.flags.cloneset_workers;
    let working = controller::run(
        REGISTRATION.identity,
        workers,
        queue,
        setup.ambient.chance.clone(),
        move |key| {
            let reconciler = reconciler.clone();
            async move { reconciler.reconcile(&key).await }
        },
        shutdown,
    );
    Box::pin(async {
        tokio::join!(working, resyncing);
    })
}

fn settings(gates: &Gates, flags: KindFlags) -> Settings {
    let on = |gate| gates.is_on(gate);
    Settings {
        revision_label: if on(Gate::CloneSetShortHash) { RevisionLabel::Hash } else { RevisionLabel::Name },
        rollback: if on(Gate::CloneSetPartitionRollback) { Rollback::On } else { Rollback::Off },
        preparing_update: if on(Gate::PreparingUpdateAsUpdate) {
            PreparingUpdate::AsUpdated
        } else {
            PreparingUpdate::ByRevision
        },
        preparing_delete: if flags.cloneset_excludes_preparing_delete {
            PreparingDelete::Excluded
        } else {
            PreparingDelete::Counts
        },
        env_from_metadata: if on(Gate::InPlaceUpdateEnvFromMetadata) {
            EnvFromMetadata::Obstacle
        } else {
            EnvFromMetadata::Plain
        },
        claim_change: if on(Gate::RecreatePodWhenChangeVCTInCloneSetGate) {
            ClaimChange::Recreates
        } else {
            ClaimChange::Ignored
        },
    }
}
