//! Which Lease, the pace of election, and how long a write may take under it.

use std::time::Duration;

use uuid::Uuid;

use super::LONGEST_WRITE;
use crate::flags::LeaderArgs;

/// The least time in which a write can be expected to end.
const SHORTEST_WRITE: Duration = Duration::from_millis(800);

/// Which Lease, and the pace of election.
#[derive(Clone, Debug)]
pub struct Config {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// `<hostname>_<uuid>` (PL-10): unique, also between two runs in one Pod.
    pub identity: String,
    /// How long others wait after the last renewal that they saw.
    pub lease_duration: Duration,
    /// How long a leader tries to renew.
    pub renew_deadline: Duration,
    /// Pause between attempts.
    pub retry_period: Duration,
}

impl Config {
    /// Reads the flags. An empty namespace is replaced by the process's own.
    ///
    /// # Errors
    /// The durations do not fit: lease > renew deadline > retry period > 0, with time for a write between the first two.
    pub fn from_args(args: &LeaderArgs, own_namespace: &str) -> anyhow::Result<Self> {
        let namespace = match args.leader_election_namespace.as_str() {
            "" => own_namespace,
            named => named,
        };
        let config = Self {
            namespace: namespace.to_owned(),
            name: args.leader_election_id.clone(),
            identity: identity(),
            lease_duration: args.leader_election_lease_duration,
            renew_deadline: args.leader_election_renew_deadline,
            retry_period: args.leader_election_retry_period,
        };
        let Self { lease_duration, renew_deadline, retry_period, .. } = &config;
        anyhow::ensure!(!retry_period.is_zero(), "--leader-election-retry-period must not be 0");
        anyhow::ensure!(
            renew_deadline > retry_period,
            "--leader-election-renew-deadline {renew_deadline:?} must exceed --leader-election-retry-period {retry_period:?}"
        );
        anyhow::ensure!(
            config.write_timeout() >= SHORTEST_WRITE,
            "--leader-election-lease-duration {lease_duration:?} must exceed --leader-election-renew-deadline \
             {renew_deadline:?} by 1s, in whole seconds: a write must end in between"
        );
        Ok(config)
    }

    /// How long one write may take: what is sent at the last moment of a leader's time has ended before another replica
    /// can lead. A fifth of that gap is left for the way to the API server and for clocks that do not run alike.
    #[must_use]
    pub fn write_timeout(&self) -> Duration {
        (self.promised().saturating_sub(self.renew_deadline) * 4 / 5).min(LONGEST_WRITE)
    }

    /// How long others wait: the Lease holds whole seconds.
    pub(super) fn promised(&self) -> Duration {
        Duration::from_secs(self.lease_duration.as_secs())
    }
}

/// `<hostname>_<uuid>` (PL-10).
#[must_use]
pub fn identity() -> String {
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}_{}", hostname.trim(), Uuid::new_v4())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use proptest::prelude::*;

    use super::*;

    #[derive(Parser)]
    struct Args {
        #[command(flatten)]
        leader: LeaderArgs,
    }

    fn config(line: &str) -> anyhow::Result<Config> {
        Config::from_args(&Args::parse_from(line.split_whitespace()).leader, "own")
    }

    // IN-52
    #[test]
    fn durations_that_do_not_fit_are_refused_by_the_name_of_their_flag() {
        assert_eq!(config("x --leader-election-namespace=").unwrap().namespace, "own");
        assert!(config("x").unwrap().identity.len() > 37);
        for (line, flag) in [
            ("x --leader-election-lease-duration=10s", "--leader-election-lease-duration"),
            ("x --leader-election-lease-duration=10900ms", "--leader-election-lease-duration"),
            ("x --leader-election-renew-deadline=14500ms", "--leader-election-lease-duration"),
            ("x --leader-election-retry-period=10s", "--leader-election-renew-deadline"),
            ("x --leader-election-retry-period=0s", "--leader-election-retry-period"),
        ] {
            let err = config(line).unwrap_err().to_string();
            assert!(err.starts_with(flag), "{line}: {err}");
        }
    }

    // Platform section 5
    #[test]
    fn a_write_ends_before_another_replica_may_lead() {
        for (lease, renew, timeout) in [
            ("15s", "10s", 4_000),
            ("60s", "40s", 16_000),
            ("10m", "60s", 34_000),
            ("15900ms", "10s", 4_000),
            ("11s", "10s", 800),
        ] {
            let line = format!("x --leader-election-lease-duration={lease} --leader-election-renew-deadline={renew}");
            assert_eq!(config(&line).unwrap().write_timeout().as_millis(), timeout, "{line}");
        }
    }

    proptest! {
        // Platform section 5
        #[test]
        fn no_accepted_flags_let_a_write_outlive_the_lease(lease in 1_u64..200_000, renew in 1_u64..200_000) {
            let line = format!(
                "x --leader-election-lease-duration={lease}ms --leader-election-renew-deadline={renew}ms \
                 --leader-election-retry-period=1ms"
            );
            if let Ok(config) = config(&line) {
                // What the Lease tells others, in whole seconds.
                let promised = Duration::from_secs(lease / 1_000);
                prop_assert!(config.renew_deadline + config.write_timeout() < promised);
                prop_assert!(!config.write_timeout().is_zero());
            }
        }
    }
}
