//! What server-side apply has to know of a value: who owns what of a map or a list.
//!
//! A node of the type is either native (from `table`), from the schema of a custom resource, or deduced from the value:
//! maps are owned field by field, lists and everything else whole.

use serde_json::{Map, Value};

use super::table::{self, Applied, Field, List, Struct};
use crate::server::failure::{Failure, Result};

/// The type of an object in one version.
#[derive(Clone, Copy, Debug)]
pub struct Types<'a> {
    /// `v1`, `apps/v1`.
    pub api_version: &'a str,
    /// Kind.
    pub kind: &'a str,
    pub(crate) root: Node<'a>,
    /// Whether the status is written apart from the rest.
    pub(crate) status: bool,
}

/// One node.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Node<'a> {
    /// A map of the API with its fields.
    Native(&'static Struct),
    /// A list of the API.
    NativeList(&'static List),
    /// A map that is owned whole.
    Whole,
    /// A custom resource.
    Root(&'a Value),
    /// A part of one; whether unknown fields are kept below it.
    Schema(&'a Value, bool),
    /// Nothing is known.
    Deduced,
}

/// How a list is owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Items<'a> {
    Whole,
    Set,
    By(Vec<&'a str>),
}

/// A field's type, and whether the map around it names the field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Child<'a> {
    pub(crate) node: Node<'a>,
    pub(crate) declared: bool,
}

impl<'a> Types<'a> {
    /// A native kind.
    ///
    /// # Errors
    /// 501 where the table does not know it.
    pub fn native(api_version: &'a str, kind: &'a str) -> Result<Self> {
        let Some(of) = table::kind(kind) else {
            return Err(Failure::not_simulated(format_args!("fields of {kind}")));
        };
        let status = of.field("status").is_some();
        Ok(Self { api_version, kind, root: Node::Native(of), status })
    }

    /// A custom kind: `openAPIV3Schema` of its version, and whether it has a status subresource.
    #[must_use]
    pub fn custom(api_version: &'a str, kind: &'a str, schema: &'a Value, status: bool) -> Self {
        Self { api_version, kind, root: Node::Root(schema), status }
    }

    /// An object of this type with nothing in it.
    pub(crate) fn empty(&self) -> Value {
        let mut map = Map::new();
        if matches!(self.root, Node::Root(_)) {
            map.insert("apiVersion".to_owned(), self.api_version.into());
            map.insert("kind".to_owned(), self.kind.into());
        }
        Value::Object(map)
    }
}

impl<'a> Node<'a> {
    /// The field of a map; `None` where the schema does not allow it.
    pub(crate) fn field(self, name: &str) -> Option<Child<'a>> {
        let declared = |node| Some(Child { node, declared: true });
        match self {
            Self::Native(of) => declared(match of.field(name) {
                Some(Field::Is(of) | Field::Always(of)) => Self::Native(of),
                Some(Field::Whole | Field::Replaced) => Self::Whole,
                Some(Field::List(list)) => Self::NativeList(list),
                None => Self::Native(&table::PLAIN),
            }),
            Self::Root(schema) => match name {
                "apiVersion" | "kind" => declared(Self::Deduced),
                "metadata" => declared(Self::Native(&table::META)),
                _ => Self::Schema(schema, false).field(name),
            },
            Self::Schema(schema, kept) => schema_field(schema, kept, name),
            Self::NativeList(_) | Self::Whole | Self::Deduced => Some(Child { node: Self::Deduced, declared: false }),
        }
    }

    /// The items of a list.
    pub(crate) fn item(self) -> Self {
        match self {
            Self::NativeList(list) if list.item.is_whole() => Self::Whole,
            Self::NativeList(list) => Self::Native(list.item),
            Self::Schema(schema, kept) => {
                schema.get("items").map_or(Self::Deduced, |items| Self::Schema(items, kept || keeps_unknown(schema)))
            }
            _ => Self::Deduced,
        }
    }

    /// Whether a map here is one value.
    pub(crate) fn whole_map(self) -> bool {
        match self {
            Self::Whole => true,
            Self::Schema(schema, _) => text(schema, "x-kubernetes-map-type") == Some("atomic"),
            _ => false,
        }
    }

    /// How a list here is owned.
    pub(crate) fn items(self) -> Items<'a> {
        match self {
            Self::NativeList(list) => match list.applied {
                Applied::Whole => Items::Whole,
                Applied::Set => Items::Set,
                Applied::By(keys) => Items::By(keys.to_vec()),
            },
            Self::Schema(schema, _) => match text(schema, "x-kubernetes-list-type") {
                Some("set") => Items::Set,
                Some("map") => {
                    let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
                    Items::By(keys.into_iter().flatten().filter_map(Value::as_str).collect())
                }
                _ => Items::Whole,
            },
            _ => Items::Whole,
        }
    }

    /// What an item without this key field is taken to have in it.
    pub(crate) fn key_default(self, key: &str) -> Option<Value> {
        match self {
            Self::NativeList(_) => Some(match key {
                "protocol" => "TCP".into(),
                "port" | "containerPort" => 0.into(),
                _ => "".into(),
            }),
            Self::Schema(schema, _) => schema.get("items")?.get("properties")?.get(key)?.get("default").cloned(),
            _ => None,
        }
    }

    /// Fields that are there even where they are not written, and whether they are null then.
    pub(crate) fn always(self) -> impl Iterator<Item = (&'static str, bool)> {
        let of = if let Self::Native(of) = self { Some(of) } else { None };
        of.into_iter().flat_map(Struct::always)
    }

    /// The type that a schema wants of a value, where it says so.
    pub(crate) fn wanted(self) -> Option<&'a str> {
        match self {
            Self::Native(of) if !of.is_plain() => Some("object"),
            Self::NativeList(_) => Some("array"),
            Self::Whole | Self::Root(_) => Some("object"),
            Self::Schema(schema, _) => text(schema, "type"),
            Self::Native(_) | Self::Deduced => None,
        }
    }
}

fn schema_field<'a>(schema: &'a Value, kept: bool, name: &str) -> Option<Child<'a>> {
    let kept = kept || keeps_unknown(schema);
    let properties = schema.get("properties").and_then(Value::as_object);
    if let Some(field) = properties.and_then(|properties| properties.get(name)) {
        return Some(Child { node: Node::Schema(field, kept), declared: true });
    }
    if schema.get("x-kubernetes-embedded-resource") == Some(&Value::Bool(true)) {
        match name {
            "metadata" => return Some(Child { node: Node::Native(&table::META), declared: true }),
            "apiVersion" | "kind" => return Some(Child { node: Node::Deduced, declared: true }),
            _ => {}
        }
    }
    let node = match schema.get("additionalProperties") {
        Some(values @ Value::Object(_)) => Node::Schema(values, kept),
        Some(Value::Bool(true)) => Node::Deduced,
        None if kept || properties.is_none_or(Map::is_empty) => Node::Deduced,
        _ => return None,
    };
    Some(Child { node, declared: false })
}

fn keeps_unknown(schema: &Value) -> bool {
    schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true))
}

fn text<'v>(schema: &'v Value, name: &str) -> Option<&'v str> {
    schema.get(name).and_then(Value::as_str)
}
