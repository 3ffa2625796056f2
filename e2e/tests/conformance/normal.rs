//! What differs from run to run, taken out of an answer: the same name for the same thing, in order of first appearance.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

/// Names given so far in one script on one server.
pub(crate) struct Normaliser {
    managed_fields: bool,
    /// By the name of the object, so that a difference of one object does not show in all that come after it.
    versions: BTreeMap<String, BTreeMap<String, usize>>,
    uids: BTreeMap<String, String>,
    generated: BTreeMap<String, String>,
}

impl Normaliser {
    pub(crate) fn new(managed_fields: bool) -> Self {
        Self { managed_fields, versions: BTreeMap::new(), uids: BTreeMap::new(), generated: BTreeMap::new() }
    }

    pub(crate) fn normal(&mut self, mut answer: Value) -> Value {
        self.name(&answer);
        self.walk(&mut answer);
        answer
    }

    /// Finds generated names.
    fn name(&mut self, value: &Value) {
        let of = |field: &str| value.get(field).and_then(Value::as_str);
        if let (Some(name), Some(prefix)) = (of("name"), of("generateName"))
            && name.starts_with(prefix)
            && name.len() == prefix.len() + 5
        {
            let next = format!("{prefix}<generated{}>", self.generated.len() + 1);
            self.generated.entry(name.to_owned()).or_insert(next);
        }
        // An object that is refused is named too.
        let message = of("message").filter(|message| message.contains("metadata.generateName: "));
        if let (Some(_), Some(name)) = (message, value.pointer("/details/name").and_then(Value::as_str)) {
            self.generated.insert(name.to_owned(), "<generated>".to_owned());
        }
        match value {
            Value::Object(fields) => fields.values().for_each(|value| self.name(value)),
            Value::Array(items) => items.iter().for_each(|value| self.name(value)),
            _ => {}
        }
    }

    fn walk(&mut self, value: &mut Value) {
        match value {
            Value::Object(fields) => self.object(fields),
            Value::Array(items) => items.iter_mut().for_each(|item| self.walk(item)),
            Value::String(text) => self.text(text),
            _ => {}
        }
    }

    fn object(&mut self, fields: &mut Map<String, Value>) {
        let bookmark = fields.get("type").is_some_and(|word| word == "BOOKMARK");
        let list = fields.contains_key("items");
        let name = fields.get("name").and_then(Value::as_str).unwrap_or("something").to_owned();
        let name = self.generated.get(&name).unwrap_or(&name).clone();
        for (key, value) in fields.iter_mut() {
            match (key.as_str(), &mut *value) {
                // The version of a list is that of the server, which others write to as well.
                ("metadata", Value::Object(meta)) if list => set(meta, "resourceVersion", "<version>"),
                ("object", Value::Object(object)) if bookmark => {
                    if let Some(Value::Object(meta)) = object.get_mut("metadata") {
                        set(meta, "resourceVersion", "<version>");
                    }
                }
                ("resourceVersion", Value::String(version)) if version.bytes().all(|byte| byte.is_ascii_digit()) => {
                    let known = self.versions.entry(name.clone()).or_default();
                    let next = known.len() + 1;
                    let number = known.entry(version.clone()).or_insert(next);
                    *version = format!("<version {number} of {name}>");
                }
                ("uid", Value::String(uid)) if uid.len() == 36 => {
                    let next = format!(
                        "<uid {} of {name}>",
                        self.uids.values().filter(|of| of.ends_with(&format!("of {name}>"))).count() + 1
                    );
                    self.uids.entry(uid.clone()).or_insert(next);
                }
                ("continue", Value::String(token)) if !token.is_empty() => "<continue>".clone_into(token),
                _ => {}
            }
            self.walk(value);
        }
        if !self.managed_fields {
            fields.remove("managedFields");
        }
        // Entries stand in the order of their times, which are whole seconds, or missing.
        if let Some(Value::Array(entries)) = fields.get_mut("managedFields") {
            for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
                entry.remove("time");
            }
            entries.sort_by_key(ToString::to_string);
        }
        // The causes come in no order where the real server walks over a map of Go; the message repeats them.
        if let Some(Value::Array(causes)) = fields.get_mut("causes") {
            causes.sort_by_key(ToString::to_string);
            // An update of a native kind is looked at twice.
            causes.dedup();
        }
        if let Some(Value::String(message)) = fields.get_mut("message")
            && let Some((before, _)) = message.split_once(" is invalid: [")
        {
            *message = format!("{before} is invalid: [...]");
        }
    }

    fn text(&mut self, text: &mut String) {
        for (name, normal) in &self.generated {
            *text = text.replace(name, normal);
        }
        // Times that a script sends are older.
        if let Ok(time) = text.parse::<Timestamp>()
            && time.as_second() > 1_700_000_000
        {
            *text = if text.contains('.') { "<micro time>".to_owned() } else { "<time>".to_owned() };
        }
        while let Some(uid) = uid(text) {
            let next = "<uid of another>".to_owned();
            let next = self.uids.entry(uid.clone()).or_insert(next);
            *text = text.replace(&uid, next);
        }
        // `too old resource version: 1 (345)`
        for place in ["too old resource version: 1 (", "in the precondition (", "in record ("] {
            if let Some((before, rest)) = text.split_once(place)
                && let Some((number, after)) = rest.split_once(')')
                && number.bytes().all(|byte| byte.is_ascii_digit())
            {
                *text = format!("{before}{place}<version>){after}");
            }
        }
    }
}

fn set(meta: &mut Map<String, Value>, field: &str, value: &str) {
    if let Some(old) = meta.get_mut(field) {
        *old = Value::from(value);
    }
}

/// The first uid of a text.
fn uid(text: &str) -> Option<String> {
    let is_uid = |part: &&str| {
        part.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
    };
    (0..text.len()).filter_map(|start| text.get(start..start + 36)).find(is_uid).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_values_get_equal_names() {
        let mut normaliser = Normaliser::new(false);
        let uid = "01234567-89ab-cdef-0123-456789abcdef";
        let meta = |version: &str| json!({"name": "a", "uid": uid, "resourceVersion": version, "managedFields": []});
        let all = normaliser.normal(json!([meta("7"), meta("9"), meta("7"), {"message": format!("uid {uid}!")}]));
        let named = |version: &str| json!({"name": "a", "uid": "<uid 1 of a>", "resourceVersion": format!("<version {version} of a>")});
        assert_eq!(all, json!([named("1"), named("2"), named("1"), {"message": "uid <uid 1 of a>!"}]));
    }

    #[test]
    fn versions_of_lists_and_bookmarks_are_the_servers() {
        let list = json!({"items": [], "metadata": {"resourceVersion": "5", "continue": "x"}});
        let normal = Normaliser::new(false).normal(list);
        assert_eq!(normal["metadata"], json!({"resourceVersion": "<version>", "continue": "<continue>"}));
    }

    #[test]
    fn generated_names_are_named_wherever_they_stand() {
        let mut normaliser = Normaliser::new(false);
        normaliser.normal(json!({"metadata": {"generateName": "a-", "name": "a-x2b4c"}}));
        assert_eq!(normaliser.normal(json!("pods \"a-x2b4c\" not found")), json!("pods \"a-<generated1>\" not found"));
    }
}
