//! What a request is about, as far as faults care.

use http::Request;

use super::is_write;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// `pods`, `clonesets.apps.kruise.io`.
    pub(super) resource: String,
    pub(super) traffic: Traffic,
}

/// Sorts of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Traffic {
    /// Changes an object: what faults are counted by.
    Write,
    /// Concerns a Lease.
    Election,
    /// Reports an event.
    Event,
    /// Lists a kind.
    List,
    /// Watches one.
    Watch {
        /// Whether the list comes first.
        streams_list: bool,
    },
    /// Reads anything else.
    Read,
}

impl Route {
    /// `None` for a path of no API.
    pub(super) fn of(request: &Request<Vec<u8>>) -> Option<Self> {
        let mut parts = request.uri().path().trim_matches('/').split('/');
        let group = match parts.next()? {
            "api" => "",
            "apis" => parts.next()?,
            // `/version` and the like.
            other => return Some(Self { resource: other.to_owned(), traffic: Traffic::Read }),
        };
        let _version = parts.next();
        let rest: Vec<&str> = parts.collect();
        let (plural, name) = match rest.as_slice() {
            ["namespaces", _, plural, rest @ ..] => (*plural, rest.first()),
            [plural, rest @ ..] => (*plural, rest.first()),
            [] => ("", None),
        };
        let resource = if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
        let has = |word: &str| request.uri().query().is_some_and(|query| query.contains(word));
        let traffic = match (resource.as_str(), is_write(request.method()), name) {
            ("leases.coordination.k8s.io", ..) => Traffic::Election,
            ("events", true, _) => Traffic::Event,
            (_, true, _) => Traffic::Write,
            (_, _, Some(_)) => Traffic::Read,
            _ if plural.is_empty() => Traffic::Read,
            _ if has("watch=true") => Traffic::Watch { streams_list: has("sendInitialEvents=true") },
            _ => Traffic::List,
        };
        Some(Self { resource, traffic })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_told_by_method_path_and_query() {
        let watch = Traffic::Watch { streams_list: false };
        for (method, uri, resource, traffic) in [
            ("GET", "/api/v1/pods?watch=true&resourceVersion=7", "pods", watch),
            ("GET", "/api/v1/pods?limit=500", "pods", Traffic::List),
            ("GET", "/api/v1/namespaces/sim/pods/web-1", "pods", Traffic::Read),
            ("PATCH", "/api/v1/namespaces/sim/pods/web-1/status", "pods", Traffic::Write),
            ("POST", "/api/v1/namespaces/sim/events", "events", Traffic::Event),
            (
                "PUT",
                "/apis/coordination.k8s.io/v1/namespaces/k/leases/m",
                "leases.coordination.k8s.io",
                Traffic::Election,
            ),
            (
                "DELETE",
                "/apis/apps.kruise.io/v1beta1/namespaces/sim/clonesets/web",
                "clonesets.apps.kruise.io",
                Traffic::Write,
            ),
            ("GET", "/apis/apps.kruise.io/v1beta1", ".apps.kruise.io", Traffic::Read),
            ("GET", "/version", "version", Traffic::Read),
        ] {
            let request = Request::builder().method(method).uri(uri).body(Vec::new()).unwrap();
            let want = Route { resource: resource.to_owned(), traffic };
            assert_eq!(Route::of(&request), Some(want), "{method} {uri}");
        }
    }
}
