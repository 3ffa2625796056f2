//! Admission of CloneSets (page cloneset.md, section 5): defaults, validation, deletion protection.
//!
//! The rules are `api::cloneset`, in the version that the request was sent in (PL-54). Here is what needs the cluster or
//! a flag: the Pods named for deletion, privileged templates, and who may delete.

use api::cloneset::defaults::TemplateDefaults;
use api::cloneset::{Version, check_form, defaults, validation};
use api::field::{Denial, to_status};
use runtime::gates::{Gate, Gates};
use serde_json::Value;

use crate::admission::{Desk, Operation, Privileged, Refusal, Request, Verdict, changed, protection};

mod pods_to_delete;
mod privileged;

/// Fills in defaults (CS-100..103).
pub fn mutate(request: &Request, gates: &Gates) -> Verdict {
    if !concerns_spec(request) {
        return Verdict::Allow;
    }
    let version = match readable(request) {
        Ok(version) => version,
        Err(refusal) => return Verdict::Refuse(refusal),
    };
    let mut object = request.object.clone();
    defaults::apply(&mut object, version, old(request), template_defaults(gates));
    changed(&request.object, &object)
}

/// Accepts or refuses a CloneSet that is created, changed or deleted (sections 5.2, 5.3; CS-110).
pub async fn validate(request: &Request, desk: &Desk) -> Verdict {
    if request.operation == Operation::Delete {
        return match protection::check(request, &desk.gates, &desk.protection_log) {
            Ok(()) => Verdict::Allow,
            Err(refusal) => Verdict::Refuse(refusal),
        };
    }
    if !concerns_spec(request) {
        return Verdict::Allow;
    }
    let version = match readable(request) {
        Ok(version) => version,
        Err(refusal) => return Verdict::Refuse(refusal),
    };
    let mut denials = match old(request) {
        None => validation::on_create(&request.object, version),
        Some(old) => validation::on_update(&request.object, old, version),
    };
    if desk.privileged == Privileged::Refused {
        denials.extend(privileged::check(&request.object));
    }
    if version == Version::V1alpha1 {
        denials.extend(pods_to_delete::check(request, &desk.client).await);
    }
    verdict(request, &denials)
}

fn verdict(request: &Request, denials: &[Denial]) -> Verdict {
    if denials.is_empty() {
        return Verdict::Allow;
    }
    let name = request.object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or(&request.name);
    Verdict::Refuse(Refusal::invalid(to_status(&request.kind.kind, &request.kind.group, name, denials)))
}

/// Only the object itself is judged; `status` and `scale` have no spec of their own to judge.
fn concerns_spec(request: &Request) -> bool {
    request.sub_resource.is_empty() && matches!(request.operation, Operation::Create | Operation::Update)
}

fn readable(request: &Request) -> Result<Version, Refusal> {
    let asked = &request.resource.version;
    let version = Version::parse(asked)
        .ok_or_else(|| Refusal::unreadable(format!("no version {asked:?} of CloneSet is known")))?;
    let check = |object: &Value, what: &str| {
        check_form(object, version).map_err(|err| Refusal::unreadable(format!("decode {what}: {err}")))
    };
    check(&request.object, "CloneSet")?;
    if let Some(old) = old(request) {
        check(old, "stored CloneSet")?;
    }
    Ok(version)
}

/// The stored object of an update.
fn old(request: &Request) -> Option<&Value> {
    (request.operation == Operation::Update).then_some(&request.old_object).filter(|old| !old.is_null())
}

fn template_defaults(gates: &Gates) -> TemplateDefaults {
    if gates.is_on(Gate::TemplateNoDefaults) {
        TemplateDefaults::Leave
    } else if gates.is_on(Gate::DefaultHostNetworkHostPortsInPodTemplates) {
        TemplateDefaults::InjectHostPorts
    } else {
        TemplateDefaults::Inject
    }
}

#[cfg(test)]
mod tests;
