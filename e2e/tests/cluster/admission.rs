//! Pods come all the time while replicas of the product come and go: none is turned away, and none slips past admission.

use anyhow::{Context, Result, ensure};
use e2e::cluster::Cluster;
use e2e::install::{self, NAMESPACE};
use e2e::progress::answer;
use e2e::scenario::{PATIENCE, Visitors};
use e2e::wait::{self, Seen};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
use kube::{Api, ResourceExt};

use crate::kit;

/// The manager's Lease (PL-11).
const LEASE: &str = "kruise-manager";
/// Visitors that come before anything happens: what follows is held against a stream that runs.
const BEFORE: u64 = 25;
/// Visitors that come after everything is as before, so that a late consequence shows.
const AFTER: u64 = 100;

/// Plays an event while visitors come, and lets some more come after it.
async fn under_visitors<F: Future<Output = Result<()>>>(
    what: &str,
    cluster: &Cluster,
    event: impl FnOnce() -> F,
) -> Result<()> {
    let visitors = Visitors::served(&cluster.client().await?, "default");
    visitors.until(BEFORE).await?;
    event().await?;
    visitors.until(visitors.so_far().came + AFTER).await?;
    visitors.stop().clean(what, BEFORE + AFTER)
}

#[tokio::test] // IN-53, IN-54
async fn nobody_notices_a_rolling_restart_of_the_webhook() -> Result<()> {
    let (cluster, _alone) = kit::alone().await?;
    under_visitors("rolling restart of the webhook", &cluster, async || {
        let kubectl = cluster.kubectl();
        kubectl.run(&format!("-n {NAMESPACE} rollout restart deployment/kruise-webhook")).await?;
        kubectl.run(&format!("-n {NAMESPACE} rollout status deployment/kruise-webhook --timeout=180s")).await?;
        install::webhooks(cluster.client().await?, PATIENCE).await.map(drop)
    })
    .await
}

#[tokio::test] // IN-53, IN-54
async fn nobody_notices_the_loss_of_one_webhook_pod() -> Result<()> {
    let (cluster, _alone) = kit::alone().await?;
    under_visitors("deletion of a webhook Pod", &cluster, async || {
        let pods: Api<Pod> = Api::namespaced(cluster.client().await?, NAMESPACE);
        let before = install::webhooks(cluster.client().await?, PATIENCE).await?;
        let victim = before.first().context("no webhook Pod runs")?.name_any();
        pods.delete(&victim, &DeleteParams::default()).await?;
        wait::object("the Pod is gone", &pods, &victim, PATIENCE, |found| match found {
            None => Seen::Done(()),
            Some(_) => Seen::NotYet("it drains".to_owned()),
        })
        .await?;
        install::webhooks(cluster.client().await?, PATIENCE).await.map(drop)
    })
    .await
}

#[tokio::test] // IN-52, PL-11
async fn the_lease_is_given_back_and_nobody_notices_a_change_of_the_leader() -> Result<()> {
    let (cluster, _alone) = kit::alone().await?;
    under_visitors("change of the leader", &cluster, async || {
        let client = cluster.client().await?;
        let (pods, leases): (Api<Pod>, Api<Lease>) =
            (Api::namespaced(client.clone(), NAMESPACE), Api::namespaced(client, NAMESPACE));
        let before = leases.get(LEASE).await?.spec.context("the Lease is empty")?;
        let leader = before.holder_identity.clone().context("nobody leads")?;
        let (pod, _) = leader.split_once('_').with_context(|| format!("{leader} names no Pod"))?;
        let mut holders = vec![leader.clone()];
        pods.delete(pod, &DeleteParams::default()).await?;
        let begun = std::time::Instant::now();
        let after = wait::object("another replica leads", &leases, LEASE, PATIENCE, |found| {
            let Some(spec) = found.and_then(|lease| lease.spec.as_ref()) else {
                return Seen::NotYet("no Lease".to_owned());
            };
            let holder = spec.holder_identity.clone().unwrap_or_default();
            if holders.last() != Some(&holder) {
                holders.push(holder.clone());
            }
            if holder.is_empty() || holder == leader {
                Seen::NotYet(format!("held by {holder:?}"))
            } else {
                Seen::Done(spec.clone())
            }
        })
        .await?;
        answer(format_args!(
            "the Lease changed hands {} ms after the deletion of its holder",
            begun.elapsed().as_millis()
        ));
        ensure!(holders.len() == 3 && holders[1].is_empty(), "it was not given back: {holders:?}");
        let transitions = |spec: &k8s_openapi::api::coordination::v1::LeaseSpec| spec.lease_transitions.unwrap_or(0);
        ensure!(transitions(&after) == transitions(&before) + 1, "{before:?} {after:?}");
        kit::led(&cluster).await
    })
    .await
}
