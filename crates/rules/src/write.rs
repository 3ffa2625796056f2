//! What a plan asks the cluster to do, as data. `runtime::act` carries it out and decides nothing.
//!
//! A plan is a list of [`Step`]s; a step is a set of [`Group`]s that may run side by side; a group is a sequence of
//! writes in which a failure ends the group (claims before their Pod).

use serde_json::Value;

/// A resource type of the API server, named as its URL needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource {
    /// API group, empty for core.
    pub group: &'static str,
    /// API version.
    pub version: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// Plural, as in the URL.
    pub plural: &'static str,
}

/// core/v1 Pods.
pub const POD: Resource = Resource { group: "", version: "v1", kind: "Pod", plural: "pods" };
/// core/v1 PersistentVolumeClaims.
pub const PERSISTENT_VOLUME_CLAIM: Resource =
    Resource { group: "", version: "v1", kind: "PersistentVolumeClaim", plural: "persistentvolumeclaims" };
/// apps/v1 ControllerRevisions.
pub const CONTROLLER_REVISION: Resource =
    Resource { group: "apps", version: "v1", kind: "ControllerRevision", plural: "controllerrevisions" };
/// CloneSets in the version that controllers use.
pub const CLONE_SET: Resource =
    Resource { group: "apps.kruise.io", version: "v1beta1", kind: "CloneSet", plural: "clonesets" };

/// One write to one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// Resource type.
    pub resource: Resource,
    /// Namespace of the object; `None` for cluster-scoped ones.
    pub namespace: Option<String>,
    /// Name of the object.
    pub name: String,
    /// What is done to it.
    pub verb: Verb,
    /// A verb phrase for the log line: `scale up`, `update in place`.
    pub reason: &'static str,
    /// Revision that the write moves to, for the log line.
    pub revision: Option<String>,
    /// Event on the owner after success.
    pub on_success: Option<Event>,
    /// Event on the owner after failure; `{err}` in its message becomes the error.
    pub on_failure: Option<Event>,
}

/// What is done to the object of a [`Write`].
#[derive(Clone, Debug, PartialEq)]
pub enum Verb {
    /// POST of the whole object.
    Create {
        /// The object, with `apiVersion` and `kind`.
        body: Value,
    },
    /// Patches sent one after the other; a failure ends the sequence.
    Patch {
        /// The object's UID: a patch never hits a successor of the same name. `None` where any object will do.
        uid: Option<String>,
        /// The version that was judged. `Some` makes the first patch fail with a conflict on any other version, and
        /// each later patch on any version but the one that its predecessor answered, save where only `status` moved.
        resource_version: Option<String>,
        /// In order.
        patches: Vec<Patch>,
    },
    /// DELETE with the API's default grace and background propagation.
    Delete {
        /// The object's UID, as precondition.
        uid: String,
    },
}

/// One patch of a [`Verb::Patch`].
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// Where it is sent.
    pub subresource: Subresource,
    /// How the server applies it.
    pub format: PatchFormat,
    /// The patch; `metadata.uid` and `metadata.resourceVersion` are added by the write engine.
    pub body: Value,
}

/// The endpoint of a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subresource {
    /// The object itself.
    None,
    /// `/status`.
    Status,
    /// `/resize` of a Pod.
    Resize,
}

/// The patch formats in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchFormat {
    /// RFC 7386; the only one that custom resources take.
    Merge,
    /// Kubernetes' strategic merge: lists with merge keys are merged by key.
    Strategic,
}

/// An event about the owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Normal or Warning.
    pub severity: Severity,
    /// CamelCase word that tools match on.
    pub reason: &'static str,
    /// Text for people.
    pub message: String,
}

impl Event {
    /// Something that was done.
    #[must_use]
    pub fn normal(reason: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Normal, reason, message: message.into() }
    }

    /// Something that failed or is held back.
    #[must_use]
    pub fn warning(reason: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, reason, message: message.into() }
    }
}

/// Type of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// `Normal`.
    Normal,
    /// `Warning`.
    Warning,
}

/// Writes of one group, in order; the first failure ends the group.
pub type Group = Vec<Write>;

/// Groups of writes and how they are paced; the next step starts after this one, unless it failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Independent of one another.
    pub groups: Vec<Group>,
    /// How many run at once.
    pub pace: Pace,
}

/// How the groups of a [`Step`] run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Batches of 1, 2, 4, 8 ...; a failure in a batch ends the step after that batch (CS-48).
    SlowStart,
    /// Side by side within the engine's limit; after a failure no further group is started.
    Concurrent,
}
