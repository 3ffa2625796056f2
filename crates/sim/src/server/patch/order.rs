//! The order of a merged list under strategic merge patch.
//!
//! Items that the patch names come in the patch's order, the others in the order they had. Between the two, an item that
//! the patch names goes first unless both are old and the other stood before it: new items therefore come to the front.

use serde_json::Value;

/// `merged` in order: `named` is the order that the patch wants, `live` the order before it.
pub(crate) fn arrange(
    merged: Vec<Value>,
    named: &[Value],
    live: &[Value],
    same: impl Fn(&Value, &Value) -> bool,
) -> Vec<Value> {
    let place = |order: &[Value], item: &Value| order.iter().position(|other| same(item, other));
    let (mut ours, mut others): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|item| place(named, item).is_some());
    ours.sort_by_key(|item| place(named, item));
    others.sort_by_key(|item| place(live, item).unwrap_or(usize::MAX));

    let before = |left: &Value, right: &Value| match (place(live, left), place(live, right)) {
        (Some(left), Some(right)) => left < right,
        _ => false,
    };
    let mut arranged = Vec::with_capacity(ours.len() + others.len());
    let mut others = others.into_iter().peekable();
    for item in ours {
        while let Some(other) = others.next_if(|other| before(other, &item)) {
            arranged.push(other);
        }
        arranged.push(item);
    }
    arranged.extend(others);
    arranged
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn arranged(merged: Value, named: Value, live: Value) -> Value {
        let list = |value: Value| value.as_array().unwrap().clone();
        Value::Array(arrange(list(merged), &list(named), &list(live), |left, right| left == right))
    }

    #[test]
    fn new_items_come_first_and_old_ones_keep_their_places() {
        assert_eq!(arranged(json!(["a", "b", "c"]), json!(["c"]), json!(["a", "b"])), json!(["c", "a", "b"]));
        assert_eq!(arranged(json!(["a", "b", "c"]), json!(["b"]), json!(["a", "b", "c"])), json!(["a", "b", "c"]));
    }

    #[test]
    fn the_order_of_the_patch_wins_over_the_order_before() {
        assert_eq!(arranged(json!(["a", "b", "c"]), json!(["c", "a"]), json!(["a", "b", "c"])), json!(["b", "c", "a"]));
    }
}
