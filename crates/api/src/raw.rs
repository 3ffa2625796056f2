//! Objects as text: a few members read, the object written again with a few of them changed.
//!
//! What is not named is carried over as it was written: numbers keep their digits, members their order, and nothing
//! limits their depth. Nothing is collected either, so that an object costs no memory beyond its text. Of members of
//! one name the last counts, as for the API server.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// A member of an object, or the object itself. `null` is absence, as for the API server.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// Not there.
    Absent,
    /// An object.
    Object(&'a RawValue),
    /// Any other value.
    Other(&'a RawValue),
}

impl<'a> Part<'a> {
    /// This value.
    #[must_use]
    pub fn of(value: &'a RawValue) -> Self {
        match value.get().as_bytes().first() {
            Some(b'{') => Self::Object(value),
            Some(b'n') => Self::Absent,
            _ => Self::Other(value),
        }
    }

    /// The members of these names; all are absent where this is no object.
    #[must_use]
    pub fn find<const N: usize>(self, names: [&str; N]) -> [Self; N] {
        let mut found = [Self::Absent; N];
        if let Self::Object(object) = self {
            members(object, |key, value| {
                if let Some(place) = names.iter().position(|name| key.is(name)).and_then(|at| found.get_mut(at)) {
                    *place = Self::of(value);
                }
            });
        }
        found
    }

    /// The text that this is.
    #[must_use]
    pub fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Other(value) => unquoted(value),
            Self::Absent | Self::Object(_) => None,
        }
    }

    /// The whole number that this is, written as one.
    pub(crate) fn integer(self) -> Option<i32> {
        match self {
            Self::Other(value) => value.get().parse().ok(),
            Self::Absent | Self::Object(_) => None,
        }
    }

    /// The truth that this is; false where it is absent.
    pub(crate) fn flag(self) -> Option<bool> {
        match self {
            Self::Absent => Some(false),
            Self::Other(value) => value.get().parse().ok(),
            Self::Object(_) => None,
        }
    }

    pub(crate) fn is_absent(self) -> bool {
        matches!(self, Self::Absent)
    }

    /// This object to be changed, or a new one; `None` where something else is in its place.
    pub(crate) fn edit(self) -> Option<Edit<'a>> {
        match self {
            Self::Absent => Some(Edit::default()),
            Self::Object(object) => Some(Edit::default().over(object)),
            Self::Other(_) => None,
        }
    }
}

/// The name of a member, as it is written: quoted, perhaps with escapes.
#[derive(Clone, Copy)]
pub(crate) struct Key<'a>(&'a RawValue);

impl Key<'_> {
    pub(crate) fn is(self, name: &str) -> bool {
        let quoted = self.0.get();
        if quoted.contains('\\') {
            return unquoted(self.0).is_some_and(|decoded| decoded == name);
        }
        quoted.get(1..quoted.len() - 1) == Some(name)
    }
}

/// Shows all members of an object in their order.
pub(crate) fn members<'a>(object: &'a RawValue, each: impl FnMut(Key<'a>, &'a RawValue)) {
    struct Members<F>(F);
    impl<'de, F: FnMut(Key<'de>, &'de RawValue)> Visitor<'de> for Members<F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
            while let Some((key, value)) = map.next_entry()? {
                (self.0)(Key(key), value);
            }
            Ok(())
        }
    }
    // The only error is that this is no object, which has no members: raw values are well formed.
    let _ = serde_json::Deserializer::from_str(object.get()).deserialize_map(Members(each));
}

fn unquoted(value: &RawValue) -> Option<Cow<'_, str>> {
    let quoted = value.get();
    if quoted.contains('\\') {
        return serde_json::from_str(quoted).ok().map(Cow::Owned);
    }
    quoted.strip_prefix('"')?.strip_suffix('"').map(Cow::Borrowed)
}

/// An object with some members changed. Names of members are plain text that needs no escapes.
#[derive(Debug, Default)]
pub(crate) struct Edit<'a> {
    under: Vec<&'a RawValue>,
    changes: Vec<(&'static str, Change<'a>)>,
}

#[derive(Debug)]
enum Change<'a> {
    Drop,
    Set(New<'a>),
}

/// The new value of a member.
#[derive(Debug)]
pub(crate) enum New<'a> {
    /// JSON text.
    Text(String),
    /// An object made of others.
    Object(Edit<'a>),
}

impl<'a> Edit<'a> {
    /// Takes over the members of an object too. Where one of the same name is there already, the new one comes after
    /// it and counts.
    pub(crate) fn over(mut self, object: &'a RawValue) -> Self {
        self.under.push(object);
        self
    }

    /// Without this member.
    pub(crate) fn drop(self, name: &'static str) -> Self {
        self.change(name, Change::Drop)
    }

    /// With this member, instead of one that is there.
    pub(crate) fn set(self, name: &'static str, value: impl Into<New<'a>>) -> Self {
        self.change(name, Change::Set(value.into()))
    }

    fn change(mut self, name: &'static str, change: Change<'a>) -> Self {
        self.changes.retain(|(changed, _)| *changed != name);
        self.changes.push((name, change));
        self
    }

    /// Appends the object to `out`. A member that is set stands where it first stood, a new one at the end.
    pub(crate) fn write(&self, out: &mut String) {
        let mut left: Vec<&(&'static str, Change<'a>)> = self.changes.iter().collect();
        let mut separator = '{';
        let mut put = |out: &mut String, name: fmt::Arguments<'_>| {
            out.push(std::mem::replace(&mut separator, ','));
            // Writing to a string cannot fail.
            let _ = fmt::write(out, name);
            out.push(':');
        };
        for object in &self.under {
            members(object, |key, value| {
                if !self.changes.iter().any(|(name, _)| key.is(name)) {
                    put(out, format_args!("{}", key.0.get()));
                    out.push_str(value.get());
                } else if let Some(at) = left.iter().position(|(name, _)| key.is(name))
                    && let (name, Change::Set(new)) = left.remove(at)
                {
                    put(out, format_args!("\"{name}\""));
                    new.write(out);
                }
            });
        }
        for (name, change) in left {
            if let Change::Set(new) = change {
                put(out, format_args!("\"{name}\""));
                new.write(out);
            }
        }
        if separator == '{' {
            out.push('{');
        }
        out.push('}');
    }
}

impl New<'_> {
    fn write(&self, out: &mut String) {
        match self {
            Self::Text(json) => out.push_str(json),
            Self::Object(edit) => edit.write(out),
        }
    }
}

impl<'a> From<Edit<'a>> for New<'a> {
    fn from(edit: Edit<'a>) -> Self {
        Self::Object(edit)
    }
}

impl From<bool> for New<'_> {
    fn from(truth: bool) -> Self {
        Self::Text(truth.to_string())
    }
}

impl From<i32> for New<'_> {
    fn from(number: i32) -> Self {
        Self::Text(number.to_string())
    }
}

impl From<&str> for New<'_> {
    fn from(text: &str) -> Self {
        Self::Text(Value::from(text).to_string())
    }
}
