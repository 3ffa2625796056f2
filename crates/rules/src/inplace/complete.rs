//! Whether the containers have followed the Pod's spec (IU-50..53).

use api::{
    k8s::{Container, EnvSource, Pairs, Pod},
    keys,
};
use serde::Deserialize;

use super::state::{State, grace_text, state_text};
use crate::hash;

/// An annotation that cannot be read; the Pod counts as not complete.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("annotation {annotation} of Pod {pod} is not valid: {detail}")]
pub struct Broken {
    /// Key of the annotation.
    pub annotation: &'static str,
    /// Name of the Pod.
    pub pod: String,
    /// What is wrong with it.
    pub detail: String,
}

impl Broken {
    pub(super) fn new(annotation: &'static str, pod: &Pod, detail: impl ToString) -> Self {
        Self { annotation, pod: pod.metadata.name.to_string(), detail: detail.to_string() }
    }
}

/// The state annotation, decoded; `None` without one.
pub(super) fn state(pod: &Pod) -> Result<Option<State>, Broken> {
    state_text(pod)
        .map(|text| serde_json::from_str(text).map_err(|error| Broken::new(keys::INPLACE_STATE_ANNOTATION, pod, error)))
        .transpose()
}

/// Whether no update in place is under way on this Pod (IU-50).
///
/// # Errors
/// An annotation cannot be read.
pub fn is_complete(pod: &Pod) -> Result<bool, Broken> {
    if grace_text(pod).is_some() {
        return Ok(false);
    }
    let Some(state) = state(pod)? else { return Ok(true) };
    let nothing_left = state.next_container_images.is_empty()
        && state.next_container_ref_metadata.is_empty()
        && state.next_container_resources.is_empty();
    Ok(nothing_left && containers_complete(pod, &state)?)
}

/// Annotation `apps.kruise.io/runtime-containers-meta`, written on the node.
#[derive(Deserialize)]
struct RuntimeMeta {
    #[serde(default)]
    containers: Vec<ContainerMeta>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerMeta {
    name: String,
    #[serde(rename = "containerID")]
    container_id: String,
    #[serde(default)]
    hashes: Hashes,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hashes {
    #[serde(default)]
    plain_hash: u64,
    #[serde(default)]
    extracted_env_from_metadata_hash: u64,
}

/// Whether every container of the last batch runs what the spec says (IU-51).
pub(super) fn containers_complete(pod: &Pod, state: &State) -> Result<bool, Broken> {
    let text = pod.metadata.annotations.get(keys::RUNTIME_CONTAINERS_META_ANNOTATION);
    let meta: Option<RuntimeMeta> = text
        .map(|text| serde_json::from_str(text))
        .transpose()
        .map_err(|error| Broken::new(keys::RUNTIME_CONTAINERS_META_ANNOTATION, pod, error))?;
    let consistent = |kind| meta.as_ref().is_some_and(|meta| is_consistent(pod, meta, kind));
    if state.update_env_from_metadata && !consistent(HashKind::Environment) {
        return Ok(false);
    }
    if consistent(HashKind::Plain) {
        return Ok(true);
    }
    let last = state.last_container_statuses.iter().flatten();
    Ok(last.into_iter().all(|(name, last)| {
        let status = pod.status.container_statuses.iter().find(|status| status.name == *name);
        let wanted = pod.spec.containers.iter().find(|container| container.name == *name);
        status
            .zip(wanted)
            .is_some_and(|(status, wanted)| status.image_id != last.image_id || status.image == with_tag(&wanted.image))
    }))
}

/// A spec image without any `:` is compared as `:latest` (IU-51.5, IU-81).
fn with_tag(image: &str) -> String {
    if image.contains(':') { image.to_owned() } else { format!("{image}:latest") }
}

/// Which of the reported hashes is held against the spec.
#[derive(Clone, Copy)]
enum HashKind {
    Plain,
    Environment,
}

/// Whether the node reports, for every container and its present id, the hash of the spec (IU-52).
fn is_consistent(pod: &Pod, meta: &RuntimeMeta, kind: HashKind) -> bool {
    pod.spec.containers.iter().all(|container| {
        let status = pod.status.container_statuses.iter().find(|status| status.name == container.name);
        let meta = meta.containers.iter().find(|meta| meta.name == container.name);
        status.zip(meta).is_some_and(|(status, meta)| {
            status.container_id == meta.container_id
                && match kind {
                    HashKind::Plain => {
                        meta.hashes.plain_hash == u64::from(hash::plain_container(&container.image, &container.name))
                    }
                    HashKind::Environment => {
                        meta.hashes.extracted_env_from_metadata_hash == u64::from(expected_environment(pod, container))
                    }
                }
        })
    })
}

/// Hash of the environment that a container should have from the Pod's present labels and annotations (section 3.7).
fn expected_environment(pod: &Pod, container: &Container) -> u32 {
    let value = |map: &Pairs, key: &str| map.get(key).map(ToString::to_string).unwrap_or_default();
    let mut found: Vec<(String, String)> = Vec::new();
    for variable in &container.env {
        let EnvSource::Field(path) = &variable.source else { continue };
        let inner = |prefix: &str| path.strip_prefix(prefix)?.strip_suffix("']");
        let value = if let Some(key) = inner("metadata.labels['") {
            value(&pod.metadata.labels, key)
        } else if let Some(key) = inner("metadata.annotations['") {
            value(&pod.metadata.annotations, key)
        } else {
            continue;
        };
        if !keys::SIDECARSET_VERSION_ENVS.contains(&variable.name.as_str()) {
            found.push((variable.name.to_string(), value));
        }
    }
    found.sort();
    hash::environment(&found)
}
