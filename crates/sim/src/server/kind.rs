//! The kinds that the server knows: those of Kubernetes that our controllers and tests meet, and those of CRDs.
//!
//! What differs from kind to kind in the life of an object is a field of [`Resource`]; what differs in content is left to
//! `rules`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::custom::Custom;

/// A kind in one version, as the server serves it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind {
    /// API group, empty for core.
    pub group: String,
    /// Version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Plural, as in the URL.
    pub plural: String,
    /// Whether objects are in a namespace.
    pub namespaced: bool,
}

impl Kind {
    /// `v1` or `apps/v1`.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `pods` or `deployments.apps`, as messages name it.
    #[must_use]
    pub fn resource(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }
}

/// A kind in all its versions, with what the server does for it.
#[derive(Clone, Debug)]
pub struct Resource {
    /// `pods`, `clonesets.apps.kruise.io`: the name in a `Call`.
    pub id: String,
    /// The kind in each served version; the first one is the one that is stored.
    pub kinds: Vec<Kind>,
    /// Singular, as discovery tells it.
    pub singular: String,
    /// Traits of the kind.
    pub traits: Traits,
    /// For kinds of a CRD: its schemas.
    pub custom: Option<Arc<Custom>>,
}

/// What the server does for a kind beyond storing it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// There is a `status` subresource, and a write to the object leaves the status alone.
    pub status: bool,
    /// There is a `scale` subresource.
    pub scale: bool,
    /// A full update may come without `resourceVersion`.
    pub unconditional: bool,
    /// A full update makes the object where there is none.
    pub created_by_update: bool,
    /// A deletion is answered by the object, not by a Status.
    pub deletion_shows_object: bool,
}

impl Resource {
    /// The kind as stored.
    #[must_use]
    pub fn stored(&self) -> Option<&Kind> {
        self.kinds.first()
    }

    /// The kind in a version; the stored one for an empty text.
    #[must_use]
    pub fn kind(&self, version: &str) -> Option<&Kind> {
        if version.is_empty() { self.stored() } else { self.kinds.iter().find(|kind| kind.version == version) }
    }

    /// Whether objects are in a namespace.
    #[must_use]
    pub fn namespaced(&self) -> bool {
        self.stored().is_some_and(|kind| kind.namespaced)
    }

    /// Kind's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.stored().map_or("", |kind| &kind.kind)
    }

    /// API group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.stored().map_or("", |kind| &kind.group)
    }

    /// Plural.
    #[must_use]
    pub fn plural(&self) -> &str {
        self.stored().map_or("", |kind| &kind.plural)
    }
}

/// All kinds that are served.
#[derive(Clone, Debug)]
pub struct Kinds {
    by_id: BTreeMap<String, Arc<Resource>>,
    /// Group, version and plural to the name in `by_id`.
    paths: BTreeMap<String, String>,
}

impl Kinds {
    /// The kinds of Kubernetes.
    #[must_use]
    pub fn native() -> Self {
        let mut kinds = Self { by_id: BTreeMap::new(), paths: BTreeMap::new() };
        for (group, versions, kind, plural, scope, traits) in NATIVE {
            let kinds_of = |version: &str| Kind {
                group: (*group).to_owned(),
                version: version.to_owned(),
                kind: (*kind).to_owned(),
                plural: (*plural).to_owned(),
                namespaced: *scope == NAMESPACED,
            };
            let all: Vec<Kind> = versions.split(' ').map(kinds_of).collect();
            let id = all.first().map(Kind::resource).unwrap_or_default();
            let singular = kind.to_ascii_lowercase();
            kinds.add(Resource { id, kinds: all, singular, traits: Traits::of(traits), custom: None });
        }
        kinds
    }

    /// Serves one more.
    pub fn add(&mut self, resource: Resource) {
        for kind in &resource.kinds {
            self.paths.insert(path(&kind.group, &kind.version, &kind.plural), resource.id.clone());
        }
        self.by_id.insert(resource.id.clone(), Arc::new(resource));
    }

