//! What a schema refuses, in the words of kube-apiserver. Its order of causes is random; here it is that of names.

use std::collections::BTreeSet;

use api::field::FieldPath;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Schema,
    prune::{embedded, known},
    scale::{self, Side},
};
use crate::server::{
    failure::Cause,
    rules::{
        look::{at, items, text},
        metadata,
    },
};

/// What is wrong with an object, beside its metadata.
#[must_use]
pub fn validate(schema: &Schema, object: &Value) -> Vec<Cause> {
    let mut out = Vec::new();
    check(&schema.root, object, Place::root(), &mut out);
    lists(&schema.root, object, "", &mut out);
    embedded_objects(&schema.root, object, "", &mut out);
    scale::check(schema, object, Side::Wanted, &mut out);
    if !schema.has_status {
        scale::check(schema, object, Side::Actual, &mut out);
    }
    out
}

/// What is wrong with the status of an object.
#[must_use]
pub fn validate_status(schema: &Schema, object: &Value) -> Vec<Cause> {
    let mut out = Vec::new();
    let (inner, status) = (at(&schema.root, "/properties/status"), at(object, "/status"));
    if !status.is_null() && !inner.is_null() {
        check(inner, status, Place { field: "status".to_owned(), shown: String::new() }, &mut out);
        lists(inner, status, "status", &mut out);
        embedded_objects(inner, status, "status", &mut out);
    }
    scale::check(schema, object, Side::Actual, &mut out);
    out
}

/// Where a value stands: its path, and how the texts name it. They begin where validation did.
#[derive(Clone)]
struct Place {
    field: String,
    shown: String,
}

impl Place {
    fn root() -> Self {
        Self { field: String::new(), shown: String::new() }
    }

    fn member(&self, name: &str) -> Self {
        let join = |path: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        Self { field: join(&self.field), shown: join(&self.shown) }
    }

    fn item(&self, index: usize) -> Self {
        Self { field: format!("{}[{index}]", self.field), shown: format!("{}[{index}]", self.shown) }
    }

    fn cause(&self, reason: &'static str, message: String) -> Cause {
        Cause { reason, message, field: self.field.clone() }
    }

    fn wrong(&self, value: &Value, detail: &str) -> Cause {
        self.cause("FieldValueInvalid", format!("Invalid value: {value}: {} in body {detail}", self.shown))
    }

    fn wrong_type(&self, shown: &str, expected: &str) -> Cause {
        let message = format!("Invalid value: {shown:?}: {} in body must be of type {expected}: {shown:?}", self.shown);
        self.cause("FieldValueTypeInvalid", message)
    }
}

