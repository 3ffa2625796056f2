//! Strategic merge patch: maps merge, lists with a merge key merge item by item, directives say the rest.
//!
//! Which list has which key stands in `table`. A field that the table does not name follows the rule: a map merges, a
//! list is replaced. Custom resources have no strategic merge patch; a kind that is not in the table is not simulated.

use serde_json::{Map, Value, json};

use super::order::arrange;
use super::table::{self, Field, Patched, Struct};
use crate::server::failure::{Failure, Result};

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_VALUES: &str = "$deleteFromPrimitiveList";
const ORDER: &str = "$setElementOrder";

/// The object of a native kind after the patch.
///
/// # Errors
/// 400 for a directive of the wrong form, 422 for lists of lists, 500 for what the server did not expect (an item without
/// its merge key, an unknown directive), 501 for a kind that the table does not know.
pub fn apply(kind: &str, object: &Value, patch: &Value) -> Result<Value> {
    let Some(of) = table::kind(kind) else {
        return Err(Failure::not_simulated(format_args!("strategic merge patch of {kind}")));
    };
    let Value::Object(patch) = patch else {
        let what = super::json::go_kind(patch);
        return Err(bad(&format!("json: cannot unmarshal {what} into Go value of type map[string]interface {{}}")));
    };
    let mut patched = object.as_object().cloned().unwrap_or_default();
    merge_map(of, &mut patched, patch)?;
    Ok(Value::Object(patched))
}

/// What is below a field: its struct, how its list is merged, whether its map is replaced.
fn below(of: &Struct, name: &str) -> (&'static Struct, Patched, bool) {
    match of.field(name) {
        Some(Field::Is(of) | Field::Always(of)) => (of, Patched::Replaced, false),
        Some(Field::List(list)) => (list.item, list.patched, false),
        Some(Field::Replaced) => (&table::PLAIN, Patched::Replaced, true),
        Some(Field::Whole) | None => (&table::PLAIN, Patched::Replaced, false),
    }
}

fn merge_map(of: &Struct, original: &mut Map<String, Value>, patch: &Map<String, Value>) -> Result<()> {
    match patch.get(PATCH) {
        None => {}
        Some(Value::String(directive)) if directive == "replace" => {
            *original = bare_map(patch);
            return Ok(());
        }
        Some(Value::String(directive)) if directive == "delete" => {
            original.clear();
            return Ok(());
        }
        Some(other) => return Err(unknown_directive(other, patch)),
    }
    retain_keys(original, patch)?;
    let ordered = merge_ordered(of, original, patch)?;
    for (key, value) in patch {
        if key == RETAIN_KEYS || key.starts_with(ORDER) || ordered.contains(&key.as_str()) {
            continue;
        }
        if key.starts_with(DELETE_VALUES) {
            delete_values(original, key, value)?;
            continue;
        }
        let (of, how, replaced) = below(of, key);
        match (original.get_mut(key), value) {
            (_, Value::Null) => {
                original.remove(key);
            }
            (Some(Value::Object(_)), Value::Object(map)) if replaced => {
                original.insert(key.clone(), Value::Object(bare_map(map)));
            }
            (Some(Value::Object(old)), Value::Object(map)) => merge_map(of, old, map)?,
            (Some(Value::Array(old)), Value::Array(list)) => *old = merge_list(of, how, old, list)?,
            _ => match clean(value) {
                Some(value) => drop(original.insert(key.clone(), value)),
                None => drop(original.remove(key)),
            },
        }
    }
    Ok(())
}

/// `$retainKeys`: everything that it does not list goes; the patch may set nothing else.
fn retain_keys(original: &mut Map<String, Value>, patch: &Map<String, Value>) -> Result<()> {
    let Some(retained) = patch.get(RETAIN_KEYS) else {
        return Ok(());
    };
    let Value::Array(retained) = retained else {
        return Err(bad("invalid patch format of retainKeys"));
    };
    let stays = |key: &str| retained.iter().any(|name| name.as_str() == Some(key));
    if patch.iter().any(|(key, value)| !value.is_null() && !is_directive(key) && !stays(key)) {
        return Err(bad("invalid patch format of retainKeys"));
    }
    original.retain(|key, _| stays(key));
    Ok(())
}

