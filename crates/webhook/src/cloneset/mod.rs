//! Admission of CloneSets (page cloneset.md, section 5): defaults, validation, deletion protection.
//!
//! The rules are `api::cloneset`, in the version that the request was sent in (PL-54). Here is what needs the cluster or
//! a flag: the Pods named for deletion, privileged templates, and who may delete.

use api::cloneset::defaults::TemplateDefaults;
use api::cloneset::{Version, check_form, defaults, validation};
use api::field::to_status;
use runtime::gates::{Gate, Gates};
use serde_json::Value;

use crate::admission::bounded::{Bounded, SENTENCE, WORD};
use crate::admission::object::Object;
use crate::admission::{Desk, Operation, Privileged, Refusal, Request, Verdict, changed, protection};

mod pods_to_delete;
mod privileged;

/// What is judged: the object, in the version that it was sent in.
struct Judged<'a> {
    version: Version,
    object: &'a Value,
    /// The stored object of an update.
    old: Option<&'a Value>,
}

/// Fills in defaults (CS-100..103).
pub fn mutate(request: &Request, gates: &Gates) -> Verdict {
    if !concerns_spec(request) {
        return Verdict::Allow;
    }
    let Judged { version, object, old } = match readable(request) {
        Ok(judged) => judged,
        Err(refusal) => return Verdict::Refuse(refusal),
    };
    let mut after = object.clone();
    defaults::apply(&mut after, version, old, template_defaults(gates));
    changed(object, &after)
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
    let judged = match readable(request) {
        Ok(judged) => judged,
        Err(refusal) => return Verdict::Refuse(refusal),
    };
    let Judged { version, object, old } = judged;
    let mut denials = match old {
        None => validation::on_create(object, version),
        Some(old) => validation::on_update(object, old, version),
    };
    if desk.privileged == Privileged::Refused {
        denials.extend(privileged::check(object));
    }
    if version == Version::V1alpha1 {
        denials.extend(pods_to_delete::check(&judged, &request.namespace, &desk.client).await);
    }
    if denials.is_empty() {
        return Verdict::Allow;
    }
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or(&request.name);
    let status = to_status(&request.kind.kind, &request.kind.group, name, &denials);
    Verdict::Refuse(Refusal::invalid("validation", status))
}

/// Only the object itself is judged; `status` and `scale` have no spec of their own to judge.
fn concerns_spec(request: &Request) -> bool {
    request.sub_resource.is_empty() && matches!(request.operation, Operation::Create | Operation::Update)
}

fn readable(request: &Request) -> Result<Judged<'_>, Refusal> {
    let asked = &request.resource.version;
    let version = Version::parse(asked).ok_or_else(|| {
        Refusal::unreadable(format!("no version {:?} of CloneSet is known", Bounded::new(asked, WORD).to_string()))
    })?;
    let object = read(&request.object, "CloneSet", version)?;
    let is_update = request.operation == Operation::Update && !request.old_object.is_absent();
    let old = if is_update { Some(read(&request.old_object, "stored CloneSet", version)?) } else { None };
    Ok(Judged { version, object, old })
}

fn read<'a>(object: &'a Object, what: &str, version: Version) -> Result<&'a Value, Refusal> {
    let tree = object.read().map_err(|err| err.decoding(what))?;
    check_form(tree, version).map_err(|err| {
        // It may quote the object.
        Refusal::unreadable(Bounded::new(&err.to_string(), SENTENCE).to_string()).decoding(what)
    })?;
    Ok(tree)
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
