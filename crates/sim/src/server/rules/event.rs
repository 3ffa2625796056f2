//! Events, in both groups that serve them: what each must say, and that only a series may grow.
//!
//! Refusals name the members of the core group whatever group is asked, as the server does.

use api::{
    field::{Denial, FieldPath},
    names,
};
use serde_json::{Value, json};

use super::{
    causes,
    look::{at, default_to, text},
};
use crate::server::{failure::Cause, kind::Kind};

/// Members of both groups: ours (core) and the newer one's.
const NAMES: [(&str, &str); 4] = [
    ("message", "note"),
    ("involvedObject", "regarding"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
];
/// Longest texts, in bytes.
const LIMITS: [(&str, usize); 4] = [("reportingInstance", 128), ("action", 128), ("reason", 128), ("message", 1024)];

fn is_new(kind: &Kind) -> bool {
    !kind.group.is_empty()
}

/// The member of the asked group.
fn of<'a>(kind: &Kind, event: &'a Value, member: &str) -> &'a Value {
    let new = NAMES.iter().find(|(core, _)| *core == member).map_or(member, |(_, new)| *new);
    at(event, &format!("/{}", if is_new(kind) { new } else { member }))
}

pub(super) fn default(kind: &Kind, event: &mut Value) {
    let shown: [&str; 3] = if is_new(kind) {
        ["deprecatedSource", "deprecatedFirstTimestamp", "deprecatedLastTimestamp"]
    } else {
        ["source", "firstTimestamp", "lastTimestamp"]
    };
    for (place, member) in shown.into_iter().enumerate() {
        default_to(event, member, || if place == 0 { json!({}) } else { Value::Null });
    }
    default_to(event, "eventTime", || Value::Null);
    if !is_new(kind) {
        for member in ["reportingComponent", "reportingInstance"] {
            default_to(event, member, || json!(""));
        }
        default_to(event, "involvedObject", || json!({}));
    }
}

pub(super) fn on_create(kind: &Kind, event: &Value) -> Vec<Cause> {
    let mut out = Vec::new();
    place(kind, event, &mut out);
    // An event of the old form has no eventTime, and no further rules.
    if is_new(kind) && at(event, "/eventTime").is_null() {
        out.push(FieldPath::new("eventTime").required(""));
        kind_of_event(event, &mut out);
    } else if !at(event, "/eventTime").is_null() {
        new_form(kind, event, &mut out);
    }
    causes(out)
}

/// An event is in the namespace of what it tells of, or of cluster-scoped things in the default one.
fn place(kind: &Kind, event: &Value, out: &mut Vec<Denial>) {
    let told = of(kind, event, "involvedObject");
    let (about, own) = (text(told, "/namespace"), text(event, "/metadata/namespace"));
    if about != own && !(about.is_empty() && own == "default") {
        out.push(FieldPath::new("involvedObject").child("namespace").invalid(about, "does not match event.namespace"));
    }
}

fn new_form(kind: &Kind, event: &Value, out: &mut Vec<Denial>) {
    let said = |member: &str| of(kind, event, member).as_str().unwrap_or_default();
    let controller = said("reportingComponent");
    if controller.is_empty() {
        out.push(FieldPath::new("reportingController").required(""));
    }
    if let Err(detail) = names::qualified_name(controller) {
        out.push(FieldPath::new("reportingController").invalid(controller, detail));
    }
    for (member, limit) in LIMITS {
        let value = said(member);
        if member != "message" && value.is_empty() {
            out.push(FieldPath::new(member).required(""));
        }
        if value.len() > limit {
            out.push(FieldPath::new(member).invalid("", format!("can have at most {limit} characters")));
        }
    }
    kind_of_event(event, out);
    let series = at(event, "/series");
    if !series.is_null() {
        let path = FieldPath::new("series");
        if at(series, "/count").as_i64().unwrap_or(0) < 2 {
            out.push(path.child("count").invalid("", "should be at least 2"));
        }
        if at(series, "/lastObservedTime").is_null() {
            out.push(path.child("lastObservedTime").required(""));
        }
    }
}

fn kind_of_event(event: &Value, out: &mut Vec<Denial>) {
    let name = text(event, "/type");
    if !["Normal", "Warning"].contains(&name) {
        out.push(FieldPath::new("type").invalid("", format!("has invalid value: {name}")));
    }
}

pub(super) fn on_update(kind: &Kind, new: &Value, old: &Value) -> Vec<Cause> {
    // Events of the core group may be rewritten.
    if !is_new(kind) {
        return Vec::new();
    }
    const FIXED: [&str; 9] = [
        "involvedObject",
        "reason",
        "message",
        "source",
        "reportingComponent",
        "reportingInstance",
        "action",
        "eventTime",
        "type",
    ];
    causes(
        FIXED
            .into_iter()
            .filter(|member| of(kind, new, member) != of(kind, old, member))
            .map(|member| FieldPath::new(member).invalid(of(kind, new, member).clone(), "field is immutable"))
            .collect(),
    )
}
