//! The update strategy in both forms: what they share (page section 5.2) and where they differ (5.3).

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

use super::super::{IN_PLACE_IF_POSSIBLE, IN_PLACE_ONLY, ON_DELETE, RE_CREATE, ROLLING_UPDATE};
use crate::{
    field::{Denial, FieldPath},
    labels,
    look::{EMPTY, Node},
    percent::{self, Rounding},
};

/// `v1alpha1`: everything in one object; `OnDelete` is refused there, as in 1.9.
pub(super) fn flat(spec: &Node<'_>, replicas: i64, out: &mut Vec<Denial>) {
    let strategy = match spec.get("updateStrategy") {
        Some(_) => match spec.object("updateStrategy", out) {
            Some(strategy) => strategy,
            None => return,
        },
        None => Node::new(spec.at("updateStrategy"), &EMPTY),
    };
    let type_ = strategy.text("type", out);
    if ![RE_CREATE, IN_PLACE_IF_POSSIBLE, IN_PLACE_ONLY].contains(&type_) {
        out.push(strategy.at("type").invalid(type_, "must be 'ReCreate', InPlaceIfPossible or 'InPlaceOnly'"));
    }
    limits(&strategy, replicas, type_, "can not use maxSurge with strategy type InPlaceOnly", out);
}

/// `v1beta1`: what a rolling update may be is checked only where it is given.
pub(super) fn nested(spec: &Node<'_>, replicas: i64, out: &mut Vec<Denial>) {
    let Some(strategy) = spec.object("updateStrategy", out) else { return };
    let type_ = strategy.text("type", out);
    if !["", ROLLING_UPDATE, ON_DELETE].contains(&type_) {
        out.push(strategy.at("type").invalid(type_, "must be 'RollingUpdate' or 'OnDelete'"));
    }
    let Some(rolling) = strategy.object("rollingUpdate", out) else { return };
    let policy = rolling.text("podUpdatePolicy", out);
    if !["", RE_CREATE, IN_PLACE_IF_POSSIBLE, IN_PLACE_ONLY].contains(&policy) {
        out.push(
            rolling.at("podUpdatePolicy").invalid(policy, "must be 'ReCreate', 'InPlaceIfPossible' or 'InPlaceOnly'"),
        );
    }
    if let Some(in_place) = rolling.object("inPlaceUpdateStrategy", out) {
        image_pre_download(&in_place, out);
    }
    limits(&rolling, replicas, policy, "can not use maxSurge with podUpdatePolicy InPlaceOnly", out);
}

/// Partition, maxUnavailable, maxSurge, priority and scatter.
fn limits(strategy: &Node<'_>, replicas: i64, policy: &str, no_surge: &str, out: &mut Vec<Denial>) {
    let replicas = i32::try_from(replicas).unwrap_or(i32::MAX);
    match amount(strategy, "partition", replicas, out) {
        Amount::Of(partition) if partition < 0 => {
            out.push(strategy.at("partition").invalid(partition, crate::look::NOT_NEGATIVE));
        }
        Amount::Absent => out.push(refused_amount(strategy, "partition", Value::Null, "nil value for IntOrString")),
        Amount::Of(_) | Amount::Refused => {}
    }
    let unavailable = amount(strategy, "maxUnavailable", replicas, out);
    let surge = amount(strategy, "maxSurge", replicas, out);
    if policy == IN_PLACE_ONLY && surge.or_zero() > 0 {
        out.push(strategy.at("maxSurge").invalid(shown(strategy, "maxSurge"), no_surge));
    }
    let refused = matches!(unavailable, Amount::Refused) || matches!(surge, Amount::Refused);
    if replicas > 0 && !refused && unavailable.or_zero() < 1 && surge.or_zero() < 1 {
        out.push(
            strategy.at("maxUnavailable").invalid(
                shown(strategy, "maxUnavailable"),
                "maxUnavailable and maxSurge should not both be less than 1",
            ),
        );
    }
    if let Some(priority) = strategy.object("priorityStrategy", out) {
        priority_strategy(&priority, out);
    }
    scatter_strategy(strategy, out);
}

/// What a number-or-percentage comes to.
#[derive(Clone, Copy)]
enum Amount {
    Absent,
    /// Percentages rounded up.
    Of(i32),
    /// Not of the form; said already.
    Refused,
}

impl Amount {
    fn or_zero(self) -> i32 {
        match self {
            Self::Of(number) => number,
            Self::Absent | Self::Refused => 0,
        }
    }
}

fn amount(strategy: &Node<'_>, member: &str, replicas: i32, out: &mut Vec<Denial>) -> Amount {
    let Some(node) = strategy.get(member) else { return Amount::Absent };
    let Ok(value) = serde_json::from_value::<IntOrString>(node.value.clone()) else {
        out.push(node.path.wrong_type(node.value, "a 32-bit integer or a string"));
        return Amount::Refused;
    };
    match percent::scaled_strict(&value, replicas, Rounding::Up) {
        Ok(number) => Amount::Of(number),
        Err(error) => {
            out.push(refused_amount(strategy, member, node.value.clone(), &error.to_string()));
            Amount::Refused
        }
    }
}

fn refused_amount(strategy: &Node<'_>, member: &str, value: Value, error: &str) -> Denial {
    strategy.at(member).invalid(value, format!("failed GetScaledValueFromIntOrPercent for {member}: {error}"))
}

