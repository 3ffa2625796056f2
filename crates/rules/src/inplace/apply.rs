//! The patches of an update in place: marking the Pod unready, changing it batch by batch, letting it be ready again
//! (IU-20..22, IU-30..47). Each returns patches for one Pod version; nothing here reads or writes the cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use api::{
    k8s::{Container, EnvSource, Pod},
    keys,
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    complete::{Broken, containers_complete, state as read_state},
    judge::Change,
    state::{Batch, Grace, LastStatus, PreCheck, State, grace_text, seconds_text},
};
use crate::{
    pod::{condition, has_readiness_gate, label},
    readiness,
    revision::label_names,
    write::{Patch, PatchFormat, Subresource},
};

/// What an update is started with (IU-22).
#[derive(Clone, Debug)]
pub struct Start<'a> {
    /// Revision that the Pod moves to.
    pub revision: &'a str,
    /// What changes.
    pub change: &'a Change,
    /// Seconds between marking the Pod unready and changing its spec.
    pub grace_seconds: i32,
    /// Labels to set with the update: revision labels and the lifecycle state.
    pub labels: BTreeMap<String, String>,
    /// Annotations to set with the update.
    pub annotations: BTreeMap<String, String>,
    /// The present time.
    pub now: Timestamp,
}

/// What a Pod needs in a pass that does not start an update on it (IU-40..47).
#[derive(Debug, PartialEq)]
pub enum Refresh {
    /// Nothing to write.
    Nothing,
    /// The grace period goes on for this long.
    Wait(Duration),
    /// A metadata or spec patch: the grace period is over or void, or the next batch is due.
    Patch(Patch),
    /// `InPlaceUpdateReady` must become True, as a patch of the status.
    Ready(Value),
}

/// The patches that start an update: `InPlaceUpdateReady` False first, then the Pod itself (IU-21, IU-22).
///
/// The first is sent even if the cached Pod already looks like that (IU-82): its resourceVersion proves the cache.
#[must_use]
pub fn start(pod: &Pod, start: &Start<'_>) -> Vec<Patch> {
    let gated = has_readiness_gate(pod, keys::INPLACE_READY_CONDITION);
    let mut patches = Vec::new();
    if gated {
        let mut conditions = vec![readiness::condition(
            keys::INPLACE_READY_CONDITION,
            "False",
            keys::INPLACE_START_REASON,
            "",
            start.now,
        )];
        conditions.extend(readiness::recomputed_ready(pod, &[(keys::INPLACE_READY_CONDITION, "False")], start.now));
        patches.push(Patch {
            subresource: Subresource::Status,
            format: PatchFormat::Strategic,
            body: json!({"status": {"conditions": conditions}}),
        });
    }
    let mut state = State {
        revision: start.revision.to_owned(),
        update_timestamp: seconds_text(start.now),
        update_images: !start.change.images.is_empty(),
        ..State::default()
    };
    let mut body = PodPatch::default();
    if start.grace_seconds > 0 {
        let metadata = json!({"metadata": start.change.metadata}).to_string();
        let grace = Grace {
            revision: start.revision.to_owned(),
            container_images: start.change.images.clone(),
            meta_data_patch: if start.change.metadata.is_empty() { String::new() } else { BASE64.encode(metadata) },
            grace_seconds: start.grace_seconds,
            ..Grace::default()
        };
        body.annotate(keys::INPLACE_GRACE_ANNOTATION, json!(text(&grace)));
    } else {
        body.apply(pod, &mut state, &start.change.images, &start.change.metadata, start.now);
        body.drop_grace(pod);
    }
    body.annotate(keys::INPLACE_STATE_ANNOTATION, json!(text(&state)));
    body.drop_if_present(pod, keys::INPLACE_STATE_ANNOTATION_OLD);
    for (key, value) in &start.labels {
        body.labels.insert(key.clone(), json!(value));
    }
    for (key, value) in &start.annotations {
        body.annotate(key, json!(value));
    }
    patches.push(body.into_patch());
    patches
}

