//! Leases: a duration above zero, transitions that are counted. Who may hold one is the holders' affair.

use api::field::FieldPath;
use serde_json::Value;

use super::{
    causes,
    look::{at, object_in},
};
use crate::server::failure::Cause;

pub(super) fn default(lease: &mut Value) {
    object_in(lease, "spec");
}

pub(super) fn check(lease: &Value) -> Vec<Cause> {
    let path = FieldPath::new("spec");
    let mut out = Vec::new();
    if let Some(seconds) = at(lease, "/spec/leaseDurationSeconds").as_i64().filter(|seconds| *seconds <= 0) {
        out.push(path.child("leaseDurationSeconds").invalid(seconds, "must be greater than 0"));
    }
    if let Some(count) = at(lease, "/spec/leaseTransitions").as_i64().filter(|count| *count < 0) {
        out.push(path.child("leaseTransitions").invalid(count, "must be greater than or equal to 0"));
    }
    causes(out)
}
