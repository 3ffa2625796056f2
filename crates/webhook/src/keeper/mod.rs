//! The certificate and configuration loop of every replica (PL-40, PL-41): one pass puts certificates, webhook
//! configurations and CRDs in order, and switches the serving certificate when that is safe (ruling 21).
//!
//! A pass reads everything live and writes only what differs, so it may run at any time, in any replica, any number of
//! times. What to do is decided by `certs` and `configuration`; this file is their order. When passes run is `run`.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tracing::{info, warn};

use crate::certs::generate::{Authority, GenerateError};
use crate::certs::material::{Material, Unfit};
use crate::certs::plan::{self, Decision, Signer, Situation, Stored};
use crate::certs::rotation::{self, Identity, Publication, Switch};
use crate::certs::store::{Store, StoreError, Written};
use crate::configuration::cluster::{Cluster, ClusterError};
use crate::configuration::external::{self, ExternalError};
use crate::configuration::webhooks::{self, Flavour, Standing, TemplateError};
use crate::configuration::{Address, Published, Target, crds};
use crate::server::credentials::Credentials;
use crate::server::paths::Paths;
use crate::settings::Settings;

pub mod run;
mod wake;

#[cfg(test)]
mod tests;

/// How often a pass may find its decision overtaken by another replica before it gives up until the next one.
const ROUNDS: usize = 5;
/// How soon to look again whether entries that wait may be switched on.
const REACHABLE_POLL: SignedDuration = SignedDuration::from_secs(1);
/// How long the Service must have had an endpoint: every node and every API server knows it by then.
const REACHABLE_SETTLED: SignedDuration = SignedDuration::from_secs(3);

/// Why a pass failed. It is repeated.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// Reading or writing certificates failed.
    #[error("keep certificates")]
    Store(#[from] StoreError),
    /// Making certificates failed.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// The stored certificates can't be used and must not be replaced (PL-46).
    #[error("certificates of {place} can't be used")]
    Unfit {
        /// Where they are kept.
        place: String,
        /// What is wrong with them.
        #[source]
        source: Unfit,
    },
    /// Other replicas changed the certificates each time this one had decided.
    #[error("the certificates of {0} keep changing")]
    Restless(String),
    /// An object could not be read or written.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A webhook configuration carries a template that can't be read.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// Objects do not fit the external certificates yet.
    #[error(transparent)]
    External(#[from] ExternalError),
}

/// What a pass came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether anything was written to the cluster.
    pub wrote: bool,
    /// When the next pass is due, if before the regular one.
    pub again: Option<Timestamp>,
}

/// State of the loop in one replica.
pub struct Keeper {
    settings: Settings,
    mode: Mode,
    paths: Arc<Paths>,
    cluster: Cluster,
    store: Store,
    kinds: Vec<crds::Kind>,
    credentials: Arc<Credentials>,
    serving: Option<Identity>,
    publication: Publication,
    reachable_since: Option<Timestamp>,
    dropped: Vec<String>,
    held: Vec<String>,
}

/// Who keeps certificates and configurations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// This product.
    Own,
    /// Somebody else; everything is only read (PL-46).
    External,
}

/// What else answers at the Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Others {
    /// Only replicas of the same making.
    Alike,
    /// Also replicas of another version or with other gates: a rollout is under way.
    Differ,
}

/// The objects that name this webhook, as they are.
struct Objects {
    webhooks: Vec<(Flavour, Value)>,
    crds: Vec<(crds::Kind, Value)>,
}

impl Keeper {
    /// A loop that has done nothing yet.
    pub fn new(
        settings: Settings,
        mode: Mode,
        paths: Arc<Paths>,
        cluster: Cluster,
        store: Store,
        credentials: Arc<Credentials>,
    ) -> Self {
        Self {
            settings,
            mode,
            paths,
            cluster,
            store,
            kinds: crds::kinds(),
            credentials,
            serving: None,
            publication: Publication::default(),
            reachable_since: None,
            dropped: Vec::new(),
            held: Vec::new(),
        }
    }

    /// One pass (PL-41).
    ///
    /// # Errors
    /// Fails where a step can't be done; what was done before it stays, and the pass is to be repeated.
    pub async fn pass(&mut self, now: Timestamp) -> Result<Outcome, KeeperError> {
        let mut objects = self.read().await?;
        match self.mode {
            Mode::Own => self.keep(&mut objects, now).await,
            Mode::External => self.follow(&objects).await,
        }
    }

