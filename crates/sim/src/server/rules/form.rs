//! Reading an object as the server's own types do: unknown members, nulls and empty lists vanish, wrong types are
//! refused.
//!
//! Custom resources have only their metadata read; the rest is `schema`'s. What is refused has code 400 and begins as
//! kube-apiserver's message does; the words of the decoder after that are another decoder's.

use api::quantity::Quantity;
use k8s_openapi::{
    api::{
        apps::v1::{ControllerRevision, Deployment, ReplicaSet},
        coordination::v1::Lease,
        core::v1::{ConfigMap, Event, Namespace, Node, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount},
        events::v1::Event as NewEvent,
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    look::{at, remove, text},
    native,
};
use crate::server::{
    failure::{Failure, Result},
    kind::Kind,
};

/// Objects that hold amounts by resource, which may be bare numbers.
const AMOUNTS: [&str; 6] = ["allocatable", "allocatedResources", "capacity", "limits", "overhead", "requests"];
/// Maps that vanish when they are empty.
const MAPS: [&str; 10] = [
    "allocatable",
    "annotations",
    "binaryData",
    "capacity",
    "data",
    "labels",
    "limits",
    "matchLabels",
    "nodeSelector",
    "requests",
];
/// Texts and flags that vanish when they are empty or false.
const PLAIN: [&str; 17] = [
    "generateName",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostname",
    "namespace",
    "nodeName",
    "paused",
    "priorityClassName",
    "resourceVersion",
    "selfLink",
    "serviceAccount",
    "serviceAccountName",
    "subdomain",
    "uid",
    "volumeName",
    "value",
];

const NOT_A_QUANTITY: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
/// Length of a time without its fraction and offset.
const SECONDS: usize = "2006-01-02T15:04:05".len();

/// Reads an object of a kind.
///
/// # Errors
/// 400: a member has another type than the API gives it. 501: parts of native kinds without rules here.
pub fn read(kind: &Kind, object: &mut Value) -> Result<()> {
    if !native::is_known(kind) {
        if let Some(metadata) = object.get_mut("metadata") {
            typed::<ObjectMeta>(kind, metadata)?;
            shrink(metadata);
        }
        return Ok(());
    }
    if kind.kind != "ControllerRevision" {
        amounts(kind, object)?;
    }
    exact_times(kind, object)?;
    let without_selector = at(object, "/spec/selector").is_null();
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "ConfigMap") => typed::<ConfigMap>(kind, object),
        ("apps", "ControllerRevision") => typed::<ControllerRevision>(kind, object),
        ("apps", "Deployment") => typed::<Deployment>(kind, object),
        ("", "Event") => typed::<Event>(kind, object),
        ("events.k8s.io", "Event") => typed::<NewEvent>(kind, object),
        ("coordination.k8s.io", "Lease") => typed::<Lease>(kind, object),
        ("", "Namespace") => typed::<Namespace>(kind, object),
        ("", "Node") => typed::<Node>(kind, object),
        ("", "PersistentVolumeClaim") => typed::<PersistentVolumeClaim>(kind, object),
        ("", "Pod") => typed::<Pod>(kind, object),
        ("policy", "PodDisruptionBudget") => typed::<PodDisruptionBudget>(kind, object),
        ("apps", "ReplicaSet") => typed::<ReplicaSet>(kind, object),
        ("", "Secret") => typed::<Secret>(kind, object),
        ("", "Service") => typed::<Service>(kind, object),
        ("", "ServiceAccount") => typed::<ServiceAccount>(kind, object),
        _ => Err(Failure::not_simulated(format!("objects of kind {}", kind.kind))),
    }?;
    // The types here have an empty selector where the server's have none.
    if without_selector
        && kind.group == "apps"
        && let Some(spec) = object.get_mut("spec")
    {
        remove(spec, "selector");
    }
    if kind.kind == "ControllerRevision" {
        if let Some(metadata) = object.get_mut("metadata") {
            shrink(metadata);
        }
    } else {
        shrink(object);
    }
    native::simulated(kind, object)
}

fn typed<T: DeserializeOwned + Serialize>(kind: &Kind, value: &mut Value) -> Result<()> {
    let refused = |error: serde_json::Error| unreadable(kind, &format!("json: {error}"));
    let read: T = serde_json::from_value(value.take()).map_err(refused)?;
    *value = serde_json::to_value(read).map_err(refused)?;
    Ok(())
}

fn unreadable(kind: &Kind, detail: &str) -> Failure {
    let Kind { version, kind, .. } = kind;
    Failure::new(400, "BadRequest", format!("{kind} in version {version:?} cannot be handled as a {kind}: {detail}"))
}

/// Metadata of an object inside of another; left as it is where it cannot be read.
pub(super) fn inner_metadata(metadata: &mut Value) {
    if let Some(read) = ObjectMeta::deserialize(&*metadata).ok().and_then(|read| serde_json::to_value(read).ok()) {
        *metadata = read;
        shrink(metadata);
    }
}

/// Makes texts of amounts that are bare numbers, and refuses what is no amount.
fn amounts(kind: &Kind, value: &mut Value) -> Result<()> {
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(|item| amounts(kind, item)),
        Value::Object(members) => members.iter_mut().try_for_each(|(name, member)| {
            if AMOUNTS.contains(&name.as_str()) {
                for amount in member.as_object_mut().into_iter().flat_map(|list| list.values_mut()) {
                    if amount.is_number() {
                        *amount = Value::String(amount.to_string());
                    }
                    if amount.as_str().is_some_and(|text| Quantity::parse(text).is_none()) {
                        return Err(unreadable(kind, NOT_A_QUANTITY));
                    }
                }
            }
            amounts(kind, member)
        }),
        _ => Ok(()),
    }
}

/// Times to the microsecond have exactly six places.
fn exact_times(kind: &Kind, object: &Value) -> Result<()> {
    for pointer in ["/spec/acquireTime", "/spec/renewTime", "/eventTime"] {
        let Some((_, rest)) = at(object, pointer).as_str().and_then(|time| time.split_at_checked(SECONDS)) else {
            continue;
        };
        let places = rest.strip_prefix('.').map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
        if places != 6 {
            let time = text(object, pointer);
            return Err(unreadable(
                kind,
                &format!(
                    "parsing time {time:?} as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse {rest:?} as \".000000\""
                ),
            ));
        }
    }
    Ok(())
}

/// Takes out what the API does not show when it is empty.
fn shrink(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(shrink),
        Value::Object(members) => {
            members.retain(|name, member| match member {
                Value::Null => false,
                Value::Array(items) => !items.is_empty(),
                Value::Object(entries) => !entries.is_empty() || !MAPS.contains(&name.as_str()),
                Value::String(text) => !text.is_empty() || !PLAIN.contains(&name.as_str()),
                Value::Bool(flag) => *flag || !PLAIN.contains(&name.as_str()),
                Value::Number(_) => true,
            });
            members
                .iter_mut()
                .filter(|(name, _)| name.as_str() != "managedFields")
                .for_each(|(_, member)| shrink(member));
        }
        _ => {}
    }
}

#[cfg(test)]
#[path = "tests/form.rs"]
mod tests;
