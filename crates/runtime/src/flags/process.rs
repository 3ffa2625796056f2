//! Flags that belong to a process rather than to a kind: addresses, leader election, caches, queues, gates.

use std::time::Duration;

use clap::{ArgAction, Args};

use super::{duration, go_bool};
use crate::gates::{self, Gates};
use crate::queue::RateLimit;

/// Where metrics are served.
#[derive(Args, Clone, Debug)]
pub struct MetricsArgs {
    /// Address of the metrics endpoint; empty or 0 serves none
    #[arg(long, value_name = "ADDRESS", default_value = ":8080")]
    pub metrics_addr: String,
}

/// Where health is served.
#[derive(Args, Clone, Debug)]
pub struct HealthArgs {
    /// Address of /healthz and /readyz
    #[arg(long, value_name = "ADDRESS", default_value = ":8000")]
    pub health_probe_addr: String,
}

/// Accepted; there is nothing to profile with (ruling 22).
#[derive(Args, Clone, Debug)]
pub struct PprofArgs {
    /// Accepted without effect.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, value_parser = go_bool, action = ArgAction::Set)]
    pub enable_pprof: bool,
    /// Accepted without effect.
    #[arg(long, hide = true, default_value = "")]
    pub pprof_addr: String,
}

/// Leader election (PL-10, IN-52).
#[derive(Args, Clone, Debug)]
pub struct LeaderArgs {
    /// Run controllers only in the replica that holds the Lease; off: in every replica
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = true, value_parser = go_bool, action = ArgAction::Set)]
    pub enable_leader_election: bool,
    /// Namespace of the Lease; empty takes the process's own
    #[arg(long, value_name = "NAMESPACE", default_value = "kruise-system")]
    pub leader_election_namespace: String,
    /// Name of the Lease
    #[arg(long, value_name = "NAME", default_value = "kruise-manager")]
    pub leader_election_id: String,
    /// Kind of the lock; only leases
    #[arg(long, value_name = "KIND", default_value = "leases", value_parser = ["leases"])]
    pub leader_election_resource_lock: String,
    /// How long others wait after the last renewal that they saw
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = duration)]
    pub leader_election_lease_duration: Duration,
    /// How long the leader tries to renew before it ends; must be shorter than the lease
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub leader_election_renew_deadline: Duration,
    /// Pause between attempts
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    pub leader_election_retry_period: Duration,
}

/// What informers hold.
#[derive(Args, Clone, Debug)]
pub struct CacheArgs {
    /// Watch namespaced objects of this namespace only; empty watches all
    #[arg(long, value_name = "NAMESPACE", default_value = "")]
    pub namespace: String,
    /// How often every object is looked at again although it did not change; empty is 10h, 0 is never
    #[arg(long, value_name = "DURATION", default_value = "")]
    pub sync_period: String,
    /// How long a controller may wait for its caches at start
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = duration)]
    pub controller_cache_sync_timeout: Duration,
    /// Accepted without effect.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, value_parser = go_bool, action = ArgAction::Set)]
    pub disable_no_deepcopy: bool,
}

/// The work queue limiter of the controllers that share it (PL-22, PL-31).
#[derive(Args, Clone, Debug)]
pub struct RateLimitArgs {
    /// Pause after the first failure of an object; doubled by each further one
    #[arg(long, value_name = "DURATION", default_value = "5ms", value_parser = duration)]
    pub rate_limiter_base_delay: Duration,
    /// Longest pause after failures
    #[arg(long, value_name = "DURATION", default_value = "1000s", value_parser = duration)]
    pub rate_limiter_max_delay: Duration,
    /// Retries per second over all objects of a controller
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub rate_limiter_qps: u32,
    /// Retries that may exceed the rate at once
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub rate_limiter_bucket_size: u32,
}

impl RateLimitArgs {
    /// The limit, as queues take it.
    #[must_use]
    pub fn rate_limit(&self) -> RateLimit {
        RateLimit {
            base_delay: self.rate_limiter_base_delay,
            max_delay: self.rate_limiter_max_delay,
            qps: self.rate_limiter_qps,
            bucket: self.rate_limiter_bucket_size,
        }
    }
}

/// Feature gates.
#[derive(Args, Clone, Debug, Default)]
pub struct GateArgs {
    /// Features to switch, Name=true,Other=false; AllAlpha and AllBeta switch those that are not named
    #[arg(long, value_name = "GATES", action = ArgAction::Append)]
    pub feature_gates: Vec<String>,
    /// Kinds in use: without SidecarSet Pods are left out of admission by default
    #[arg(long, hide = true, env = "CUSTOM_RESOURCE_ENABLE", default_value = "")]
    pub custom_resource_enable: String,
}

impl GateArgs {
    /// The gates, with forced rules applied.
    ///
    /// # Errors
    /// An unknown name or a value that is no boolean.
    pub fn gates(&self) -> Result<Gates, gates::Error> {
        Gates::parse(&self.feature_gates.join(","), Some(&self.custom_resource_enable))
    }
}
