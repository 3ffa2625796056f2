//! Values with types: which fields they have, how two are merged, how fields are taken out, whether one may be applied.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::changes::{Shape, empty, shape};
use super::fields::{self, Fields};
use super::types::{Items, Node};

/// The path element of an item, or why it has none.
pub(crate) fn element(node: Node<'_>, item: &Value) -> Result<String, String> {
    let keys = match (node.items(), item) {
        (Items::By(keys), Value::Object(_)) => keys,
        (Items::By(_), Value::Null) => return Err("associative list with keys may not have a null element".to_owned()),
        (Items::By(_), _) => return Err("associative list with keys may not have non-map elements".to_owned()),
        (_, Value::Object(_)) => {
            return Err("associative list without keys has an element that's a map type".to_owned());
        }
        (_, Value::Array(_)) => return Err("not supported: associative list with lists as elements".to_owned()),
        (_, Value::Null) => {
            return Err("associative list without keys has an element that's an explicit null".to_owned());
        }
        _ => return Ok(fields::value(item)),
    };
    let found: BTreeMap<&str, Value> =
        keys.iter().filter_map(|key| Some((*key, item.get(key).cloned().or_else(|| node.key_default(key))?))).collect();
    if found.is_empty() {
        let keys = keys.iter().map(|key| format!("{key:?}")).collect::<Vec<_>>().join(" ");
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{keys}] (and doesn't have default values for any key fields)"
        ));
    }
    Ok(fields::key(&found))
}

/// The fields that an object has, as an applier of it owns them.
pub(crate) fn fields_of(node: Node<'_>, value: &Value) -> Fields {
    let mut out = Fields::default();
    below(node, value, &mut out);
    out
}

/// Fills in what is below; says whether the value is a field by itself.
fn below(node: Node<'_>, value: &Value, out: &mut Fields) -> bool {
    match value {
        Value::Object(_) if node.whole_map() => return true,
        Value::Object(map) => {
            for (name, value) in map {
                let child = node.field(name);
                let mut inner = Fields::default();
                let leaf = below(child.map_or(Node::Deduced, |child| child.node), value, &mut inner);
                let bare = value.is_null() || value.as_object().is_some_and(Map::is_empty);
                let member = leaf || bare || child.is_none_or(|child| !child.declared);
                out.put(&fields::field(name), member, inner);
            }
        }
        Value::Array(_) if node.items() == Items::Whole => return true,
        Value::Array(list) => {
            let elements: Vec<Option<String>> = list.iter().map(|item| element(node, item).ok()).collect();
            for (item, element) in list.iter().zip(&elements) {
                let Some(element) = element else {
                    continue;
                };
                let mut inner = Fields::default();
                if elements.iter().filter(|other| other.as_ref() == Some(element)).count() == 1 {
                    below(node.item(), item, &mut inner);
                }
                out.put(element, true, inner);
            }
        }
        _ => return true,
    }
    false
}

/// The live value with the applied one merged over it; `None` where nothing is left.
pub(crate) fn merge(node: Node<'_>, live: Option<&Value>, applied: Option<&Value>) -> Option<Value> {
    let (Some(left), Some(right)) = (live, applied) else {
        return live.or(applied).cloned();
    };
    let both_empty = empty(live) && empty(applied);
    match shape(live, applied) {
        Shape::Map if !node.whole_map() && !both_empty => {
            let (left, right) = (left.as_object(), right.as_object());
            let names: BTreeSet<&String> = left.into_iter().chain(right).flat_map(Map::keys).collect();
            let mut out = Map::new();
            for name in names {
                let child = node.field(name).map_or(Node::Deduced, |child| child.node);
                let value = |map: Option<&'_ Map<String, Value>>| map.and_then(|map| map.get(name)).cloned();
                if let Some(value) = merge(child, value(left).as_ref(), value(right).as_ref()) {
                    out.insert(name.clone(), value);
                }
            }
            (!out.is_empty()).then_some(Value::Object(out))
        }
        Shape::List if node.items() != Items::Whole && !both_empty => {
            let items = |list: &Value| list.as_array().cloned().unwrap_or_default();
            let out = merge_items(node, &items(left), &items(right));
            (!out.is_empty()).then_some(Value::Array(out))
        }
        _ => Some(right.clone()),
    }
}

