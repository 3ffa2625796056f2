//! Refusals of an object, field by field, worded as kube-apiserver words them.
//!
//! Validation collects [`Denial`]s; what carries them to the client (an admission response, a test) is not decided
//! here. A value is shown as the client wrote it: strings quoted, numbers and booleans bare, the rest as JSON.

use std::fmt;

use serde_json::{Value, json};

/// Where in an object a field stands: `spec.template.spec.containers[0].image`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldPath(String);

impl FieldPath {
    /// The path of a member of the object itself.
    #[must_use]
    pub fn new(member: &str) -> Self {
        Self(member.to_owned())
    }

    /// The path of a member of this field.
    #[must_use]
    pub fn child(&self, member: &str) -> Self {
        if self.0.is_empty() { Self::new(member) } else { Self(format!("{}.{member}", self.0)) }
    }

    /// The path of an item of this list.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// The path of an entry of this map.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        Self(format!("{}[{key}]", self.0))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Refuses a value that is present but not allowed.
    #[must_use]
    pub fn invalid(&self, value: impl Into<Value>, detail: impl Into<String>) -> Denial {
        self.denial(DenialKind::Invalid, Some(value.into()), detail)
    }

    /// Refuses the absence of a value.
    #[must_use]
    pub fn required(&self, detail: impl Into<String>) -> Denial {
        self.denial(DenialKind::Required, None, detail)
    }

    /// Refuses a field that may not be set, or not be changed, here.
    #[must_use]
    pub fn forbidden(&self, detail: impl Into<String>) -> Denial {
        self.denial(DenialKind::Forbidden, None, detail)
    }

    /// Refuses a value that stands twice in a list that is a set.
    #[must_use]
    pub fn duplicate(&self, value: impl Into<Value>) -> Denial {
        self.denial(DenialKind::Duplicate, Some(value.into()), "")
    }

    /// Refuses a value that is none of a closed list.
    #[must_use]
    pub fn not_supported(&self, value: impl Into<Value>, supported: &[&str]) -> Denial {
        let supported: Vec<String> = supported.iter().map(|name| format!("{name:?}")).collect();
        self.denial(DenialKind::NotSupported, Some(value.into()), format!("supported values: {}", supported.join(", ")))
    }

    /// Refuses a reference to something that is not in the object.
    #[must_use]
    pub fn not_found(&self, value: impl Into<Value>) -> Denial {
        self.denial(DenialKind::NotFound, Some(value.into()), "")
    }

    /// Refuses a text or map of more than `limit` bytes.
    #[must_use]
    pub fn too_long(&self, limit: usize) -> Denial {
        self.denial(DenialKind::TooLong, None, format!("may not be more than {limit} bytes"))
    }

    /// Refuses a value of another JSON type than the field has.
    #[must_use]
    pub fn wrong_type(&self, value: &Value, expected: &str) -> Denial {
        self.type_invalid(value.clone(), format!("must be {expected}"))
    }

    /// Refuses a value of another JSON type, in the words of whoever tried to read it.
    #[must_use]
    pub fn type_invalid(&self, value: impl Into<Value>, detail: impl Into<String>) -> Denial {
        self.denial(DenialKind::TypeInvalid, Some(value.into()), detail)
    }

    fn denial(&self, kind: DenialKind, value: Option<Value>, detail: impl Into<String>) -> Denial {
        Denial { field: self.clone(), kind, value, detail: detail.into() }
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}

/// The kinds of refusal that the API knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DenialKind {
    /// Present, of the right type, not allowed.
    Invalid,
    /// Absent and needed.
    Required,
    /// May not be set or changed.
    Forbidden,
    /// Stands twice.
    Duplicate,
    /// None of a closed list.
    NotSupported,
    /// Refers to nothing.
    NotFound,
    /// Too many bytes.
    TooLong,
    /// Of another JSON type.
    TypeInvalid,
}

impl DenialKind {
    /// The words before the value.
    fn words(self) -> &'static str {
        match self {
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::Required => "Required value",
            Self::Forbidden => "Forbidden",
            Self::Duplicate => "Duplicate value",
            Self::NotSupported => "Unsupported value",
            Self::NotFound => "Not found",
            Self::TooLong => "Too long",
        }
    }

    /// The reason of a cause in a `Status`.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Invalid => "FieldValueInvalid",
            Self::Required => "FieldValueRequired",
            Self::Forbidden => "FieldValueForbidden",
            Self::Duplicate => "FieldValueDuplicate",
            Self::NotSupported => "FieldValueNotSupported",
            Self::NotFound => "FieldValueNotFound",
            Self::TooLong => "FieldValueTooLong",
            Self::TypeInvalid => "FieldValueTypeInvalid",
        }
    }

    fn shows_value(self) -> bool {
        match self {
            Self::Invalid | Self::Duplicate | Self::NotSupported | Self::NotFound | Self::TypeInvalid => true,
            Self::Required | Self::Forbidden | Self::TooLong => false,
        }
    }
}

