//! The hashes that names, labels and container metadata carry (RV-3, section 3.7 of the in-place page).

use serde_json::{Value, json};

use crate::json::canonical;

const OFFSET: u32 = 0x811c_9dc5;
const PRIME: u32 = 0x0100_0193;
/// Letters and digits that form no word and no look-alike; names of Pods and revisions use only these.
pub const SAFE_ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

fn fnv1(parts: &[&[u8]]) -> u32 {
    parts.concat().iter().fold(OFFSET, |hash, byte| hash.wrapping_mul(PRIME) ^ u32::from(*byte))
}

fn fnv1a(data: &[u8]) -> u32 {
    data.iter().fold(OFFSET, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(PRIME))
}

/// Maps each byte of a text into [`SAFE_ALPHABET`].
fn safe(text: &str) -> String {
    text.bytes()
        .filter_map(|byte| SAFE_ALPHABET.get(usize::from(byte) % SAFE_ALPHABET.len()))
        .map(|c| char::from(*c))
        .collect()
}

/// Hash of a revision's data text for a collision count (RV-3).
#[must_use]
pub fn revision(data: &str, collisions: i32) -> String {
    safe(&fnv1(&[data.as_bytes(), collisions.to_string().as_bytes()]).to_string())
}

/// `H(x)` of section 3.7: FNV-1a over the printed list of the byte values.
fn of_printed_bytes(text: &str) -> u32 {
    let listed: Vec<String> = text.bytes().map(|byte| byte.to_string()).collect();
    fnv1a(format!("([]uint8)[{}]", listed.join(" ")).as_bytes())
}

/// The plain container hash of kubelet 1.31 and later.
#[must_use]
pub fn plain_container(image: &str, name: &str) -> u32 {
    of_printed_bytes(&canonical(&json!({"image": image, "name": name})))
}

/// The hash of environment entries `(name, value)`, sorted by name; a missing value is an empty one.
#[must_use]
pub fn environment(sorted: &[(String, String)]) -> u32 {
    let entries: Vec<Value> = sorted
        .iter()
        .map(
            |(name, value)| {
                if value.is_empty() { json!({"name": name}) } else { json!({"name": name, "value": value}) }
            },
        )
        .collect();
    of_printed_bytes(&if entries.is_empty() { "null".to_owned() } else { canonical(&json!(entries)) })
}

/// The hash of claim templates, as decimal text; only names and specs count.
#[must_use]
pub fn claim_templates(templates: &[Value]) -> String {
    let mut claims: Vec<(String, String)> = templates
        .iter()
        .map(|template| {
            let name = template.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            let spec = crate::template::canonical_claim_spec(template.get("spec"));
            let text = format!(
                r#"{{"metadata":{{"name":{},"creationTimestamp":null}},"spec":{},"status":{{}}}}"#,
                canonical(&json!(name)),
                crate::template::claim_spec_in_api_order(&spec),
            );
            (name.to_owned(), text)
        })
        .collect();
    claims.sort();
    let list: Vec<String> = claims.into_iter().map(|(_, text)| text).collect();
    of_printed_bytes(&format!("[{}]", list.join(","))).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test] // RV-3
    fn revision_hash_equals_the_vectors() {
        let data = r#"{"spec":{"template":{"$patch":"replace","metadata":{"creationTimestamp":null,"labels":{"foo":"bar"}},"spec":{"containers":[{"image":"nginx:1.9.1","name":"nginx","resources":{}}]}}}}"#;
        assert_eq!(super::revision(data, 0), "7df87c59b");
        assert_eq!(super::revision(data, 1), "7df87c59c");
    }

    #[test] // section 3.7
    fn plain_container_hash_equals_the_vector() {
        assert_eq!(super::plain_container("nginx:1.25", "main"), 436_018_172);
    }

    #[test] // section 3.7
    fn environment_hash_equals_the_vectors() {
        assert_eq!(super::environment(&[("APP_CONFIG".to_owned(), "v1".to_owned())]), 4_274_367_333);
        assert_eq!(super::environment(&[]), 86_995_377);
    }

    #[test] // section 3.7
    fn claim_hash_equals_the_vector() {
        let claim = json!({"metadata": {"name": "pvc-1", "labels": {"ignored": "yes"}}, "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}, "limits": {"storage": "2048Mi"}}}});
        assert_eq!(super::claim_templates(&[claim]), "1129974074");
    }
}
