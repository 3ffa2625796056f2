//! Flags of the manager (platform section 3, install section 11): the groups of the parts that own them.

use clap::{Parser, Subcommand};
use runtime::flags::{
    CacheArgs, ClientArgs, ControllerArgs, GateArgs, HealthArgs, LeaderArgs, LogArgs, MetricsArgs, PprofArgs,
    RateLimitArgs, WorkerArgs,
};

/// Controllers of kruise-rs.
#[derive(Parser, Debug)]
#[command(name = "kruise-manager", version, args_override_self = true)]
pub struct Args {
    /// What to do instead of running the controllers.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Log.
    #[command(flatten)]
    pub log: LogArgs,
    /// API server.
    #[command(flatten)]
    pub client: ClientArgs,
    /// Metrics address.
    #[command(flatten)]
    pub metrics: MetricsArgs,
    /// Health address.
    #[command(flatten)]
    pub health: HealthArgs,
    /// Accepted.
    #[command(flatten)]
    pub pprof: PprofArgs,
    /// Leader election.
    #[command(flatten)]
    pub leader: LeaderArgs,
    /// Caches.
    #[command(flatten)]
    pub cache: CacheArgs,
    /// Work queues.
    #[command(flatten)]
    pub rate_limit: RateLimitArgs,
    /// Feature gates.
    #[command(flatten)]
    pub gates: GateArgs,
    /// Controllers.
    #[command(flatten)]
    pub controllers: ControllerArgs,
    /// Workers.
    #[command(flatten)]
    pub workers: WorkerArgs,
}

/// Other things that the binary can do.
#[derive(Subcommand, Clone, Copy, Debug)]
pub enum Command {
    /// Before the release is removed: refuse while workloads exist, then hand the cluster back (IN-74, IN-77, IN-78).
    PreDeleteCheck,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::Args;

    #[test] // IN-59, platform section 3
    fn the_arguments_of_the_original_chart_are_accepted() {
        let args = Args::try_parse_from([
            "manager",
            "--enable-leader-election",
            "--metrics-addr=:8080",
            "--health-probe-addr=:8000",
            "--logtostderr=true",
            "--leader-election-namespace=kruise-system",
            "--v=4",
            "--feature-gates=ImagePullJobGate=true",
            "--sync-period=0",
            "--rest-config-qps",
            "100",
            "--cloneset-workers=5",
            "--enable-pprof=true",
            "--pprof-addr=localhost:8090",
        ])
        .unwrap();
        assert_eq!(args.workers.cloneset_workers, 5);
        assert!(args.leader.enable_leader_election);
    }

    #[test] // IN-59
    fn an_unknown_flag_is_refused() {
        assert!(Args::try_parse_from(["manager", "--concurrent-cloneset-syncs=5"]).is_err());
    }
}