/// One reason why an object is refused. Its text is the whole line: `spec.replicas: Invalid value: -1: must be ...`.
#[derive(Clone, Debug, PartialEq)]
pub struct Denial {
    /// The field.
    pub field: FieldPath,
    /// What is wrong with it.
    pub kind: DenialKind,
    /// What was found there, where the kind shows it.
    pub value: Option<Value>,
    /// More words; empty where the kind says it all.
    pub detail: String,
}

impl Denial {
    /// The text without the field's path, as the causes of a `Status` carry it.
    #[must_use]
    pub fn message(&self) -> String {
        let mut text = self.kind.words().to_owned();
        if self.kind.shows_value() {
            text.push_str(": ");
            text.push_str(&self.value.as_ref().map_or_else(|| "null".to_owned(), Value::to_string));
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}: {}", self.field, self.message())
    }
}

/// All refusals as one line: a single one bare, several in brackets, equal ones once.
#[must_use]
pub fn summary(denials: &[Denial]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in denials.iter().map(ToString::to_string) {
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    match lines.as_slice() {
        [only] => only.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

/// The `Status` with which kube-apiserver answers an object that fails validation: code 422, reason `Invalid`.
#[must_use]
pub fn to_status(kind: &str, group: &str, name: &str, denials: &[Denial]) -> Value {
    let causes: Vec<Value> = denials
        .iter()
        .map(|denial| {
            json!({"reason": denial.kind.reason(), "message": denial.message(), "field": denial.field.as_str()})
        })
        .collect();
    let subject = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
    json!({
        "apiVersion": "v1",
        "kind": "Status",
        "metadata": {},
        "status": "Failure",
        "message": format!("{subject} {name:?} is invalid: {}", summary(denials)),
        "reason": "Invalid",
        "details": {"name": name, "group": group, "kind": kind, "causes": causes},
        "code": 422,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_reads_as_kube_apiserver_words_it() {
        let spec = FieldPath::new("spec");
        let containers = spec.child("template").child("spec").child("containers");
        for (denial, text) in [
            (
                spec.child("replicas").invalid(-1, "must be greater than or equal to 0"),
                "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
            ),
            (containers.index(0).child("name").required(""), "spec.template.spec.containers[0].name: Required value"),
            (
                containers.index(1).child("name").duplicate("main"),
                "spec.template.spec.containers[1].name: Duplicate value: \"main\"",
            ),
            (spec.forbidden("may not change"), "spec: Forbidden: may not change"),
            (
                spec.child("type").not_supported("x", &["A", "B"]),
                "spec.type: Unsupported value: \"x\": supported values: \"A\", \"B\"",
            ),
            (spec.child("name").not_found("data"), "spec.name: Not found: \"data\""),
            (spec.child("name").too_long(63), "spec.name: Too long: may not be more than 63 bytes"),
            (
                FieldPath::new("metadata").child("labels").key("app").invalid("-", "bad"),
                "metadata.labels[app]: Invalid value: \"-\": bad",
            ),
            (spec.child("x").wrong_type(&json!([1]), "an object"), "spec.x: Invalid value: [1]: must be an object"),
        ] {
            assert_eq!(denial.to_string(), text);
        }
    }

    #[test]
    fn a_status_names_each_cause() {
        let denial = FieldPath::new("spec").child("replicas").invalid(-1, "must not be negative");
        let status = to_status("CloneSet", "apps.kruise.io", "web", std::slice::from_ref(&denial));
        assert_eq!(
            status["message"],
            "CloneSet.apps.kruise.io \"web\" is invalid: spec.replicas: Invalid value: -1: must not be negative"
        );
        assert_eq!(status["code"], 422);
        assert_eq!(status["details"]["causes"][0]["field"], "spec.replicas");
        assert_eq!(status["details"]["causes"][0]["message"], "Invalid value: -1: must not be negative");

        let other = FieldPath::new("spec").required("");
        assert_eq!(
            summary(&[denial.clone(), other, denial]),
            "[spec.replicas: Invalid value: -1: must not be negative, spec: Required value]"
        );
    }
}