/// The lists that come with a `$setElementOrder`; gives their names.
fn merge_ordered<'p>(
    of: &Struct,
    original: &mut Map<String, Value>,
    patch: &'p Map<String, Value>,
) -> Result<Vec<&'p str>> {
    let mut done = Vec::new();
    for (directive, order) in patch.iter().filter(|(key, _)| key.starts_with(ORDER)) {
        let order = list_of(order)?;
        let Some(name) = directive.strip_prefix(ORDER).and_then(|rest| rest.strip_prefix('/')) else {
            return Err(bad("invalid patch format of setElementOrder list"));
        };
        let live = original.get(name).map(list_of).transpose()?;
        let wanted = patch.get(name).map(list_of).transpose()?;
        let (of, how, _) = below(of, name);
        let key = merge_key(how);
        check_order(wanted.map_or(&[], Vec::as_slice), order, key)?;
        let merged = match (live, wanted) {
            (None, None) => continue,
            (Some(live), None) => live.clone(),
            (None, Some(wanted)) => wanted.iter().filter_map(clean).collect(),
            (Some(live), Some(wanted)) => merge_list(of, how, live, wanted)?,
        };
        let live = live.cloned().unwrap_or_default();
        if kind_of_items(&live, wanted.map_or(&[], Vec::as_slice))?.is_none() {
            return Err(internal("no elements in any of the given slices".to_owned()));
        }
        for item in merged.iter().chain(order) {
            key_of(item, key)?;
        }
        let live = order_before(live, wanted.map_or(&[], Vec::as_slice), key);
        let merged = arrange(merged, order, &live, |left, right| same(left, right, key));
        original.insert(name.to_owned(), Value::Array(merged));
        done.push(name);
    }
    Ok(done)
}

/// The order that counts as the one before an ordered merge. New items that take the room of deleted ones count as old:
/// the server keeps both in one array.
fn order_before(live: Vec<Value>, patch: &[Value], key: &str) -> Vec<Value> {
    let directive = |item: &Value, what: &str| item.get(PATCH).and_then(Value::as_str) == Some(what);
    if key.is_empty() || !patch.iter().any(|item| directive(item, "delete")) {
        return live;
    }
    let had = live.len();
    let gone = |item: &Value| patch.iter().any(|other| directive(other, "delete") && same(item, other, key));
    let mut order: Vec<Value> = live.into_iter().filter(|item| !gone(item)).collect();
    if !patch.iter().any(|item| directive(item, "replace")) {
        for item in patch.iter().filter(|item| item.get(PATCH).is_none()) {
            if order.len() < had && !order.iter().any(|old| same(old, item, key)) {
                order.push(item.clone());
            }
        }
    }
    order
}

/// The patch's items must stand in the order that it asks for.
fn check_order(wanted: &[Value], order: &[Value], key: &str) -> Result<()> {
    if order.is_empty() || wanted.is_empty() {
        return Ok(());
    }
    let mut left = order.iter().peekable();
    let deletes = |item: &&Value| item.get(PATCH).and_then(Value::as_str) == Some("delete");
    for item in wanted.iter().filter(|item| !deletes(item)) {
        let found = left.peek().is_some()
            && (item.get(PATCH).is_some() || {
                key_of(item, key)?;
                left.any(|other| same(item, other, key))
            });
        if !found {
            let (wanted, order) = (go_list(wanted), go_list(order));
            return Err(internal(format!(
                "The order in patch list:\n{wanted}\n doesn't match {ORDER} list:\n{order}\n"
            )));
        }
    }
    Ok(())
}

/// `$deleteFromPrimitiveList/<list>`: these values leave the list.
fn delete_values(original: &mut Map<String, Value>, directive: &str, values: &Value) -> Result<()> {
    let Some(name) = directive.strip_prefix(DELETE_VALUES).and_then(|rest| rest.strip_prefix('/')) else {
        return Err(bad("invalid patch format of primitive list"));
    };
    match (original.get_mut(name), values) {
        (_, Value::Null) => drop(original.remove(name)),
        (Some(Value::Array(list)), Value::Array(values)) => {
            kind_of_items(list, values)?;
            list.retain(|value| !values.contains(value));
        }
        _ => {}
    }
    Ok(())
}

fn merge_list(of: &Struct, how: Patched, live: &[Value], patch: &[Value]) -> Result<Vec<Value>> {
    let key = merge_key(how);
    if how == Patched::Replaced {
        return Ok(patch.iter().map(bare).collect());
    }
    let Some(maps) = kind_of_items(live, patch)? else {
        return Ok(live.to_vec());
    };
    match (maps, how) {
        (false, Patched::Values) => {
            let mut merged = live.to_vec();
            for value in patch {
                if !merged.contains(value) {
                    merged.push(value.clone());
                }
            }
            Ok(arrange(merged, patch, live, |left, right| left == right))
        }
        (true, Patched::By(key)) => merge_items(of, key, live, patch),
        (true, _) => Err(internal("cannot merge lists without merge key for struct".to_owned())),
        (false, _) => Err(internal(format!("expected a map[string]interface {{}}, but received a list without {key}"))),
    }
}