    /// By the name in a `Call`.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Arc<Resource>> {
        self.by_id.get(id)
    }

    /// By group, version and plural, as in a URL.
    #[must_use]
    pub fn at(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.get(self.paths.get(&path(group, version, plural))?)
    }

    /// By `apiVersion` and `kind`, as in an owner reference.
    #[must_use]
    pub fn of_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<Resource>> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let fits = |known: &Kind| known.kind == kind && known.group == group && known.version == version;
        self.by_id.values().find(|resource| resource.kinds.iter().any(fits))
    }

    /// All, by name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.by_id.values()
    }
}

fn path(group: &str, version: &str, plural: &str) -> String {
    format!("{group}/{version}/{plural}")
}

const NAMESPACED: bool = true;
const CLUSTER: bool = false;

impl Traits {
    /// From letters: Status, sCale, Unconditional update, made by a Put, Deletion shows the object.
    fn of(letters: &str) -> Self {
        let has = |letter: char| letters.contains(letter);
        Self {
            status: has('S'),
            scale: has('C'),
            unconditional: has('U'),
            created_by_update: has('P'),
            deletion_shows_object: has('D'),
        }
    }
}

/// Group, versions with the stored one first, kind, plural, scope, traits.
type Row = (&'static str, &'static str, &'static str, &'static str, bool, &'static str);

const NATIVE: &[Row] = &[
    ("", "v1", "ConfigMap", "configmaps", NAMESPACED, "U"),
    ("", "v1", "Endpoints", "endpoints", NAMESPACED, "UP"),
    ("", "v1", "Event", "events", NAMESPACED, "UP"),
    ("", "v1", "Namespace", "namespaces", CLUSTER, "SUD"),
    ("", "v1", "Node", "nodes", CLUSTER, "SU"),
    ("", "v1", "PersistentVolume", "persistentvolumes", CLUSTER, "SUD"),
    ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", NAMESPACED, "SUD"),
    ("", "v1", "Pod", "pods", NAMESPACED, "SUD"),
    ("", "v1", "PodTemplate", "podtemplates", NAMESPACED, "UD"),
    ("", "v1", "Secret", "secrets", NAMESPACED, "U"),
    ("", "v1", "Service", "services", NAMESPACED, "SUD"),
    ("", "v1", "ServiceAccount", "serviceaccounts", NAMESPACED, "UD"),
    ("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration", MUTATING, CLUSTER, ""),
    ("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration", VALIDATING, CLUSTER, ""),
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", CLUSTER, "S"),
    ("apps", "v1", "ControllerRevision", "controllerrevisions", NAMESPACED, "U"),
    ("apps", "v1", "DaemonSet", "daemonsets", NAMESPACED, "SU"),
    ("apps", "v1", "Deployment", "deployments", NAMESPACED, "SCU"),
    ("apps", "v1", "ReplicaSet", "replicasets", NAMESPACED, "SCU"),
    ("apps", "v1", "StatefulSet", "statefulsets", NAMESPACED, "SCU"),
    ("batch", "v1", "CronJob", "cronjobs", NAMESPACED, "SU"),
    ("batch", "v1", "Job", "jobs", NAMESPACED, "SU"),
    ("coordination.k8s.io", "v1", "Lease", "leases", NAMESPACED, "P"),
    ("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", NAMESPACED, "U"),
    ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", NAMESPACED, "S"),
    ("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", CLUSTER, "U"),
    ("storage.k8s.io", "v1", "StorageClass", "storageclasses", CLUSTER, "U"),
];
const MUTATING: &str = "mutatingwebhookconfigurations";
const VALIDATING: &str = "validatingwebhookconfigurations";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_found_by_name_by_path_and_by_kind() {
        let kinds = Kinds::native();
        let by_path = kinds.at("apps", "v1", "deployments").unwrap();
        assert_eq!((by_path.id.as_str(), by_path.traits.scale), ("deployments.apps", true));
        assert_eq!(kinds.of_kind("apps/v1", "Deployment").unwrap().id, by_path.id);
        assert_eq!(kinds.get("pods").unwrap().stored().unwrap().api_version(), "v1");
        assert!(kinds.at("apps", "v1beta1", "deployments").is_none() && kinds.get("deployments").is_none());
    }
}
