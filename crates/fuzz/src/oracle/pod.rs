//! Pods: the readiness gate `KruisePodReady`, and nothing else (PW-4..6, PW-8, PL-80).

use super::asked::Asked;
use super::verdict::{Verdict, patched};
use super::{Judge, Promise, Violation, require, untouched};
use crate::input::{Input, Settings};
use crate::json::{Json, Numbers, first_difference, same};

pub(super) fn mutate(judge: &Judge, input: &Input, asked: &Asked<'_>, verdict: &Verdict) -> Result<(), Violation> {
    if asked.operation != "CREATE" || asked.resource != "pods" || !asked.sub_resource.is_empty() {
        return untouched(verdict);
    }
    let patch = match verdict {
        Verdict::Yes(patch) => patch.as_ref(),
        Verdict::No { code, message, .. } => {
            let right = asked.object.is_some_and(|pod| {
                let member = |name| pod.get(name).filter(|member| member.is_object());
                member("spec").is_some_and(|spec| matches!(spec.get("readinessGates"), None | Some(Json::List(_))))
                    && member("metadata").is_some_and(|metadata| judge.forms.metadata.fits(metadata))
            });
            require(!right, Promise::Accepts, || format!("a Pod is refused with {code}: {message}"))?;
            return require(*code == 400, Promise::Form, || format!("a Pod that can't be read is refused with {code}"));
        }
    };
    let Some(before) = asked.object else {
        return require(patch.is_none(), Promise::Keeps, || "a patch of nothing".to_owned());
    };
    let after = patched(before, patch)?;
    let apart = |pod: &Json| {
        let mut rest = pod.clone();
        if rest.get("spec").is_some() {
            rest.entry("spec").remove("readinessGates");
        }
        (rest, pod.at(&["spec", "readinessGates"]).cloned())
    };
    let ((rest_before, gates_before), (rest_after, gates_after)) = (apart(before), apart(&after));
    if let Some(difference) = first_difference(&rest_before, &rest_after, Numbers::ByValue) {
        return Err(Violation::new(Promise::Keeps, format!("the Pod{difference}")));
    }
    gates(gates_before.as_ref(), gates_after.as_ref(), wanted(before, input.settings))?;
    if patch.is_some() {
        let again = judge.again(input, &input.path, asked, &after)?;
        require(again.is_plain_yes(), Promise::Settles, || format!("a second time: {}", again.words()))?;
    }
    Ok(())
}

/// Whether the Pod gets the gate: the controller's group is the suite's, or the gate is for all.
fn wanted(pod: &Json, settings: Settings) -> bool {
    let owners = pod.at(&["metadata", "ownerReferences"]).map(Json::items).unwrap_or_default();
    let controller = owners.iter().find(|owner| owner.get("controller") == Some(&Json::Bool(true)));
    let api_version = controller.and_then(|owner| owner.get("apiVersion")?.as_text()).unwrap_or_default();
    settings == Settings::Strict || api_version.starts_with("apps.kruise.io/")
}

fn gates(before: Option<&Json>, after: Option<&Json>, wanted: bool) -> Result<(), Violation> {
    let broken = |promise| {
        let text = |gates: Option<&Json>| gates.map_or_else(|| "absent".to_owned(), Json::write);
        Violation::new(promise, format!("readinessGates: {} is now {}", text(before), text(after)))
    };
    let list: &[Json] = match before {
        None | Some(Json::Null) => &[],
        Some(Json::List(list)) => list,
        // kube-apiserver sends no such Pod; it may stay as it is.
        Some(odd) if after.is_some_and(|after| same(odd, after, Numbers::ByValue)) => return Ok(()),
        Some(_) => return Err(broken(Promise::Keeps)),
    };
    let is_ours = |gate: &Json| gate.get("conditionType") == Some(&Json::text("KruisePodReady"));
    let now = after.map(Json::items).unwrap_or_default();
    let kept = list.len() <= now.len() && list.iter().zip(now).all(|(a, b)| same(a, b, Numbers::ByValue));
    let added = now.get(list.len()..).unwrap_or_default();
    if !kept || added.len() > 1 || !added.iter().all(is_ours) {
        return Err(broken(Promise::Keeps));
    }
    let plain = Json::object([("conditionType", Json::text("KruisePodReady"))]);
    match (wanted, list.contains(&plain), added.len()) {
        (false, _, 0) | (true, true, 0) | (true, false, 1) => Ok(()),
        // Ours with members that nobody knows: one more does no harm, none neither.
        (true, false, 0) if list.iter().any(is_ours) => Ok(()),
        _ => Err(broken(Promise::Writes)),
    }
}
