//! Server-side apply.

use jiff::Timestamp;
use serde_json::Value;

use crate::server::failure::{Failure, Result};

/// The object with what was applied.
///
/// # Errors
/// Fails where another manager owns a field.
pub fn apply(
    _kind: &str,
    _live: Option<&Value>,
    _applied: &Value,
    _manager: &str,
    _subresource: &str,
    _force: bool,
    _now: Timestamp,
) -> Result<Value> {
    Err(Failure::not_simulated("apply"))
}

/// Tells the managers of fields after a plain write.
pub fn track(_kind: &str, _before: &Value, _after: &mut Value, _manager: &str, _subresource: &str, _now: Timestamp) {}
