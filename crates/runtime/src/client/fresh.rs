//! Streamed lists as of now.
//!
//! kube asks for a streamed list from version 0, "any": an API server that is behind another may answer with less than
//! what was seen before, which would look like deletions. Without a version the list is as of now.

use http::{Request, Uri};
use kube::Client;
use kube::client::Body;

/// A client whose streamed lists are as of now.
pub(crate) fn fresh_lists(client: Client) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = tower::service_fn(move |mut request: Request<Body>| {
        if let Some(fresh) = fresh(request.uri()) {
            *request.uri_mut() = fresh;
        }
        let client = client.clone();
        async move { client.send(request).await }
    });
    Client::new(service, namespace)
}

fn fresh(asked: &Uri) -> Option<Uri> {
    let text = asked.to_string();
    if !text.contains("sendInitialEvents=true") {
        return None;
    }
    text.strip_suffix("&resourceVersion=0")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_streamed_list_loses_its_version() {
        for (asked, sent) in [
            (
                "/api/v1/pods?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=0",
                Some("/api/v1/pods?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"),
            ),
            ("/api/v1/pods?watch=true&resourceVersion=0", None),
            ("/api/v1/pods?watch=true&sendInitialEvents=true&resourceVersion=07", None),
        ] {
            assert_eq!(fresh(&asked.parse().unwrap()).map(|uri| uri.to_string()).as_deref(), sent, "{asked}");
        }
    }
}
