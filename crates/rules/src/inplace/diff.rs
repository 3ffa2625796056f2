//! The differences between two JSON documents, each with its path (IU-2).

use serde_json::Value;

/// What happened at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Add,
    Remove,
    Replace,
}

/// One difference: operation, path segments, and the new value (null for removals).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Difference<'a> {
    pub(super) operation: Operation,
    pub(super) path: Vec<String>,
    pub(super) new: &'a Value,
}

impl Difference<'_> {
    /// The path as a JSON pointer, for people.
    pub(super) fn pointer(&self) -> String {
        self.path.iter().map(|segment| format!("/{}", segment.replace('~', "~0").replace('/', "~1"))).collect()
    }
}

/// All differences between two documents, objects by key, arrays by index (IU-2).
pub(super) fn differences<'a>(old: &'a Value, new: &'a Value) -> Vec<Difference<'a>> {
    let mut found = Vec::new();
    compare(&mut Vec::new(), old, new, &mut found);
    found
}

fn compare<'a>(path: &mut Vec<String>, old: &'a Value, new: &'a Value, found: &mut Vec<Difference<'a>>) {
    let mut note = |operation, path: &[String], new| found.push(Difference { operation, path: path.to_vec(), new });
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, value) in old {
                path.push(key.clone());
                match new.get(key) {
                    Some(other) => compare(path, value, other, found),
                    None => {
                        found.push(Difference { operation: Operation::Remove, path: path.clone(), new: &Value::Null })
                    }
                }
                path.pop();
            }
            for (key, value) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
                path.push(key.clone());
                found.push(Difference { operation: Operation::Add, path: path.clone(), new: value });
                path.pop();
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            for at in 0..old.len().max(new.len()) {
                path.push(at.to_string());
                match (old.get(at), new.get(at)) {
                    (Some(old), Some(new)) => compare(path, old, new, found),
                    (None, Some(new)) => found.push(Difference { operation: Operation::Add, path: path.clone(), new }),
                    _ => found.push(Difference { operation: Operation::Remove, path: path.clone(), new: &Value::Null }),
                }
                path.pop();
            }
        }
        (Value::Null, new) if !new.is_null() => note(Operation::Add, path, new),
        (old, new) if old != new => note(Operation::Replace, path, new),
        _ => {}
    }
}
