//! The rules of election: what to write given the Lease as it is. Synchronous; time is an argument.
//!
//! Clocks of replicas may differ, so another holder's `renewTime` is never compared with ours: what counts is how long
//! ago we saw the Lease change.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};

use super::Config;

/// What to do.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Another holder's time is not over.
    Wait {
        /// Who holds the Lease.
        holder: String,
    },
    /// There is no Lease.
    Create(Lease),
    /// The Lease is ours, or free: the write must be refused if it changed since.
    Replace(Lease),
}

/// What one candidate knows.
pub(super) struct Election {
    config: Config,
    seen: Option<Seen>,
}

/// The Lease when it last changed, and when we saw that.
struct Seen {
    uid: Option<String>,
    spec: LeaseSpec,
    at: Instant,
}

impl Election {
    pub(super) fn new(config: Config) -> Self {
        Self { config, seen: None }
    }

    pub(super) fn uid(&self) -> Option<&str> {
        self.seen.as_ref()?.uid.as_deref()
    }

    /// Notes the Lease as it is.
    pub(super) fn saw(&mut self, lease: &Lease, now: Instant) {
        let spec = lease.spec.clone().unwrap_or_default();
        let unchanged = self.seen.as_ref().is_some_and(|seen| seen.spec == spec && seen.uid == lease.metadata.uid);
        if !unchanged {
            self.seen = Some(Seen { uid: lease.metadata.uid.clone(), spec, at: now });
        }
    }

    /// What to do about the Lease just read.
    pub(super) fn step(&mut self, live: Option<Lease>, now: Instant, time: Timestamp) -> Step {
        let Some(mut lease) = live else {
            return Step::Create(Lease {
                metadata: ObjectMeta {
                    namespace: Some(self.config.namespace.clone()),
                    name: Some(self.config.name.clone()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.held(LeaseSpec::default(), time)),
            });
        };
        self.saw(&lease, now);
        let spec = lease.spec.take().unwrap_or_default();
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if !holder.is_empty() && holder != self.config.identity && !self.is_over(&spec, now) {
            return Step::Wait { holder: holder.to_owned() };
        }
        lease.spec = Some(self.held(spec, time));
        Step::Replace(lease)
    }

    /// The Lease given back, if it is ours.
    pub(super) fn released(&self, mut lease: Lease, time: Timestamp) -> Option<Lease> {
        let spec = lease.spec.as_mut()?;
        if spec.holder_identity.as_deref() != Some(&self.config.identity) {
            return None;
        }
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        spec.acquire_time = Some(MicroTime(time));
        spec.renew_time = Some(MicroTime(time));
        Some(lease)
    }

    fn is_over(&self, spec: &LeaseSpec, now: Instant) -> bool {
        let promised = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let promised = promised.map_or(self.config.promised(), Duration::from_secs);
        self.seen.as_ref().is_none_or(|seen| now.saturating_duration_since(seen.at) >= promised)
    }

    fn held(&self, before: LeaseSpec, time: Timestamp) -> LeaseSpec {
        let is_ours = before.holder_identity.as_deref() == Some(&self.config.identity);
        // A Lease that is made starts at 0; each change of hands, also from nobody, adds one.
        let transitions = match before.lease_transitions {
            transitions if is_ours => transitions,
            None if before.renew_time.is_none() => Some(0),
            transitions => Some(transitions.unwrap_or_default().saturating_add(1)),
        };
        let acquired = before.acquire_time.clone().filter(|_| is_ours);
        LeaseSpec {
            holder_identity: Some(self.config.identity.clone()),
            lease_duration_seconds: i32::try_from(self.config.promised().as_secs()).ok(),
            acquire_time: Some(acquired.unwrap_or(MicroTime(time))),
            renew_time: Some(MicroTime(time)),
            lease_transitions: transitions,
            ..before
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::candidate as config;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn spec(step: Step) -> LeaseSpec {
        match step {
            Step::Create(lease) | Step::Replace(lease) => lease.spec.unwrap(),
            Step::Wait { holder } => panic!("waits for {holder}"),
        }
    }

    /// A Lease held by another, renewed at this second of its own clock.
    fn held_by(holder: &str, renewed: i64) -> Lease {
        let spec = LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(15),
            acquire_time: Some(MicroTime(time(0))),
            renew_time: Some(MicroTime(time(renewed))),
            lease_transitions: Some(4),
            ..LeaseSpec::default()
        };
        Lease { metadata: ObjectMeta::default(), spec: Some(spec) }
    }

    // PL-10
    #[test]
    fn without_a_lease_it_is_made() {
        let spec = spec(Election::new(config("me")).step(None, Instant::now(), time(0)));
        assert_eq!(spec.holder_identity.as_deref(), Some("me"));
        assert_eq!((spec.lease_duration_seconds, spec.lease_transitions), (Some(15), Some(0)));
        assert_eq!((spec.acquire_time, spec.renew_time), (Some(MicroTime(time(0))), Some(MicroTime(time(0)))));
    }

    #[test]
    fn a_holder_whose_lease_does_not_change_is_replaced_after_the_lease_duration_by_our_clock() {
        let (mut election, start) = (Election::new(config("me")), Instant::now());
        // Its clock is years behind ours: that says nothing.
        let lease = held_by("other", -100_000_000);
        assert_eq!(election.step(Some(lease.clone()), start, time(0)), Step::Wait { holder: "other".to_owned() });
        assert!(matches!(election.step(Some(lease.clone()), start + S(14), time(14)), Step::Wait { .. }));
        let taken = spec(election.step(Some(lease), start + S(15), time(15)));
        assert_eq!(taken.holder_identity.as_deref(), Some("me"));
        assert_eq!((taken.lease_transitions, taken.acquire_time), (Some(5), Some(MicroTime(time(15)))));
    }

    #[test]
    fn a_renewal_that_we_see_starts_the_wait_anew() {
        let (mut election, start) = (Election::new(config("me")), Instant::now());
        election.step(Some(held_by("other", 0)), start, time(0));
        election.step(Some(held_by("other", 10)), start + S(10), time(10));
        assert!(matches!(election.step(Some(held_by("other", 10)), start + S(24), time(24)), Step::Wait { .. }));
        assert!(matches!(election.step(Some(held_by("other", 10)), start + S(25), time(25)), Step::Replace(_)));
    }

    #[test]
    fn a_renewal_keeps_the_time_of_acquisition_and_the_transitions() {
        let renewed = spec(Election::new(config("me")).step(Some(held_by("me", 0)), Instant::now(), time(7)));
        assert_eq!(renewed.lease_transitions, Some(4));
        assert_eq!((renewed.acquire_time, renewed.renew_time), (Some(MicroTime(time(0))), Some(MicroTime(time(7)))));
    }

    // IN-52
    #[test]
    fn a_released_lease_is_taken_at_once() {
        let released = Election::new(config("other")).released(held_by("other", 0), time(3)).unwrap();
        let given = released.spec.clone().unwrap();
        assert_eq!((given.holder_identity.as_deref(), given.lease_duration_seconds), (Some(""), Some(1)));
        assert_eq!(given.lease_transitions, Some(4));
        let taken = spec(Election::new(config("me")).step(Some(released), Instant::now(), time(3)));
        assert_eq!((taken.holder_identity.as_deref(), taken.lease_transitions), (Some("me"), Some(5)));
        assert_eq!(taken.lease_duration_seconds, Some(15));
    }

    #[test]
    fn only_the_holder_releases() {
        assert_eq!(Election::new(config("me")).released(held_by("other", 0), time(3)), None);
    }
}
