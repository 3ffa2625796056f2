//! Flags of the manager's controllers (platform sections 3 and 6).

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};

use super::{duration, go_bool};

/// Flags that one or a few controllers read.
#[derive(Args, Clone, Debug)]
pub struct ControllerArgs {
    /// Accept Pod templates with privileged containers
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = true, value_parser = go_bool, action = ArgAction::Set)]
    pub allow_privileged: bool,
    /// How long to wait for the webhook's first certificates
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub webhook_initialize_timeout: Duration,
    /// How long a write may stay unseen by the caches before it is checked live (ruling 19)
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub expectation_timeout: Duration,
    /// Directory of protection.log
    #[arg(long, value_name = "DIR", default_value = "/log")]
    pub protection_log_path: PathBuf,
    /// Lifetime of image pulls with policy Always in NodeImages, in seconds: 0 to 31 days
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(i64).range(0..=2_678_400))]
    pub default_ttlseconds_for_always_nodeimage: i64,
    /// Pause before a new node gets its NodeImage
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub nodeimage_creation_delay: Duration,
    /// Leave binding of DaemonSet Pods to the scheduler
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = true, value_parser = go_bool, action = ArgAction::Set)]
    pub assign_pods_by_scheduler: bool,
    /// Leave binding of BroadcastJob Pods to the scheduler
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = true, value_parser = go_bool, action = ArgAction::Set)]
    pub assign_bcj_pods_by_scheduler: bool,
    /// Leave Pods in PreparingDelete out of CloneSet scaling
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, value_parser = go_bool, action = ArgAction::Set)]
    pub cloneset_scaling_exclude_preparing_delete: bool,
    /// Kinds whose WorkloadSpread status is kept per revision
    #[arg(long, value_name = "KINDS", value_delimiter = ',', default_value = "deployment,replicaset")]
    pub ws_enabled_versioned_status: Vec<String>,
}

macro_rules! worker_flags {
    ($($field:ident)+) => {
        /// How many objects each controller works on at once.
        #[derive(Args, Clone, Debug)]
        pub struct WorkerArgs {
            $(
                /// Objects of this controller that are reconciled at once
                #[arg(long, value_name = "N", default_value_t = 3)]
                pub $field: usize,
            )+
        }
    };
}

worker_flags! {
    advancedcronjob_workers
    broadcastjob_workers
    cloneset_workers
    crr_workers
    daemonset_workers
    imagepulljob_workers
    nodeimage_workers
    nodepodprobe_workers
    persistentpodstate_workers
    podprobemarker_workers
    podunavailablebudget_workers
    resourcedistribution_workers
    sidecarset_workers
    sidecarterminator_workers
    statefulset_workers
    uniteddeployment_workers
    workloadspread_workers
}
