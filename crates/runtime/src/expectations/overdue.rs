//! What to do about an expectation that was not met in time (ruling 19): one live read, one line, one count, and on.
//!
//! What the server shows not to have been carried out, or to have come and gone, is expected no longer. What it shows to
//! have been carried out the cache has yet to show, however long that takes: to act on such a cache would be to act
//! twice. That is said again each time.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use tracing::{debug, warn};

use super::{Expectations, Fate, ObjectId, OwnerId, Sight, VersionWait, Wait};
use crate::informer::ObjectKey;
use crate::{client, clock};

/// When an owner looks again whose expectations are settled.
const AT_ONCE: Duration = Duration::from_millis(1);
/// When an owner looks again whose expectations could not be checked.
const UNANSWERED: Duration = Duration::from_secs(10);

/// Checks the expectations of one controller.
pub struct LiveCheck {
    client: Client,
    expectations: Expectations,
    count: Box<dyn Fn(&ObjectKey) + Send + Sync>,
}

impl LiveCheck {
    /// A check by reads through `client`. `count` is told the owner of each wait that was overdue: its kind has a metric
    /// for that.
    pub fn new(client: Client, expectations: Expectations, count: impl Fn(&ObjectKey) + Send + Sync + 'static) -> Self {
        Self { client, expectations, count: Box::new(count) }
    }

    /// Waits for creations and deletions, or checks them if they are overdue. Returns when the owner looks again.
    pub async fn scale(&self, owner: &OwnerId, wait: Wait) -> Duration {
        let objects = match wait {
            Wait::Unmet { remaining, action, names, .. } => {
                debug!(?action, ?names, "wait for the cache to show our own writes");
                return remaining;
            }
            Wait::Overdue { objects, .. } => objects,
        };
        let scale = &self.expectations.scale;
        for expected in objects {
            let live = match self.live(&expected.object).await {
                Ok(live) => live.as_ref().map(Sight::of_metadata),
                Err(again) => return again,
            };
            let fate = scale.fate(owner, &expected, live.as_ref());
            let ObjectId { resource, key } = &expected.object;
            if let Some(fate) = fate {
                let (action, resource) = (expected.action, resource.plural);
                warn!(?action, resource, name = %key.name, live = ?live.as_ref().map(|live| live.state), "{}", said(fate));
            }
            scale.check(owner, &expected, live);
        }
        (self.count)(&owner.key);
        scale.wait_on(owner, clock::instant());
        AT_ONCE
    }

    /// Waits for a version of the object of this UID, or checks it if it is overdue. Returns when `owner` looks again.
    pub async fn version(&self, owner: &ObjectKey, object: &ObjectId, uid: &str, wait: VersionWait) -> Duration {
        let expected = match wait {
            VersionWait::Unmet { remaining, expected, .. } => {
                debug!(written = %object.key, expected, "wait for the cache to show our own write");
                return remaining;
            }
            VersionWait::Overdue { expected, .. } => expected,
        };
        let live = match self.live(object).await {
            Ok(live) => live.as_ref().map(Sight::of_metadata).filter(|live| live.uid == uid),
            Err(again) => return again,
        };
        let versions = &self.expectations.versions;
        if let Some(fate) = versions.fate(uid, live.as_ref()) {
            let version = live.as_ref().and_then(|live| live.version);
            warn!(resource = object.resource.plural, written = %object.key, expected, live = version, "{}", said(fate));
        }
        versions.check(uid, live.as_ref());
        (self.count)(owner);
        versions.wait_on(uid, clock::instant());
        AT_ONCE
    }

    /// The object as the server has it, or when to ask again.
    async fn live(&self, object: &ObjectId) -> Result<Option<ObjectMeta>, Duration> {
        client::live_metadata(&self.client, object).await.map_err(|err| {
            let err = client::words(&err);
            warn!(resource = object.resource.plural, name = %object.key.name, err, "cannot check our own write live");
            UNANSWERED
        })
    }
}

fn said(fate: Fate) -> &'static str {
    match fate {
        Fate::Due => "the cache has not shown our own write in time, it is behind: wait on",
        Fate::Void => "the cache has not shown our own write in time, the server has not got it: go on",
    }
}

#[cfg(test)]
mod tests;
