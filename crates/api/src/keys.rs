//! The well-known names: labels, annotations, conditions, readiness gates, lifecycle states and groups.
//!
//! They are what users' manifests, dashboards and other tools read and write, and what OpenKruise 1.9 has left in
//! clusters that we take over: none of them may change.

/// API group of the workload kinds.
pub const APPS_GROUP: &str = "apps.kruise.io";
/// Namespace that the product runs in, by default.
pub const SYSTEM_NAMESPACE: &str = "kruise-system";
/// Service in front of the webhook, by default.
pub const WEBHOOK_SERVICE: &str = "kruise-webhook-service";
/// API group of budgets and protection.
pub const POLICY_GROUP: &str = "policy.kruise.io";

/// Label on Pods: the revision that the Pod was last moved to (RV-7, RV-8).
pub const REVISION_LABEL: &str = "controller-revision-hash";
/// Label on Pods: the hash part of the revision's name, never more (RV-7).
pub const TEMPLATE_HASH_LABEL: &str = "pod-template-hash";
/// Label on ControllerRevisions: the hash of their data.
pub const REVISION_HASH_LABEL: &str = "controller.kubernetes.io/hash";
/// Label on Pods of an Advanced StatefulSet: the Pod's own name.
pub const STATEFUL_POD_NAME_LABEL: &str = "statefulset.kubernetes.io/pod-name";

/// Label on Pods and claims of a CloneSet: which claims belong to which Pod (CS-66).
pub const INSTANCE_ID_LABEL: &str = "apps.kruise.io/cloneset-instance-id";
/// Label on Pods, by presence alone: this Pod is to be deleted (CS-4).
pub const SPECIFIED_DELETE_LABEL: &str = "apps.kruise.io/specified-delete";
/// Label on a `v1alpha1` CloneSet: Pods in `PreparingDelete` do not count as replicas (page section 2.1).
pub const EXCLUDE_PREPARING_DELETE_LABEL: &str = "apps.kruise.io/cloneset-scaling-exclude-preparing-delete";
/// Annotation on ControllerRevisions of a CloneSet: hash of the claim templates (RV-6).
pub const CLAIM_HASH_ANNOTATION: &str = "kruise.io/cloneset-volumeclaimtemplate-hash";
/// Annotation on Pods: lower goes first when scaling down (CS-50).
pub const POD_DELETION_COST_ANNOTATION: &str = "controller.kubernetes.io/pod-deletion-cost";
/// Label on workloads, namespaces, CRDs and more: refuses deletion (CS-110).
pub const DELETE_PROTECTION_LABEL: &str = "policy.kruise.io/delete-protection";

/// Label on Pods: the lifecycle state (LC-1).
pub const LIFECYCLE_STATE_LABEL: &str = "lifecycle.apps.kruise.io/state";
/// Annotation on Pods: when the lifecycle state was last set (LC-1).
pub const LIFECYCLE_TIMESTAMP_ANNOTATION: &str = "lifecycle.apps.kruise.io/timestamp";

/// Values of [`LIFECYCLE_STATE_LABEL`] (LC-2).
pub mod lifecycle {
    /// Created, waiting for its `preNormal` hook or for a node.
    pub const PREPARING_NORMAL: &str = "PreparingNormal";
    /// In service; an absent label means the same.
    pub const NORMAL: &str = "Normal";
    /// Chosen for an in-place update, waiting for its hook.
    pub const PREPARING_UPDATE: &str = "PreparingUpdate";
    /// Being updated in place.
    pub const UPDATING: &str = "Updating";
    /// Updated, waiting for its hook to be put back.
    pub const UPDATED: &str = "Updated";
    /// Chosen for deletion, waiting for its hook.
    pub const PREPARING_DELETE: &str = "PreparingDelete";
}