/// Items that both lists have come in the applied order. The live list's others stay where they stood, as far as that goes.
fn merge_items(node: Node<'_>, live: &[Value], applied: &[Value]) -> Vec<Value> {
    let named = |item| (element(node, item).unwrap_or_else(|_| fields::value(item)), item);
    let live: Vec<(String, &Value)> = live.iter().map(named).collect();
    let applied: Vec<(String, &Value)> = applied.iter().map(named).collect();
    let is_live = |element: &String| live.iter().any(|(other, _)| other == element);
    // Of several live items with the same key none is merged: the applied one takes their place.
    let merged = |(element, item): &(String, &Value)| {
        let mut twins = live.iter().filter(|(other, _)| other == element);
        let twin = twins.next().filter(|_| twins.next().is_none());
        merge(node.item(), twin.map(|(_, twin)| *twin), Some(item))
    };
    let mut out = Vec::with_capacity(live.len() + applied.len());
    let mut rest = applied.as_slice();
    for (name, item) in &live {
        if !applied.iter().any(|(other, _)| other == name) {
            out.push((*item).clone());
            continue;
        }
        // The next item that both have brings along the new ones in front of it. Other shared items wait for their turn.
        let next = rest.iter().position(|(other, _)| is_live(other));
        let turn = next.filter(|next| rest.get(*next).is_some_and(|(other, _)| other == name));
        if let Some((now, later)) = turn.and_then(|next| rest.split_at_checked(next + 1)) {
            out.extend(now.iter().filter_map(merged));
            rest = later;
        }
    }
    out.extend(rest.iter().filter_map(merged));
    out
}

/// The value without these fields. Where nothing is left of something it is null: it is not gone, for its owners.
pub(crate) fn remove(node: Node<'_>, value: &Value, gone: &Fields) -> Value {
    let child = |node: Node<'_>, value: &Value, element: &str| match gone.below(element) {
        _ if gone.has(element) => None,
        Some(below) => Some(remove(node, value, below)),
        None => Some(value.clone()),
    };
    match value {
        Value::Object(_) if node.whole_map() => Value::Null,
        Value::Object(map) => {
            let kept = map.iter().filter_map(|(name, value)| {
                let node = node.field(name).map_or(Node::Deduced, |child| child.node);
                Some((name.clone(), child(node, value, &fields::field(name))?))
            });
            let out: Map<String, Value> = kept.collect();
            if out.is_empty() { Value::Null } else { Value::Object(out) }
        }
        Value::Array(_) if node.items() == Items::Whole => Value::Null,
        Value::Array(list) => {
            let kept = |item: &Value| match element(node, item) {
                Ok(element) => child(node.item(), item, &element),
                Err(_) => Some(item.clone()),
            };
            let out: Vec<Value> = list.iter().filter_map(kept).collect();
            if out.is_empty() { Value::Null } else { Value::Array(out) }
        }
        other => other.clone(),
    }
}

/// Drops what is null; structs that the server always writes are empty instead.
pub(crate) fn drop_nulls(node: Node<'_>, value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, _) in node.always().filter(|(_, null)| !null) {
                if let Some(value @ Value::Null) = map.get_mut(name) {
                    *value = Value::Object(Map::new());
                }
            }
            map.retain(|_, value| !value.is_null());
            for (name, value) in map {
                drop_nulls(node.field(name).map_or(Node::Deduced, |child| child.node), value);
            }
        }
        Value::Array(list) => {
            list.retain(|value| !value.is_null());
            list.iter_mut().for_each(|value| drop_nulls(node.item(), value));
        }
        _ => {}
    }
}

/// Why this value may not be applied, with paths.
pub(crate) fn check(node: Node<'_>, value: &Value, path: &str, errors: &mut Vec<String>) {
    let mut refuse =
        |text: &str| errors.push(if path.is_empty() { text.to_owned() } else { format!("{path}: {text}") });
    match (node.wanted(), value) {
        (Some("object"), Value::Array(_) | Value::String(_) | Value::Number(_) | Value::Bool(_)) => {
            return refuse(&format!("expected map, got &{{{value}}}"));
        }
        (Some("array"), Value::Object(_) | Value::String(_) | Value::Number(_) | Value::Bool(_)) => {
            return refuse(&format!("expected list, got &{{{value}}}"));
        }
        (Some(scalar @ ("string" | "integer" | "boolean" | "number")), Value::Object(_) | Value::Array(_)) => {
            let scalar = if scalar == "integer" || scalar == "number" { "numeric" } else { scalar };
            return refuse(&format!("expected {scalar}, got &{{{value}}}"));
        }
        _ => {}
    }
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let path = format!("{path}.{name}");
                match node.field(name) {
                    Some(child) => check(child.node, value, &path, errors),
                    None => errors.push(format!("{path}: field not declared in schema")),
                }
            }
        }
        Value::Array(list) if node.items() != Items::Whole => {
            let mut seen = BTreeSet::new();
            for (index, item) in list.iter().enumerate() {
                match element(node, item) {
                    Err(text) => errors.push(format!("{path}: element {index}: {text}")),
                    Ok(element) => {
                        let shown = fields::shown(&element);
                        if !seen.insert(element) {
                            errors.push(format!("{path}: duplicate entries for key {shown}"));
                        }
                        check(node.item(), item, &format!("{path}{shown}"), errors);
                    }
                }
            }
        }
        _ => {}
    }
}
