//! What a Pod must be like: the rules of Pod templates, which the product has too, and what only Pods have.

use api::{
    field::{Denial, DenialKind, FieldPath},
    template::validation,
};
use serde_json::Value;

use crate::server::{
    failure::{Cause, Failure, Result},
    rules::{
        causes,
        look::{at, entries, items, text},
    },
};

/// Resources of containers without a domain, beside huge pages.
const STANDARD_RESOURCES: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
const DEADLINE_RANGE: &str = "must be between 1 and 2147483647, inclusive";

/// What is wrong with a new Pod; its metadata is checked elsewhere.
#[must_use]
pub fn on_create(pod: &Value) -> Vec<Cause> {
    let mut out = spec(pod);
    if !items(pod, "/spec/ephemeralContainers").is_empty() {
        out.push(FieldPath::new("spec").child("ephemeralContainers").forbidden("cannot be set on create"));
    }
    causes(out)
}

/// What is wrong with the spec of any Pod.
pub(super) fn spec(pod: &Value) -> Vec<Denial> {
    let path = FieldPath::new("spec");
    let mut out = validation::validate(pod, &FieldPath::new(""), &[]);
    out.retain(|denial| {
        let field = denial.field.as_str();
        // Metadata is checked with the object, wrong types when it is read, ephemeral containers by the caller.
        !field.starts_with("metadata.") && denial.kind != DenialKind::TypeInvalid && field != "spec.ephemeralContainers"
    });
    for (list, pointer) in [("containers", "/spec/containers"), ("initContainers", "/spec/initContainers")] {
        for (index, container) in items(pod, pointer).iter().enumerate() {
            container_of_pod(container, &path.child(list).index(index), &mut out);
        }
    }
    if let Some(seconds) = at(pod, "/spec/activeDeadlineSeconds").as_i64()
        && !(1..=i64::from(i32::MAX)).contains(&seconds)
    {
        out.push(path.child("activeDeadlineSeconds").invalid(seconds, DEADLINE_RANGE));
    }
    out
}

fn container_of_pod(container: &Value, path: &FieldPath, out: &mut Vec<Denial>) {
    let image = text(container, "/image");
    if image.trim() != image {
        out.push(path.child("image").invalid(image, "must not have leading or trailing whitespace"));
    }
    for list in ["limits", "requests"] {
        let path = path.child("resources").child(list);
        for (name, _) in entries(container, &format!("/resources/{list}")) {
            if !name.contains('/') && !STANDARD_RESOURCES.contains(&name) && !name.starts_with("hugepages-") {
                out.push(path.key(name).invalid(name, "must be a standard resource type or fully qualified"));
                out.push(path.key(name).invalid(name, "must be a standard resource for containers"));
            }
        }
    }
}

/// Refuses Pods with parts whose rules are not written here.
///
/// # Errors
/// 501.
pub fn simulated(pod: &Value) -> Result<()> {
    for member in ["resources", "overhead", "runtimeClassName", "resourceClaims", "workloadRef", "os"] {
        if !at(pod, "/spec")[member].is_null() {
            return Err(Failure::not_simulated(format!("spec.{member} of Pods")));
        }
    }
    if items(pod, "/spec/volumes").iter().any(|volume| !at(volume, "/image").is_null()) {
        return Err(Failure::not_simulated("volumes from images"));
    }
    Ok(())
}
