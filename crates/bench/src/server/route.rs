//! From a URL to what is asked for.

use http::Uri;

use super::kinds::{Kind, Scope};
use crate::objects::Key;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `/version`.
    Version,
    /// `/api`.
    CoreVersions,
    /// `/apis`.
    Groups,
    /// `/api/v1` and `/apis/<group>/<version>`.
    Resources { group: String, version: String },
    /// All objects of a kind, in a namespace or in all.
    Collection { kind: Kind, namespace: Option<String> },
    /// One object, or its status.
    Object { kind: Kind, key: Key, part: Part },
}

/// Which part of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Main,
    Status,
}

impl Target {
    /// Reads a path.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        match segments.as_slice() {
            ["version"] => Some(Self::Version),
            ["api"] => Some(Self::CoreVersions),
            ["apis"] => Some(Self::Groups),
            ["api", version, rest @ ..] => Self::within("", version, rest),
            ["apis", group, version, rest @ ..] => Self::within(group, version, rest),
            _ => None,
        }
    }

    fn within(group: &str, version: &str, rest: &[&str]) -> Option<Self> {
        let (namespace, rest) = match rest {
            [] => return Some(Self::Resources { group: group.to_owned(), version: version.to_owned() }),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some((*namespace).to_owned()), rest),
            rest => (None, rest),
        };
        let (plural, rest) = rest.split_first()?;
        let kind = Kind::find(group, version, plural)?;
        let object = |name: &str, part| {
            let in_place = namespace.is_some() == (kind.names().scope == Scope::Namespaced);
            in_place.then(|| Self::Object { kind, key: Key::new(namespace.clone().unwrap_or_default(), name), part })
        };
        match rest {
            [] => Some(Self::Collection { kind, namespace }),
            [name] => object(name, Part::Main),
            [name, "status"] => object(name, Part::Status),
            _ => None,
        }
    }
}

/// What stands behind the question mark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) watch: bool,
    pub(crate) limit: Option<usize>,
    pub(crate) after: Option<Token>,
    pub(crate) resource_version: Option<String>,
    pub(crate) version_match: Option<String>,
    pub(crate) label_selector: Option<String>,
    pub(crate) field_selector: Option<String>,
    pub(crate) bookmarks: bool,
    pub(crate) initial_events: bool,
    pub(crate) timeout_seconds: Option<u64>,
}

/// Where the next page begins: behind a key, in a list that began at a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) version: u64,
    pub(crate) after: Key,
}

impl Token {
    /// As it is sent.
    pub(crate) fn text(&self) -> String {
        format!("{}:{}/{}", self.version, self.after.namespace, self.after.name)
    }

    fn read(text: &str) -> Option<Self> {
        let (version, key) = text.split_once(':')?;
        let (namespace, name) = key.split_once('/')?;
        Some(Self { version: version.parse().ok()?, after: Key::new(namespace, name) })
    }
}

impl Query {
    /// Reads what is known of a query; `Err` names the member that cannot be read.
    pub(crate) fn of(uri: &Uri) -> Result<Self, String> {
        let mut query = Self::default();
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            let malformed = || format!("{name} cannot be read: {value}");
            let text = || Some(value.to_string()).filter(|value| !value.is_empty());
            let is_set = matches!(&*value, "true" | "1");
            match &*name {
                "watch" => query.watch = is_set,
                "allowWatchBookmarks" => query.bookmarks = is_set,
                "sendInitialEvents" => query.initial_events = is_set,
                "limit" => query.limit = Some(value.parse().map_err(|_| malformed())?).filter(|limit| *limit > 0),
                "timeoutSeconds" => query.timeout_seconds = Some(value.parse().map_err(|_| malformed())?),
                "continue" => {
                    query.after = text().map(|text| Token::read(&text).ok_or_else(malformed)).transpose()?;
                }
                "resourceVersion" => query.resource_version = text(),
                "resourceVersionMatch" => query.version_match = text(),
                "labelSelector" => query.label_selector = text(),
                "fieldSelector" => query.field_selector = text(),
                _ => {}
            }
        }
        Ok(query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_what_is_asked_for() {
        let pods =
            |namespace: Option<&str>| Target::Collection { kind: Kind::Pod, namespace: namespace.map(Into::into) };
        let status = Target::Object { kind: Kind::CloneSet, key: Key::new("shop", "web"), part: Part::Status };
        for (path, target) in [
            ("/version", Some(Target::Version)),
            ("/api/v1", Some(Target::Resources { group: String::new(), version: "v1".to_owned() })),
            ("/api/v1/pods", Some(pods(None))),
            ("/api/v1/namespaces/shop/pods", Some(pods(Some("shop")))),
            ("/apis/apps.kruise.io/v1beta1/namespaces/shop/clonesets/web/status", Some(status)),
            ("/api/v1/pods/web", None),
            ("/api/v1/secrets", None),
        ] {
            assert_eq!(Target::of(path), target, "{path}");
        }
    }

    #[test]
    fn a_token_comes_back_as_it_was_sent() {
        let token = Token { version: 7, after: Key::new("team-01", "web-00001-bbbbc") };
        let uri: Uri = "/api/v1/pods?&limit=500&continue=7%3Ateam-01%2Fweb-00001-bbbbc".parse().unwrap();
        let query = Query::of(&uri).unwrap();
        assert_eq!(query.after.as_ref().map(Token::text), Some(token.text()));
        assert_eq!((query.after, query.limit), (Some(token), Some(500)));
        assert!(Query::of(&"/x?limit=many".parse().unwrap()).is_err());
    }
}
