//! Pods.

use serde_json::Value;

use crate::server::failure::Result;

/// Binds a Pod to a node.
///
/// # Errors
/// The Pod has one already.
pub fn bind(pod: &mut Value, binding: &Value) -> Result<()> {
    pod["spec"]["nodeName"] = binding["target"]["name"].clone();
    Ok(())
}

/// Changes resources.
///
/// # Errors
/// Something else is changed.
pub fn resize(pod: &mut Value, wanted: &Value) -> Result<()> {
    pod["spec"] = wanted["spec"].clone();
    Ok(())
}
