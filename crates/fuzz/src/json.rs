//! JSON as it is written: numbers keep their text, members their order, and a name may stand twice.
//!
//! A reader and writer of its own, because what is judged uses another one; and because what must survive is text.

use std::fmt::Write as _;
use std::ops::Range;

mod reader;

use reader::Reader;

/// How deep this reader looks. The product gives up earlier or does not look; both are allowed.
const DEEPEST: usize = 600;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// A flag.
    Bool(bool),
    /// A number, as it was written.
    Number(String),
    /// A text, unescaped.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// Members in order.
    Object(Vec<(String, Self)>),
    /// Text to write as it is, JSON or not. Never read.
    Raw(String),
}

/// The text is no JSON, or too deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl Json {
    /// An object.
    pub fn object<const N: usize>(members: [(&str, Self); N]) -> Self {
        Self::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A whole number.
    pub fn number(number: i64) -> Self {
        Self::Number(number.to_string())
    }

    /// Reads a text.
    ///
    /// # Errors
    /// Fails where it is no JSON, or too deep.
    pub fn read(text: &[u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader { text: std::str::from_utf8(text).map_err(|_| Unreadable)?, at: 0 };
        let value = reader.value(0)?;
        reader.space();
        if reader.at == reader.text.len() { Ok(value) } else { Err(Unreadable) }
    }

    /// A member of an object; the last of that name.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.members().iter().rev().find(|(member, _)| member == name).map(|(_, value)| value)
    }

    /// A member that is there and not null.
    pub fn some(&self, name: &str) -> Option<&Self> {
        self.get(name).filter(|value| **value != Self::Null)
    }

    /// What lies at a path of members.
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |value, name| value.get(name))
    }

    /// The text of a text.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// Its members; none of anything but an object.
    pub fn members(&self) -> &[(String, Self)] {
        if let Self::Object(members) = self { members } else { &[] }
    }

    /// Its items; none of anything but a list.
    pub fn items(&self) -> &[Self] {
        if let Self::List(items) = self { items } else { &[] }
    }

    /// Whether it is an object.
    pub fn is_object(&self) -> bool {
        matches!(self, Self::Object(_))
    }

    /// Sets a member, in place or at the end. Anything but an object becomes one.
    pub fn set(&mut self, name: &str, value: Self) {
        if !self.is_object() {
            *self = Self::Object(Vec::new());
        }
        let Self::Object(members) = self else { return };
        match members.iter_mut().rev().find(|(member, _)| member == name) {
            Some((_, present)) => *present = value,
            None => members.push((name.to_owned(), value)),
        }
    }

    /// Takes a member out.
    pub fn remove(&mut self, name: &str) {
        if let Self::Object(members) = self {
            members.retain(|(member, _)| member != name);
        }
    }

    /// A member, made where it is absent.
    pub fn entry(&mut self, name: &str) -> &mut Self {
        if self.get(name).is_none() {
            self.set(name, Self::Null);
        }
        match self {
            Self::Object(members) => members.iter_mut().rev().find(|(member, _)| member == name).map(|(_, v)| v),
            _ => None,
        }
        .unwrap_or_else(|| unreachable!("set a moment ago"))
    }

    /// Whether everything in it means the same to every reader: no name twice, no number beyond a double.
    pub fn is_plain(&self) -> bool {
        match self {
            Self::Number(text) => text.parse::<f64>().is_ok_and(f64::is_finite),
            Self::List(items) => items.iter().all(Self::is_plain),
            Self::Object(members) => {
                let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
                names.sort_unstable();
                names.windows(2).all(|pair| pair.first() != pair.last())
                    && members.iter().all(|(_, value)| value.is_plain())
            }
            Self::Raw(_) => false,
            Self::Null | Self::Bool(_) | Self::Text(_) => true,
        }
    }

    /// How many brackets are open at its deepest.
    pub fn depth(&self) -> usize {
        match self {
            Self::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or_default(),
            Self::Object(members) => 1 + members.iter().map(|(_, value)| value.depth()).max().unwrap_or_default(),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::Raw(_) => 0,
        }
    }

    /// The text.
    pub fn write(&self) -> String {
        let mut out = String::new();
        self.write_to(&mut out);
        out
    }

    fn write_to(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Self::Number(text) | Self::Raw(text) => out.push_str(text),
            Self::Text(text) => quote(text, out),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write_to(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    quote(name, out);
                    out.push(':');
                    value.write_to(out);
                }
                out.push('}');
            }
        }
    }
}

/// How numbers are held against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// Letter by letter.
    ByText,
    /// `1e2` is `100.0`.
    ByValue,
}

/// Whether two plain values are equal; the order of members does not matter.
pub fn same(a: &Json, b: &Json, numbers: Numbers) -> bool {
    first_difference(a, b, numbers).is_none()
}

