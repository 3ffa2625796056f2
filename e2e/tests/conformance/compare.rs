//! Two answers to one request, field by field: all that differs, each with its place.

use serde_json::Value;

use crate::script::Block;

/// What differs between the answers to a block.
pub(crate) fn answers(block: &Block, real: &Value, simulated: &Value) -> Vec<String> {
    if block.refused {
        let refused = simulated.pointer("/status").is_some_and(|code| code == 501);
        return if refused { Vec::new() } else { vec![format!("  is to be refused by the simulator: {simulated}")] };
    }
    let mut found = Vec::new();
    if block.code_only {
        for place in ["/status", "/body/reason"] {
            differ(place, part(real, place), part(simulated, place), &mut found);
        }
        return found;
    }
    differ("", &cut(real, block), &cut(simulated, block), &mut found);
    found
}

fn part<'a>(answer: &'a Value, place: &str) -> &'a Value {
    answer.pointer(place).unwrap_or(&Value::Null)
}

fn differ(place: &str, real: &Value, simulated: &Value, found: &mut Vec<String>) {
    match (real, simulated) {
        (Value::Object(left), Value::Object(right)) => {
            for (key, value) in left {
                let place = format!("{place}/{}", key.replace('~', "~0").replace('/', "~1"));
                match right.get(key) {
                    Some(other) => differ(&place, value, other, found),
                    None => found.push(format!("  {place}\n    real      {value}\n    simulated nothing")),
                }
            }
            for (key, value) in right.iter().filter(|(key, _)| !left.contains_key(*key)) {
                found.push(format!("  {place}/{key}\n    real      nothing\n    simulated {value}"));
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (one, other)) in left.iter().zip(right).enumerate() {
                differ(&format!("{place}/{index}"), one, other, found);
            }
        }
        // Go writes 1.0 as 1.
        _ if real == simulated || (real.is_f64() || simulated.is_f64()) && real.as_f64() == simulated.as_f64() => {}
        _ => found.push(format!("  {place}\n    real      {real}\n    simulated {simulated}")),
    }
}

/// Messages end where they begin to show Go's own words: the difference of two specs, a whole object, or what the block says.
fn cut(value: &Value, block: &Block) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| match value {
                Value::String(text) if key == "message" => (key.clone(), Value::from(cut_text(text, block))),
                other => (key.clone(), cut(other, block)),
            })
            .collect(),
        Value::Array(items) => items.iter().map(|item| cut(item, block)).collect(),
        other => other.clone(),
    }
}

fn cut_text<'a>(text: &'a str, block: &Block) -> &'a str {
    let until = |word: &str| text.split(word).next().unwrap_or_default();
    match &block.until {
        Some(word) => until(word),
        None if text.contains("may not change fields other than") || text.contains("is immutable after creation") => {
            until("\n")
        }
        None if text.contains("Invalid value: \"{") => until("Invalid value: \"{"),
        // Go writes the members of an owner in the order of its struct.
        None if text.contains("Only one reference can have Controller set") => until("Invalid value: "),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_difference_is_shown_with_its_place() {
        let real = json!({"status": 200, "body": {"a": [1, 2], "b": 1}});
        let simulated = json!({"status": 201, "body": {"a": [1, 3], "c": 1}});
        let found = answers(&Block::default(), &real, &simulated);
        let places: Vec<&str> = found.iter().filter_map(|text| text.trim().lines().next()).collect();
        assert_eq!(places, ["/body/a/1", "/body/b", "/body/c", "/status"]);
    }

    #[test]
    fn the_difference_of_two_pods_is_not_compared() {
        let body = |rest: &str| json!({"message": format!("pod updates may not change fields other than x\n{rest}")});
        assert!(answers(&Block::default(), &body("Go"), &body("ours")).is_empty());
    }
}
