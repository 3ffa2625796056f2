//! Every flag of the page parses, in each way that Go's flag package takes it.

use std::time::Duration;

use clap::Parser;

use super::*;

/// All groups together, as the manager has them.
#[derive(Parser, Debug)]
#[command(args_override_self = true)]
struct All {
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    client: ClientArgs,
    #[command(flatten)]
    metrics: MetricsArgs,
    #[command(flatten)]
    health: HealthArgs,
    #[command(flatten)]
    pprof: PprofArgs,
    #[command(flatten)]
    leader: LeaderArgs,
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    rate_limit: RateLimitArgs,
    #[command(flatten)]
    gates: GateArgs,
    #[command(flatten)]
    controllers: ControllerArgs,
    #[command(flatten)]
    workers: WorkerArgs,
}

fn parse(line: &str) -> Result<All, clap::Error> {
    All::try_parse_from(std::iter::once("manager").chain(line.split_whitespace()))
}

// IN-59
#[test]
fn every_flag_of_the_page_is_accepted() {
    parse(
        "--metrics-addr :8080 --health-probe-addr=:8000 --enable-leader-election --leader-election-namespace kruise-system \
         --leader-election-id=kruise-manager --leader-election-resource-lock leases --leader-election-lease-duration 15s \
         --leader-election-renew-deadline=10s --leader-election-retry-period 2s --namespace= --enable-pprof=false \
         --pprof-addr :8090 --sync-period= --controller-cache-sync-timeout 2m --webhook-initialize-timeout 60s \
         --allow-privileged=true --rest-config-qps 30 --rest-config-burst=50 --rate-limiter-base-delay 5ms \
         --rate-limiter-max-delay 1000s --rate-limiter-qps 10 --rate-limiter-bucket-size 100 --expectation-timeout 5m \
         --protection-log-path /log --feature-gates=AllBeta=true --disable-no-deepcopy \
         --default-ttlseconds-for-always-nodeimage 300 --nodeimage-creation-delay 30s --assign-pods-by-scheduler \
         --assign-bcj-pods-by-scheduler=false --cloneset-scaling-exclude-preparing-delete \
         --ws-enabled-versioned-status deployment,replicaset --advancedcronjob-workers 3 --broadcastjob-workers 3 \
         --cloneset-workers 3 --crr-workers 3 --daemonset-workers 3 --imagepulljob-workers 3 --nodeimage-workers 3 \
         --nodepodprobe-workers 3 --persistentpodstate-workers 3 --podprobemarker-workers 3 \
         --podunavailablebudget-workers 3 --resourcedistribution-workers 3 --sidecarset-workers 3 \
         --sidecarterminator-workers 3 --statefulset-workers 3 --uniteddeployment-workers 3 --workloadspread-workers 3 \
         --kubeconfig /tmp/none -v=5 --vmodule a=1,b=2 --logtostderr --alsologtostderr --add-dir-header --one-output \
         --skip-headers --skip-log-headers --log-backtrace-at :0 --log-dir /tmp --log_file x --log-file-max-size 1800 \
         --stderrthreshold 2 --log-flush-frequency 5s --logging-format json --log-json-info-buffer-size 0 \
         --log-json-split-stream --log-text-info-buffer-size 0 --log-text-split-stream=false",
    )
    .unwrap();
}

// IN-59
#[test]
fn an_unknown_flag_is_refused() {
    let err = parse("--concurrent-cloneset-syncs 3").unwrap_err();
    assert_eq!(err.kind(), clap::error::ErrorKind::UnknownArgument);
}

#[test]
fn nothing_given_has_the_defaults_of_the_page() {
    let all = parse("").unwrap();
    assert_eq!((all.metrics.metrics_addr.as_str(), all.health.health_probe_addr.as_str()), (":8080", ":8000"));
    assert!(all.leader.enable_leader_election);
    assert_eq!(all.leader.leader_election_lease_duration, Duration::from_secs(15));
    assert_eq!(all.rate_limit.rate_limit(), crate::queue::RateLimit::default());
    assert_eq!(all.controllers.expectation_timeout, Duration::from_secs(300));
    assert_eq!(all.controllers.ws_enabled_versioned_status, ["deployment", "replicaset"]);
    assert_eq!((all.workers.cloneset_workers, all.log.verbosity), (3, 4));
    assert_eq!(all.gates.gates().unwrap(), crate::gates::Gates::default());
}

#[test]
fn booleans_stand_alone_or_take_a_value_after_an_equals_sign() {
    for (line, want) in [
        ("--enable-leader-election", true),
        ("--enable-leader-election=false", false),
        ("--enable-leader-election=F", false),
        ("--enable-leader-election=1", true),
    ] {
        assert_eq!(parse(line).unwrap().leader.enable_leader_election, want, "{line}");
    }
    assert!(parse("--enable-leader-election=maybe").is_err());
}

#[test]
fn verbosity_is_given_in_each_of_its_forms() {
    for line in ["-v=7", "-v7", "-v 7", "--v=7", "--v 7", "--v=4 --v=7"] {
        assert_eq!(parse(line).unwrap().log.verbosity, 7, "{line}");
    }
}

#[test]
fn gates_of_several_flags_add_up() {
    let gates = parse("--feature-gates=CloneSetShortHash=true --feature-gates PodIndexLabel=false")
        .unwrap()
        .gates
        .gates()
        .unwrap();
    assert!(gates.is_on(crate::gates::Gate::CloneSetShortHash));
    assert!(!gates.is_on(crate::gates::Gate::PodIndexLabel));
}

// Platform section 2, step 3
#[test]
fn a_lifetime_of_more_than_31_days_is_refused() {
    assert!(parse("--default-ttlseconds-for-always-nodeimage=2678400").is_ok());
    assert!(parse("--default-ttlseconds-for-always-nodeimage=2678401").is_err());
    assert!(parse("--default-ttlseconds-for-always-nodeimage=-1").is_err());
}

// Rulings 5 and 13
#[test]
fn client_limits_fall_back_each_on_its_own() {
    let limits = |line: &str| parse(line).unwrap().client.limits(Limits::MANAGER);
    assert_eq!(limits(""), Limits { qps: 500, burst: 1_000 });
    assert_eq!(limits("--rest-config-qps=30 --rest-config-burst=-1"), Limits { qps: 30, burst: 1_000 });
}