    async fn read(&self) -> Result<Objects, KeeperError> {
        let mut objects = Objects { webhooks: Vec::new(), crds: Vec::new() };
        for flavour in [Flavour::Mutating, Flavour::Validating] {
            objects.webhooks.push((flavour, self.cluster.webhooks(flavour).await?));
        }
        for kind in &self.kinds {
            if let Some(crd) = self.cluster.crd(kind).await? {
                objects.crds.push((kind.clone(), crd));
            }
        }
        Ok(objects)
    }

    async fn keep(&mut self, objects: &mut Objects, now: Timestamp) -> Result<Outcome, KeeperError> {
        let (material, previous) = self.obtain(&self.published(objects), now).await?;
        let target = Target::of(&self.settings, plan::bundle(&material, previous.as_ref()));
        let (wrote, held) = self.publish(objects, &target, now).await?;
        let everywhere = self.published(objects).everywhere(&target.bundle);
        self.publication.observe(&target.bundle, everywhere, now);
        let mut again = held.then(|| now.saturating_add(REACHABLE_POLL).unwrap_or(now));
        let stored = Identity { cert: material.cert.clone(), ca_cert: material.ca_cert.clone() };
        match rotation::switch(self.serving.as_ref(), &stored, previous.is_some(), &self.publication, now) {
            Switch::Done | Switch::Unpublished => {}
            Switch::Now => self.serve(&material, stored)?,
            Switch::At(settled) => again = Some(again.map_or(settled, |again| again.min(settled))),
        }
        Ok(Outcome { wrote, again })
    }

    /// Reads the stored material and makes it fit (PL-42), until no other replica interferes.
    async fn obtain(
        &self,
        published: &Published,
        now: Timestamp,
    ) -> Result<(Material, Option<plan::Previous>), KeeperError> {
        let name = self.settings.server_name();
        let mut published = published.clone();
        published.push(self.serving.as_ref().map(|serving| serving.ca_cert.clone()).unwrap_or_default());
        let trusted = published.authorities();
        for _ in 0..ROUNDS {
            let found = self.store.read().await?;
            let stored = found.as_ref().map(|found| &found.stored);
            let decision = plan::decide(&Situation {
                stored,
                published: &trusted,
                serving: self.serving.as_ref().map(|serving| serving.cert.as_slice()).unwrap_or_default(),
                name: &name,
                renew_before: self.settings.renew_before,
                now,
            });
            let data = stored.map(|stored| stored.data.clone()).unwrap_or_default();
            let wanted = match decision {
                Decision::Keep(material) => {
                    return Ok((material, stored.and_then(|stored| stored.previous.clone())));
                }
                Decision::Note(previous) => {
                    let action = if previous.is_some() { "keep" } else { "drop" };
                    info!(secret = self.settings.secret, action, "note previous authorities");
                    Stored { data, previous }
                }
                Decision::Make { authority, previous, because } => {
                    info!(name, ?authority, secret = self.settings.secret, because, "make certificates");
                    let authority = match authority {
                        Signer::Stored => Authority::stored(&data, now, self.settings.renew_before),
                        Signer::New => None,
                    };
                    let authority = match authority {
                        Some(authority) => authority,
                        None => Authority::new(now)?,
                    };
                    let material = authority.issue(&name, self.settings.server_address(), now)?;
                    Stored { data: material.data(), previous }
                }
            };
            if self.store.write(found.as_ref(), &wanted).await? == Written::Lost {
                info!(secret = self.settings.secret, "another replica was faster, read again");
            }
        }
        Err(KeeperError::Restless(self.settings.secret.clone()))
    }

