//! Looking at JSON with the path in hand: how validation walks an object that may have any shape.
//!
//! `null` is absence, as for the API server. A value of the wrong JSON type is refused once, where it is read, and
//! then counts as absent, so that no check has to think about it again.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::field::{Denial, FieldPath};

/// An object without members, to look at where there is none.
pub(crate) static EMPTY: LazyLock<Value> = LazyLock::new(|| Value::Object(Map::new()));

/// A value that is there, and where it is.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    pub(crate) path: FieldPath,
    pub(crate) value: &'a Value,
}

impl<'a> Node<'a> {
    /// The value at a place.
    pub(crate) fn new(path: FieldPath, value: &'a Value) -> Self {
        Self { path, value }
    }

    /// A member that is there.
    pub(crate) fn get(&self, member: &str) -> Option<Self> {
        let value = self.value.get(member).filter(|value| !value.is_null())?;
        Some(Self::new(self.path.child(member), value))
    }

    /// The path of a member, there or not.
    pub(crate) fn at(&self, member: &str) -> FieldPath {
        self.path.child(member)
    }

    /// A member that is an object.
    pub(crate) fn object(&self, member: &str, out: &mut Vec<Denial>) -> Option<Self> {
        let node = self.get(member)?;
        if !node.value.is_object() {
            out.push(node.path.wrong_type(node.value, "an object"));
            return None;
        }
        Some(node)
    }

    /// The items of a member that is a list of objects; none where it is absent. A null item is an empty object.
    pub(crate) fn objects(&self, member: &str, out: &mut Vec<Denial>) -> Vec<Self> {
        let mut objects = Vec::new();
        for item in self.items(member, out) {
            match item.value {
                Value::Object(_) => objects.push(item),
                Value::Null => objects.push(Self::new(item.path, &EMPTY)),
                other => out.push(item.path.wrong_type(other, "an object")),
            }
        }
        objects
    }

    /// The items of a member that is a list of texts, with their paths.
    pub(crate) fn texts(&self, member: &str, out: &mut Vec<Denial>) -> Vec<(FieldPath, &'a str)> {
        let mut texts = Vec::new();
        for item in self.items(member, out) {
            match item.value.as_str() {
                Some(text) => texts.push((item.path, text)),
                None => out.push(item.path.wrong_type(item.value, "a string")),
            }
        }
        texts
    }

    /// The items of a member that is a list.
    pub(crate) fn items(&self, member: &str, out: &mut Vec<Denial>) -> Vec<Self> {
        let Some(node) = self.get(member) else { return Vec::new() };
        let Some(items) = node.value.as_array() else {
            out.push(node.path.wrong_type(node.value, "a list"));
            return Vec::new();
        };
        items.iter().enumerate().map(|(index, value)| Self::new(node.path.index(index), value)).collect()
    }

    /// The entries of a member that maps texts to texts.
    pub(crate) fn text_map(&self, member: &str, out: &mut Vec<Denial>) -> Vec<(&'a str, &'a str)> {
        let Some(node) = self.get(member) else { return Vec::new() };
        let Some(entries) = node.value.as_object() else {
            out.push(node.path.wrong_type(node.value, "a map of strings"));
            return Vec::new();
        };
        let mut texts = Vec::new();
        for (key, value) in entries {
            match value {
                Value::Null => texts.push((key.as_str(), "")),
                Value::String(text) => texts.push((key.as_str(), text.as_str())),
                other => out.push(node.path.key(key).wrong_type(other, "a string")),
            }
        }
        texts
    }

    /// The text of a member; empty where it is absent.
    pub(crate) fn text(&self, member: &str, out: &mut Vec<Denial>) -> &'a str {
        let Some(value) = self.value.get(member).filter(|value| !value.is_null()) else { return "" };
        value.as_str().unwrap_or_else(|| {
            out.push(self.at(member).wrong_type(value, "a string"));
            ""
        })
    }

    /// The whole number of a member.
    pub(crate) fn integer(&self, member: &str, out: &mut Vec<Denial>) -> Option<i64> {
        let value = self.value.get(member).filter(|value| !value.is_null())?;
        let number = value.as_i64();
        if number.is_none() {
            out.push(self.at(member).wrong_type(value, "an integer"));
        }
        number
    }

    /// The truth of a member; false where it is absent.
    pub(crate) fn flag(&self, member: &str, out: &mut Vec<Denial>) -> bool {
        let Some(value) = self.value.get(member).filter(|value| !value.is_null()) else { return false };
        value.as_bool().unwrap_or_else(|| {
            out.push(self.at(member).wrong_type(value, "a boolean"));
            false
        })
    }

    /// The members of an object; empty for anything else.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        self.value.as_object().into_iter().flat_map(Map::iter).filter(|(_, value)| !value.is_null())
    }

    /// Which of the given members are there, and whether there are others beside them: sources that came after this
    /// was written are not ours to refuse.
    pub(crate) fn choice(&self, known: &[&'static str], beside: &[&str]) -> Choice {
        let chosen: Vec<&'static str> = known
            .iter()
            .copied()
            .filter(|member| self.value.get(member).is_some_and(|value| !value.is_null()))
            .collect();
        let unknown =
            self.members().any(|(name, _)| !known.contains(&name.as_str()) && !beside.contains(&name.as_str()));
        Choice { chosen, unknown }
    }

    /// Requires a text to be one of a closed list, where it is given.
    pub(crate) fn one_of(&self, member: &str, allowed: &[&str], out: &mut Vec<Denial>) -> &'a str {
        let text = self.text(member, out);
        if !text.is_empty() && !allowed.contains(&text) {
            out.push(self.at(member).not_supported(text, allowed));
        }
        text
    }

    /// Requires a text that is not empty.
    pub(crate) fn required_text(&self, member: &str, out: &mut Vec<Denial>) -> &'a str {
        let before = out.len();
        let text = self.text(member, out);
        if text.is_empty() && out.len() == before {
            out.push(self.at(member).required(""));
        }
        text
    }

    /// Requires a text to follow a rule, where it is given.
    pub(crate) fn named_by(&self, member: &str, rule: fn(&str) -> Result<(), String>, out: &mut Vec<Denial>) {
        let text = self.text(member, out);
        if !text.is_empty()
            && let Err(detail) = rule(text)
        {
            out.push(self.at(member).invalid(text, detail));
        }
    }

    /// Requires a number, where it is given, not to be negative.
    pub(crate) fn not_negative(&self, member: &str, out: &mut Vec<Denial>) -> Option<i64> {
        let number = self.integer(member, out)?;
        if number < 0 {
            out.push(self.at(member).invalid(number, NOT_NEGATIVE));
        }
        Some(number)
    }

    /// Requires a number, where it is given, to lie in a range.
    pub(crate) fn within(&self, member: &str, low: i64, high: i64, detail: &str, out: &mut Vec<Denial>) {
        if let Some(number) = self.integer(member, out)
            && !(low..=high).contains(&number)
        {
            out.push(self.at(member).invalid(number, detail));
        }
    }
}

/// The API's words for a negative number where none may be.
pub(crate) const NOT_NEGATIVE: &str = "must be greater than or equal to 0";

/// What was chosen among members that exclude each other.
pub(crate) struct Choice {
    /// The known members that are there, in the order asked for.
    pub(crate) chosen: Vec<&'static str>,
    /// Whether a member that we don't know is there as well.
    pub(crate) unknown: bool,
}