fn shown(strategy: &Node<'_>, member: &str) -> Value {
    strategy.get(member).map_or(Value::Null, |node| node.value.clone())
}

/// CS-111 gives these refusals the type Required and the strategy as their field.
fn priority_strategy(priority: &Node<'_>, out: &mut Vec<Denial>) {
    let weights = priority.objects("weightPriority", out);
    let orders = priority.objects("orderPriority", out);
    let mut refuse = BTreeSet::new();
    if !weights.is_empty() && !orders.is_empty() {
        refuse.insert("only one of weightPriority and orderPriority can be used".to_owned());
    }
    for term in weights {
        if !(0..=100).contains(&term.integer("weight", out).unwrap_or(0)) {
            refuse.insert("weight must be valid number in the range 1-100".to_owned());
        }
        let selector = term.object("matchSelector", out).unwrap_or_else(|| Node::new(term.at("matchSelector"), &EMPTY));
        if labels::is_empty(selector.value) {
            refuse.insert("selector can not be empty".to_owned());
        }
        let mut broken = Vec::new();
        labels::validate_selector(&selector, &mut broken);
        refuse.extend(broken.iter().map(|denial| format!("invalid selector {denial}")));
    }
    for term in orders {
        if term.text("orderedKey", out).is_empty() {
            refuse.insert("order key can not be empty".to_owned());
        }
    }
    out.extend(refuse.into_iter().map(|detail| priority.path.required(detail)));
}

fn scatter_strategy(strategy: &Node<'_>, out: &mut Vec<Denial>) {
    let path = strategy.at("scatterStrategy");
    let mut seen = BTreeSet::new();
    for term in strategy.objects("scatterStrategy", out) {
        let (key, value) = (term.text("key", out), term.text("value", out));
        if key.is_empty() {
            out.push(path.required("key should not be empty"));
        }
        if !seen.insert((key, value)) {
            out.push(path.required(format!("duplicated key={key} value={value}")));
        }
    }
}

/// `v1beta1` only: in `v1alpha1` the fields do nothing.
fn image_pre_download(in_place: &Node<'_>, out: &mut Vec<Denial>) {
    for member in ["imagePreDownloadTimeoutSeconds", "imagePreDownloadMinUpdatedReadyPods"] {
        in_place.not_negative(member, out);
    }
    const NAME: &str = "imagePreDownloadParallelism";
    let Some(node) = in_place.get(NAME) else { return };
    let number = match node.value {
        Value::String(text) if text.contains('%') => {
            out.push(node.path.invalid(text.as_str(), format!("{NAME} does not support percentage value")));
            return;
        }
        Value::String(text) => match text.parse::<i32>() {
            Ok(number) => i64::from(number),
            Err(error) => {
                out.push(node.path.invalid(text.as_str(), format!("{NAME} must be a valid integer: {error}")));
                return;
            }
        },
        _ => match in_place.integer(NAME, out) {
            Some(number) => number,
            None => return,
        },
    };
    if number < 0 {
        out.push(node.path.invalid(node.value.clone(), format!("{NAME} must be non-negative")));
    }
}

/// `v1alpha1` with `InPlaceOnly`: the Pod's spec may change in the images of its containers only; the template's
/// metadata is free (page section 5.3).
pub(super) fn in_place_only(new: &Value, old: &Value, spec: &FieldPath, out: &mut Vec<Denial>) {
    if new.pointer("/spec/updateStrategy/type").and_then(Value::as_str) != Some(IN_PLACE_ONLY) {
        return;
    }
    let pod = |object: &Value| object.pointer("/spec/template/spec").cloned().unwrap_or(Value::Null);
    if let Some((operation, path)) = first_other_change("", &pod(old), &pod(new)) {
        out.push(
            spec.forbidden(format!(
                "only allowed to update images in spec for InPlaceOnly, but found {operation} {path}"
            )),
        );
    }
}

/// The first difference that is not the replacement of a container's image, as operation and path of a JSON patch.
fn first_other_change(path: &str, old: &Value, new: &Value) -> Option<(&'static str, String)> {
    match (old, new) {
        (Value::Object(before), Value::Object(after)) => {
            let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            names.into_iter().find_map(|name| {
                let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
                let present = |object: &serde_json::Map<String, Value>| {
                    object.get(name).filter(|value| !value.is_null()).cloned()
                };
                match (present(before), present(after)) {
                    (Some(before), Some(after)) => first_other_change(&path, &before, &after),
                    (Some(_), None) => Some(("remove", path)),
                    (None, Some(_)) => Some(("add", path)),
                    (None, None) => None,
                }
            })
        }
        (Value::Array(before), Value::Array(after)) => {
            let common = before.iter().zip(after).enumerate();
            let inner = common
                .into_iter()
                .find_map(|(index, (before, after))| first_other_change(&format!("{path}/{index}"), before, after));
            inner.or_else(|| match before.len().cmp(&after.len()) {
                std::cmp::Ordering::Less => Some(("add", format!("{path}/{}", before.len()))),
                std::cmp::Ordering::Greater => Some(("remove", format!("{path}/{}", after.len()))),
                std::cmp::Ordering::Equal => None,
            })
        }
        _ if old == new || is_container_image(path) => None,
        _ => Some(("replace", path.to_owned())),
    }
}

/// `/containers/<n>/image`.
fn is_container_image(path: &str) -> bool {
    let inner = path.strip_prefix("/containers/").and_then(|rest| rest.strip_suffix("/image"));
    inner.is_some_and(|index| !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit()))
}
