//! What became of a creation or deletion that got no answer: asked by a live GET until there is one.

use std::sync::Arc;
use std::time::Duration;

use rules::write::{Verb, Write};
use serde_json::Value;
use tracing::{debug, info};

use super::send::Sender;
use crate::expectations::{Action, ScaleExpectations};
use crate::informer::ObjectKey;

/// Pause between two looks while the server does not answer.
const PAUSE: Duration = Duration::from_secs(2);

/// What the server shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The write was carried out; the watch will show it.
    Done,
    /// It was not, and will not be.
    NotDone,
}

/// A write of unknown outcome.
#[derive(Debug)]
pub(super) struct Question {
    write: Write,
    action: Action,
}

impl Question {
    pub(super) fn about(write: &Write, action: Action) -> Self {
        // The body has been sent; a Pod's worth of JSON need not be kept for asking.
        let verb = match &write.verb {
            Verb::Delete { uid } => Verb::Delete { uid: uid.clone() },
            Verb::Create { .. } | Verb::Patch { .. } => Verb::Create { body: Value::Null },
        };
        let write = Write {
            resource: write.resource,
            namespace: write.namespace.clone(),
            name: write.name.clone(),
            verb,
            reason: write.reason,
            revision: None,
            on_success: None,
            on_failure: None,
        };
        Self { write, action }
    }

    /// Looks once; `None` where the server does not answer.
    pub(super) async fn ask(&self, sender: &Sender) -> Option<Found> {
        let live = match sender.get(&self.write).await {
            Ok(live) => Some(live),
            Err(err) if err.code() == Some(404) => None,
            Err(err) => {
                debug!(name = self.write.name, %err, "cannot see what became of a write");
                return None;
            }
        };
        Some(match (&self.write.verb, live) {
            (Verb::Delete { .. }, None) | (Verb::Create { .. } | Verb::Patch { .. }, Some(_)) => Found::Done,
            (Verb::Delete { uid }, Some(live)) if is_going(&live, uid) => Found::Done,
            _ => Found::NotDone,
        })
    }

    /// Looks until the server answers, the watch has told, or another replica leads.
    pub(super) async fn settle(self, sender: Sender, owner: ObjectKey, scale: Arc<ScaleExpectations>) {
        let Write { resource, name, .. } = &self.write;
        while scale.is_expected(&owner, self.action, resource.plural, name) && sender.leadership().is_held() {
            tokio::time::sleep(PAUSE).await;
            match self.ask(&sender).await {
                Some(Found::NotDone) => {
                    info!(object = %owner, name, "write without an answer was not carried out");
                    scale.withdraw(&owner, self.action, resource.plural, name);
                }
                // The watch will tell, now that it can.
                Some(Found::Done) => return,
                None => {}
            }
        }
    }
}

/// Whether the object that was to be deleted is on its way out, or its name has gone to a successor.
fn is_going(live: &Value, uid: &str) -> bool {
    live.pointer("/metadata/uid").and_then(Value::as_str) != Some(uid)
        || live.pointer("/metadata/deletionTimestamp").is_some()
}
