//! Label selectors as admission checks them: their form, and whether they select given labels.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt};
use serde_json::Value;

use crate::{field::Denial, look::Node, metadata, names};

/// Checks the form of a label selector: keys, values, operators.
pub(crate) fn validate_selector(selector: &Node<'_>, out: &mut Vec<Denial>) {
    metadata::labels(selector, "matchLabels", out);
    for requirement in selector.objects("matchExpressions", out) {
        let values = requirement.texts("values", out);
        let key = requirement.text("key", out);
        let operator = requirement.text("operator", out);
        match operator {
            "In" | "NotIn" if values.is_empty() => {
                out.push(requirement.at("values").required("must be specified when `operator` is 'In' or 'NotIn'"));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => out.push(
                requirement
                    .at("values")
                    .forbidden("may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
            ),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => out.push(requirement.at("operator").invalid(operator, "not a valid selector operator")),
        }
        if let Err(detail) = names::qualified_name(key) {
            out.push(requirement.at("key").invalid(key, detail));
        }
        for (path, value) in values {
            if let Err(detail) = names::label_value(value) {
                out.push(path.invalid(value, detail));
            }
        }
    }
}

/// Whether a selector has no requirement at all.
pub(crate) fn is_empty(selector: &Value) -> bool {
    let size = |member: &str| match selector.get(member) {
        Some(Value::Object(entries)) => entries.len(),
        Some(Value::Array(items)) => items.len(),
        _ => 0,
    };
    size("matchLabels") + size("matchExpressions") == 0
}

/// Whether a selector matches labels; `None` where it is not of a selector's form.
pub(crate) fn matches(selector: &Value, labels: &BTreeMap<String, String>) -> Option<bool> {
    let selector: LabelSelector = serde_json::from_value(selector.clone()).ok()?;
    let selector: Selector = selector.try_into().ok()?;
    Some(selector.matches(labels))
}