/// What the Pod needs to go on with, or to end, an update that was started earlier (IU-40..47).
///
/// # Errors
/// One of the engine's annotations cannot be read, or a stored plan asks for what this engine does not do.
pub fn refresh(pod: &Pod, now: Timestamp) -> Result<Refresh, Broken> {
    if let Some(grace) = grace_text(pod) {
        return after_grace(pod, grace, now);
    }
    if let Some(mut state) = read_state(pod)? {
        if !containers_complete(pod, &state)? {
            return Ok(Refresh::Nothing);
        }
        if !state.next_container_resources.is_empty() {
            return Err(Broken::new(
                keys::INPLACE_STATE_ANNOTATION,
                pod,
                "resources are left to resize in place, which is not supported",
            ));
        }
        if !state.next_container_images.is_empty() || !state.next_container_ref_metadata.is_empty() {
            if !required_are_ready(pod, &state) {
                return Ok(Refresh::Nothing);
            }
            let images = std::mem::take(&mut state.next_container_images);
            let mut body = PodPatch::default();
            let metadata = merged_metadata(&std::mem::take(&mut state.next_container_ref_metadata));
            body.apply(pod, &mut state, &images, &metadata, now);
            body.annotate(keys::INPLACE_STATE_ANNOTATION, json!(text(&state)));
            body.drop_if_present(pod, keys::INPLACE_STATE_ANNOTATION_OLD);
            return Ok(Refresh::Patch(body.into_patch()));
        }
    }
    if !has_readiness_gate(pod, keys::INPLACE_READY_CONDITION) {
        return Ok(Refresh::Nothing);
    }
    let present = condition(pod, keys::INPLACE_READY_CONDITION);
    if present.is_some_and(|is| is.status == "True" && is.reason.is_empty() && is.message.is_empty()) {
        return Ok(Refresh::Nothing);
    }
    Ok(Refresh::Ready(readiness::condition(keys::INPLACE_READY_CONDITION, "True", "", "", now)))
}

/// The grace period is void, goes on, or is over (IU-30).
fn after_grace(pod: &Pod, grace: &str, now: Timestamp) -> Result<Refresh, Broken> {
    let grace: Grace =
        serde_json::from_str(grace).map_err(|error| Broken::new(keys::INPLACE_GRACE_ANNOTATION, pod, error))?;
    let Some(text_of_state) = super::state::state_text(pod) else {
        return Err(Broken::new(keys::INPLACE_STATE_ANNOTATION, pod, "missing during the grace period"));
    };
    let Ok(mut state) = serde_json::from_str::<State>(text_of_state) else { return Ok(Refresh::Nothing) };
    let mut body = PodPatch::default();
    body.drop_grace(pod);
    if !label_names(label(pod, keys::REVISION_LABEL), &grace.revision) {
        return Ok(Refresh::Patch(body.into_patch()));
    }
    if let Ok(started) = state.update_timestamp.parse::<Timestamp>() {
        let left = i64::from(grace.grace_seconds) - now.duration_since(started).as_secs();
        if let Ok(left @ 1..) = u64::try_from(left) {
            return Ok(Refresh::Wait(Duration::from_secs(left)));
        }
    }
    if !grace.container_resources.is_empty() {
        return Err(Broken::new(
            keys::INPLACE_GRACE_ANNOTATION,
            pod,
            "asks to resize resources in place, which is not supported",
        ));
    }
    let mut metadata = stored_metadata(pod, &grace)?;
    for (map, values) in merged_metadata(&grace.container_ref_metadata) {
        if let (Some(values), Some(into)) =
            (values.as_object(), metadata.entry(map).or_insert_with(|| json!({})).as_object_mut())
        {
            into.extend(values.clone());
        }
    }
    body.apply(pod, &mut state, &grace.container_images, &metadata, now);
    body.annotate(keys::INPLACE_STATE_ANNOTATION, json!(text(&state)));
    body.drop_if_present(pod, keys::INPLACE_STATE_ANNOTATION_OLD);
    Ok(Refresh::Patch(body.into_patch()))
}

fn stored_metadata(pod: &Pod, grace: &Grace) -> Result<Map<String, Value>, Broken> {
    if grace.meta_data_patch.is_empty() {
        return Ok(Map::new());
    }
    let broken = |detail: &dyn ToString| Broken::new(keys::INPLACE_GRACE_ANNOTATION, pod, detail.to_string());
    let bytes = BASE64.decode(&grace.meta_data_patch).map_err(|error| broken(&error))?;
    let patch: Value = serde_json::from_slice(&bytes).map_err(|error| broken(&error))?;
    Ok(patch.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default())
}

/// Labels and annotations of all containers together.
fn merged_metadata(by_container: &BTreeMap<String, Value>) -> Map<String, Value> {
    let mut merged = Map::new();
    for map in ["labels", "annotations"] {
        let all: Map<String, Value> = by_container
            .values()
            .filter_map(|metadata| metadata.get(map).and_then(Value::as_object))
            .flat_map(|values| values.clone())
            .collect();
        if !all.is_empty() {
            merged.insert(map.to_owned(), Value::Object(all));
        }
    }
    merged
}

