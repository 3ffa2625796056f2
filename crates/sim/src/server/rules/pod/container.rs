//! What is filled into containers and volumes of Pods and templates beside what `api::template` knows.
//!
//! That one leaves out what would give a re-applied CloneSet another revision, and has its own rule for pull policies.

use serde_json::{Value, json};

use super::CONTAINERS;
use crate::server::rules::look::{default_text, default_to, items_mut, text};

/// Fills in the containers and volumes of whatever holds `spec`.
pub(super) fn default(holder: &mut Value) {
    for list in CONTAINERS {
        for container in items_mut(holder, list) {
            let policy = pull_policy(text(container, "/image"));
            default_text(container, "imagePullPolicy", policy);
            default_to(container, "resources", || json!({}));
            for variable in items_mut(container, "/env") {
                divisor(variable.pointer_mut("/valueFrom/resourceFieldRef"));
            }
            for probe in ["/livenessProbe/grpc", "/readinessProbe/grpc", "/startupProbe/grpc"] {
                if let Some(grpc) = container.pointer_mut(probe) {
                    default_to(grpc, "service", || json!(""));
                }
            }
        }
    }
    for volume in items_mut(holder, "/spec/volumes") {
        for item in items_mut(volume, "/downwardAPI/items") {
            divisor(item.get_mut("resourceFieldRef"));
        }
        if let Some(claim) = volume.pointer_mut("/ephemeral/volumeClaimTemplate") {
            default_to(claim, "metadata", || json!({}));
            if let Some(spec) = claim.get_mut("spec") {
                default_text(spec, "volumeMode", "Filesystem");
            }
        }
    }
}

fn divisor(source: Option<&mut Value>) {
    if let Some(source) = source {
        default_to(source, "divisor", || json!("0"));
    }
}

/// `Always` for the tag `latest`, said or meant; an image named by digest alone means no tag.
fn pull_policy(image: &str) -> &'static str {
    let (name, digest) = image.split_once('@').map_or((image, false), |(name, _)| (name, true));
    // A colon before the last slash belongs to the registry's port.
    let last = name.rsplit('/').next().unwrap_or_default();
    match last.split_once(':') {
        Some((_, "latest")) => "Always",
        None if !digest && !name.is_empty() => "Always",
        _ => "IfNotPresent",
    }
}

#[cfg(test)]
mod tests {
    use super::pull_policy;

    #[test]
    fn only_the_tag_latest_is_pulled_always() {
        for image in ["nginx", "nginx:latest", "registry:5000/nginx", "nginx:latest@sha256:abc"] {
            assert_eq!(pull_policy(image), "Always", "{image}");
        }
        for image in ["nginx:1", "registry:5000/nginx:1", "nginx@sha256:abc", ""] {
            assert_eq!(pull_policy(image), "IfNotPresent", "{image}");
        }
    }
}
