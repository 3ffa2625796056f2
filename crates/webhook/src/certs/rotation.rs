//! When a replica begins to serve a certificate (ruling 21, IN-36).
//!
//! The API server verifies with the `caBundle` it last read. A certificate of a new authority is therefore served only
//! after both authorities have been seen in every `caBundle` for a while, and a replica that starts in between serves
//! nothing until then.

use jiff::{SignedDuration, Timestamp};

/// How long both authorities must have been seen in `caBundle` before the switch: every API server has read the
/// configuration by then (ruling 21).
pub const SETTLED: SignedDuration = SignedDuration::from_secs(5);

/// A certificate with its authority, as far as the switch is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The serving certificate, in PEM.
    pub cert: Vec<u8>,
    /// The authority's certificate, in PEM.
    pub ca_cert: Vec<u8>,
}

/// What this replica has seen of the bundle it wants published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publication {
    bundle: Vec<u8>,
    since: Option<Timestamp>,
}

impl Publication {
    /// Takes in whether the whole bundle is in every `caBundle` now.
    pub fn observe(&mut self, bundle: &[u8], everywhere: bool, now: Timestamp) {
        if self.bundle != bundle || !everywhere {
            *self = Self { bundle: bundle.to_vec(), since: None };
        }
        if everywhere && self.since.is_none() {
            self.since = Some(now);
        }
    }
}

/// Whether to begin serving the stored certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// It is what this replica serves.
    Done,
    /// Begin now.
    Now,
    /// Begin at this time, if nothing changes until then.
    At(Timestamp),
    /// Not before the bundle is published.
    Unpublished,
}

/// Decides about the switch. `changing` says that authorities before a change are noted.
pub fn switch(
    serving: Option<&Identity>,
    stored: &Identity,
    changing: bool,
    publication: &Publication,
    now: Timestamp,
) -> Switch {
    if serving.is_some_and(|serving| serving == stored) {
        return Switch::Done;
    }
    let Some(since) = publication.since else { return Switch::Unpublished };
    let same_authority = serving.is_some_and(|serving| serving.ca_cert == stored.ca_cert);
    if same_authority || !changing {
        return Switch::Now;
    }
    match since.saturating_add(SETTLED) {
        Ok(settled) if now < settled => Switch::At(settled),
        _ => Switch::Now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn identity(cert: &str, ca_cert: &str) -> Identity {
        Identity { cert: cert.into(), ca_cert: ca_cert.into() }
    }

    fn published(since: Option<i64>) -> Publication {
        Publication { bundle: b"old new".to_vec(), since: since.map(at) }
    }

    #[test] // ruling 21
    fn a_new_authority_is_served_five_seconds_after_both_were_seen() {
        let (old, new) = (identity("a", "old"), identity("b", "new"));
        for (seen, now, want) in [
            (None, 100, Switch::Unpublished),
            (Some(100), 100, Switch::At(at(105))),
            (Some(100), 104, Switch::At(at(105))),
            (Some(100), 105, Switch::Now),
        ] {
            assert_eq!(switch(Some(&old), &new, true, &published(seen), at(now)), want, "seen {seen:?}, now {now}");
        }
    }

    #[test] // ruling 21
    fn a_replica_that_starts_during_a_change_serves_nothing_until_it_has_settled() {
        let new = identity("b", "new");
        assert_eq!(switch(None, &new, true, &published(Some(100)), at(101)), Switch::At(at(105)));
        assert_eq!(switch(None, &new, true, &published(Some(100)), at(106)), Switch::Now);
    }

    #[test]
    fn without_a_change_a_published_certificate_is_served_at_once() {
        let stored = identity("b", "ca");
        assert_eq!(switch(None, &stored, false, &published(None), at(1)), Switch::Unpublished);
        assert_eq!(switch(None, &stored, false, &published(Some(1)), at(1)), Switch::Now);
    }

    #[test] // PL-44
    fn a_new_certificate_of_the_same_authority_is_served_at_once() {
        let (old, new) = (identity("a", "ca"), identity("b", "ca"));
        assert_eq!(switch(Some(&old), &new, true, &published(Some(1)), at(1)), Switch::Now);
    }

    #[test]
    fn what_is_served_needs_no_switch_even_while_unpublished() {
        let same = identity("a", "ca");
        assert_eq!(switch(Some(&same), &same, true, &published(None), at(1)), Switch::Done);
    }

    #[test]
    fn the_wait_begins_anew_when_the_bundle_changes_or_vanishes() {
        let mut publication = Publication::default();
        publication.observe(b"x", true, at(10));
        publication.observe(b"x", true, at(20));
        assert_eq!(publication.since, Some(at(10)));
        publication.observe(b"x", false, at(30));
        assert_eq!(publication.since, None);
        publication.observe(b"x", true, at(40));
        publication.observe(b"y", true, at(50));
        assert_eq!(publication.since, Some(at(50)));
    }
}