/// Every container that the next batch waits for is ready (IU-43, IU-86).
fn required_are_ready(pod: &Pod, state: &State) -> bool {
    let required = state.pre_check_before_next.iter().flat_map(|check| &check.containers_required_ready);
    required
        .into_iter()
        .all(|name| pod.status.container_statuses.iter().any(|status| status.name == *name && status.ready))
}

/// Launch priority of a container: the number after `p_` in its barrier's key (IU-34).
fn launch_priority(container: &Container) -> Option<i64> {
    let barrier = container.env.iter().find(|variable| variable.name == keys::CONTAINER_BARRIER_ENV)?;
    let EnvSource::ConfigMapKey(key) = &barrier.source else { return None };
    key.strip_prefix("p_")?.parse().ok()
}

/// The containers of the next batch: all without a priority, and those with the highest (IU-34).
fn choose(pod: &Pod, images: &BTreeMap<String, String>) -> BTreeSet<String> {
    let priority = |name: &str| pod.spec.containers.iter().find(|c| c.name == name).and_then(launch_priority);
    let highest = images.keys().filter_map(|name| priority(name)).max();
    images.keys().filter(|name| priority(name).is_none_or(|of| Some(of) == highest)).cloned().collect()
}

fn text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// A strategic merge patch of a Pod in the making.
#[derive(Default)]
struct PodPatch {
    labels: Map<String, Value>,
    annotations: Map<String, Value>,
    other_metadata: Map<String, Value>,
    containers: Vec<Value>,
}

impl PodPatch {
    fn annotate(&mut self, key: &str, value: Value) {
        self.annotations.insert(key.to_owned(), value);
    }

    fn drop_if_present(&mut self, pod: &Pod, key: &str) {
        if pod.metadata.annotations.contains_key(key) {
            self.annotate(key, Value::Null);
        }
    }

    fn drop_grace(&mut self, pod: &Pod) {
        self.drop_if_present(pod, keys::INPLACE_GRACE_ANNOTATION);
        self.drop_if_present(pod, keys::INPLACE_GRACE_ANNOTATION_OLD);
    }

    /// One batch: metadata goes along, the chosen containers get their image, the rest is noted for later (IU-33..36).
    fn apply(
        &mut self,
        pod: &Pod,
        state: &mut State,
        images: &BTreeMap<String, String>,
        metadata: &Map<String, Value>,
        now: Timestamp,
    ) {
        for (key, value) in metadata {
            match (key.as_str(), value) {
                ("labels", Value::Object(labels)) => self.labels.extend(labels.clone()),
                ("annotations", Value::Object(annotations)) => self.annotations.extend(annotations.clone()),
                _ => {
                    self.other_metadata.insert(key.clone(), value.clone());
                }
            }
        }
        let chosen = choose(pod, images);
        for (name, image) in images {
            if !chosen.contains(name) {
                state.next_container_images.insert(name.clone(), image.clone());
                continue;
            }
            self.containers.push(json!({"name": name, "image": image}));
            if let Some(status) = pod.status.container_statuses.iter().find(|status| status.name == *name) {
                let last = LastStatus { image_id: status.image_id.to_string() };
                state.last_container_statuses.get_or_insert_default().entry(name.clone()).or_insert(last);
            }
        }
        let chosen: Vec<String> = chosen.into_iter().collect();
        state.pre_check_before_next =
            (!state.next_container_images.is_empty()).then(|| PreCheck { containers_required_ready: chosen.clone() });
        state.container_batches_record.push(Batch { timestamp: seconds_text(now), containers: chosen });
    }

    fn into_patch(self) -> Patch {
        let mut metadata = self.other_metadata;
        if !self.labels.is_empty() {
            metadata.insert("labels".to_owned(), Value::Object(self.labels));
        }
        if !self.annotations.is_empty() {
            metadata.insert("annotations".to_owned(), Value::Object(self.annotations));
        }
        let mut body = Map::from_iter([("metadata".to_owned(), Value::Object(metadata))]);
        if !self.containers.is_empty() {
            body.insert("spec".to_owned(), json!({"containers": self.containers}));
        }
        Patch { subresource: Subresource::None, format: PatchFormat::Strategic, body: Value::Object(body) }
    }
}