/// Where two plain values differ first, as `spec.replicas` with the reason.
pub fn first_difference(a: &Json, b: &Json, numbers: Numbers) -> Option<String> {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => {
            let equal = a == b || (numbers == Numbers::ByValue && value(a) == value(b));
            (!equal).then(|| format!(": {a} is now {b}"))
        }
        (Json::List(a), Json::List(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .find_map(|(index, (a, b))| Some(format!("[{index}]{}", first_difference(a, b, numbers)?))),
        (Json::Object(before), Json::Object(after)) => before
            .iter()
            .find_map(|(name, value)| match b.get(name) {
                Some(now) => Some(format!(".{name}{}", first_difference(value, now, numbers)?)),
                None => Some(format!(".{name} is gone")),
            })
            .or_else(|| {
                let new = after.iter().find(|(name, _)| a.get(name).is_none());
                new.map(|(name, value)| format!(".{name} is new: {}", value.write()))
            }),
        _ if a == b => None,
        _ => Some(format!(": {} is now {}", a.write(), b.write())),
    }
}

/// A number: whole ones exactly, others as a double.
fn value(text: &str) -> (Option<i128>, Option<u64>) {
    let double = text.parse::<f64>().unwrap_or(f64::NAN);
    match text.parse::<i128>() {
        // Beyond 64 bits readers take doubles.
        Ok(whole) if text != "-0" && (i64::try_from(whole).is_ok() || u64::try_from(whole).is_ok()) => {
            (Some(whole), Some((whole as f64 + 0.0).to_bits()))
        }
        _ => (None, Some((double + 0.0).to_bits())),
    }
}

/// The places of the items of a list that lies at a path of members, in the text.
pub fn spans(text: &str, path: &[&str]) -> Option<Vec<Range<usize>>> {
    let mut reader = Reader { text, at: 0 };
    for name in path {
        reader.space();
        reader.eat(b'{').ok()?;
        loop {
            reader.space();
            let found = reader.string().ok()?;
            reader.space();
            reader.eat(b':').ok()?;
            if found == **name {
                break;
            }
            reader.value(0).ok()?;
            reader.space();
            reader.eat(b',').ok()?;
        }
    }
    reader.space();
    reader.eat(b'[').ok()?;
    let mut items = Vec::new();
    loop {
        reader.space();
        if reader.eat(b']').is_ok() {
            return Some(items);
        }
        if !items.is_empty() {
            reader.eat(b',').ok()?;
            reader.space();
        }
        let from = reader.at;
        reader.value(0).ok()?;
        items.push(from..reader.at);
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if u32::from(c) < 0x20 => drop(write!(out, "\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Json, Unreadable> {
        Json::read(text.as_bytes())
    }

    #[test]
    fn numbers_keep_their_text_and_members_their_order() {
        let text = r#"{"b":1.50,"a":[1e2,-0],"b":null}"#;
        let json = read(text).unwrap();
        assert_eq!(json.write(), text);
        assert!(!json.is_plain());
        assert_eq!(json.get("b"), Some(&Json::Null));
    }

    #[test]
    fn what_is_no_json_is_not_read() {
        for text in ["", "{", "[1,]", "01", "1.", "+1", "\"\\ud800\"", "\"\u{1}\"", "{} x", "nul", "{\"a\" 1}", "-"] {
            assert_eq!(read(text), Err(Unreadable), "{text}");
        }
        assert_eq!(read("\"\\ud83d\\ude00\\/\""), Ok(Json::text("😀/")));
        assert_eq!(read(&"[".repeat(1_000_000)), Err(Unreadable));
    }

    #[test]
    fn values_are_compared_without_order_and_numbers_as_asked() {
        let (a, b) = (read(r#"{"a":[100.0],"b":1}"#).unwrap(), read(r#"{"b":1,"a":[1e2]}"#).unwrap());
        assert!(same(&a, &b, Numbers::ByValue));
        assert_eq!(first_difference(&a, &b, Numbers::ByText).unwrap(), ".a[0]: 100.0 is now 1e2");
        assert!(!same(&Json::number(9_007_199_254_740_993), &Json::number(9_007_199_254_740_992), Numbers::ByValue));
    }

    #[test]
    fn the_items_of_a_list_are_found_in_the_text() {
        let text = r#"{"x":[0],"r":{"o": [ {"a":1} , 2 ]}}"#;
        let found: Vec<&str> = spans(text, &["r", "o"]).unwrap().into_iter().map(|span| &text[span]).collect();
        assert_eq!(found, [r#"{"a":1}"#, "2"]);
        assert_eq!(spans("{\"r\":{}}", &["r", "o"]), None);
    }
}
