//! Whether a change of template is possible on a running Pod, and what it consists of (IU-1..9).

use std::collections::{BTreeMap, BTreeSet};

use api::keys;
use serde_json::{Map, Value, json};

use super::diff::{Difference, Operation, differences};
use crate::template::canonical_template;

/// What happens when a changed label or annotation feeds a container's environment (IU-7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvFromMetadata {
    /// The key is plain metadata and nothing restarts (gate `InPlaceUpdateEnvFromMetadata` off, IU-61).
    Plain,
    /// Not possible in place: nobody on the node would restart the container with the new value.
    Obstacle,
}

/// What an update in place changes (IU-9).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// New image by container name.
    pub images: BTreeMap<String, String>,
    /// Strategic merge patch of the Pod's metadata: `labels`, `annotations`, `finalizers`; empty where nothing changes.
    pub metadata: Map<String, Value>,
}

/// Why a change is not possible in place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// A difference that a running Pod cannot take (IU-3).
    #[error("{operation} {path} can not be done on a running Pod")]
    Path {
        /// `add`, `remove` or `replace`.
        operation: &'static str,
        /// JSON pointer below the template.
        path: String,
    },
    /// A changed key feeds a container's environment.
    #[error("{path} feeds the environment of container {container}")]
    Environment {
        /// JSON pointer below the template.
        path: String,
        /// Name of the container.
        container: String,
    },
}

/// Judges the step from one template to another (IU-1..9).
///
/// # Errors
/// The first difference that rules the step out.
pub fn judge(old: &Value, new: &Value, env: EnvFromMetadata) -> Result<Change, Obstacle> {
    let (old, new) = (canonical_template(old), canonical_template(new));
    let mut change = Change::default();
    let mut metadata_differs = false;
    for difference in differences(&old, &new) {
        let path: Vec<&str> = difference.path.iter().map(String::as_str).collect();
        match (path.as_slice(), difference.operation) {
            (["metadata", ..], _) => {
                if env == EnvFromMetadata::Obstacle {
                    refuse_environment(&difference, &new)?;
                }
                metadata_differs = true;
            }
            (["spec", "containers", at, "image"], Operation::Replace) => {
                let name = at.parse::<usize>().ok().and_then(|at| container_name(&old, at));
                let (Some(name), Some(image)) = (name, difference.new.as_str()) else {
                    return Err(obstacle(&difference));
                };
                change.images.insert(name, image.to_owned());
            }
            _ => return Err(obstacle(&difference)),
        }
    }
    if metadata_differs {
        change.metadata = metadata_patch(&old, &new);
    }
    Ok(change)
}

fn obstacle(difference: &Difference<'_>) -> Obstacle {
    let operation = match difference.operation {
        Operation::Add => "add",
        Operation::Remove => "remove",
        Operation::Replace => "replace",
    };
    Obstacle::Path { operation, path: difference.pointer() }
}

/// The container is named by its place in the old template (IU-4).
fn container_name(template: &Value, at: usize) -> Option<String> {
    template.pointer("/spec/containers")?.get(at)?.get("name")?.as_str().map(str::to_owned)
}

fn refuse_environment(difference: &Difference<'_>, new: &Value) -> Result<(), Obstacle> {
    let [_, map, key] = difference.path.as_slice() else { return Ok(()) };
    if difference.operation == Operation::Remove || !(map == "labels" || map == "annotations") {
        return Ok(());
    }
    let field = format!("metadata.{map}['{key}']");
    for container in new.pointer("/spec/containers").and_then(Value::as_array).into_iter().flatten() {
        let feeds = container.get("env").and_then(Value::as_array).into_iter().flatten().any(|variable| {
            let own = variable
                .get("name")
                .and_then(Value::as_str)
                .is_some_and(|name| keys::SIDECARSET_VERSION_ENVS.contains(&name));
            !own && variable.pointer("/valueFrom/fieldRef/fieldPath").and_then(Value::as_str) == Some(field.as_str())
        });
        if feeds {
            let container = container.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            return Err(Obstacle::Environment { path: difference.pointer(), container });
        }
    }
    Ok(())
}

/// The strategic two-way merge patch from old to new metadata: removed keys become null, removed finalizers a
/// delete-from-primitive-list directive (IU-7).
fn metadata_patch(old: &Value, new: &Value) -> Map<String, Value> {
    let mut patch = Map::new();
    for map in ["labels", "annotations"] {
        let at = format!("/metadata/{map}");
        let empty = Map::new();
        let old = old.pointer(&at).and_then(Value::as_object).unwrap_or(&empty);
        let new = new.pointer(&at).and_then(Value::as_object).unwrap_or(&empty);
        let mut changed: Map<String, Value> = new
            .iter()
            .filter(|(key, value)| old.get(*key) != Some(*value))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        changed.extend(old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), Value::Null)));
        if !changed.is_empty() {
            patch.insert(map.to_owned(), Value::Object(changed));
        }
    }
    let finalizers = |of: &Value| -> BTreeSet<String> {
        let list = of.pointer("/metadata/finalizers").and_then(Value::as_array);
        list.into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
    };
    let (old, new) = (finalizers(old), finalizers(new));
    let added: Vec<&String> = new.difference(&old).collect();
    let removed: Vec<&String> = old.difference(&new).collect();
    if !added.is_empty() {
        patch.insert("finalizers".to_owned(), json!(added));
    }
    if !removed.is_empty() {
        patch.insert("$deleteFromPrimitiveList/finalizers".to_owned(), json!(removed));
    }
    patch
}
