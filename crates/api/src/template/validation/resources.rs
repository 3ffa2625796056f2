//! Limits and requests: well-formed amounts, and no request above its limit.

use crate::{field::Denial, look::Node, names, quantity};

pub(super) fn validate(requirements: &Node<'_>, out: &mut Vec<Denial>) {
    let limits = requirements.object("limits", out);
    if let Some(limits) = &limits {
        amounts(limits, out);
    }
    let Some(requests) = requirements.object("requests", out) else { return };
    amounts(&requests, out);
    for (name, request) in requests.members() {
        let limit = limits.as_ref().and_then(|limits| limits.get(name)).and_then(|limit| quantity::read(limit.value));
        if let (Some(asked), Some(limit)) = (quantity::read(request), limit)
            && asked.nanos() > limit.nanos()
        {
            out.push(
                requests
                    .path
                    .invalid(asked.to_string(), format!("must be less than or equal to {name} limit of {limit}")),
            );
        }
    }
}

/// A list of amounts by resource name.
pub(super) fn amounts(list: &Node<'_>, out: &mut Vec<Denial>) {
    for (name, amount) in list.members() {
        let path = list.path.key(name);
        if let Err(detail) = names::qualified_name(name) {
            out.push(path.invalid(name.as_str(), detail));
        }
        match quantity::read(amount) {
            None => out.push(path.invalid(amount.clone(), NOT_A_QUANTITY)),
            Some(quantity) if quantity.nanos() < 0 => {
                out.push(path.invalid(quantity.to_string(), crate::look::NOT_NEGATIVE));
            }
            Some(_) => {}
        }
    }
}

/// The words of the API for text that is no quantity.
pub(super) const NOT_A_QUANTITY: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
