//! The admission plugins that fill in Pods by default: priority and the tolerations of lost nodes.
//!
//! Not played: ServiceAccount (there are no token volumes), quota, limit ranges, runtime classes.

use serde_json::{Value, json};

use crate::server::{
    failure::{Failure, Result},
    rules::look::{at, copy, default_to, items, put, text},
};

/// Classes that every cluster has.
const CLASSES: [(&str, i64); 2] = [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];
/// Taints of lost nodes, which each Pod bears for a while.
const TAINTS: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
/// How long, in seconds.
const BORNE_SECONDS: i64 = 300;

/// Fills in a new Pod, or a changed one.
///
/// # Errors
/// 403: the priority class does not exist, or the priority contradicts it.
pub fn admission_defaults(pod: &mut Value, old: Option<&Value>) -> Result<()> {
    match old.map(|old| at(old, "/spec")) {
        Some(stored) => {
            for member in ["priority", "preemptionPolicy"] {
                if at(pod, "/spec")[member].is_null()
                    && let Some(spec) = pod.get_mut("spec")
                {
                    copy(spec, stored, member);
                }
            }
        }
        None => priority(pod)?,
    }
    tolerations(pod);
    Ok(())
}

fn priority(pod: &mut Value) -> Result<()> {
    let class = text(pod, "/spec/priorityClassName");
    let forbidden = |detail: String| {
        let name = text(pod, "/metadata/name");
        let details = json!({"name": name, "kind": "pods"});
        Failure { details, ..Failure::new(403, "Forbidden", format!("pods {name:?} is forbidden: {detail}")) }
    };
    let computed = match CLASSES.iter().find(|(name, _)| *name == class) {
        Some((_, value)) => *value,
        None if class.is_empty() => 0,
        None => return Err(forbidden(format!("no PriorityClass with name {class} was found"))),
    };
    if let Some(given) = at(pod, "/spec/priority").as_i64().filter(|given| *given != computed) {
        return Err(forbidden(format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller \
             computed {computed} from the given PriorityClass name"
        )));
    }
    if let Some(spec) = pod.get_mut("spec") {
        put(spec, "priority", json!(computed));
        default_to(spec, "preemptionPolicy", || json!("PreemptLowerPriority"));
    }
    Ok(())
}

fn tolerations(pod: &mut Value) {
    let bears = |taint: &str| {
        items(pod, "/spec/tolerations").iter().any(|toleration| {
            let (key, effect) = (text(toleration, "/key"), text(toleration, "/effect"));
            (key == taint || key.is_empty()) && (effect == "NoExecute" || effect.is_empty())
        })
    };
    let missing: Vec<&str> = TAINTS.into_iter().filter(|taint| !bears(taint)).collect();
    let Some(spec) = pod.get_mut("spec").filter(|_| !missing.is_empty()) else { return };
    default_to(spec, "tolerations", || json!([]));
    let Some(list) = spec.get_mut("tolerations").and_then(Value::as_array_mut) else { return };
    list.extend(missing.into_iter().map(
        |taint| json!({"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": BORNE_SECONDS}),
    ));
}
