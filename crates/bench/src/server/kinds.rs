//! The kinds that the stand-in serves, and the paths under which it does.

/// One kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Pod,
    Node,
    PersistentVolumeClaim,
    ControllerRevision,
    CloneSet,
    Event,
    Lease,
    EndpointSlice,
    MutatingWebhookConfiguration,
}

/// Whether objects of a kind stand in namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Namespaced,
    Cluster,
}

/// Whether a kind has the subresource `status`, and with it a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StatusPart {
    Apart,
    None,
}

/// Names of a kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names {
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) scope: Scope,
    pub(crate) status: StatusPart,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 9] = [
        Self::Pod,
        Self::Node,
        Self::PersistentVolumeClaim,
        Self::ControllerRevision,
        Self::CloneSet,
        Self::Event,
        Self::Lease,
        Self::EndpointSlice,
        Self::MutatingWebhookConfiguration,
    ];

    /// Those that the manager watches.
    pub(crate) const WATCHED: [Self; 5] =
        [Self::Pod, Self::PersistentVolumeClaim, Self::ControllerRevision, Self::CloneSet, Self::Node];

    /// Its names.
    pub(crate) fn names(self) -> Names {
        use Scope::{Cluster, Namespaced};
        use StatusPart::{Apart, None};
        let names = |group, version, kind, plural, scope, status| Names { group, version, kind, plural, scope, status };
        match self {
            Self::Pod => names("", "v1", "Pod", "pods", Namespaced, Apart),
            Self::Node => names("", "v1", "Node", "nodes", Cluster, Apart),
            Self::PersistentVolumeClaim => {
                names("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", Namespaced, Apart)
            }
            Self::Event => names("", "v1", "Event", "events", Namespaced, None),
            Self::ControllerRevision => {
                names("apps", "v1", "ControllerRevision", "controllerrevisions", Namespaced, None)
            }
            Self::CloneSet => names("apps.kruise.io", "v1beta1", "CloneSet", "clonesets", Namespaced, Apart),
            Self::Lease => names("coordination.k8s.io", "v1", "Lease", "leases", Namespaced, None),
            Self::EndpointSlice => names("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", Namespaced, None),
            Self::MutatingWebhookConfiguration => names(
                "admissionregistration.k8s.io",
                "v1",
                "MutatingWebhookConfiguration",
                "mutatingwebhookconfigurations",
                Cluster,
                None,
            ),
        }
    }

    /// The kind with a name in URLs.
    pub(crate) fn find(group: &str, version: &str, plural: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| {
            let names = kind.names();
            (names.group, names.version, names.plural) == (group, version, plural)
        })
    }
}

impl Names {
    /// `apiVersion` of its objects.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The path of all its objects.
    pub(crate) fn path(&self) -> String {
        let root = if self.group.is_empty() { "api" } else { "apis" };
        format!("/{root}/{}/{}", self.api_version(), self.plural)
    }
}
