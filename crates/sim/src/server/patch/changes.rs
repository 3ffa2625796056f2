//! What changed between two objects, as sets of fields.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::fields::{self, Fields};
use super::structured::element;
use super::types::{Items, Node};

/// What one object has and the other has not, or has differently.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) added: Fields,
    pub(crate) modified: Fields,
    pub(crate) removed: Fields,
    /// Whether the object after is merged, not written.
    merged: bool,
}

/// What happened to a value itself, not to what is in it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Own {
    Nothing,
    Added,
    Modified,
    Removed,
}

/// Which form two values have in common.
pub(crate) enum Shape {
    Map,
    List,
    Leaf,
}

pub(crate) fn shape(left: Option<&Value>, right: Option<&Value>) -> Shape {
    let (mut maps, mut lists, mut leaves) = (false, false, false);
    for value in [left, right].into_iter().flatten() {
        match value {
            Value::Object(_) => maps = true,
            Value::Array(_) => lists = true,
            Value::Null => {}
            _ => leaves = true,
        }
    }
    match (maps, lists, leaves) {
        (true, false, false) => Shape::Map,
        (false, true, false) => Shape::List,
        _ => Shape::Leaf,
    }
}

/// From the object before to the object after.
///
/// An object that is merged has what the server always writes only where it had it before; one that is written has it
/// everywhere.
pub(crate) fn compare(node: Node<'_>, before: &Value, after: &Value, merged: bool) -> Changes {
    let mut changes = Changes { merged, ..Changes::default() };
    walk(node, Some(before), Some(after), &mut changes);
    changes
}

impl Changes {
    fn put(&mut self, element: &str, own: Own, below: Self) {
        self.added.put(element, own == Own::Added, below.added);
        self.modified.put(element, own == Own::Modified, below.modified);
        self.removed.put(element, own == Own::Removed, below.removed);
    }

    /// Compares one child and notes what changed.
    fn child(&mut self, element: &str, node: Node<'_>, left: Option<&Value>, right: Option<&Value>) {
        let mut below = Self { merged: self.merged, ..Self::default() };
        let own = walk(node, left, right, &mut below);
        self.put(element, own, below);
    }
}

fn walk(node: Node<'_>, left: Option<&Value>, right: Option<&Value>, out: &mut Changes) -> Own {
    if left == right {
        return Own::Nothing;
    }
    let presence = match (left, right) {
        (None, _) => Own::Added,
        (_, None) => Own::Removed,
        _ => Own::Nothing,
    };
    let both_empty = empty(left) && empty(right);
    match shape(left, right) {
        Shape::Map if !(node.whole_map() || both_empty) => maps(node, left, right, out),
        Shape::List if !both_empty && node.items() != Items::Whole => lists(node, left, right, out),
        _ if presence == Own::Nothing => return Own::Modified,
        _ => {}
    }
    presence
}

pub(crate) fn empty(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        _ => true,
    }
}

fn maps(node: Node<'_>, left: Option<&Value>, right: Option<&Value>, out: &mut Changes) {
    let (nothing, none) = (Map::new(), Value::Object(Map::new()));
    let (left_map, right_map) =
        (left.and_then(Value::as_object).unwrap_or(&nothing), right.and_then(Value::as_object).unwrap_or(&nothing));
    let always: BTreeMap<&str, bool> = node.always().collect();
    let names = left_map.keys().chain(right_map.keys()).map(String::as_str).chain(always.keys().copied());
    let names: BTreeSet<&str> = names.collect();
    for name in names {
        let missing = always.get(name).map(|null| if *null { &Value::Null } else { &none });
        let (default_left, default_right) =
            (left.and(missing), right.filter(|_| left.is_some() || !out.merged).and(missing));
        let left = left_map.get(name).or(default_left);
        let right = right_map.get(name).or(default_right);
        let node = node.field(name).map_or(Node::Deduced, |child| child.node);
        out.child(&fields::field(name), node, left, right);
    }
}

fn lists(node: Node<'_>, left: Option<&Value>, right: Option<&Value>, out: &mut Changes) {
    let (left, right) = (by_element(node, left), by_element(node, right));
    let elements: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let item = node.item();
    for element in elements {
        let before = left.get(element).map_or(&[] as &[&Value], Vec::as_slice);
        let after = right.get(element).map_or(&[] as &[&Value], Vec::as_slice);
        match (before, after) {
            ([], [_]) | ([_], [] | [_]) => out.child(element, item, before.first().copied(), after.first().copied()),
            ([], []) => {}
            // Items with the same key are one value.
            ([_, _, ..], [_, _, ..]) if before != after => out.put(element, Own::Modified, Changes::default()),
            ([_, _, ..], [_, _, ..]) => {}
            ([_, _, ..], _) => {
                if let Some(after) = after.first() {
                    out.child(element, item, None, Some(after));
                }
                out.put(element, Own::Removed, Changes::default());
            }
            (_, [_, _, ..]) => {
                if let Some(before) = before.first() {
                    out.child(element, item, Some(before), None);
                }
                out.put(element, Own::Added, Changes::default());
            }
        }
    }
}

fn by_element<'v>(node: Node<'_>, list: Option<&'v Value>) -> BTreeMap<String, Vec<&'v Value>> {
    let mut out: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for item in list.and_then(Value::as_array).into_iter().flatten() {
        if let Ok(element) = element(node, item) {
            out.entry(element).or_default().push(item);
        }
    }
    out
}
