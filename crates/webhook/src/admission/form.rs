//! Borrowed parts of objects: what a view over the text is made of.
//!
//! As in Kubernetes' own decoders `null` is as good as nothing, and an object is no list.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// Text, borrowed where it holds no escapes; empty where it is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text<'a>(Cow<'a, str>);

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Cow<'de, str>;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(""))
            }
        }

        // Not `deserialize_str`: that refuses null.
        from.deserialize_any(Reader).map(Self)
    }
}

/// Labels or annotations, in the order of the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs<'a>(Vec<(Text<'a>, Text<'a>)>);

impl Pairs<'_> {
    /// The value of a key. Of several, the last counts, as in a map.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().rfind(|(present, _)| *present == key).map(|(_, value)| value)
    }

    /// All of them.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Vec<(Text<'de>, Text<'de>)>;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = from.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Vec::new())
            }
        }

        from.deserialize_any(Reader).map(Self)
    }
}

/// An object with the members of `T`; a derived `Deserialize` would also take them from a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Members<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = T;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, from: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(from))
            }
        }

        from.deserialize_map(Reader(PhantomData)).map(Self)
    }
}

/// Members of an object that must be there.
pub(crate) fn members<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    Members::deserialize(from).map(|Members(members)| members)
}

/// A list of objects; `null` is an empty one.
pub(crate) fn list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    let list: Option<Vec<Members<T>>> = Option::deserialize(from)?;
    Ok(list.into_iter().flatten().map(|Members(item)| item).collect())
}

/// Members of an object; `null` and an absent one are `T`'s default.
pub(crate) fn or_default<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    let members: Option<Members<T>> = Option::deserialize(from)?;
    Ok(members.map(|Members(members)| members).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(default)]
    struct Part<'a> {
        #[serde(borrow)]
        name: Text<'a>,
        #[serde(borrow)]
        labels: Pairs<'a>,
    }

    #[test]
    fn text_is_borrowed_unless_it_holds_escapes() {
        let part: Part<'_> = serde_json::from_str(r#"{"name":"web","labels":{"a":"b","c":"\"d\""}}"#).unwrap();
        assert!(matches!(part.name, Text(Cow::Borrowed("web"))));
        assert_eq!(part.labels.iter().collect::<Vec<_>>(), [("a", "b"), ("c", "\"d\"")]);
        let tree = json!({ "name": "web" });
        let part = <Part<'_> as serde::Deserialize>::deserialize(&tree).unwrap();
        assert!(matches!(part.name, Text(Cow::Borrowed("web"))));
    }

    #[test]
    fn null_is_as_good_as_nothing() {
        for text in [r#"{"name":null,"labels":null}"#, "{}"] {
            assert_eq!(serde_json::from_str::<Part<'_>>(text).unwrap(), Part::default());
        }
        let pairs: Pairs<'_> = serde_json::from_str(r#"{"a":null}"#).unwrap();
        assert_eq!(pairs.get("a"), Some(""));
    }

    #[test]
    fn of_equal_keys_the_last_counts() {
        let pairs: Pairs<'_> = serde_json::from_str(r#"{"a":"1","a":"2"}"#).unwrap();
        assert_eq!(pairs.get("a"), Some("2"));
    }

    #[test]
    fn another_form_is_refused_by_name() {
        for (object, want) in [
            (json!([]), "invalid type: sequence, expected an object"),
            (json!({ "name": 1 }), "invalid type: integer `1`, expected a string"),
            (json!({ "labels": [] }), "invalid type: sequence, expected an object of strings"),
            (json!({ "labels": { "a": {} } }), "invalid type: map, expected a string"),
        ] {
            let text = Value::to_string(&object);
            let err = serde_json::from_str::<Members<Part<'_>>>(&text).unwrap_err().to_string();
            assert!(err.starts_with(want), "{err}");
        }
    }
}
