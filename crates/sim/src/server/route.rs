//! What a URL means.

use super::failure::{Failure, Result};

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `/healthz`, `/livez`, `/readyz`.
    Health,
    /// `/version`.
    Version,
    /// `/api`.
    CoreVersions,
    /// `/apis`.
    Groups,
    /// `/apis/<group>`.
    Group(String),
    /// `/api/v1`, `/apis/<group>/<version>`.
    Resources {
        group: String,
        version: String,
    },
    Collection(Place),
    Object(Place),
}

/// A collection or an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) plural: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) subresource: String,
}

/// Reads a path.
///
/// # Errors
/// Fails where it means nothing.
pub(super) fn parse(path: &str) -> Result<Route> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        ["healthz" | "livez" | "readyz", ..] => Ok(Route::Health),
        ["version"] => Ok(Route::Version),
        ["api"] => Ok(Route::CoreVersions),
        ["apis"] => Ok(Route::Groups),
        ["apis", group] => Ok(Route::Group((*group).to_owned())),
        ["api", version] => Ok(Route::Resources { group: String::new(), version: (*version).to_owned() }),
        ["apis", group, version] => Ok(Route::Resources { group: (*group).to_owned(), version: (*version).to_owned() }),
        ["api", version, rest @ ..] => place("", version, rest),
        ["apis", group, version, rest @ ..] => place(group, version, rest),
        ["openapi", ..] => Err(Failure::not_simulated("OpenAPI documents")),
        ["version", ..] => Err(Failure::no_such_resource()),
        _ => Err(unknown()),
    }
}

/// The refusal of a path that means nothing: text, not a Status.
pub(super) fn unknown() -> Failure {
    Failure::new(404, "", "404 page not found")
}

fn place(group: &str, version: &str, rest: &[&str]) -> Result<Route> {
    let place = |namespace: &str, plural: &str, name: &str, subresource: &str| {
        let own = str::to_owned;
        let [group, version, plural] = [group, version, plural].map(own);
        let [namespace, name, subresource] = [namespace, name, subresource].map(own);
        Place { group, version, plural, namespace, name, subresource }
    };
    match rest {
        ["namespaces", name, sub @ ("status" | "finalize")] => Ok(Route::Object(place("", "namespaces", name, sub))),
        ["namespaces", namespace, plural] => Ok(Route::Collection(place(namespace, plural, "", ""))),
        ["namespaces", namespace, plural, name] => Ok(Route::Object(place(namespace, plural, name, ""))),
        ["namespaces", namespace, plural, name, sub] => Ok(Route::Object(place(namespace, plural, name, sub))),
        ["watch", ..] => Err(Failure::not_simulated("watches under /watch/")),
        [plural] => Ok(Route::Collection(place("", plural, "", ""))),
        [plural, name] => Ok(Route::Object(place("", plural, name, ""))),
        [plural, name, sub] => Ok(Route::Object(place("", plural, name, sub))),
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_collections_objects_and_their_parts() {
        let place = |text: &str| {
            let [group, version, namespace, plural, name, subresource] =
                <[&str; 6]>::try_from(text.split('|').collect::<Vec<_>>()).unwrap().map(str::to_owned);
            Place { group, version, plural, namespace, name, subresource }
        };
        for (path, route) in [
            ("/api/v1/pods", Route::Collection(place("|v1||pods||"))),
            ("/api/v1/namespaces/n/pods", Route::Collection(place("|v1|n|pods||"))),
            ("/api/v1/namespaces/n/pods/a/status", Route::Object(place("|v1|n|pods|a|status"))),
            ("/api/v1/namespaces/n", Route::Object(place("|v1||namespaces|n|"))),
            ("/api/v1/namespaces/n/finalize", Route::Object(place("|v1||namespaces|n|finalize"))),
            ("/apis/apps/v1/namespaces/n/deployments/d/scale", Route::Object(place("apps|v1|n|deployments|d|scale"))),
        ] {
            assert_eq!(parse(path), Ok(route), "{path}");
        }
        assert_eq!(parse("/nothing").unwrap_err().code, 404);
    }
}