/// Item by item. Items with `$patch: delete` take theirs away, one with `$patch: replace` takes away all that there were.
fn merge_items(of: &Struct, key: &str, live: &[Value], patch: &[Value]) -> Result<Vec<Value>> {
    let mut merged = live.to_vec();
    let (mut plain, mut replace) = (Vec::new(), false);
    for item in patch {
        match item.get(PATCH).map(|directive| directive.as_str()) {
            None => plain.push(item.clone()),
            Some(Some("delete")) => {
                let gone = key_of(item, key)?;
                merged.retain(|old| old.get(key) != gone);
            }
            Some(Some("replace")) => replace = true,
            Some(Some("merge")) => {
                return Err(internal("merging lists cannot yet be specified in the patch".to_owned()));
            }
            Some(_) => {
                let (map, none) = (item.as_object(), Map::new());
                return Err(unknown_directive(item.get(PATCH).unwrap_or(&Value::Null), map.unwrap_or(&none)));
            }
        }
    }
    if replace {
        for item in &plain {
            key_of(item, key)?;
        }
        return Ok(plain.iter().map(bare).collect());
    }
    let live = merged.clone();
    for item in &plain {
        let wanted = key_of(item, key)?;
        match (merged.iter_mut().find(|old| old.get(key) == wanted), item) {
            (Some(Value::Object(old)), Value::Object(map)) => merge_map(of, old, map)?,
            _ => merged.push(bare(item)),
        }
    }
    for item in &merged {
        key_of(item, key)?;
    }
    Ok(arrange(merged, &plain, &live, |left, right| same(left, right, key)))
}

/// Whether the items are maps; `None` without any.
fn kind_of_items(live: &[Value], patch: &[Value]) -> Result<Option<bool>> {
    let mut first = None;
    for item in live.iter().chain(patch) {
        match first {
            None if item.is_array() => {
                let text = "the server rejected our request due to an error in our request";
                return Err(Failure { details: json!({}), ..Failure::new(422, "Invalid", text) });
            }
            None => first = Some(item),
            Some(first) if std::mem::discriminant(first) == std::mem::discriminant(item) => {}
            Some(_) => {
                let lists = format!("[{} {}]", go_list(live), go_list(patch));
                return Err(internal(format!("list element types are not identical: {lists}")));
            }
        }
    }
    Ok(first.map(Value::is_object))
}

/// What a new field gets of the patch: what carries a directive is left out, nulls too.
fn clean(value: &Value) -> Option<Value> {
    match value {
        Value::Object(map) if map.contains_key(PATCH) => None,
        Value::Object(map) => {
            let kept = map.iter().filter(|(key, value)| !is_directive(key) && !value.is_null());
            Some(Value::Object(kept.filter_map(|(key, value)| Some((key.clone(), clean(value)?))).collect()))
        }
        Value::Array(list) => Some(Value::Array(list.iter().filter_map(clean).collect())),
        other => Some(other.clone()),
    }
}

/// What a new item gets: the server does not look for directives in it, decoding then drops them, but not what they
/// stand in.
fn bare(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(bare_map(map)),
        Value::Array(list) => Value::Array(list.iter().map(bare).collect()),
        other => other.clone(),
    }
}

fn bare_map(map: &Map<String, Value>) -> Map<String, Value> {
    let kept = map.iter().filter(|(key, value)| !is_directive(key) && !value.is_null());
    kept.map(|(key, value)| (key.clone(), bare(value))).collect()
}

fn is_directive(key: &str) -> bool {
    key == PATCH || key == RETAIN_KEYS || key.starts_with(ORDER) || key.starts_with(DELETE_VALUES)
}

fn merge_key(how: Patched) -> &'static str {
    if let Patched::By(key) = how { key } else { "" }
}

/// The item's merge key; a list without one has none.
fn key_of<'v>(item: &'v Value, key: &str) -> Result<Option<&'v Value>> {
    match item.get(key) {
        _ if key.is_empty() => Ok(None),
        Some(value) => Ok(Some(value)),
        None => Err(internal(format!("map: {} does not contain declared merge key: {key}", go_text(item)))),
    }
}

fn same(left: &Value, right: &Value, key: &str) -> bool {
    if key.is_empty() { left == right } else { left.get(key) == right.get(key) }
}

fn list_of(value: &Value) -> Result<&Vec<Value>> {
    let Value::Array(list) = value else {
        let what = match value {
            Value::Object(_) => "map[string]interface {}",
            Value::Bool(_) => "bool",
            Value::String(_) => "string",
            Value::Number(number) if number.is_f64() => "float64",
            Value::Number(_) => "int64",
            Value::Null | Value::Array(_) => "%!s(<nil>)",
        };
        return Err(internal(format!("expected a []interface {{}}, but received a {what}")));
    };
    Ok(list)
}

fn unknown_directive(directive: &Value, map: &Map<String, Value>) -> Failure {
    let map = go_text(&Value::Object(map.clone()));
    internal(format!("unknown patch type: {} in map: {map}", go_text(directive)))
}

fn bad(text: &str) -> Failure {
    Failure::new(400, "BadRequest", text)
}

/// An error that the server did not expect: it has no reason.
fn internal(text: String) -> Failure {
    Failure::new(500, "", text)
}

fn go_list(list: &[Value]) -> String {
    format!("[{}]", list.iter().map(go_text).collect::<Vec<_>>().join(" "))
}

/// The value as Go prints it.
fn go_text(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) => go_list(list),
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().map(|(key, value)| format!("{key}:{}", go_text(value))).collect();
            entries.sort_unstable();
            format!("map[{}]", entries.join(" "))
        }
        other => other.to_string(),
    }
}
