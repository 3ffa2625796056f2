//! What is decoded of a list or watch: an object in its projection, and enough of it to go on when it cannot be read.
//!
//! Objects are decoded straight into their projection. Where one of a kind cannot be, the informer lists again with
//! [`Lenient`], which costs a copy of each object in memory while it is read, and hides nothing else: one bad object
//! must not stop the watch for all others.

use std::borrow::Cow;
use std::fmt::{self, Debug};

use kube::core::{DynamicResourceScope, ObjectMeta};
use kube::runtime::watcher::Event;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};
use serde_json::Value;

use super::{Cached, ObjectKey};

/// An object from the API server.
pub(super) enum Seen<T> {
    /// As it is.
    Object(T),
    /// It is there, but cannot be read.
    Unreadable {
        /// Which object.
        key: ObjectKey,
        /// Why.
        err: String,
    },
}

/// How objects are decoded.
pub(super) trait Wire<T>:
    kube::Resource<DynamicType = (), Scope = DynamicResourceScope> + Clone + Debug + DeserializeOwned + Send + 'static
{
    fn seen(self) -> Seen<T>;
}

/// The same event about what was seen.
pub(super) fn map<A, B>(event: Event<A>, seen: impl Fn(A) -> B) -> Event<B> {
    match event {
        Event::Apply(object) => Event::Apply(seen(object)),
        Event::Delete(object) => Event::Delete(seen(object)),
        Event::Init => Event::Init,
        Event::InitApply(object) => Event::InitApply(seen(object)),
        Event::InitDone => Event::InitDone,
    }
}

/// Gives a wrapper the identity of the kind that it wraps. kube's watcher reads the resourceVersion from `meta`.
macro_rules! wraps_kind {
    ($wrapper:ident) => {
        impl<T: Cached> kube::Resource for $wrapper<T> {
            type DynamicType = ();
            type Scope = DynamicResourceScope;
            fn kind(_: &()) -> Cow<'_, str> {
                <T::Of as kube::Resource>::kind(&())
            }
            fn group(_: &()) -> Cow<'_, str> {
                <T::Of as kube::Resource>::group(&())
            }
            fn version(_: &()) -> Cow<'_, str> {
                <T::Of as kube::Resource>::version(&())
            }
            fn plural(_: &()) -> Cow<'_, str> {
                <T::Of as kube::Resource>::plural(&())
            }
            fn meta(&self) -> &ObjectMeta {
                &self.meta
            }
            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.meta
            }
        }

        impl<T: Cached> Debug for $wrapper<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($wrapper))
                    .field("version", &self.meta.resource_version)
                    .finish_non_exhaustive()
            }
        }
    };
}

/// Decodes into the projection; one object that does not fit fails the whole answer.
#[derive(Clone)]
pub(super) struct Strict<T> {
    meta: ObjectMeta,
    object: T,
}
wraps_kind!(Strict);

impl<'de, T: Cached> Deserialize<'de> for Strict<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let object = T::deserialize(from)?;
        Ok(Self { meta: of_version(&object.metadata().resource_version), object })
    }
}

impl<T: Cached> Wire<T> for Strict<T> {
    fn seen(self) -> Seen<T> {
        Seen::Object(self.object)
    }
}

/// Decodes into JSON first, so that an object that does not fit can be named and left out.
#[derive(Clone)]
pub(super) struct Lenient<T> {
    meta: ObjectMeta,
    object: Result<T, (ObjectKey, String)>,
}
wraps_kind!(Lenient);

impl<'de, T: Cached> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let key = ObjectKey::new(text("/metadata/namespace"), text("/metadata/name"));
        let meta = of_version(text("/metadata/resourceVersion"));
        let object = T::deserialize(value).map_err(|err| (key, err.to_string()));
        Ok(Self { meta, object })
    }
}

impl<T: Cached> Wire<T> for Lenient<T> {
    fn seen(self) -> Seen<T> {
        match self.object {
            Ok(object) => Seen::Object(object),
            Err((key, err)) => Seen::Unreadable { key, err },
        }
    }
}

fn of_version(version: &str) -> ObjectMeta {
    ObjectMeta { resource_version: Some(version.to_owned()), ..ObjectMeta::default() }
}
