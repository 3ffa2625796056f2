//! The parts of objects that a controller reads: a cache holds these, not the whole object.
//!
//! Unknown members are skipped while decoding. What we pass on to the cluster never goes through these types: writes
//! are patches, and templates stay JSON, so a field that did not exist when this was built survives (design rule 3).
//! Lists are boxed and common text is shared, see `text.rs`: at 100,000 Pods each byte here is a tenth of a megabyte.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

mod metadata;
mod pairs;
mod text;

use metadata::list;
pub use metadata::{Metadata, OwnerReference};
pub use pairs::Pairs;
use text::shared;
pub use text::{Text, share};

/// The cached part of a kind.
pub trait Projection {
    /// The kind: its group, version, plural and scope.
    type Of: kube::Resource<DynamicType = ()>;

    /// Metadata of the object.
    fn metadata(&self) -> &Metadata;
}

/// Declares which kind a type is the cached part of.
macro_rules! part_of {
    ($type:ty, $kind:ty) => {
        impl $crate::k8s::Projection for $type {
            type Of = $kind;
            fn metadata(&self) -> &$crate::k8s::Metadata {
                &self.metadata
            }
        }
    };
}
pub(crate) use part_of;

/// A Pod, as controllers see it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Pod {
    /// Metadata.
    pub metadata: Metadata,
    /// What was asked for.
    #[serde(default)]
    pub spec: PodSpec,
    /// What the kubelet reports.
    #[serde(default)]
    pub status: PodStatus,
}
part_of!(Pod, k8s_openapi::api::core::v1::Pod);

/// The read part of a Pod's spec.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// Node the Pod is bound to; empty while unscheduled.
    #[serde(deserialize_with = "shared")]
    pub node_name: Text,
    /// Condition types that must be True before the Pod is Ready.
    #[serde(deserialize_with = "list")]
    pub readiness_gates: Box<[ReadinessGate]>,
    /// Regular containers.
    #[serde(deserialize_with = "list")]
    pub containers: Box<[Container]>,
    /// Names of the init containers that run beside the regular ones (restart policy `Always`).
    #[serde(rename = "initContainers", deserialize_with = "sidecars")]
    pub sidecars: Box<[Text]>,
    /// Names of the claims that the Pod's volumes use.
    #[serde(rename = "volumes", deserialize_with = "claims")]
    pub claims: Box<[Text]>,
}

/// One readiness gate.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReadinessGate {
    /// The condition's type.
    #[serde(deserialize_with = "shared")]
    pub condition_type: Text,
}

/// The read part of a container.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Container {
    /// Unique in the Pod.
    #[serde(deserialize_with = "shared")]
    pub name: Text,
    /// Image reference as written in the spec.
    #[serde(deserialize_with = "shared")]
    pub image: Text,
    /// Environment entries that take their value from the Pod or a ConfigMap; the others are dropped.
    #[serde(deserialize_with = "sourced")]
    pub env: Box<[EnvVar]>,
}

/// One environment variable with a source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EnvVar {
    /// Name of the variable.
    pub name: Text,
    /// Where its value comes from.
    pub source: EnvSource,
}

/// Where an environment variable takes its value from.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum EnvSource {
    /// Elsewhere.
    #[default]
    Other,
    /// A field of the Pod, such as `metadata.labels['app']`.
    Field(Text),
    /// The value under this key of a ConfigMap (launch barrier).
    ConfigMapKey(Text),
}

/// The read part of a Pod's status.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    #[serde(deserialize_with = "shared")]
    pub phase: Text,
    /// Pod conditions.
    #[serde(deserialize_with = "list")]
    pub conditions: Box<[PodCondition]>,
    /// Statuses of regular containers.
    #[serde(deserialize_with = "list")]
    pub container_statuses: Box<[ContainerStatus]>,
    /// Statuses of init containers.
    #[serde(deserialize_with = "list")]
    pub init_container_statuses: Box<[InitContainerStatus]>,
}

/// One condition of a Pod.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodCondition {
    /// For example `Ready`.
    #[serde(rename = "type", deserialize_with = "shared")]
    pub type_: Text,
    /// `True`, `False` or `Unknown`.
    #[serde(deserialize_with = "shared")]
    pub status: Text,
    /// When `status` last changed.
    pub last_transition_time: Option<Timestamp>,
    /// One word.
    #[serde(deserialize_with = "shared")]
    pub reason: Text,
    /// For people, or a JSON list of holders (PR-2).
    #[serde(deserialize_with = "shared")]
    pub message: Text,
}

