//! What became of a write that got no answer: asked by a live GET until it is known.
//!
//! That the server does not show it says little at first: we have stopped waiting, but the server may not have stopped
//! working on it. Only an answer that it has failed, or some time, settles that.

use std::time::{Duration, Instant};

use serde_json::Value;
use tracing::{debug, info};

use super::Error;
use super::send::Sender;
use crate::clock;
use crate::expectations::{Action, Expectations, Expected, Fate, ObjectId, OwnerId, Sight};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(2);
/// How long after we stopped waiting a write may still be carried out. The API server drops a request whose client has
/// gone; what it has handed on by then, to a webhook with its default of 10 s or to etcd, ends by itself.
const AFTERMATH: Duration = Duration::from_secs(10);

/// What is known of the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It was carried out; the watch will show it.
    Done,
    /// It was not, and will not be.
    NotDone,
    /// Its object has changed since, or is gone, by this write or by another.
    Moved,
    /// The server does not tell, or may still be at work.
    Unknown,
}

/// A write of unknown outcome.
#[derive(Debug)]
pub(super) struct Question {
    object: ObjectId,
    about: About,
    /// From when on it is not carried out any more.
    over: Instant,
}

#[derive(Debug)]
enum About {
    /// A creation, by the UID of the controller that the object was given, or a deletion.
    Scale { owner: OwnerId, expected: Expected, controller: Option<String> },
    /// A patch of the object with this UID, sent on this version.
    Patch { uid: Option<String>, sent_on: Option<String> },
}

impl Question {
    pub(super) fn of_creation(object: ObjectId, body: &Value, owner: &OwnerId, err: &Error) -> Self {
        let expected = Expected { action: Action::Create, object: object.clone() };
        let controller = controller_of(body).map(ToOwned::to_owned);
        Self::new(object, About::Scale { owner: owner.clone(), expected, controller }, err)
    }

    pub(super) fn of_deletion(object: ObjectId, owner: &OwnerId, err: &Error) -> Self {
        let expected = Expected { action: Action::Delete, object: object.clone() };
        Self::new(object, About::Scale { owner: owner.clone(), expected, controller: None }, err)
    }

    pub(super) fn of_patch(object: ObjectId, uid: Option<&str>, sent_on: Option<String>, err: &Error) -> Self {
        Self::new(object, About::Patch { uid: uid.map(ToOwned::to_owned), sent_on }, err)
    }

    fn new(object: ObjectId, about: About, err: &Error) -> Self {
        let now = clock::instant();
        let over = if err.is_final() { now } else { now + AFTERMATH };
        Self { object, about, over }
    }

    /// Looks once and tells the expectations what is known then.
    pub(super) async fn ask(&self, sender: &Sender, expectations: &Expectations) -> Found {
        let when = if clock::instant() < self.over { When::Early } else { When::Over };
        let live = match sender.get(&self.object).await {
            Ok(live) => Some(live),
            Err(err) if err.code() == Some(404) => None,
            Err(err) => {
                debug!(name = %self.object.key.name, %err, "cannot see what became of a write");
                return Found::Unknown;
            }
        };
        match &self.about {
            About::Scale { owner, expected, controller } => {
                // An object of somebody else under the name of one that we made is none of ours.
                let is_ours =
                    |live: &Value| expected.action == Action::Delete || controller_of(live) == controller.as_deref();
                let live = live.filter(is_ours).as_ref().map(Sight::of_answer);
                let found = match expectations.scale.fate(owner, expected, live.as_ref()) {
                    Some(Fate::Void) if when == When::Early => return Found::Unknown,
                    Some(Fate::Void) => Found::NotDone,
                    Some(Fate::Due) | None => Found::Done,
                };
                expectations.scale.check(owner, expected, live);
                found
            }
            About::Patch { uid, sent_on } => {
                let is_same = |live: &Sight| uid.as_ref().is_none_or(|uid| live.uid == *uid);
                let live = live.as_ref().map(Sight::of_answer).filter(is_same);
                let found = match has_moved(live.as_ref(), sent_on.as_deref()) {
                    Moved::No if when == When::Early => return Found::Unknown,
                    Moved::No => Found::NotDone,
                    Moved::Yes => Found::Moved,
                };
                expectations.versions.see(uid.as_deref(), live.as_ref(), clock::instant());
                found
            }
        }
    }

    /// Holds whoever would act on what the write may have changed.
    pub(super) fn doubt(&self, expectations: &Expectations) {
        match &self.about {
            About::Scale { owner, expected, .. } => {
                expectations.scale.doubt(owner, expected.action, &expected.object);
            }
            About::Patch { uid: Some(uid), sent_on: Some(version) } => {
                expectations.versions.doubt(uid, version, clock::instant());
            }
            // Nothing was judged by its version.
            About::Patch { .. } => {}
        }
    }

    /// Looks until it is known, the watch has told, or another replica leads.
    pub(super) async fn settle(self, sender: Sender, expectations: Expectations) {
        while self.is_open(&expectations) && sender.leadership().is_held() {
            tokio::time::sleep(PAUSE).await;
            let found = self.ask(&sender, &expectations).await;
            if found != Found::Unknown {
                let ObjectId { resource, key } = &self.object;
                info!(resource = resource.plural, name = %key.name, ?found, "know what became of a write without an answer");
                return;
            }
        }
    }

    fn is_open(&self, expectations: &Expectations) -> bool {
        match &self.about {
            About::Scale { owner, expected, .. } => {
                expectations.scale.is_expected(owner, expected.action, &expected.object)
            }
            About::Patch { uid, .. } => uid.as_ref().is_some_and(|uid| expectations.versions.is_expected(uid)),
        }
    }
}

/// Whether the server may still be at work on the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Early,
    Over,
}

/// Whether an object has another version than a patch was sent on, or is gone.
enum Moved {
    No,
    Yes,
}

fn has_moved(live: Option<&Sight>, sent_on: Option<&str>) -> Moved {
    let sent_on = sent_on.and_then(|version| version.parse::<u64>().ok());
    match (live.and_then(|live| live.version), sent_on) {
        (Some(version), Some(sent_on)) if version <= sent_on => Moved::No,
        _ => Moved::Yes,
    }
}

/// UID of the controller among the owner references.
fn controller_of(object: &Value) -> Option<&str> {
    let owners = object.pointer("/metadata/ownerReferences")?.as_array()?;
    let controller = owners.iter().find(|owner| owner.get("controller") == Some(&Value::Bool(true)))?;
    controller.get("uid")?.as_str()
}
