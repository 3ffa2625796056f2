//! PodDisruptionBudgets: one of two numbers, as a count or in percent. Evictions are `core`'s.

use api::field::{Denial, FieldPath};
use serde_json::{Value, json};

use super::{
    causes,
    look::{at, object_in, put, text},
    metadata,
};
use crate::server::failure::Cause;

const PERCENT_FORM: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or \
     '93%', regex used for validation is '[0-9]+%')";
/// Numbers that the API always shows.
const SHOWN: [&str; 4] = ["currentHealthy", "desiredHealthy", "disruptionsAllowed", "expectedPods"];
const NOT_NEGATIVE: &str = "must be greater than or equal to 0";

pub(super) fn default(object: &mut Value) {
    object_in(object, "spec");
}

pub(super) fn prepare_create(object: &mut Value) {
    put(object, "status", SHOWN.iter().map(|member| ((*member).to_owned(), json!(0))).collect());
    metadata::next_generation(object);
}

pub(super) fn check(object: &Value) -> Vec<Cause> {
    let path = FieldPath::new("spec");
    let mut out = Vec::new();
    let (least, most) = (at(object, "/spec/minAvailable"), at(object, "/spec/maxUnavailable"));
    if !least.is_null() && !most.is_null() {
        // The server shows its own form of the spec.
        let shown = json!({
            "MinAvailable": least, "Selector": at(object, "/spec/selector"), "MaxUnavailable": most,
            "UnhealthyPodEvictionPolicy": at(object, "/spec/unhealthyPodEvictionPolicy"),
        });
        out.push(path.invalid(shown, "minAvailable and maxUnavailable cannot be both set"));
    }
    for (member, value) in [("minAvailable", least), ("maxUnavailable", most)] {
        amount(value, &path.child(member), &mut out);
    }
    metadata::labels(object, "/spec/selector/matchLabels", &path.child("selector").child("matchLabels"), &mut out);
    let policy = text(object, "/spec/unhealthyPodEvictionPolicy");
    if !["", "AlwaysAllow", "IfHealthyBudget"].contains(&policy) {
        out.push(path.child("unhealthyPodEvictionPolicy").not_supported(policy, &["AlwaysAllow", "IfHealthyBudget"]));
    }
    causes(out)
}

fn amount(value: &Value, path: &FieldPath, out: &mut Vec<Denial>) {
    match value {
        Value::Number(number) if number.as_i64().is_some_and(|number| number < 0) => {
            out.push(path.invalid(value.clone(), NOT_NEGATIVE));
        }
        Value::String(share) => match share.strip_suffix('%').map(|digits| (digits, digits.parse::<u32>())) {
            Some((digits, Ok(share))) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                if share > 100 {
                    out.push(path.invalid(value.clone(), "must not be greater than 100%"));
                }
            }
            _ => out.push(path.invalid(value.clone(), PERCENT_FORM)),
        },
        _ => {}
    }
}

pub(super) fn status(object: &Value) -> Vec<Cause> {
    let path = FieldPath::new("status");
    let number = |member: &str| at(object, &format!("/status/{member}")).as_i64().filter(|number| *number < 0);
    let negative = |member: &&str| Some(path.child(member).invalid(number(member)?, NOT_NEGATIVE));
    causes(SHOWN.iter().filter_map(negative).collect())
}
