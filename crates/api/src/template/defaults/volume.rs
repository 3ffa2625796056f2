//! Defaults of one volume (CS-103): file modes, token lifetime, host path type, and a volume of no source.

use serde_json::{Map, Value, json};

use super::container::field_source;
use crate::{
    fill::{default_to, existing, objects_in},
    quantity,
};

/// 0644.
const FILE_MODE: i64 = 420;
/// An hour.
const TOKEN_SECONDS: i64 = 3600;

pub(super) fn apply(volume: &mut Map<String, Value>) {
    // Any member beside the name is a source, also one that came after this was written.
    if volume.iter().all(|(member, value)| member == "name" || value.is_null()) {
        volume.insert("emptyDir".to_owned(), json!({}));
    }
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = existing(volume, source) {
            default_to(source, "defaultMode", json!(FILE_MODE));
        }
    }
    if let Some(source) = existing(volume, "downwardAPI") {
        files(source);
    }
    if let Some(projected) = existing(volume, "projected") {
        for source in objects_in(projected, "sources") {
            if let Some(token) = existing(source, "serviceAccountToken") {
                default_to(token, "expirationSeconds", json!(TOKEN_SECONDS));
            }
            if let Some(downward) = existing(source, "downwardAPI") {
                files(downward);
            }
        }
    }
    if let Some(path) = existing(volume, "hostPath") {
        default_to(path, "type", json!(""));
    }
    if let Some(limit) = existing(volume, "emptyDir").and_then(|source| source.get_mut("sizeLimit")) {
        quantity::normalise(limit);
    }
}

fn files(source: &mut Map<String, Value>) {
    for item in objects_in(source, "items") {
        field_source(item);
    }
}
