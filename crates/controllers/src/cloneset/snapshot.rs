//! All that one pass over a CloneSet knows: taken from the caches by `observe`, read by everything that plans.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{
    cloneset::{
        CloneSet,
        v1beta1::{CloneSetSpec, Lifecycle, RollingUpdate},
    },
    k8s::{ControllerRevision, OwnerReference, Pairs, PersistentVolumeClaim, Pod, Text, share},
    keys,
};
use rules::{lifecycle::State, pod, revision};
use serde_json::Value;

use super::numbers::{PreparingDelete, Rollback};

/// What flags and feature gates say, fixed for the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `controller-revision-hash` holds the hash alone (gate `CloneSetShortHash`).
    pub revision_label: RevisionLabel,
    /// Whether a raised partition moves Pods back (gate `CloneSetPartitionRollback`).
    pub rollback: Rollback,
    /// Whether Pods in `PreparingUpdate` count as updated while scaling (gate `PreparingUpdateAsUpdate`, CS-7).
    pub preparing_update: PreparingUpdate,
    /// Whether Pods in `PreparingDelete` count as replicas (flag `--cloneset-scaling-exclude-preparing-delete`).
    pub preparing_delete: PreparingDelete,
    /// What becomes of metadata that feeds an environment (gate `InPlaceUpdateEnvFromMetadata`).
    pub env_from_metadata: rules::inplace::EnvFromMetadata,
    /// Whether changed claim templates rule an update in place out (gate `RecreatePodWhenChangeVCTInCloneSetGate`).
    pub claim_change: ClaimChange,
}

/// Form of the label `controller-revision-hash` (RV-7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevisionLabel {
    /// The revision's name.
    Name,
    /// The text after its last `-`.
    Hash,
}

/// How Pods in `PreparingUpdate` count while scaling (CS-7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreparingUpdate {
    /// By the revision that they carry.
    ByRevision,
    /// As updated.
    AsUpdated,
}

/// What a change of claim templates does (CS-64, IU-8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimChange {
    /// Nothing.
    Ignored,
    /// Pods are recreated.
    Recreates,
}

/// One revision in use: its name and the template that new Pods get.
#[derive(Clone, Debug, PartialEq)]
pub struct Revision {
    /// Name of the ControllerRevision.
    pub name: String,
    /// Pod template.
    pub template: Value,
}

/// The revisions of one CloneSet (CS-14).
#[derive(Clone, Debug, PartialEq)]
pub struct Revisions {
    /// Where Pods come from.
    pub current: Revision,
    /// Where Pods go to.
    pub update: Revision,
    /// All of them, in order (RV-4).
    pub history: Vec<Arc<ControllerRevision>>,
    /// Name collisions so far (RV-3).
    pub collisions: i32,
}

/// Everything that a pass knows. Equal snapshots and times give equal plans.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The CloneSet.
    pub cloneset: Arc<CloneSet>,
    /// Its Pods (CS-3).
    pub pods: Vec<Arc<Pod>>,
    /// Owned Pods that are not active: they only keep their names and claims (CS-2).
    pub inactive: Vec<Arc<Pod>>,
    /// Owned claims that are not terminating.
    pub claims: Vec<Arc<PersistentVolumeClaim>>,
    /// Its revisions.
    pub revisions: Revisions,
    /// Labels of the nodes that its Pods are on; only filled where the template has spread constraints.
    pub nodes: BTreeMap<Text, Pairs>,
    /// Flags and gates.
    pub settings: Settings,
    /// Where random instance ids start from (CS-66).
    pub seed: u64,
}

impl Snapshot {
    /// The CloneSet's spec.
    #[must_use]
    pub fn spec(&self) -> &CloneSetSpec {
        &self.cloneset.spec
    }

    /// Name of the CloneSet.
    #[must_use]
    pub fn name(&self) -> &str {
        self.cloneset.metadata.name.as_str()
    }

    /// Namespace of the CloneSet.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.cloneset.metadata.namespace.as_str()
    }

    /// The controller reference that its Pods and revisions carry (page section 1).
    #[must_use]
    pub fn owner_reference(&self) -> OwnerReference {
        owner_reference(&self.cloneset)
    }

    /// Details of the rolling update.
    #[must_use]
    pub fn rolling_update(&self) -> Option<&RollingUpdate> {
        self.spec().update_strategy.as_ref()?.rolling_update.as_ref()
    }

    /// The lifecycle hooks.
    #[must_use]
    pub fn lifecycle(&self) -> Option<&Lifecycle> {
        self.spec().lifecycle.as_ref()
    }

    /// `minReadySeconds`, 0 when absent.
    #[must_use]
    pub fn min_ready_seconds(&self) -> i32 {
        self.spec().min_ready_seconds.unwrap_or(0)
    }

    /// Whether a Pod carries the update revision (RV-8).
    #[must_use]
    pub fn is_updated(&self, pod: &Pod) -> bool {
        revision::label_names(pod::label(pod, keys::REVISION_LABEL), &self.revisions.update.name)
    }

    /// Whether a Pod counts as updated while scaling (CS-7).
    #[must_use]
    pub fn counts_as_new(&self, pod: &Pod) -> bool {
        self.is_updated(pod)
            || (self.settings.preparing_update == PreparingUpdate::AsUpdated
                && State::of(pod) == State::PreparingUpdate)
    }

    /// Whether a Pod is specified for deletion, by label or by name (CS-4).
    #[must_use]
    pub fn is_specified_delete(&self, pod: &Pod) -> bool {
        let listed = self.spec().scale_strategy.as_ref().map_or(&[][..], |scale| &scale.pods_to_delete);
        pod::has_specified_delete_label(pod) || listed.iter().any(|name| pod.metadata.name == *name)
    }

    /// Whether replacements take over the claims of a Pod that somebody else deleted (CS-61, CS-62).
    #[must_use]
    pub fn reuses_claims(&self) -> bool {
        reuses_claims(&self.cloneset)
    }

    /// Names of the Pods that are specified for deletion or prepare for it (CS-40).
    #[must_use]
    pub fn planned_to_go(&self) -> BTreeSet<&str> {
        self.pods
            .iter()
            .filter(|pod| self.is_specified_delete(pod) || State::of(pod) == State::PreparingDelete)
            .map(|pod| pod.metadata.name.as_str())
            .collect()
    }
}

/// `scaleStrategy.enablePVCReuse`.
#[must_use]
pub fn reuses_claims(cloneset: &CloneSet) -> bool {
    cloneset.spec.scale_strategy.as_ref().and_then(|scale| scale.enable_pvc_reuse) == Some(true)
}

/// The controller reference to a CloneSet, always in the version that controllers use (page section 1).
#[must_use]
pub fn owner_reference(cloneset: &CloneSet) -> OwnerReference {
    OwnerReference {
        api_version: share("apps.kruise.io/v1beta1"),
        kind: share("CloneSet"),
        name: cloneset.metadata.name.clone(),
        uid: cloneset.metadata.uid.clone(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}
