//! Labels or annotations of a cached object: a sorted list, a third of what a tree map takes.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};

use super::text::{Shared, Text, share};

/// Keys with their values, sorted by key, each key once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs(Box<[(Text, Text)]>);

impl Pairs {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Text> {
        let at = self.0.binary_search_by(|(held, _)| held.as_str().cmp(key)).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// Whether a key is there.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// All pairs, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&Text, &Text)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets the value of a key. Takes time in proportion to all pairs.
    pub fn insert(&mut self, key: &str, value: &str) {
        let mut pairs = std::mem::take(&mut self.0).into_vec();
        pairs.retain(|(held, _)| held != key);
        pairs.push((share(key), share(value)));
        *self = pairs.into_iter().collect();
    }
}

impl FromIterator<(Text, Text)> for Pairs {
    /// Of several values of one key the last counts, as in JSON.
    fn from_iter<I: IntoIterator<Item = (Text, Text)>>(pairs: I) -> Self {
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.reverse();
        pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
        pairs.dedup_by(|(later, _), (kept, _)| later == kept);
        Self(pairs.into_boxed_slice())
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::read(from, |_| true)
    }
}

impl Pairs {
    /// Reads the pairs whose key is wanted; `null` reads as none.
    pub(super) fn read<'de, D: Deserializer<'de>>(from: D, wanted: fn(&str) -> bool) -> Result<Self, D::Error> {
        struct Map(fn(&str) -> bool);
        impl<'de> Visitor<'de> for Map {
            type Value = Pairs;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of strings")
            }
            fn visit_unit<E>(self) -> Result<Pairs, E> {
                Ok(Pairs::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(Shared(key)) = map.next_key()? {
                    if (self.0)(&key) {
                        let Shared(value) = map.next_value()?;
                        pairs.push((key, value));
                    } else {
                        map.next_value::<serde::de::IgnoredAny>()?;
                    }
                }
                Ok(pairs.into_iter().collect())
            }
        }
        from.deserialize_any(Map(wanted))
    }
}

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.iter().map(|(key, value)| (key.as_str(), value.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pairs_read_and_write_as_a_map() {
        let map = json!({"b": "2", "a": "1", "c": ""});
        let pairs: Pairs = serde_json::from_value(map.clone()).unwrap();
        assert_eq!(pairs.get("b").map(Text::as_str), Some("2"));
        assert_eq!(pairs.get("d"), None);
        assert_eq!(serde_json::to_value(&pairs).unwrap(), map);
        assert_eq!(serde_json::from_str::<Pairs>("null").unwrap(), Pairs::default());
        let twice: Pairs = serde_json::from_str(r#"{"a": "1", "a": "2"}"#).unwrap();
        assert_eq!(twice, serde_json::from_value(json!({"a": "2"})).unwrap());
    }

    #[test]
    fn inserting_replaces() {
        let mut pairs = Pairs::default();
        for (key, value) in [("b", "1"), ("a", "1"), ("b", "2")] {
            pairs.insert(key, value);
        }
        assert_eq!(serde_json::to_value(&pairs).unwrap(), json!({"a": "1", "b": "2"}));
    }
}
