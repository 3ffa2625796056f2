//! The patches of one object, each on the version that the one before it left (ruling 18).
//!
//! Between two of our patches the kubelet may write `status`. Where nothing else moved, the next patch is sent again on
//! the new version (IU-24); where spec, labels or anything else moved, what was planned no longer fits and it fails.

use std::time::Duration;

use rules::write::{Patch, Write};
use serde_json::{Map, Value};
use tracing::debug;

use super::carry_out::object_of;
use super::send::{Error, Sender};

/// How often one patch is sent at most (IU-24).
const TRIES: u32 = 4;
/// Pause before the second try (IU-24).
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// By how much each pause grows (IU-24).
const FACTOR: u32 = 5;
/// Part of a pause by which it may be longer (IU-24).
const JITTER: f64 = 0.1;

/// The object to patch and what was judged of it.
pub(super) struct Target<'a> {
    pub(super) write: &'a Write,
    pub(super) uid: Option<&'a str>,
    pub(super) resource_version: Option<&'a str>,
}

/// A sequence that ended early.
pub(super) struct Broken {
    pub(super) error: Error,
    /// The version that the failed patch was pinned to.
    pub(super) sent_on: Option<String>,
}

impl Sender {
    /// Sends the patches in order; a failure ends the sequence. `answered` is told each answer.
    pub(super) async fn patch_all(
        &self,
        target: Target<'_>,
        patches: &[Patch],
        answered: impl Fn(&Value),
    ) -> Result<(), Broken> {
        let mut previous: Option<Value> = None;
        for patch in patches {
            let answer = match &previous {
                Some(previous) if target.resource_version.is_some() => {
                    self.patch_next(&target, patch, previous).await?
                }
                _ => {
                    let body = pinned(patch, target.uid, target.resource_version);
                    let sent_on = target.resource_version.map(ToOwned::to_owned);
                    self.patch(target.write, patch, body).await.map_err(|error| Broken { error, sent_on })?
                }
            };
            answered(&answer);
            previous = Some(answer);
        }
        Ok(())
    }

    /// Sends a later patch on the version that `previous` has, or on one that differs by `status` only.
    async fn patch_next(&self, target: &Target<'_>, patch: &Patch, previous: &Value) -> Result<Value, Broken> {
        let mut version = version_of(previous).map(ToOwned::to_owned);
        let mut pause = FIRST_PAUSE;
        let mut tries = 1;
        loop {
            let body = pinned(patch, target.uid, version.as_deref());
            let error = match self.patch(target.write, patch, body).await {
                Err(error) if error.code() == Some(409) && tries < TRIES => error,
                other => return other.map_err(|error| Broken { error, sent_on: version }),
            };
            tokio::time::sleep(self.chance.stretched(pause, JITTER)).await;
            // The conflict stands, whatever becomes of the look.
            let live = match self.get(&object_of(target.write)).await {
                Ok(live) if apart_from_status(&live) == apart_from_status(previous) => live,
                Ok(_) | Err(_) => return Err(Broken { error, sent_on: version }),
            };
            debug!(name = target.write.name, tries, "only status moved, patch again");
            version = version_of(&live).map(ToOwned::to_owned);
            pause *= FACTOR;
            tries += 1;
        }
    }
}

/// The patch's body with the identity and version that it is meant for.
fn pinned(patch: &Patch, uid: Option<&str>, version: Option<&str>) -> Value {
    let mut body = patch.body.clone();
    if uid.is_none() && version.is_none() {
        return body;
    }
    let Value::Object(members) = &mut body else { return body };
    let metadata = members.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(metadata) = metadata {
        if let Some(uid) = uid {
            metadata.insert("uid".to_owned(), Value::from(uid));
        }
        if let Some(version) = version {
            metadata.insert("resourceVersion".to_owned(), Value::from(version));
        }
    }
    body
}

/// All that a plan is made from but `status`; `managedFields` and the version say nothing of their own.
fn apart_from_status(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(members) = object.as_object_mut() {
        members.remove("status");
        if let Some(metadata) = members.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("resourceVersion");
            metadata.remove("managedFields");
        }
    }
    object
}

fn version_of(object: &Value) -> Option<&str> {
    text_at(object, "/metadata/resourceVersion")
}

fn text_at<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer).and_then(Value::as_str)
}
