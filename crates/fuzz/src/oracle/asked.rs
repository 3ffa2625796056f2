//! The question, as far as it can be understood in one way only.

use crate::json::Json;

/// Deeper reviews may be refused as too deep; what is this deep or less must be read.
pub(super) const DEPTH: usize = 100;

/// A question about an object.
pub(super) struct Asked<'a> {
    /// The whole review.
    pub(super) review: &'a Json,
    pub(super) operation: &'a str,
    pub(super) resource: &'a str,
    /// The version of the resource.
    pub(super) version: &'a str,
    pub(super) sub_resource: &'a str,
    /// The object; none where it is null.
    pub(super) object: Option<&'a Json>,
    /// The stored object; none where it is null.
    pub(super) old: Option<&'a Json>,
}

/// The review, if every reader must understand it in the same way. `None` for all that may be answered with 4xx.
pub(super) fn read(body: &[u8]) -> Option<Json> {
    let review = plain(body)?;
    Asked::of(&review).is_some().then_some(review)
}

/// A value that every reader reads, and reads alike.
pub(super) fn plain(body: &[u8]) -> Option<Json> {
    let value = Json::read(body).ok()?;
    (value.is_plain() && value.depth() <= DEPTH).then_some(value)
}

impl<'a> Asked<'a> {
    pub(super) fn of(review: &'a Json) -> Option<Self> {
        let version = review.get("apiVersion")?.as_text()?;
        let known = ["admission.k8s.io/v1", "admission.k8s.io/v1beta1"].contains(&version)
            && review.get("kind")?.as_text()? == "AdmissionReview";
        let request = review.get("request").filter(|request| known && request.is_object())?;
        request.get("uid")?.as_text()?;
        // Texts that kube-apiserver always sends; what is none of them need not be understood.
        let text = |path: &[&str]| match request.at(path) {
            None => Some(""),
            Some(found) => found.as_text(),
        };
        for parts in [["kind", "group", "version", "kind"], ["resource", "group", "version", "resource"]] {
            let [outer, inner @ ..] = parts;
            request.get(outer).is_none_or(Json::is_object).then_some(())?;
            inner.into_iter().try_for_each(|name| text(&[outer, name]).map(drop))?;
        }
        request.get("userInfo").is_none_or(Json::is_object).then_some(())?;
        for name in ["username", "uid"] {
            text(&["userInfo", name])?;
        }
        text(&["name"])?;
        text(&["namespace"])?;
        matches!(request.get("dryRun"), None | Some(Json::Bool(_))).then_some(())?;
        let operation = text(&["operation"])?;
        ["CREATE", "UPDATE", "DELETE", "CONNECT"].contains(&operation).then_some(())?;
        Some(Self {
            review,
            operation,
            resource: text(&["resource", "resource"])?,
            version: text(&["resource", "version"])?,
            sub_resource: text(&["subResource"])?,
            object: request.some("object"),
            old: request.some("oldObject"),
        })
    }
}
