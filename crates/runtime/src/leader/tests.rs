//! Tests of the elector over a scripted API server that holds one Lease.

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;
use crate::mock::{Answer, Asked, server};

const S: fn(u64) -> Duration = Duration::from_secs;

/// A server with one Lease and optimistic locking; `up` false makes it silent.
#[derive(Clone, Default)]
struct Cluster {
    lease: Arc<Mutex<Option<Value>>>,
    down: Arc<Mutex<bool>>,
}

impl Cluster {
    fn client(&self) -> Client {
        let cluster = self.clone();
        server(move |asked| cluster.answer(asked)).0
    }

    fn answer(&self, asked: &Asked) -> Answer {
        if *self.down.lock() {
            return Answer::Silence;
        }
        let mut lease = self.lease.lock();
        let version = |lease: &Value| lease["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse::<u32>().ok());
        match (asked.what.split(' ').next().unwrap(), lease.as_mut()) {
            ("GET", Some(lease)) => Answer::Ok(lease.clone()),
            ("GET", None) => Answer::Refuse(404, "NotFound"),
            ("POST", None) | ("PUT", Some(_)) => {
                let before = lease.as_ref().and_then(version);
                if before != version(&asked.body) {
                    return Answer::Refuse(409, "Conflict");
                }
                let mut new = asked.body.clone();
                new["metadata"]["resourceVersion"] = json!((before.unwrap_or_default() + 1).to_string());
                new["metadata"]["uid"] = json!("lease-uid");
                *lease = Some(new.clone());
                Answer::Ok(new)
            }
            other => panic!("{other:?}"),
        }
    }

    fn start(&self, identity: &str, shutdown: &Shutdown) -> Leadership {
        let config = Config {
            namespace: "kruise-system".to_owned(),
            name: "kruise-manager".to_owned(),
            identity: identity.to_owned(),
            lease_duration: S(15),
            renew_deadline: S(10),
            retry_period: S(2),
        };
        run(self.client(), config, &Recorder::silent(), shutdown.clone())
    }

    fn spec(&self, field: &str) -> Value {
        self.lease.lock().as_ref().unwrap()["spec"][field].clone()
    }
}

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

#[test]
fn durations_that_do_not_fit_are_refused() {
    use clap::Parser;
    #[derive(Parser)]
    struct Args {
        #[command(flatten)]
        leader: LeaderArgs,
    }
    let config = |line: &str| Config::from_args(&Args::parse_from(line.split(' ')).leader, "own");
    assert_eq!(config("x --leader-election-namespace=").unwrap().namespace, "own");
    assert!(config("x --leader-election-lease-duration=10s").is_err());
    assert!(config("x --leader-election-retry-period=10s").is_err());
    assert!(config("x").unwrap().identity.len() > 37);
}
