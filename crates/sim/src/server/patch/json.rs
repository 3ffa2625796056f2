//! JSON patches (RFC 6902).

use serde_json::Value;

use crate::server::failure::{Failure, Result};

/// The object with the patch.
///
/// # Errors
/// Fails where the patch can't be read or does not fit.
pub fn apply(object: &Value, patch: &Value) -> Result<Value> {
    let patch: json_patch::Patch =
        serde_json::from_value(patch.clone()).map_err(|err| Failure::bad_request(err.to_string()))?;
    let mut object = object.clone();
    json_patch::patch(&mut object, &patch).map_err(|err| Failure::new(422, "Invalid", err.to_string()))?;
    Ok(object)
}
