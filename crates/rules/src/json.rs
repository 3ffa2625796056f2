//! The JSON text that revision data and hashes are made of (RV-1, section 3.7 of the in-place page).
//!
//! Compact, keys sorted at every level, `<`, `>`, `&`, U+2028 and U+2029 written as `\u....`: the bytes that clusters
//! taken over from OpenKruise already hold. Writing a body this way never changes its meaning.

use std::fmt::Write as _;

use serde_json::Value;

/// The canonical text of a value.
#[must_use]
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write(&mut text, value);
    text
}

fn write(out: &mut String, value: &Value) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            let _ = write!(out, "{value}");
        }
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(out, item);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (at, (key, member)) in members.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_string(out, key);
                out.push(':');
                write(out, member);
            }
            out.push('}');
        }
    }
}

/// Strings as Go's encoder writes them: `\b` and `\f` and the other control characters as `\u00..`.
fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::canonical;

    #[test] // RV-1
    fn keys_are_sorted_and_html_is_escaped() {
        let text = canonical(&json!({"b": [1, true, null], "a": {"z": "<a&b>", "y": "tab\t\u{2028}"}}));
        assert_eq!(text, r#"{"a":{"y":"tab\t\u2028","z":"\u003ca\u0026b\u003e"},"b":[1,true,null]}"#);
    }

    #[test] // RV-1
    fn the_text_reads_back_as_the_same_value() {
        let value = json!({"x": "\u{1}\u{8}\u{c}\"\\é😀", "n": 12.5});
        assert_eq!(serde_json::from_str::<serde_json::Value>(&canonical(&value)).unwrap(), value);
    }
}
