//! Defaults of one container (CS-103): pull policy, termination message, ports, variables, probes, hooks.

use serde_json::{Map, Value};

use crate::{
    fill::{default_number, default_text, existing, objects_in},
    quantity,
};

/// How an absent pull policy is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PullPolicy {
    /// Always, whatever the tag: regular containers of a template (CS-103).
    Always,
    /// As Kubernetes: Always for `latest`, else when the image is not there yet.
    ByTag,
}

pub(super) fn apply(container: &mut Map<String, Value>, pull_policy: PullPolicy) {
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let policy = match pull_policy {
        PullPolicy::ByTag if tag(image) != Some("latest") => "IfNotPresent",
        PullPolicy::ByTag | PullPolicy::Always => "Always",
    };
    default_text(container, "imagePullPolicy", policy);
    default_text(container, "terminationMessagePath", "/dev/termination-log");
    default_text(container, "terminationMessagePolicy", "File");
    for port in objects_in(container, "ports") {
        default_text(port, "protocol", "TCP");
    }
    for variable in objects_in(container, "env") {
        if let Some(source) = existing(variable, "valueFrom") {
            field_source(source);
        }
    }
    if let Some(resources) = existing(container, "resources") {
        quantity::normalise_requirements(resources);
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = existing(container, name) {
            default_number(probe, "timeoutSeconds", 1);
            default_number(probe, "periodSeconds", 10);
            default_number(probe, "successThreshold", 1);
            default_number(probe, "failureThreshold", 3);
            handler(probe);
        }
    }
    if let Some(lifecycle) = existing(container, "lifecycle") {
        for name in ["postStart", "preStop"] {
            if let Some(hook) = existing(lifecycle, name) {
                handler(hook);
            }
        }
    }
}

/// What a variable or a file takes its value from.
pub(super) fn field_source(source: &mut Map<String, Value>) {
    if let Some(field) = existing(source, "fieldRef") {
        default_text(field, "apiVersion", "v1");
    }
    if let Some(resource) = existing(source, "resourceFieldRef")
        && let Some(divisor) = resource.get_mut("divisor")
    {
        quantity::normalise(divisor);
    }
}

fn handler(handler: &mut Map<String, Value>) {
    if let Some(get) = existing(handler, "httpGet") {
        default_text(get, "path", "/");
        default_text(get, "scheme", "HTTP");
    }
}

/// The tag that an image reference means: `latest` where it names neither tag nor digest, none where it has a digest
/// only or is no reference.
fn tag(image: &str) -> Option<&str> {
    // Only the registry's host may have upper case.
    let path =
        image.split_once('/').filter(|(host, _)| host.contains(['.', ':']) || host.chars().any(char::is_uppercase));
    let path = path.map_or(image, |(_, path)| path);
    let name_end = path.find([':', '@']).unwrap_or(path.len());
    let (name, _) = path.split_at(name_end);
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/".contains(c)) {
        return None;
    }
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    // A colon before the last slash belongs to the registry's port.
    let last = name.rsplit('/').next().unwrap_or(name);
    match (last.split_once(':'), digest) {
        (Some((_, tag)), _) => Some(tag),
        (None, None) => Some("latest"),
        (None, Some(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::tag;

    #[test]
    fn the_tag_of_an_image_is_what_stands_after_the_name() {
        for (image, want) in [
            ("nginx", Some("latest")),
            ("nginx:1.25", Some("1.25")),
            ("registry:5000/nginx", Some("latest")),
            ("registry:5000/team/nginx:v2", Some("v2")),
            ("nginx@sha256:abc", None),
            ("nginx:latest@sha256:abc", Some("latest")),
            ("", None),
            ("a b", None),
            ("Nginx", None),
            ("Registry.example.com/nginx", Some("latest")),
        ] {
            assert_eq!(tag(image), want, "{image}");
        }
    }
}
