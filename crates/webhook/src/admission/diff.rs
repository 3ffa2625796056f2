//! The JSON patch that an answer carries: as few operations as lead from the object that came to the one that was
//! decided (PW-6, RFC 6902).
//!
//! What is equal is not mentioned, so members that nobody here knows survive. Items of lists are found again by their
//! name, as containers, variables and volumes have one: an item put before the others is one addition.

use json_patch::jsonptr::{PointerBuf, Token};
use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation, ReplaceOperation};
use serde_json::{Map, Value};

/// Pairs of items that are weighed against each other at most, between what two lists begin and end with in common.
/// Beyond that items are compared place by place: the patch gets longer, not wrong.
const WEIGHED: usize = 1 << 16;

/// The patch from one object to the other; empty where they are equal.
#[must_use]
pub fn diff(before: &Value, after: &Value) -> Patch {
    let mut differ = Differ { path: PointerBuf::new(), operations: Vec::new() };
    differ.value(before, after);
    Patch(differ.operations)
}

struct Differ {
    path: PointerBuf,
    operations: Vec<PatchOperation>,
}

impl Differ {
    fn value(&mut self, before: &Value, after: &Value) {
        match (before, after) {
            (Value::Object(before), Value::Object(after)) if before.keys().any(|name| after.contains_key(name)) => {
                self.members(before, after);
            }
            (Value::Array(before), Value::Array(after)) if !before.is_empty() && !after.is_empty() => {
                self.items(before, after);
            }
            // An empty one is filled, or loses all it has; at the root there is nothing above that could be replaced.
            (Value::Object(before), Value::Object(after)) if before.is_empty() || self.path.is_root() => {
                self.members(before, after);
            }
            _ if before == after => {}
            _ => self.replace(after),
        }
    }

    fn members(&mut self, before: &Map<String, Value>, after: &Map<String, Value>) {
        for (name, old) in before {
            match after.get(name) {
                Some(new) => self.at(name.as_str(), |differ| differ.value(old, new)),
                None => self.at(name.as_str(), Self::remove),
            }
        }
        for (name, new) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
            self.at(name.as_str(), |differ| differ.add(new));
        }
    }

    fn items(&mut self, before: &[Value], after: &[Value]) {
        let head = before.iter().zip(after).take_while(|(old, new)| old == new).count();
        let (before, after) = (before.get(head..).unwrap_or_default(), after.get(head..).unwrap_or_default());
        let tail = before.iter().rev().zip(after.iter().rev()).take_while(|(old, new)| old == new).count();
        let before = before.get(..before.len() - tail).unwrap_or_default();
        let after = after.get(..after.len() - tail).unwrap_or_default();
        // Where we are in the list as the operations so far have made it.
        let mut place = head;
        let (mut old, mut new) = (before.iter(), after.iter());
        let (mut passed_old, mut passed_new) = (0, 0);
        for (at_old, at_new) in common(before, after).into_iter().chain([(before.len(), after.len())]) {
            let mut gone = old.by_ref().take(at_old - passed_old);
            let mut come = new.by_ref().take(at_new - passed_new);
            loop {
                match (gone.next(), come.next()) {
                    (None, None) => break,
                    (Some(old), Some(new)) if name(old).is_none() && name(new).is_none() => {
                        self.at(place, |differ| differ.value(old, new));
                        place += 1;
                    }
                    (Some(_), Some(new)) => {
                        self.at(place, |differ| differ.replace(new));
                        place += 1;
                    }
                    (Some(_), None) => self.at(place, Self::remove),
                    (None, Some(new)) => {
                        self.at(place, |differ| differ.add(new));
                        place += 1;
                    }
                }
            }
            if let (Some(old), Some(new)) = (old.next(), new.next()) {
                self.at(place, |differ| differ.value(old, new));
                place += 1;
            }
            (passed_old, passed_new) = (at_old + 1, at_new + 1);
        }
    }

    fn at<'t>(&mut self, token: impl Into<Token<'t>>, then: impl FnOnce(&mut Self)) {
        self.path.push_back(token);
        then(self);
        self.path.pop_back();
    }

    fn add(&mut self, value: &Value) {
        let (path, value) = (self.path.clone(), value.clone());
        self.operations.push(PatchOperation::Add(AddOperation { path, value }));
    }

    fn remove(&mut self) {
        self.operations.push(PatchOperation::Remove(RemoveOperation { path: self.path.clone() }));
    }

    fn replace(&mut self, value: &Value) {
        let (path, value) = (self.path.clone(), value.clone());
        self.operations.push(PatchOperation::Replace(ReplaceOperation { path, value }));
    }
}

