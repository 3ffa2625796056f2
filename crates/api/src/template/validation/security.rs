//! Security contexts of Pod and containers: numbers in range, profiles, and settings that contradict each other.

use std::collections::BTreeSet;

use serde_json::Value;

use super::distinct;
use crate::{field::Denial, look::Node};

/// Largest user or group number.
const HIGHEST_ID: i64 = i32::MAX as i64;
const ID_RANGE: &str = "must be between 0 and 2147483647, inclusive";

pub(super) fn of_pod(spec: &Node<'_>, out: &mut Vec<Denial>) {
    if spec.flag("shareProcessNamespace", out) && spec.flag("hostPID", out) {
        out.push(
            spec.at("securityContext")
                .child("shareProcessNamespace")
                .invalid(true, "ShareProcessNamespace and HostPID cannot both be enabled"),
        );
    }
    spec.flag("hostIPC", out);
    let Some(context) = spec.object("securityContext", out) else { return };
    for member in ["runAsUser", "runAsGroup", "fsGroup"] {
        context.within(member, 0, HIGHEST_ID, ID_RANGE, out);
    }
    for group in context.items("supplementalGroups", out) {
        match group.value.as_i64() {
            Some(number) if (0..=HIGHEST_ID).contains(&number) => {}
            Some(number) => out.push(group.path.invalid(number, ID_RANGE)),
            None => out.push(group.path.wrong_type(group.value, "an integer")),
        }
    }
    context.one_of("fsGroupChangePolicy", &["Always", "OnRootMismatch"], out);
    let mut seen = BTreeSet::new();
    for setting in context.objects("sysctls", out) {
        let name = setting.required_text("name", out);
        distinct(setting.at("name"), name, &mut seen, out);
    }
    seccomp(&context, out);
}

pub(super) fn of_container(container: &Node<'_>, out: &mut Vec<Denial>) {
    let Some(context) = container.object("securityContext", out) else { return };
    for member in ["runAsUser", "runAsGroup"] {
        context.within(member, 0, HIGHEST_ID, ID_RANGE, out);
    }
    context.one_of("procMount", &["Default", "Unmasked"], out);
    seccomp(&context, out);
    let privileged = context.flag("privileged", out);
    let escalation_off =
        context.get("allowPrivilegeEscalation").is_some_and(|allowed| *allowed.value == Value::Bool(false));
    if !escalation_off {
        return;
    }
    if privileged {
        out.push(
            context.path.invalid(
                context.value.clone(),
                "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
            ),
        );
    }
    if let Some(capabilities) = context.object("capabilities", out)
        && capabilities.texts("add", out).iter().any(|(_, name)| *name == "CAP_SYS_ADMIN")
    {
        out.push(context.path.invalid(
            context.value.clone(),
            "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
        ));
    }
}

fn seccomp(context: &Node<'_>, out: &mut Vec<Denial>) {
    let Some(profile) = context.object("seccompProfile", out) else { return };
    let type_ = profile.required_text("type", out);
    const TYPES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];
    if !type_.is_empty() && !TYPES.contains(&type_) {
        out.push(profile.at("type").not_supported(type_, &TYPES));
    }
    let path = profile.text("localhostProfile", out);
    if type_ == "Localhost" {
        if path.is_empty() {
            out.push(profile.at("localhostProfile").required("must be set when seccomp type is Localhost"));
        }
    } else if !path.is_empty() {
        out.push(profile.at("localhostProfile").invalid(path, "can only be set when seccomp type is Localhost"));
    }
}
