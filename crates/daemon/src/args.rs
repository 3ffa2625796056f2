//! The daemon's flags and environment (daemon section 1, IN-59).
//!
//! Every documented flag is accepted. Those of parts that this version does not have are checked and change nothing.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use runtime::flags::{ClientArgs, GateArgs, LogArgs, PprofArgs, duration};

/// Node agent of kruise-rs.
#[derive(Clone, Debug, Parser)]
#[command(name = "kruise-daemon", version, args_override_self = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(flatten)]
    pub(crate) gates: GateArgs,
    #[command(flatten)]
    pub(crate) pprof: PprofArgs,
    #[command(flatten)]
    pub(crate) sockets: SocketArgs,
    #[command(flatten)]
    pub(crate) accepted: AcceptedArgs,

    /// Address of /metrics, /healthz and /readyz
    #[arg(long, value_name = "ADDRESS", default_value = ":10221")]
    pub(crate) addr: String,
    /// Name of this node
    #[arg(long, env = "NODE_NAME", default_value = "", hide = true)]
    pub(crate) node_name: String,
}

/// Where the container runtime is (KD-10).
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SocketArgs {
    /// Where the host's /var/run is mounted
    #[arg(long, value_name = "DIR", default_value = cri::HOST_RUN)]
    pub(crate) socket_dir: PathBuf,
    /// The one CRI socket to use, relative to the socket directory; empty looks at the known places
    #[arg(long, value_name = "FILE", default_value = "")]
    pub(crate) socket_file: String,
}

impl SocketArgs {
    /// The places to look at for a runtime, in order.
    pub(crate) fn places(&self) -> Vec<PathBuf> {
        cri::places(&self.socket_dir, Some(&self.socket_file))
    }
}

/// Flags of image pulls and of the manager, accepted so that existing manifests start.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct AcceptedArgs {
    /// Accepted without effect.
    #[arg(long, hide = true, default_value = "/kruise/CredentialProviderPlugin.yaml")]
    pub(crate) plugin_config_file: PathBuf,
    /// Accepted without effect.
    #[arg(long, hide = true, default_value = "/kruise/plugins")]
    pub(crate) plugin_bin_dir: PathBuf,
    /// Accepted without effect.
    #[arg(long, hide = true, allow_negative_numbers = true, default_value_t = -1)]
    pub(crate) max_workers_for_pull_image: i64,
    /// Accepted without effect.
    #[arg(long, hide = true, default_value = "5m", value_parser = duration)]
    pub(crate) expectation_timeout: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(flags: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from(std::iter::once(&"kruise-daemon").chain(flags))
    }

    #[test] // daemon section 1.1
    fn the_documented_defaults_hold() {
        let args = parse(&[]).unwrap();
        assert_eq!(args.addr, ":10221");
        assert_eq!(args.sockets.places(), cri::places(std::path::Path::new("/hostvarrun"), None));
        assert_eq!(args.accepted.max_workers_for_pull_image, -1);
        assert!(!args.pprof.enable_pprof, "ruling 22");
    }

    #[test] // daemon section 1.1, IN-59, KD-34
    fn the_command_line_of_an_existing_manifest_is_accepted() {
        let flags = [
            "--logtostderr=true",
            "-v=5",
            "--addr=:10221",
            "--feature-gates=ImagePullJobGate=true,AllAlpha=false",
            "--socket-file=k3s/containerd/containerd.sock",
            "--enable-pprof=true",
            "--pprof-addr=localhost:10222",
            "--plugin-config-file=/credential-provider-config/CredentialProviderPlugin.yaml",
            "--plugin-bin-dir=/credential-provider-plugin",
            "--max-workers-for-pull-image=-1",
            "--rest-config-qps=20",
            "--rest-config-burst=30",
            "--kubeconfig=",
            "--expectation-timeout=5m",
        ];
        let args = parse(&flags).unwrap();
        assert_eq!(args.sockets.places(), [PathBuf::from("/hostvarrun/k3s/containerd/containerd.sock")]);
    }

    #[test] // IN-59
    fn an_unknown_flag_is_refused() {
        assert!(parse(&["--max-concurrency=3"]).is_err());
    }

    #[test] // daemon section 1.1
    fn values_may_follow_a_space_and_the_last_of_two_counts() {
        assert_eq!(parse(&["--addr", ":1", "--addr=:2"]).unwrap().addr, ":2");
    }
}