/// The read part of a container's status.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    /// Name of the container.
    #[serde(deserialize_with = "shared")]
    pub name: Text,
    /// Image reference that runs.
    #[serde(deserialize_with = "shared")]
    pub image: Text,
    /// Image id that runs.
    #[serde(rename = "imageID", deserialize_with = "shared")]
    pub image_id: Text,
    /// `<runtime>://<id>`.
    #[serde(rename = "containerID")]
    pub container_id: Text,
    /// Whether its readiness probe passes.
    pub ready: bool,
    /// Restarts so far.
    pub restart_count: i32,
}

/// The read part of an init container's status.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InitContainerStatus {
    /// Name of the container.
    #[serde(deserialize_with = "shared")]
    pub name: Text,
    /// Restarts so far.
    pub restart_count: i32,
}

/// A ControllerRevision; its data stays JSON.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct ControllerRevision {
    /// Metadata.
    pub metadata: Metadata,
    /// The revisioned part of the owner's spec.
    #[serde(default)]
    pub data: Value,
    /// Order of the revisions of one owner.
    #[serde(default)]
    pub revision: i64,
}
part_of!(ControllerRevision, k8s_openapi::api::apps::v1::ControllerRevision);

/// A PersistentVolumeClaim's identity; nothing else of it is read.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct PersistentVolumeClaim {
    /// Metadata.
    pub metadata: Metadata,
}
part_of!(PersistentVolumeClaim, k8s_openapi::api::core::v1::PersistentVolumeClaim);

/// A Node's identity and labels; nothing else of it is read.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Node {
    /// Metadata.
    pub metadata: Metadata,
}
part_of!(Node, k8s_openapi::api::core::v1::Node);

fn sidecars<'de, D: Deserializer<'de>>(from: D) -> Result<Box<[Text]>, D::Error> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct InitContainer {
        #[serde(deserialize_with = "shared")]
        name: Text,
        #[serde(deserialize_with = "shared")]
        restart_policy: Text,
    }
    let containers = list::<InitContainer, D>(from)?.into_iter();
    Ok(containers.filter(|container| container.restart_policy == "Always").map(|container| container.name).collect())
}

fn claims<'de, D: Deserializer<'de>>(from: D) -> Result<Box<[Text]>, D::Error> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Volume {
        persistent_volume_claim: Option<Source>,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Source {
        claim_name: Text,
    }
    Ok(list::<Volume, D>(from)?
        .into_iter()
        .filter_map(|volume| Some(volume.persistent_volume_claim?.claim_name))
        .collect())
}

fn sourced<'de, D: Deserializer<'de>>(from: D) -> Result<Box<[EnvVar]>, D::Error> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Variable {
        #[serde(deserialize_with = "shared")]
        name: Text,
        value_from: Option<Source>,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Source {
        field_ref: Option<Field>,
        config_map_key_ref: Option<Key>,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Field {
        #[serde(deserialize_with = "shared")]
        field_path: Text,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Key {
        #[serde(deserialize_with = "shared")]
        key: Text,
    }
    let source = |from: Source| match from {
        Source { field_ref: Some(field), .. } => EnvSource::Field(field.field_path),
        Source { config_map_key_ref: Some(key), .. } => EnvSource::ConfigMapKey(key.key),
        Source { field_ref: None, config_map_key_ref: None } => EnvSource::Other,
    };
    let named = |variable: Variable| match source(variable.value_from?) {
        EnvSource::Other => None,
        source => Some(EnvVar { name: variable.name, source }),
    };
    Ok(list::<Variable, D>(from)?.into_iter().filter_map(named).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_controllers_read_is_kept_of_a_pod() {
        let pod: Pod = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "web-1", "namespace": "shop"},
            "spec": {
                "containers": [{"name": "main", "image": "nginx:1.25", "env": [
                    {"name": "PLAIN", "value": "1"},
                    {"name": "VERSION", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.labels['v']"}}},
                    {"name": "BARRIER", "valueFrom": {"configMapKeyRef": {"name": "b", "key": "p_1"}}},
                    {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
                ]}],
                "initContainers": [{"name": "setup"}, {"name": "proxy", "restartPolicy": "Always"}],
                "volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "persistentVolumeClaim": {"claimName": "data"}}],
            },
            "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": null},
        }))
        .unwrap();
        let env: Vec<_> =
            pod.spec.containers[0].env.iter().map(|env| (env.name.as_str(), env.source.clone())).collect();
        assert_eq!(
            env,
            [
                ("VERSION", EnvSource::Field("metadata.labels['v']".into())),
                ("BARRIER", EnvSource::ConfigMapKey("p_1".into()))
            ]
        );
        assert_eq!((&pod.spec.sidecars[..], &pod.spec.claims[..]), (&["proxy".into()][..], &["data".into()][..]));
        assert_eq!((pod.status.phase.as_str(), pod.status.conditions.len()), ("Running", 0));
    }
}
