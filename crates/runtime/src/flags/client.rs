//! How to reach the API server, and how fast.

use clap::Args;

/// Flags of the API client.
#[derive(Args, Clone, Debug, Default)]
pub struct ClientArgs {
    /// Kubeconfig file for use outside of a cluster; else KUBECONFIG, the Pod's service account, ~/.kube/config
    #[arg(long, value_name = "FILE", default_value = "")]
    pub kubeconfig: String,

    /// Requests per second to the API server; 0 or less takes the default of this process
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 0)]
    pub rest_config_qps: i64,

    /// Requests that may exceed the rate at once; 0 or less takes the default of this process
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 0)]
    pub rest_config_burst: i64,
}

/// How many requests a client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests per second in the long run.
    pub qps: u32,
    /// Requests that may be sent at once after a pause.
    pub burst: u32,
}

impl Limits {
    /// The manager's and the webhook's (ruling 13).
    pub const MANAGER: Self = Self { qps: 500, burst: 1_000 };
    /// The daemon's (ruling 5).
    pub const DAEMON: Self = Self { qps: 20, burst: 30 };
}

impl ClientArgs {
    /// The limits asked for, each falling back to the default on its own.
    #[must_use]
    pub fn limits(&self, defaults: Limits) -> Limits {
        let positive = |value: i64, default: u32| match u32::try_from(value) {
            Ok(value) if value > 0 => value,
            _ => default,
        };
        Limits {
            qps: positive(self.rest_config_qps, defaults.qps),
            burst: positive(self.rest_config_burst, defaults.burst),
        }
    }
}