/// By what an item is known in its list.
fn name(item: &Value) -> Option<&str> {
    item.get("name").and_then(Value::as_str)
}

/// How much it is worth to take one item for the other: equal before of one name before nothing.
fn worth(old: &Value, new: &Value) -> u32 {
    match (name(old), name(new)) {
        (before, after) if before != after => 0,
        _ if old == new => 2,
        (Some(_), _) => 1,
        (None, _) => 0,
    }
}

/// Places of the items that are found again, ascending in both lists, and worth most together.
fn common(before: &[Value], after: &[Value]) -> Vec<(usize, usize)> {
    if before.len().saturating_mul(after.len()) > WEIGHED {
        return Vec::new();
    }
    // The best that can be had from here to the ends of both.
    let width = after.len() + 1;
    let mut best = vec![0_u32; (before.len() + 1) * width];
    let at = |best: &[u32], old: usize, new: usize| best.get(old * width + new).copied().unwrap_or_default();
    for (old, old_item) in before.iter().enumerate().rev() {
        for (new, new_item) in after.iter().enumerate().rev() {
            let skip = at(&best, old + 1, new).max(at(&best, old, new + 1));
            let take = match worth(old_item, new_item) {
                0 => 0,
                worth => worth + at(&best, old + 1, new + 1),
            };
            if let Some(cell) = best.get_mut(old * width + new) {
                *cell = skip.max(take);
            }
        }
    }
    let mut found = Vec::new();
    let (mut old, mut new) = (0, 0);
    while let (Some(old_item), Some(new_item)) = (before.get(old), after.get(new)) {
        let here = at(&best, old, new);
        if here == at(&best, old + 1, new) {
            old += 1;
        } else if here == at(&best, old, new + 1) {
            new += 1;
        } else {
            debug_assert_eq!(here, worth(old_item, new_item) + at(&best, old + 1, new + 1));
            found.push((old, new));
            (old, new) = (old + 1, new + 1);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::testing::object;

    #[track_caller]
    fn check(before: Value, after: &Value, want: &[&str]) {
        let patch = diff(&before, after);
        let shown: Vec<String> = patch.iter().map(|operation| operation.to_string().replace('"', "'")).collect();
        let mut patched = before;
        json_patch::patch(&mut patched, &patch).unwrap();
        assert_eq!(patched, *after);
        let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        assert_eq!(shown, want);
    }

    #[test] // PW-6
    fn an_item_put_before_between_or_behind_the_others_is_one_addition() {
        let item = |name: &str| json!({ "name": name, "image": "i" });
        let (a, b, s) = (item("a"), item("b"), item("s"));
        let added = |at: usize| format!("{{'op':'add','path':'/{at}','value':{{'image':'i','name':'s'}}}}");
        check(json!([a, b]), &json!([s, a, b]), &[&added(0)]);
        check(json!([a, b]), &json!([a, s, b]), &[&added(1)]);
        check(json!([a, b]), &json!([a, b, s]), &[&added(2)]);
        check(json!([a, s, b]), &json!([a, b]), &["{'op':'remove','path':'/1'}"]);
    }

    #[test] // PW-6
    fn items_of_one_name_are_compared_wherever_they_went() {
        let before =
            json!({ "containers": [{ "name": "main", "image": "i", "env": [{ "name": "A", "value": "1" }] }] });
        let after = json!({ "containers": [
            { "name": "side" },
            { "name": "main", "image": "i", "env": [{ "name": "B" }, { "name": "A", "value": "2" }] },
        ]});
        check(
            before,
            &after,
            &[
                "{'op':'add','path':'/containers/0','value':{'name':'side'}}",
                "{'op':'add','path':'/containers/1/env/0','value':{'name':'B'}}",
                "{'op':'replace','path':'/containers/1/env/1/value','value':'2'}",
            ],
        );
    }

    #[test] // PW-6
    fn of_items_with_one_name_the_equal_ones_are_taken_for_each_other() {
        let mount = |path: &str| json!({ "name": "data", "mountPath": path });
        check(
            json!([mount("/a"), mount("/b")]),
            &json!([mount("/c"), mount("/a"), mount("/b")]),
            &["{'op':'add','path':'/0','value':{'mountPath':'/c','name':'data'}}"],
        );
        check(
            json!([mount("/x"), mount("/a"), 1]),
            &json!([mount("/a"), 2]),
            &["{'op':'remove','path':'/0'}", "{'op':'replace','path':'/1','value':2}"],
        );
    }

    #[test] // PW-6
    fn a_change_below_is_not_a_change_above() {
        check(
            json!({ "a": { "b/c": { "d~": 1, "e": 2 } }, "f": [], "g": {} }),
            &json!({ "a": { "b/c": { "d~": 3, "e": 2 } }, "f": [1], "g": { "h": 1 } }),
            &[
                "{'op':'replace','path':'/a/b~1c/d~0','value':3}",
                "{'op':'replace','path':'/f','value':[1]}",
                "{'op':'add','path':'/g/h','value':1}",
            ],
        );
        check(
            json!({ "a": { "b": 1, "c": 2 } }),
            &json!({ "a": { "d": 3 } }),
            &["{'op':'replace','path':'/a','value':{'d':3}}"],
        );
        check(
            json!({ "a": null }),
            &json!({ "b": null }),
            &["{'op':'remove','path':'/a'}", "{'op':'add','path':'/b','value':null}"],
        );
    }

    #[test]
    fn lists_too_long_to_be_weighed_are_compared_place_by_place() {
        let before: Vec<Value> = (0..300).map(|item| json!({ "name": item.to_string() })).collect();
        let after: Vec<Value> = before.iter().rev().take(299).cloned().collect();
        let patch = diff(&json!(before), &json!(after));
        let mut patched = json!(before);
        json_patch::patch(&mut patched, &patch).unwrap();
        assert_eq!(patched, json!(after));
    }

    /// Lists as Pods have them: names that come again, and other things.
    fn list() -> impl Strategy<Value = Value> {
        let item = prop_oneof![
            4 => ("[a-d]", 0_u8..3).prop_map(|(name, value)| json!({ "name": name, "value": value })),
            1 => (0_u8..3).prop_map(|key| json!({ "key": key })),
            1 => (0_u8..3).prop_map(Value::from),
        ];
        prop::collection::vec(item, 0..8).prop_map(Value::from)
    }

    proptest! {
        #[test] // PW-6
        fn the_patch_leads_from_one_to_the_other(before in object(), after in object()) {
            let mut patched = before.clone();
            json_patch::patch(&mut patched, &diff(&before, &after)).unwrap();
            prop_assert_eq!(patched, after);
        }

        #[test] // PW-6
        fn the_patch_leads_from_one_list_to_the_other_and_is_no_longer_than_both(before in list(), after in list()) {
            let patch = diff(&before, &after);
            let mut patched = before.clone();
            json_patch::patch(&mut patched, &patch).unwrap();
            prop_assert_eq!(&patched, &after);
            let most = before.as_array().unwrap().len() + after.as_array().unwrap().len();
            prop_assert!(patch.0.len() <= most, "{patch}");
        }

        #[test] // PW-6
        fn one_item_more_is_one_step(list in list(), place in any::<prop::sample::Index>()) {
            let mut longer = list.clone();
            let items = longer.as_array_mut().unwrap();
            items.insert(place.index(items.len() + 1), json!({ "name": "new" }));
            prop_assert_eq!(diff(&list, &longer).0.len(), 1);
            prop_assert_eq!(diff(&longer, &list).0.len(), 1);
        }
    }
}