fn check(schema: &Value, value: &Value, place: Place, out: &mut Vec<Cause>) {
    if value.is_null() && at(schema, "/nullable") == &json!(true) {
        return;
    }
    if !of_type(schema, value, &place, out) {
        return;
    }
    let allowed = items(schema, "/enum");
    if !allowed.is_empty() && !allowed.contains(value) {
        let listed: Vec<String> = allowed
            .iter()
            .map(|value| format!("{:?}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
            .collect();
        out.push(place.cause(
            "FieldValueNotSupported",
            format!("Unsupported value: {value}: supported values: {}", listed.join(", ")),
        ));
    }
    match value {
        Value::Number(_) => number(schema, value, &place, out),
        Value::String(content) => string(schema, content, &place, out),
        Value::Array(list) => {
            count(schema, ["minItems", "maxItems"], list.len(), ["items", "item"], &place, out);
            let inner = at(schema, "/items");
            for (index, item) in list.iter().enumerate().filter(|_| !inner.is_null()) {
                check(inner, item, place.item(index), out);
            }
        }
        Value::Object(members) => {
            count(schema, ["minProperties", "maxProperties"], members.len(), ["properties", "item"], &place, out);
            for name in items(schema, "/required").iter().filter_map(Value::as_str) {
                if !members.contains_key(name) {
                    out.push(place.member(name).cause("FieldValueRequired", "Required value".to_owned()));
                }
            }
            for (name, member) in members {
                // Metadata is checked as metadata.
                if let Some(inner) = known(schema, name).filter(|_| !(place.field.is_empty() && name == "metadata")) {
                    check(inner, member, place.member(name), out);
                }
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

fn of_type(schema: &Value, value: &Value, place: &Place, out: &mut Vec<Cause>) -> bool {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number)
            if number.is_f64() && number.as_f64().is_none_or(|number| number.fract() != 0.0 || number.abs() > 9e15) =>
        {
            "number"
        }
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if at(schema, "/x-kubernetes-int-or-string") == &json!(true) {
        let good = ["integer", "string"].contains(&found);
        if !good {
            out.push(place.wrong_type(found, "integer,string"));
            if schema.get("anyOf").is_some() {
                // The server does not know where it stands here.
                out.push(Cause {
                    reason: "FieldValueInvalid",
                    message: format!(
                        "Invalid value: \"\": {:?} must validate at least one schema (anyOf)",
                        place.shown
                    ),
                    field: "<nil>".to_owned(),
                });
                out.push(place.wrong_type(found, "integer"));
            }
        }
        return good;
    }
    let expected = text(schema, "/type");
    let good = expected.is_empty() || expected == found || (expected == "number" && found == "integer");
    if !good {
        out.push(place.wrong_type(found, expected));
    }
    good
}

fn number(schema: &Value, value: &Value, place: &Place, out: &mut Vec<Cause>) {
    let found = value.as_f64().unwrap_or(0.0);
    let yes = |keyword: &str| schema.get(keyword) == Some(&json!(true));
    if let Some(least) = schema.get("minimum") {
        let least_number = least.as_f64().unwrap_or(f64::MIN);
        let shown = whole(least);
        if yes("exclusiveMinimum") && found <= least_number {
            out.push(place.wrong(value, &format!("should be greater than {shown}")));
        } else if found < least_number {
            out.push(place.wrong(value, &format!("should be greater than or equal to {shown}")));
        }
    }
    if let Some(most) = schema.get("maximum") {
        let most_number = most.as_f64().unwrap_or(f64::MAX);
        let shown = whole(most);
        if yes("exclusiveMaximum") && found >= most_number {
            out.push(place.wrong(value, &format!("should be less than {shown}")));
        } else if found > most_number {
            out.push(place.wrong(value, &format!("should be less than or equal to {shown}")));
        }
    }
}

/// A bound as people write it: `5`, not `5.0`.
fn whole(bound: &Value) -> String {
    let text = bound.to_string();
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

fn string(schema: &Value, content: &str, place: &Place, out: &mut Vec<Cause>) {
    let length = content.chars().count();
    let limit =
        |keyword: &str| schema.get(keyword).and_then(Value::as_u64).and_then(|limit| usize::try_from(limit).ok());
    if let Some(most) = limit("maxLength").filter(|most| length > *most) {
        out.push(place.cause("FieldValueTooLong", format!("Too long: may not be more than {most} bytes")));
    }
    if let Some(least) = limit("minLength").filter(|least| length < *least) {
        out.push(place.wrong(&json!(content), &format!("should be at least {least} chars long")));
    }
    if text(schema, "/format") == "date-time" && !is_time(content) {
        out.push(place.wrong_type(content, "date-time"));
    }
}

/// RFC 3339 with date, time and offset.
fn is_time(text: &str) -> bool {
    matches!(text.as_bytes().get(10), Some(b'T' | b't')) && text.parse::<Timestamp>().is_ok()
}

fn count(schema: &Value, keywords: [&str; 2], found: usize, words: [&str; 2], place: &Place, out: &mut Vec<Cause>) {
    let limit =
        |keyword: &str| schema.get(keyword).and_then(Value::as_u64).and_then(|limit| usize::try_from(limit).ok());
    let [least, most] = keywords.map(limit);
    let [many, single] = words;
    if let Some(most) = most.filter(|most| found > *most) {
        let plural = if most == 1 { "" } else { "s" };
        out.push(
            place.cause("FieldValueTooMany", format!("Too many: {found}: must have at most {most} {single}{plural}")),
        );
    }
    if let Some(least) = least.filter(|least| found < *least) {
        out.push(place.wrong(&json!(found), &format!("should have at least {least} {many}")));
    }
}

/// Lists that are sets or maps hold nothing twice.
fn lists(schema: &Value, value: &Value, path: &str, out: &mut Vec<Cause>) {
    match value {
        Value::Array(list) => {
            let keys: Vec<&str> =
                items(schema, "/x-kubernetes-list-map-keys").iter().filter_map(Value::as_str).collect();
            let mut seen = BTreeSet::new();
            for (index, item) in list.iter().enumerate() {
                let place = format!("{path}[{index}]");
                let (identity, shown) = match text(schema, "/x-kubernetes-list-type") {
                    "set" => (item.to_string(), item.clone()),
                    "map" => {
                        let key: Value =
                            keys.iter().map(|key| ((*key).to_owned(), at(item, &format!("/{key}")).clone())).collect();
                        (key.to_string(), key)
                    }
                    _ => (index.to_string(), Value::Null),
                };
                if !seen.insert(identity) {
                    out.push(Cause {
                        reason: "FieldValueDuplicate",
                        message: format!("Duplicate value: {shown}"),
                        field: place.clone(),
                    });
                }
                lists(at(schema, "/items"), item, &place, out);
            }
        }
        Value::Object(members) => inner(schema, members.iter(), path, lists, out),
        _ => {}
    }
}

/// Objects inside of others say what they are, and have metadata in order.
fn embedded_objects(schema: &Value, value: &Value, path: &str, out: &mut Vec<Cause>) {
    if embedded(schema) && value.is_object() {
        for member in ["apiVersion", "kind"] {
            if text(value, &format!("/{member}")).is_empty() {
                out.push(FieldPath::new(path).child(member).required("").into());
            }
        }
        let mut denials = Vec::new();
        metadata::content(value, &FieldPath::new(path).child("metadata"), &mut denials);
        out.extend(denials.into_iter().map(Cause::from));
    }
    match value {
        Value::Array(list) => {
            for (index, item) in list.iter().enumerate() {
                embedded_objects(at(schema, "/items"), item, &format!("{path}[{index}]"), out);
            }
        }
        Value::Object(_) => inner(schema, entries_of(value), path, embedded_objects, out),
        _ => {}
    }
}

type Visit = fn(&Value, &Value, &str, &mut Vec<Cause>);

fn inner<'a>(
    schema: &Value,
    members: impl Iterator<Item = (&'a String, &'a Value)>,
    path: &str,
    visit: Visit,
    out: &mut Vec<Cause>,
) {
    for (name, member) in members {
        if let Some(inner) = known(schema, name) {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            visit(inner, member, &path, out);
        }
    }
}

fn entries_of(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}
