//! The parts of native objects that a controller reads: a cache holds these, not the whole object.
//!
//! Unknown members are skipped while decoding. What we pass on to the cluster never goes through these types: writes
//! are patches, and templates stay JSON, so a field that did not exist when this was built survives (design rule 3).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Reads object metadata without `managedFields`, which no controller needs and which is often half of an object.
///
/// # Errors
/// Fails where the metadata is not of the API's form.
pub fn lean_metadata<'de, D: Deserializer<'de>>(from: D) -> Result<ObjectMeta, D::Error> {
    let mut metadata = ObjectMeta::deserialize(from)?;
    metadata.managed_fields = None;
    Ok(metadata)
}

/// Declares that a type is the cached part of a native kind, so that `kube` can list and watch it.
macro_rules! part_of_native_kind {
    ($type:ty, $native:ty) => {
        impl kube::Resource for $type {
            type DynamicType = ();
            type Scope = <$native as kube::Resource>::Scope;
            fn kind(_: &()) -> std::borrow::Cow<'_, str> {
                <$native as kube::Resource>::kind(&())
            }
            fn group(_: &()) -> std::borrow::Cow<'_, str> {
                <$native as kube::Resource>::group(&())
            }
            fn version(_: &()) -> std::borrow::Cow<'_, str> {
                <$native as kube::Resource>::version(&())
            }
            fn plural(_: &()) -> std::borrow::Cow<'_, str> {
                <$native as kube::Resource>::plural(&())
            }
            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }
            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

/// A Pod, as controllers see it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pod {
    /// Object metadata without `managedFields`.
    #[serde(deserialize_with = "lean_metadata")]
    pub metadata: ObjectMeta,
    /// What was asked for.
    #[serde(default)]
    pub spec: PodSpec,
    /// What the kubelet reports.
    #[serde(default)]
    pub status: PodStatus,
}
part_of_native_kind!(Pod, k8s_openapi::api::core::v1::Pod);

/// The read part of a Pod's spec.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// Node the Pod is bound to; empty while unscheduled.
    pub node_name: String,
    /// Condition types that must be True before the Pod is Ready.
    pub readiness_gates: Vec<ReadinessGate>,
    /// Regular containers.
    pub containers: Vec<Container>,
    /// Init containers; those that restart are sidecars.
    pub init_containers: Vec<InitContainer>,
}

/// One readiness gate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReadinessGate {
    /// The condition's type.
    pub condition_type: String,
}

/// The read part of a container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Container {
    /// Unique in the Pod.
    pub name: String,
    /// Image reference as written in the spec.
    pub image: String,
    /// Environment entries that take their value from somewhere (launch barrier, metadata); literal ones are dropped.
    pub env: Vec<EnvVar>,
}

/// The read part of an init container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InitContainer {
    /// Unique in the Pod.
    pub name: String,
    /// `Always` makes it a sidecar that runs beside the regular containers; empty otherwise.
    pub restart_policy: String,
}

/// One environment variable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvVar {
    /// Name of the variable.
    pub name: String,
    /// Source of the value; absent for literal values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_from: Option<Value>,
}

/// The read part of a Pod's status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: String,
    /// Pod conditions.
    pub conditions: Vec<PodCondition>,
    /// Statuses of regular containers.
    pub container_statuses: Vec<ContainerStatus>,
    /// Statuses of init containers.
    pub init_container_statuses: Vec<ContainerStatus>,
}

/// One condition of a Pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodCondition {
    /// For example `Ready`.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// When `status` last changed.
    pub last_transition_time: Option<Time>,
    /// One word.
    pub reason: String,
    /// For people, or a JSON list of holders (PR-2).
    pub message: String,
}

/// The read part of a container's status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    /// Name of the container.
    pub name: String,
    /// Image reference that runs.
    pub image: String,
    /// Image id that runs.
    #[serde(rename = "imageID")]
    pub image_id: String,
    /// `<runtime>://<id>`.
    #[serde(rename = "containerID")]
    pub container_id: String,
    /// Whether its readiness probe passes.
    pub ready: bool,
    /// Restarts so far.
    pub restart_count: i32,
}

/// A ControllerRevision without `managedFields`; its data stays JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ControllerRevision {
    /// Object metadata without `managedFields`.
    #[serde(deserialize_with = "lean_metadata")]
    pub metadata: ObjectMeta,
    /// The revisioned part of the owner's spec.
    #[serde(default)]
    pub data: Value,
    /// Order of the revisions of one owner.
    #[serde(default)]
    pub revision: i64,
}
part_of_native_kind!(ControllerRevision, k8s_openapi::api::apps::v1::ControllerRevision);

/// A PersistentVolumeClaim's identity; nothing else of it is read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PersistentVolumeClaim {
    /// Object metadata without `managedFields`.
    #[serde(deserialize_with = "lean_metadata")]
    pub metadata: ObjectMeta,
}
part_of_native_kind!(PersistentVolumeClaim, k8s_openapi::api::core::v1::PersistentVolumeClaim);

/// A Node's identity and labels; nothing else of it is read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Object metadata without `managedFields`.
    #[serde(deserialize_with = "lean_metadata")]
    pub metadata: ObjectMeta,
}
part_of_native_kind!(Node, k8s_openapi::api::core::v1::Node);

/// Endpoints of a Service, as far as somebody waits for one that is ready.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EndpointSlice {
    /// Object metadata without `managedFields`.
    #[serde(deserialize_with = "lean_metadata")]
    pub metadata: ObjectMeta,
    /// The endpoints.
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
    /// The ports; Pods that lack the Service's named port stand in a slice without any.
    #[serde(default)]
    pub ports: Option<Vec<Value>>,
}
part_of_native_kind!(EndpointSlice, k8s_openapi::api::discovery::v1::EndpointSlice);

/// One endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Endpoint {
    /// Its state.
    pub conditions: EndpointConditions,
}

/// State of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointConditions {
    /// Whether it serves; unknown counts as ready, as in Kubernetes.
    pub ready: Option<bool>,
}