/// Annotation on Pods: state of the running or last in-place update (page in-place update, 2.1).
pub const INPLACE_STATE_ANNOTATION: &str = "apps.kruise.io/inplace-update-state";
/// The old key of [`INPLACE_STATE_ANNOTATION`], read only.
pub const INPLACE_STATE_ANNOTATION_OLD: &str = "inplace-update-state";
/// Annotation on Pods: the update that waits for the end of its grace period (2.2).
pub const INPLACE_GRACE_ANNOTATION: &str = "apps.kruise.io/inplace-update-grace";
/// The old key of [`INPLACE_GRACE_ANNOTATION`]; both are removed together.
pub const INPLACE_GRACE_ANNOTATION_OLD: &str = "inplace-update-grace";
/// Annotation on Pods, written by the node daemon: container hashes (2.4).
pub const RUNTIME_CONTAINERS_META_ANNOTATION: &str = "apps.kruise.io/runtime-containers-meta";
/// Condition and readiness gate of Pods that may be updated in place (2.3).
pub const INPLACE_READY_CONDITION: &str = "InPlaceUpdateReady";
/// Reason of [`INPLACE_READY_CONDITION`] while it is `False` (IU-21).
pub const INPLACE_START_REASON: &str = "StartInPlaceUpdate";
/// Condition and readiness gate through which controllers hold a Pod not ready (PR-1).
pub const POD_READY_CONDITION: &str = "KruisePodReady";
/// Kubernetes' own condition that a Pod serves.
pub const READY_CONDITION: &str = "Ready";
/// Kubernetes' own condition that all containers of a Pod are ready.
pub const CONTAINERS_READY_CONDITION: &str = "ContainersReady";

/// Environment variable that carries a container's launch priority, and the name of its barrier (IU-34).
pub const CONTAINER_BARRIER_ENV: &str = "KRUISE_CONTAINER_BARRIER";
/// Environment variables that the SidecarSet injection fills; never a reason for a restart (IU-7).
pub const SIDECARSET_VERSION_ENVS: [&str; 2] = ["SIDECARSET_VERSION", "SIDECARSET_VERSION_ALT"];

/// Annotation form of `imagePreDownloadParallelism` (page section 2.1, PD-2).
pub const IMAGE_PREDOWNLOAD_PARALLELISM_ANNOTATION: &str = "apps.kruise.io/image-predownload-parallelism";
/// Annotation form of `imagePreDownloadTimeoutSeconds`.
pub const IMAGE_PREDOWNLOAD_TIMEOUT_ANNOTATION: &str = "apps.kruise.io/image-predownload-timeout-seconds";
/// Annotation form of `imagePreDownloadMinUpdatedReadyPods`; the only form that takes a percentage (CS-71).
pub const IMAGE_PREDOWNLOAD_MIN_READY_ANNOTATION: &str = "apps.kruise.io/image-predownload-min-updated-ready-pods";
/// Label on ControllerRevisions: ImagePullJobs were made (CS-71; the spelling is as in 1.9).
pub const IMAGE_PREDOWNLOAD_CREATED_LABEL: &str = "apps.kruise.io/pre-predownload-created";
/// Label on ControllerRevisions: this revision needs no ImagePullJob (CS-71).
pub const IMAGE_PREDOWNLOAD_IGNORED_LABEL: &str = "apps.kruise.io/image-predownload-ignored";

/// Condition of a CloneSet: its rollout moves, rests or has timed out (CS-80).
pub const PROGRESSING_CONDITION: &str = "Progressing";
/// Condition of a CloneSet: the last scaling failed (page section 3.1).
pub const FAILED_SCALE_CONDITION: &str = "FailedScale";
/// Condition of a CloneSet: the last update failed (page section 3.1).
pub const FAILED_UPDATE_CONDITION: &str = "FailedUpdate";

/// Value of `progressDeadlineSeconds` that means "not tracked", as absence does (CS-80).
pub const NO_PROGRESS_DEADLINE: i32 = i32::MAX;
