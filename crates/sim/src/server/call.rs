//! What the server is asked, and what it tells of a write.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Reads one object.
    Get,
    /// Makes one.
    Create,
    /// Replaces one.
    Update,
    /// Changes one.
    Patch(PatchFormat),
    /// Deletes one.
    Delete,
}

/// How a patch is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchFormat {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// Kubernetes' own: lists with merge keys are merged by key.
    Strategic,
    /// Server-side apply.
    Apply,
}

/// One verb on one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// What is done.
    pub verb: Verb,
    /// `pods`, `clonesets.apps.kruise.io`.
    pub resource: String,
    /// Version of the API; empty for the one that is stored.
    pub version: String,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// Name; empty where the body says it.
    pub name: String,
    /// `status`, `binding`, `eviction`, `resize`, `scale`; empty for the object itself.
    pub subresource: String,
    /// Object, patch or DeleteOptions; null for none.
    pub body: Value,
    /// Query parameters.
    pub options: Options,
}

/// Query parameters of a write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `fieldManager`.
    pub field_manager: String,
    /// `force`, for apply.
    pub force: bool,
    /// `dryRun=All`.
    pub dry_run: bool,
}

impl Call {
    /// A verb on an object without namespace, name, subresource or body.
    #[must_use]
    pub fn new(verb: Verb, resource: &str) -> Self {
        Self {
            verb,
            resource: resource.to_owned(),
            version: String::new(),
            namespace: String::new(),
            name: String::new(),
            subresource: String::new(),
            body: Value::Null,
            options: Options::default(),
        }
    }

    /// The object.
    #[must_use]
    pub fn at(mut self, namespace: &str, name: &str) -> Self {
        (self.namespace, self.name) = (namespace.to_owned(), name.to_owned());
        self
    }

    /// The part of it.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "short for subresource; calls are no numbers")]
    pub fn sub(mut self, subresource: &str) -> Self {
        subresource.clone_into(&mut self.subresource);
        self
    }

    /// What is sent.
    #[must_use]
    pub fn with(mut self, body: Value) -> Self {
        self.body = body;
        self
    }
}

/// A write that was applied.
#[derive(Clone, Debug)]
pub struct Written {
    /// When.
    pub at: Timestamp,
    /// Who asked.
    pub caller: String,
    /// What was asked.
    pub verb: Verb,
    /// `pods`, `clonesets.apps.kruise.io`.
    pub resource: String,
    /// `status` ...; empty for the object itself.
    pub subresource: String,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// resourceVersion of the server after it.
    pub version: u64,
    /// As it was; `None` where it is new.
    pub before: Option<Arc<Value>>,
    /// As it is; `None` where it is gone. Equal to `before` where the write changed nothing.
    pub after: Option<Arc<Value>>,
}
