//! What a controller is given when it registers, and what it gives back: the loop to run once this replica leads.

use std::{future::Future, pin::Pin, time::Duration};

use rules::write::Resource;
use runtime::{
    ambient::Ambient, client::Guarded, controller::Identity, events::Recorder, gates::Gates, queue::RateLimit,
    resync::Resync, shutdown::Shutdown,
};

use crate::caches::Caches;

/// What all controllers share.
pub struct Setup {
    /// Makes the client of the controller of this name: it writes only while this replica leads, and has a rate and a
    /// user agent of its own (PL-33).
    pub client_for: Box<dyn Fn(&str) -> Guarded + Send>,
    /// The caches; handlers are added before they start.
    pub caches: Caches,
    /// Feature gates.
    pub gates: Gates,
    /// Limits of work queues (PL-22).
    pub rate_limit: RateLimit,
    /// How often a controller looks at all its objects (`--sync-period`).
    pub resync: Resync,
    /// `--expectation-timeout`.
    pub expectation_timeout: Duration,
    /// Settings of single kinds.
    pub flags: KindFlags,
    /// The time of day and chance: no controller takes them from elsewhere.
    pub ambient: Ambient,
    /// Sends events; a kind takes it under its own component.
    pub recorder: Recorder,
}

/// Flags of single kinds.
#[derive(Clone, Copy, Debug)]
pub struct KindFlags {
    /// `--cloneset-workers`.
    pub cloneset_workers: usize,
    /// `--cloneset-scaling-exclude-preparing-delete`.
    pub cloneset_excludes_preparing_delete: bool,
}

/// The workers of one controller, until the end is asked for.
pub type Run = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One controller: who it is and how it joins the process.
pub struct Registration {
    /// Name and kind, for metrics, logs and events.
    pub identity: Identity,
    /// Kinds whose definitions must be installed, else the controller is left out (platform section 6, PL-20).
    pub needs: &'static [Resource],
    /// Adds its handlers to the caches and returns its workers.
    pub register: fn(&mut Setup, Shutdown) -> Run,
}