    /// Brings the objects in order (PL-48, PL-49). Says whether it wrote, and whether entries are held back.
    async fn publish(
        &mut self,
        objects: &mut Objects,
        target: &Target,
        now: Timestamp,
    ) -> Result<(bool, bool), KeeperError> {
        let mut wrote = false;
        let mut held = Vec::new();
        let mut dropped = Vec::new();
        // CRDs first: an entry that is switched on may bring requests whose objects need conversion.
        for (kind, crd) in &mut objects.crds {
            if let Some(patch) = crds::plan(kind, crd, target) {
                *crd = self.cluster.patch_crd(kind, &patch).await?;
                info!(crd = kind.crd, "publish conversion webhook");
                wrote = true;
            }
        }
        let paths = Arc::clone(&self.paths);
        let is_dormant =
            |(flavour, live): &(Flavour, Value)| webhooks::is_dormant(*flavour, live, |path| paths.serves(path));
        let is_on =
            |(_, live): &(Flavour, Value)| webhooks::served(live, |path| paths.affects_pods(path)).next().is_some();
        if self.reachable_since.is_none() && objects.webhooks.iter().any(is_on) {
            // Somebody has made sure of that before. Should a foreigner take the entry out, it comes back at once.
            self.reachable_since = Some(now);
        }
        let others = if objects.webhooks.iter().any(is_dormant) { self.look_around(now).await? } else { Others::Alike };
        let is_settled = self
            .reachable_since
            .is_some_and(|since| since.saturating_add(REACHABLE_SETTLED).is_ok_and(|settled| now >= settled));
        for (flavour, live) in &mut objects.webhooks {
            let plan = webhooks::plan(*flavour, live, target, |path| {
                match (paths.serves(path), paths.affects_pods(path) && !is_settled, others) {
                    (false, _, _) => Standing::Unserved,
                    (true, true, _) | (true, _, Others::Differ) => Standing::Waiting,
                    (true, false, Others::Alike) => Standing::Served,
                }
            })?;
            if let Some(patch) = &plan.patch {
                *live = self.cluster.patch_webhooks(*flavour, patch).await?;
                info!(configuration = flavour.object(), "publish webhooks");
                wrote = true;
            }
            held.extend(plan.held);
            dropped.extend(plan.dropped);
        }
        if dropped != self.dropped {
            if !dropped.is_empty() {
                warn!(webhooks = dropped.join(","), "leave out webhooks whose path is not served");
            }
            self.dropped = dropped;
        }
        if held != self.held {
            if !held.is_empty() {
                info!(webhooks = held.join(","), ?others, "webhooks wait until every replica serves them");
            }
            self.held.clone_from(&held);
        }
        Ok((wrote, !held.is_empty()))
    }

    /// Before an entry is switched on, finds out since when the Service answers, and who else does.
    ///
    /// An entry for Pods that is switched on while nobody answers at the Service stops the creation of every Pod in the
    /// cluster; one whose path a replica of another version does not serve fails in each call that goes there, so it waits
    /// for the end of the rollout, and replicas of two versions do not undo each other's work (IN-68). An entry that is on
    /// stays on, whatever happens (an unreachable webhook must not be bypassed).
    async fn look_around(&mut self, now: Timestamp) -> Result<Others, KeeperError> {
        let (is_reachable, others) = match Address::of(&self.settings) {
            Address::Service { namespace, name } => {
                let endpoints = self.cluster.endpoints(&namespace, &name).await?;
                // Without its own name a replica can't tell.
                let are_alike = self.settings.pod.as_ref().is_none_or(|pod| endpoints.are_siblings_of(pod));
                (endpoints.is_ready, if are_alike { Others::Alike } else { Others::Differ })
            }
            // Outside the cluster there is no Service to ask; this process answers as soon as it serves.
            Address::Host { .. } => (self.serving.is_some(), Others::Alike),
        };
        if !is_reachable {
            self.reachable_since = None;
        } else if self.reachable_since.is_none() {
            info!("webhook Service is reachable, Pod webhooks follow");
            self.reachable_since = Some(now);
        }
        Ok(others)
    }

    fn published(&self, objects: &Objects) -> Published {
        let mut published = Published::default();
        for (_, live) in &objects.webhooks {
            webhooks::published(live, |path| self.paths.serves(path), &mut published);
        }
        for (kind, crd) in &objects.crds {
            crds::published(kind, crd, &mut published);
        }
        published
    }

    /// Follows certificates that somebody else keeps (PL-46). While the objects do not fit yet, what is served stays.
    async fn follow(&mut self, objects: &Objects) -> Result<Outcome, KeeperError> {
        let place = format!("Secret {}/{}", self.settings.namespace, self.settings.secret);
        let found = self.store.read().await?;
        let data = found.map(|found| found.stored.data).unwrap_or_default();
        let unfit = |source| KeeperError::Unfit { place: place.clone(), source };
        let material = Material::read_external(&data).map_err(unfit)?;
        for (flavour, live) in &objects.webhooks {
            external::check_webhooks(*flavour, live, &material.ca_cert, |path| self.paths.serves(path))?;
        }
        for (kind, crd) in &objects.crds {
            external::check_crd(kind, crd, &material.ca_cert)?;
        }
        let stored = Identity { cert: material.cert.clone(), ca_cert: material.ca_cert.clone() };
        if self.serving.as_ref() != Some(&stored) {
            self.serve(&material, stored)?;
        }
        Ok(Outcome { wrote: false, again: None })
    }

    fn serve(&mut self, material: &Material, identity: Identity) -> Result<(), KeeperError> {
        let place = format!("Secret {}/{}", self.settings.namespace, self.settings.secret);
        let pair = material.pair().map_err(|source| KeeperError::Unfit { place, source })?;
        self.credentials.present(pair, &material.authority());
        self.serving = Some(identity);
        info!(name = self.settings.server_name(), "serve certificate");
        Ok(())
    }
}
