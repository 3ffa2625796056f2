//! Flags (platform page, section 3; IN-59).
//!
//! Those of the webhook's own part act. A carried-over values file may pass the manager's flags to both processes, so
//! the manager's other flags are accepted as well.

use clap::{Args as Group, Parser};
use runtime::flags::{
    CacheArgs, ClientArgs, ControllerArgs, GateArgs, HealthArgs, LeaderArgs, LogArgs, MetricsArgs, PprofArgs,
    RateLimitArgs, WorkerArgs,
};

/// Admission, conversion and certificates of kruise-rs.
#[derive(Clone, Debug, Parser)]
#[command(name = "kruise-webhook", version, args_override_self = true)]
pub struct Args {
    /// The log.
    #[command(flatten)]
    pub log: LogArgs,
    /// The API client.
    #[command(flatten)]
    pub client: ClientArgs,
    /// Feature gates.
    #[command(flatten)]
    pub gates: GateArgs,
    /// Where metrics are served.
    #[command(flatten)]
    pub metrics: MetricsArgs,
    /// Where health is served.
    #[command(flatten)]
    pub health: HealthArgs,
    /// Flags that one or a few parts read; of these `--allow-privileged`, `--webhook-initialize-timeout` and
    /// `--protection-log-path` act here.
    #[command(flatten)]
    pub controllers: ControllerArgs,
    /// Flags of the manager.
    #[command(flatten)]
    pub accepted: Accepted,
}

/// The manager's flags without effect here.
#[derive(Clone, Debug, Group)]
#[command(next_help_heading = "Accepted without effect: flags of the manager")]
pub struct Accepted {
    /// Leader election: every replica of the webhook serves.
    #[command(flatten)]
    pub leader: LeaderArgs,
    /// Caches: those of the webhook hold all namespaces and are not resynced.
    #[command(flatten)]
    pub cache: CacheArgs,
    /// Work queues.
    #[command(flatten)]
    pub rate_limit: RateLimitArgs,
    /// Workers.
    #[command(flatten)]
    pub workers: WorkerArgs,
    /// Profiling.
    #[command(flatten)]
    pub pprof: PprofArgs,
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;

    fn parse(args: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from([&["kruise-webhook"], args].concat())
    }

    #[test] // platform page, section 3
    fn without_flags_the_documented_defaults_hold() {
        let args = parse(&[]).unwrap();
        assert_eq!((args.metrics.metrics_addr.as_str(), args.health.health_probe_addr.as_str()), (":8080", ":8000"));
        assert_eq!(args.controllers.webhook_initialize_timeout, Duration::from_secs(60));
        assert_eq!(args.controllers.protection_log_path, Path::new("/log"));
        assert!(args.controllers.allow_privileged);
    }

    #[test] // IN-59
    fn the_flags_of_the_manager_are_accepted() {
        let carried_over = [
            "--enable-leader-election",
            "--metrics-addr=:8080",
            "--health-probe-addr=:8000",
            "--logtostderr=true",
            "--leader-election-namespace=kruise-system",
            "--v=4",
            "--feature-gates=AllAlpha=true,AllBeta=true",
            "--sync-period=0",
            "--cloneset-workers=10",
            "--enable-pprof=false",
            "--disable-no-deepcopy",
            "--kubeconfig=",
            "-v=5",
            "--rest-config-qps=30",
            "--expectation-timeout=5m",
            "--ws-enabled-versioned-status",
            "deployment",
        ];
        assert!(parse(&carried_over).is_ok(), "{:?}", parse(&carried_over).err());
    }

    #[test] // IN-59
    fn an_unknown_flag_is_refused() {
        assert!(parse(&["--concurrent-cloneset-syncs=3"]).is_err());
    }
}
