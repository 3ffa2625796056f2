//! What is known of an object at one moment: from the watch, from a cache, or from a live read.

use api::k8s::{Projection, Text};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

/// One state of the object under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// UID: a successor under the same name has another one.
    pub uid: Text,
    /// resourceVersion; `None` for one that is not a number and cannot be compared.
    pub version: Option<u64>,
    /// What it is doing.
    pub state: State,
}

/// What an object is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is there.
    Live,
    /// It is there, and on its way out.
    Terminating,
    /// It was there.
    Gone,
}

impl Sight {
    /// The object as it is.
    pub fn of<T: Projection>(object: &T) -> Self {
        let metadata = object.metadata();
        let state = if metadata.deletion_timestamp.is_some() { State::Terminating } else { State::Live };
        Self { uid: metadata.uid.clone(), version: metadata.resource_version.parse().ok(), state }
    }

    /// The object as it was last.
    pub fn gone<T: Projection>(object: &T) -> Self {
        Self { state: State::Gone, ..Self::of(object) }
    }

    /// The object with this metadata.
    #[must_use]
    pub fn of_metadata(metadata: &ObjectMeta) -> Self {
        let state = if metadata.deletion_timestamp.is_some() { State::Terminating } else { State::Live };
        Self {
            uid: metadata.uid.as_deref().unwrap_or_default().into(),
            version: metadata.resource_version.as_deref().and_then(|version| version.parse().ok()),
            state,
        }
    }

    /// The object that the API server answered with.
    #[must_use]
    pub fn of_answer(answer: &Value) -> Self {
        let text = |pointer| answer.pointer(pointer).and_then(Value::as_str);
        let going = answer.pointer("/metadata/deletionTimestamp").is_some_and(|at| !at.is_null());
        Self {
            uid: text("/metadata/uid").unwrap_or_default().into(),
            version: text("/metadata/resourceVersion").and_then(|version| version.parse().ok()),
            state: if going { State::Terminating } else { State::Live },
        }
    }

    /// Whether this state is not older than `version`. What cannot be compared counts as newer: waiting for it would
    /// never end.
    pub(super) fn reaches(&self, version: Option<u64>) -> bool {
        match (self.version, version) {
            (Some(seen), Some(wanted)) => seen >= wanted,
            (None, _) | (_, None) => true,
        }
    }
}
