//! An object of a request: text, parsed at most once and only if somebody asks.
//!
//! Most Pods of a cluster are none of our business, and what decides that is in a few members: [`Object::view`] reads
//! those over the text. [`Object::read`] is for who needs the whole.

use std::fmt;
use std::sync::OnceLock;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Refusal;
use super::bounded::{Bounded, SENTENCE};
use super::tree::Tree;

/// An object as it came.
#[derive(Clone)]
pub struct Object(Form);

#[derive(Clone)]
enum Form {
    Absent,
    Text { text: Box<RawValue>, tree: OnceLock<Result<Value, String>> },
    Tree(Value),
}

impl Object {
    /// None was sent.
    #[must_use]
    pub fn absent() -> Self {
        Self(Form::Absent)
    }

    /// A member of a review; `null` is as good as none.
    pub(super) fn sent(text: Option<Box<RawValue>>) -> Self {
        Self(text.map_or(Form::Absent, |text| Form::Text { text, tree: OnceLock::new() }))
    }

    /// Whether none was sent, or `null`.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self.0, Form::Absent)
    }

    /// The whole object; null if absent.
    ///
    /// # Errors
    /// 400 where it is nested deeper than the parser goes (127 levels), or is malformed.
    pub fn read(&self) -> Result<&Value, Refusal> {
        match &self.0 {
            Form::Absent => Ok(&Value::Null),
            Form::Tree(tree) => Ok(tree),
            Form::Text { text, tree } => {
                let tree = tree.get_or_init(|| {
                    serde_json::from_str(text.get()).map(|Tree(tree)| tree).map_err(|err| reason(&err))
                });
                tree.as_ref().map_err(Refusal::unreadable)
            }
        }
    }

    /// The part of the object that `T` names, borrowed from the text. Whatever else there is, and however deep, is
    /// skipped. `T` must hold no [`Value`]: see [`Tree`].
    ///
    /// # Errors
    /// 400 where that part has another form, or the text is malformed.
    pub fn view<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Refusal> {
        match &self.0 {
            Form::Absent => T::deserialize(&Value::Null),
            Form::Tree(tree) => T::deserialize(tree),
            Form::Text { text, .. } => serde_json::from_str(text.get()),
        }
        .map_err(|err| Refusal::unreadable(reason(&err)))
    }
}

impl From<Value> for Object {
    fn from(tree: Value) -> Self {
        Self(if tree.is_null() { Form::Absent } else { Form::Tree(tree) })
    }
}

/// Says what it is, not what is in it: there may be secrets.
impl fmt::Debug for Object {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Absent => to.write_str("Object(absent)"),
            Form::Text { text, .. } => write!(to, "Object({} bytes)", text.get().len()),
            Form::Tree(_) => to.write_str("Object(tree)"),
        }
    }
}

fn reason(err: &serde_json::Error) -> String {
    let text = err.to_string();
    match text.strip_prefix("recursion limit exceeded") {
        Some(place) => format!("nested deeper than 127 levels{place}"),
        // It may quote the object.
        None => Bounded::new(&text, SENTENCE).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use serde_json::json;

    use super::*;
    use crate::testing::deep;

    fn sent(text: &str) -> Object {
        Object::sent(Some(RawValue::from_string(text.to_owned()).unwrap()))
    }

    #[derive(Debug, Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        name: Cow<'a, str>,
    }

    #[test]
    fn the_whole_is_parsed_once() {
        let object = sent(r#"{"name":"web","more":[1,2.5,-3,true,null,{"a":"b"}]}"#);
        let first = object.read().unwrap();
        assert_eq!(*first, json!({ "name": "web", "more": [1, 2.5, -3, true, null, { "a": "b" }] }));
        assert!(std::ptr::eq(first, object.read().unwrap()));
    }

    #[test]
    fn a_view_borrows_from_the_text_and_skips_any_depth() {
        let object = sent(&format!(r#"{{"more":{},"name":"web"}}"#, deep(100_000)));
        let named: Named<'_> = object.view().unwrap();
        assert!(matches!(named.name, Cow::Borrowed("web")));
    }

    #[test]
    fn what_is_too_deep_for_a_tree_is_refused_with_400_each_time() {
        let object = sent(&deep(100_000));
        for _ in 0..2 {
            let refusal = object.read().unwrap_err();
            assert_eq!((refusal.code, refusal.rule), (400, "decode"));
            assert_eq!(refusal.message, "nested deeper than 127 levels at line 1 column 128");
        }
        assert!(sent(&deep(127)).read().is_ok());
    }

    #[test]
    fn absent_and_null_are_the_same() {
        assert!(Object::absent().is_absent() && Object::from(Value::Null).is_absent());
        assert_eq!(*Object::absent().read().unwrap(), Value::Null);
        assert!(!sent("{}").is_absent());
    }

    #[test]
    fn a_refusal_does_not_repeat_all_of_what_it_refuses() {
        let object = sent(&format!(r#"{{"name":["{}"]}}"#, "x".repeat(1 << 20)));
        assert!(object.view::<Named<'_>>().unwrap_err().message.len() < 2 * SENTENCE);
        let object = sent(&format!(r#""{}""#, "x".repeat(1 << 20)));
        assert!(object.view::<Named<'_>>().unwrap_err().message.len() < 2 * SENTENCE);
    }
}
