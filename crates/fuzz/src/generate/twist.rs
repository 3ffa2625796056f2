//! Breaks a value in a few places: other types, missing and doubled members, depth, size.

use super::words;
use crate::json::Json;
use crate::source::Source;

/// How many brackets a deep value has: around the limits of readers, and far beyond.
const DEPTHS: [usize; 9] = [2, 10, 100, 120, 127, 128, 200, 10_000, 200_000];

/// Twists a value; mostly not at all.
pub(super) fn some(value: &mut Json, source: &mut Source) {
    for _ in 0..source.times(45, 5) {
        one(value, source);
    }
}

/// Twists one place of a value.
pub(super) fn one(value: &mut Json, source: &mut Source) {
    match value {
        Json::Object(members) if !members.is_empty() && source.percent(85) => {
            let index = source.index(members.len());
            if let Some((_, inner)) = members.get_mut(index)
                && source.percent(70)
            {
                return one(inner, source);
            }
            member(members, index, source);
        }
        Json::List(items) if !items.is_empty() && source.percent(85) => {
            let index = source.index(items.len());
            if let Some(inner) = items.get_mut(index)
                && source.percent(70)
            {
                return one(inner, source);
            }
            item(items, index, source);
        }
        Json::Object(members) if source.percent(40) => {
            let name = words::unknown_name(source);
            members.push((name, words::unknown(3, source)));
        }
        _ => *value = strange(value, source),
    }
}

fn member(members: &mut Vec<(String, Json)>, index: usize, source: &mut Source) {
    match source.below(8) {
        0 => drop(members.remove(index)),
        1 => {
            let twice = members.get(index).cloned();
            members.extend(twice);
        }
        2 => {
            if let Some((name, _)) = members.get(index) {
                members.push((name.clone(), words::odd(source)));
            }
        }
        3 => {
            let name = words::unknown_name(source);
            if let Some((present, _)) = members.get_mut(index) {
                *present = name;
            }
        }
        4 | 5 => {
            if let Some((_, present)) = members.get_mut(index) {
                *present = words::odd(source);
            }
        }
        6 => members.get_mut(index).into_iter().for_each(|(_, present)| *present = Json::Null),
        _ => {
            let other = source.index(members.len());
            let (a, b) = (members.get(index).cloned(), members.get(other).cloned());
            if let (Some((_, a)), Some((_, b))) = (a, b) {
                members.get_mut(index).into_iter().for_each(|(_, value)| *value = b.clone());
                members.get_mut(other).into_iter().for_each(|(_, value)| *value = a.clone());
            }
        }
    }
}

fn item(items: &mut Vec<Json>, index: usize, source: &mut Source) {
    match source.below(3) {
        0 => drop(items.remove(index)),
        1 => {
            let twice = items.get(index).cloned();
            items.extend(twice);
        }
        _ => {
            let many = *source.pick(&[2, 20, 200]);
            if let Some(item) = items.get(index).cloned() {
                // A large item many times is only slow.
                if item.write().len() * many < 100_000 {
                    items.extend(std::iter::repeat_n(item, many));
                }
            }
        }
    }
}

fn strange(value: &Json, source: &mut Source) -> Json {
    match source.below(14) {
        0 => Json::List(vec![value.clone()]),
        1 => Json::object([("x", value.clone())]),
        2 => Json::text(value.write()),
        3 => deep(source),
        4 => {
            Json::Raw((*source.pick(&["\"\\ud800\"", "01", "NaN", "1.", "\"\\x\"", "tru", "-", "[1,]", ""])).to_owned())
        }
        _ => words::odd(source),
    }
}

/// Brackets in brackets.
pub(super) fn deep(source: &mut Source) -> Json {
    let depth = *source.pick(&DEPTHS);
    let (open, close) = *source.pick(&[("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")]);
    // The widest shape has two brackets each.
    let depth = depth.min(600_000 / open.len());
    let inner = if open.starts_with("{") || open.len() > 1 { "1" } else { "" };
    let closed = if source.percent(85) { close.repeat(depth) } else { String::new() };
    Json::Raw(format!("{}{inner}{closed}", open.repeat(depth)))
}
