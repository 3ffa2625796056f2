//! ConfigMaps and Secrets: keys, and data that was declared immutable.

use api::field::{Denial, FieldPath};
use serde_json::{Map, Value, json};

use super::{
    causes,
    look::{at, copy, default_text, entries, object_in, remove, text},
};
use crate::server::failure::Cause;

const KEY_FORM: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or \
     'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const FIXED: &str = "field is immutable when `immutable` is set";
/// Longest key.
const KEY_LIMIT: usize = 253;
/// All data together.
const DATA_LIMIT: usize = 1024 * 1024;
/// Keys that a type of Secret must have.
const NEEDED: [(&str, &[&str]); 2] =
    [("kubernetes.io/tls", &["tls.crt", "tls.key"]), ("kubernetes.io/ssh-auth", &["ssh-privatekey"])];

pub(super) fn default_secret(secret: &mut Value) {
    default_text(secret, "type", "Opaque");
    let Some(Value::Object(plain)) = remove(secret, "stringData") else { return };
    let Some(data) = object_in(secret, "data") else { return };
    for (key, value) in plain {
        data.insert(key, json!(base64(value.as_str().unwrap_or_default().as_bytes())));
    }
}

/// Who leaves the type out means the one there is.
pub(super) fn prepare_secret_update(new: &mut Value, old: &Value) {
    if text(new, "/type").is_empty() {
        copy(new, old, "type");
    }
}

pub(super) fn config_map(object: &Value) -> Vec<Cause> {
    let mut out = Vec::new();
    let binary = at(object, "/binaryData");
    for (key, _) in entries(object, "/data") {
        one_key(key, &FieldPath::new("data"), &mut out);
        if binary.get(key).is_some() {
            out.push(FieldPath::new("data").key(key).invalid(key, "duplicate of key present in binaryData"));
        }
    }
    for (key, _) in entries(object, "/binaryData") {
        one_key(key, &FieldPath::new("binaryData"), &mut out);
    }
    size(object, &["/data", "/binaryData"], &FieldPath::new(""), &mut out);
    causes(out)
}

pub(super) fn config_map_update(new: &Value, old: &Value) -> Vec<Cause> {
    let mut out = fixed(new, old, &["data", "binaryData"]);
    out.extend(config_map(new));
    out
}

pub(super) fn secret(object: &Value) -> Vec<Cause> {
    let mut out = Vec::new();
    let path = FieldPath::new("data");
    for (key, _) in entries(object, "/data") {
        one_key(key, &path, &mut out);
    }
    size(object, &["/data"], &path, &mut out);
    let kind = text(object, "/type");
    for key in NEEDED.iter().filter(|(name, _)| *name == kind).flat_map(|(_, keys)| *keys) {
        if at(object, "/data").get(*key).is_none() {
            out.push(path.key(key).required(""));
        }
    }
    causes(out)
}

pub(super) fn secret_update(new: &Value, old: &Value) -> Vec<Cause> {
    let mut out = Vec::new();
    if at(new, "/type") != at(old, "/type") {
        out.push(FieldPath::new("type").invalid(at(new, "/type").clone(), "field is immutable").into());
    }
    out.extend(fixed(new, old, &["data"]));
    out.extend(secret(new));
    out
}

fn fixed(new: &Value, old: &Value, members: &[&str]) -> Vec<Cause> {
    if at(old, "/immutable") != &json!(true) {
        return Vec::new();
    }
    let empty = Value::Object(Map::new());
    let of =
        |object: &Value, member: &str| object.get(member).filter(|value| !value.is_null()).unwrap_or(&empty).clone();
    let mut out = Vec::new();
    if at(new, "/immutable") != &json!(true) {
        out.push(FieldPath::new("immutable").forbidden(FIXED));
    }
    for member in members {
        if of(new, member) != of(old, member) {
            out.push(FieldPath::new(member).forbidden(FIXED));
        }
    }
    causes(out)
}

fn one_key(key: &str, path: &FieldPath, out: &mut Vec<Denial>) {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if key.len() > KEY_LIMIT {
        out.push(path.key(key).invalid(key, format!("must be no more than {KEY_LIMIT} characters")));
    }
    if key.is_empty() || !key.bytes().all(allowed) {
        out.push(path.key(key).invalid(key, KEY_FORM));
    }
}

fn size(object: &Value, pointers: &[&str], path: &FieldPath, out: &mut Vec<Denial>) {
    let bytes = |(_, value): (&str, &Value)| value.as_str().map_or(0, str::len);
    let total: usize = pointers.iter().flat_map(|pointer| entries(object, pointer)).map(bytes).sum();
    if total > DATA_LIMIT {
        out.push(path.too_long(DATA_LIMIT));
    }
}

/// The standard alphabet with padding, as JSON carries bytes.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let six = (word >> (18 - 6 * place)) & 63;
            let letter = usize::try_from(six).ok().and_then(|six| ALPHABET.get(six)).copied().unwrap_or(b'=');
            text.push(if place > chunk.len() { '=' } else { char::from(letter) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn bytes_in_base64() {
        for (plain, want) in [("", ""), ("1", "MQ=="), ("12", "MTI="), ("123", "MTIz"), ("1234", "MTIzNA==")] {
            assert_eq!(base64(plain.as_bytes()), want, "{plain}");
        }
    }
}
