//! PersistentVolumeClaims: fixed once made, but for the volume they get and, when bound, the size.

use api::{
    field::{Denial, FieldPath},
    quantity::Quantity,
};
use serde_json::{Value, json};

use super::{
    causes,
    look::{at, default_text, default_to, entries, items, object_in, put, text},
};
use crate::server::failure::{Cause, Failure, Result};

/// Keeps a claim until no Pod uses it.
const PROTECTION: &str = "kubernetes.io/pvc-protection";
const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

pub(super) fn default(claim: &mut Value) {
    object_in(claim, "spec");
    if let Some(spec) = claim.get_mut("spec") {
        default_text(spec, "volumeMode", "Filesystem");
        default_to(spec, "resources", || json!({}));
        for pointer in ["/resources/requests", "/resources/limits"] {
            for amount in
                spec.pointer_mut(pointer).and_then(Value::as_object_mut).into_iter().flat_map(|list| list.values_mut())
            {
                if let Some(canonical) = amount.as_str().and_then(Quantity::parse) {
                    *amount = Value::from(canonical.to_string());
                }
            }
        }
    }
    default_to(claim, "status", || json!({}));
    if let Some(status) = claim.get_mut("status") {
        default_text(status, "phase", "Pending");
    }
}

/// The storage plugins: protection of a new claim, and no growth of volumes that nobody provisions.
pub(super) fn admit(claim: &mut Value, old: Option<&Value>) -> Result<()> {
    match old {
        None => {
            let Some(metadata) = object_in(claim, "metadata") else { return Ok(()) };
            let list = metadata.entry("finalizers").or_insert_with(|| json!([]));
            if let Some(list) = list.as_array_mut().filter(|list| !list.iter().any(|name| name == PROTECTION)) {
                list.push(json!(PROTECTION));
            }
            Ok(())
        }
        Some(old) if text(old, "/status/phase") == "Bound" && storage(claim) > storage(old) => {
            let name = text(claim, "/metadata/name");
            // Storage classes are not played, so none supports it.
            Err(Failure {
                details: json!({"name": name, "kind": "persistentvolumeclaims"}),
                ..Failure::new(
                    403,
                    "Forbidden",
                    format!(
                        "persistentvolumeclaims {name:?} is forbidden: only dynamically provisioned pvc can be \
                         resized and the storageclass that provisions the pvc must support resize"
                    ),
                )
            })
        }
        Some(_) => Ok(()),
    }
}

pub(super) fn prepare_create(claim: &mut Value) {
    put(claim, "status", json!({"phase": "Pending"}));
}

pub(super) fn on_create(claim: &Value) -> Vec<Cause> {
    let path = FieldPath::new("spec");
    let mut out: Vec<Denial> = Vec::new();
    let modes = items(claim, "/spec/accessModes");
    if modes.is_empty() {
        out.push(path.child("accessModes").required("at least 1 access mode is required"));
    }
    for mode in modes.iter().filter(|mode| mode.as_str().is_none_or(|mode| !MODES.contains(&mode))) {
        out.push(path.child("accessModes").not_supported(mode.clone(), &MODES));
    }
    let (storage_path, amount) =
        (path.child("resources").key("storage"), at(claim, "/spec/resources/requests/storage"));
    match amount.as_str() {
        None => out.push(storage_path.required("")),
        Some(_) if storage(claim) <= 0 => out.push(storage_path.invalid(amount.clone(), "must be greater than zero")),
        Some(_) => {}
    }
    let mode = text(claim, "/spec/volumeMode");
    if !["Block", "Filesystem"].contains(&mode) {
        out.push(path.child("volumeMode").not_supported(mode, &["Block", "Filesystem"]));
    }
    causes(out)
}

pub(super) fn on_update(new: &Value, old: &Value) -> Vec<Cause> {
    if new.get("spec") == old.get("spec") {
        return Vec::new();
    }
    let path = FieldPath::new("spec");
    let (mut now, before) = (at(new, "/spec").clone(), at(old, "/spec"));
    let bound = text(old, "/status/phase") == "Bound";
    // Binding a claim sets the volume's name once.
    let mut may_change = if text(before, "/volumeName").is_empty() { vec!["volumeName"] } else { Vec::new() };
    // A claim without a class gets one later.
    if at(before, "/storageClassName").is_null() && !bound {
        may_change.push("storageClassName");
    }
    if bound {
        may_change.extend(["volumeAttributesClassName", "resources"]);
    }
    for member in may_change {
        super::look::copy(&mut now, before, member);
    }
    let mut out = Vec::new();
    if &now != before {
        let changed: Vec<String> = entries(&now, "")
            .filter(|(name, value)| before.get(name) != Some(value))
            .map(|(name, value)| format!("- {name:?}: {}\n+ {name:?}: {value}\n", at(before, &format!("/{name}"))))
            .collect();
        out.push(path.forbidden(format!(
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n{}",
            changed.concat()
        )));
    }
    if bound && storage(new) < storage(old) {
        out.push(
            path.child("resources")
                .child("requests")
                .child("storage")
                .forbidden("field can not be less than status.capacity"),
        );
    }
    causes(out)
}

fn storage(claim: &Value) -> i128 {
    at(claim, "/spec/resources/requests/storage").as_str().and_then(Quantity::parse).map_or(0, |amount| amount.nanos())
}
