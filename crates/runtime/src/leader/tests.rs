//! Tests of the elector over a scripted API server that holds one Lease.

use serde_json::json;

use super::*;
use crate::mock::Cluster;

const S: fn(u64) -> Duration = Duration::from_secs;

/// Lets background tasks run until `seconds` from now.
async fn pass(seconds: u64) {
    tokio::time::sleep(S(seconds)).await;
}

// PL-10, IN-52
#[tokio::test(start_paused = true)]
async fn one_of_two_leads_and_the_other_follows_at_once_after_a_release() {
    let (cluster, first_end, second_end) = (Cluster::default(), Shutdown::manual(), Shutdown::manual());
    let first = cluster.start("first", &first_end);
    assert!(first.acquired().await);
    let second = cluster.start("second", &second_end);
    pass(60).await;
    assert!(first.is_held() && !second.is_held());
    assert_eq!(cluster.spec("leaseTransitions"), 0);
    let renewed = cluster.spec("renewTime");
    assert!(renewed.as_str().unwrap().starts_with("1970-01-01T00:0"), "by the clock that was given: {renewed}");
    first_end.request();
    first.over().await;
    assert!(!first.is_held());
    assert_eq!((cluster.spec("holderIdentity"), cluster.spec("leaseDurationSeconds")), (json!(""), json!(1)));
    let waited = clock::instant();
    assert!(second.acquired().await);
    assert!(clock::instant() - waited < S(3), "no need to wait for the lease to expire");
    assert_eq!((cluster.spec("holderIdentity"), cluster.spec("leaseTransitions")), (json!("second"), json!(1)));
}

// PL-10
#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_stops_before_another_may_start() {
    let (cluster, end) = (Cluster::default(), Shutdown::manual());
    let first = cluster.start("first", &end);
    assert!(first.acquired().await);
    pass(5).await;
    *cluster.down.lock() = true;
    let down = clock::instant();
    first.lost().await;
    let took = clock::instant() - down;
    assert!(took <= S(10), "at most the renew deadline: {took:?}");
    assert!(!first.is_held() && first.permit().is_none());
    *cluster.down.lock() = false;
    pass(60).await;
    assert!(!first.is_held(), "a process that lost never leads again");
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_lease_was_taken_has_lost() {
    let (cluster, end) = (Cluster::default(), Shutdown::manual());
    let first = cluster.start("first", &end);
    assert!(first.acquired().await);
    {
        let mut lease = cluster.lease.lock();
        let lease = lease.as_mut().unwrap();
        lease["spec"]["holderIdentity"] = json!("thief");
        lease["metadata"]["resourceVersion"] = json!("99");
    }
    tokio::time::timeout(S(3), first.lost()).await.unwrap();
    assert!(first.permit().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_is_survived() {
    let (cluster, end) = (Cluster::default(), Shutdown::manual());
    let first = cluster.start("first", &end);
    assert!(first.acquired().await);
    *cluster.down.lock() = true;
    pass(4).await;
    *cluster.down.lock() = false;
    pass(60).await;
    assert!(first.is_held());
}

// IN-52
#[tokio::test(start_paused = true)]
async fn the_lease_is_released_only_after_the_writes_under_way() {
    let (cluster, end) = (Cluster::default(), Shutdown::manual());
    let first = cluster.start("first", &end);
    assert!(first.acquired().await);
    let write = first.permit().unwrap();
    end.request();
    pass(2).await;
    assert!(first.permit().is_none(), "no new write");
    assert_eq!(cluster.spec("holderIdentity"), "first");
    drop(write);
    first.over().await;
    assert_eq!(cluster.spec("holderIdentity"), "");
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_never_led_ends_without_touching_the_lease() {
    let (cluster, end, second_end) = (Cluster::default(), Shutdown::manual(), Shutdown::manual());
    let first = cluster.start("first", &end);
    assert!(first.acquired().await);
    let second = cluster.start("second", &second_end);
    second_end.request();
    assert!(!second.acquired().await);
    assert_eq!(cluster.spec("holderIdentity"), "first");
}

// PL-11
#[tokio::test(start_paused = true)]
async fn both_gauges_show_who_leads() {
    let gauges = Gauges::of("gauge-test");
    gauges.set(true);
    let text = metrics::encode().unwrap();
    assert!(text.contains("leader_election_master_status{name=\"gauge-test\"} 1\n"), "{text}");
    assert!(text.contains("# TYPE kruise_manager_is_leader gauge\n"), "{text}");
}
