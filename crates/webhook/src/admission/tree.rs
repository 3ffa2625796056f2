//! A tree of JSON as the text has it.
//!
//! With its feature `raw_value`, `serde_json` reads an object whose first member has a certain private name as something
//! else: it parses the string in that member, and so forth. A user's object must neither turn into another one nor get
//! round the limit of depth that way, so such a member is refused.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The name that `serde_json` gives its raw values.
const RESERVED: &str = "$serde_json::private::RawValue";

/// A value that holds no member of that name.
pub(super) struct Tree(pub(super) Value);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Tree(item)) = from.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = from.next_key::<String>()? {
            if name == RESERVED {
                return Err(A::Error::custom(format_args!("a member must not be named {RESERVED:?}")));
            }
            let Tree(value) = from.next_value()?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_tree_is_what_the_text_says(object in crate::testing::object()) {
            let Tree(read) = serde_json::from_str(&object.to_string()).unwrap();
            prop_assert_eq!(read, object);
        }
    }

    #[test]
    fn a_member_that_means_something_else_to_the_parser_is_refused_however_it_is_spelled() {
        for name in [RESERVED, "\\u0024serde_json::private::RawValue"] {
            for text in [format!(r#"{{"{name}":"[1]"}}"#), format!(r#"[{{"a":{{"b":1,"{name}":"[1]"}}}}]"#)] {
                assert!(serde_json::from_str::<Tree>(&text).is_err(), "{text}");
            }
        }
    }
}
