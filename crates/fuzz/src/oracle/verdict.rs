//! The answer to an admission review: its form, and what it says.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use json_patch::{Patch, PatchOperation};
use serde_json::Value;

use super::{Promise, Violation, require};
use crate::json::Json;

/// What was said.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Allowed, with a patch or without.
    Yes(Option<Patch>),
    /// Refused, with code and the fields that are named.
    No { code: u16, message: String, fields: Vec<String> },
}

fn form(holds: bool, what: &str, answer: &Json) -> Result<(), Violation> {
    require(holds, Promise::Form, || format!("{what}: {}", answer.write()))
}

impl Verdict {
    /// Reads an answer of code 200.
    pub(super) fn read(question: &[u8], answer: &[u8]) -> Result<Self, Violation> {
        let Ok(answer) = Json::read(answer) else {
            return Err(Violation::new(Promise::Form, format!("no JSON: {}", String::from_utf8_lossy(answer))));
        };
        form(answer.is_plain(), "a member stands twice", &answer)?;
        form(answer.get("kind") == Some(&Json::text("AdmissionReview")), "not an AdmissionReview", &answer)?;
        let question = Json::read(question).ok();
        if let Some(question) = question.filter(Json::is_plain) {
            form(answer.get("apiVersion") == question.get("apiVersion"), "another version than asked", &answer)?;
            let same = answer.at(&["response", "uid"]) == question.at(&["request", "uid"]);
            form(same, "another UID than asked", &answer)?;
        }
        form(matches!(answer.at(&["response", "uid"]), Some(Json::Text(_))), "no UID", &answer)?;
        match answer.at(&["response", "allowed"]) {
            Some(Json::Bool(true)) => Self::yes(&answer),
            Some(Json::Bool(false)) => Self::no(&answer),
            _ => Err(Violation::new(Promise::Form, format!("neither yes nor no: {}", answer.write()))),
        }
    }

    fn yes(answer: &Json) -> Result<Self, Violation> {
        let (patch, sort) = (answer.at(&["response", "patch"]), answer.at(&["response", "patchType"]));
        form(patch.is_some() == sort.is_some(), "patch and patchType go together", answer)?;
        let Some(patch) = patch else { return Ok(Self::Yes(None)) };
        form(sort == Some(&Json::text("JSONPatch")), "another patch than JSONPatch", answer)?;
        let text = patch.as_text().and_then(|text| STANDARD.decode(text).ok());
        let patch: Option<Patch> = text.and_then(|text| serde_json::from_slice(&text).ok());
        let Some(patch) = patch else { return Err(Violation::new(Promise::Form, "a patch that can't be read")) };
        form(!patch.0.is_empty(), "an empty patch", answer)?;
        Ok(Self::Yes(Some(patch)))
    }

    fn no(answer: &Json) -> Result<Self, Violation> {
        form(answer.at(&["response", "patch"]).is_none(), "a refusal with a patch", answer)?;
        let status = |path: &[&str]| answer.at(&["response", "status"]).and_then(|status| status.at(path));
        let code = match status(&["code"]) {
            Some(Json::Number(code)) => code.parse().unwrap_or(0),
            _ => 0,
        };
        form((400..500).contains(&code), "a refusal without a code of its own", answer)?;
        let message = status(&["message"]).and_then(Json::as_text).unwrap_or_default().to_owned();
        form(!message.is_empty(), "a refusal without a reason", answer)?;
        let causes = status(&["details", "causes"]).map(Json::items).unwrap_or_default();
        let field = |cause: &Json| cause.get("field").and_then(Json::as_text).map(str::to_owned);
        let fields: Vec<String> = causes.iter().filter_map(field).filter(|field| !field.is_empty()).collect();
        let named = !causes.is_empty() && fields.len() == causes.len();
        form(code != 422 || named, "invalid, but not which field", answer)?;
        Ok(Self::No { code, message, fields })
    }

    pub(super) fn is_plain_yes(&self) -> bool {
        matches!(self, Self::Yes(None))
    }

    pub(super) fn words(&self) -> String {
        match self {
            Self::Yes(None) => "allowed".to_owned(),
            Self::Yes(Some(_)) => "changed".to_owned(),
            Self::No { code, .. } => format!("refused {code}"),
        }
    }
}

/// The object with the patch applied, as kube-apiserver would. Also holds that a patch touches only what it changes:
/// it takes nothing away, and what it replaces is a single value.
pub(super) fn patched(object: &Json, patch: Option<&Patch>) -> Result<Json, Violation> {
    let Some(patch) = patch else { return Ok(object.clone()) };
    let failed = |what: String| Violation::new(Promise::Form, what);
    let mut value: Value =
        serde_json::from_str(&object.write()).map_err(|err| failed(format!("patched what can't be read: {err}")))?;
    for operation in &patch.0 {
        match operation {
            PatchOperation::Add(add) => {
                let there = value.pointer(add.path.as_str()).is_some_and(|value| !value.is_null());
                // Before an item of a list, `add` moves the others on.
                let in_list =
                    add.path.parent().and_then(|path| value.pointer(path.as_str())).is_some_and(Value::is_array);
                require(!there || in_list, Promise::Keeps, || format!("{} is overwritten", add.path))?;
            }
            PatchOperation::Replace(replace) => {
                let holds_nothing = |value: &Value| match value {
                    Value::Array(items) => items.is_empty(),
                    Value::Object(members) => members.is_empty(),
                    _ => true,
                };
                let single = value.pointer(replace.path.as_str()).is_some_and(holds_nothing);
                require(single, Promise::Keeps, || format!("{} is replaced as a whole", replace.path))?;
            }
            PatchOperation::Test(_) => {}
            PatchOperation::Remove(_) | PatchOperation::Move(_) | PatchOperation::Copy(_) => {
                return Err(Violation::new(Promise::Keeps, format!("a patch that moves or removes: {operation}")));
            }
        }
        json_patch::patch(&mut value, std::slice::from_ref(operation))
            .map_err(|err| failed(format!("a patch that does not apply: {err}")))?;
    }
    Json::read(value.to_string().as_bytes()).map_err(|_| failed("a patch to something unreadable".to_owned()))
}
