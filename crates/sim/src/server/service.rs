//! HTTP: a request becomes a call, an answer becomes a response.

use std::sync::Arc;

use http::{HeaderMap, Method, Request, Response, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Frame};
use serde_json::{Value, json};

use super::call::{Call, PatchFormat, Verb};
use super::core::Answer;
use super::failure::{Failure, Result};
use super::kind::{Kind, Resource};
use super::list::partial;
use super::metadata::put_at;
use super::query::Query;
use super::route::{self, Place, Route};
use super::watch::Watch;
use super::{Server, discovery};

/// Body of a response: whole, or the lines of a watch.
pub type Body = UnsyncBoxBody<Bytes, tower::BoxError>;

impl Server {
    /// Answers one HTTP request of this caller.
    pub async fn call(&self, caller: &str, request: Request<Vec<u8>>) -> Response<Body> {
        let answered = self.answer(caller, &request).await;
        answered.unwrap_or_else(|failure| refusal(&failure))
    }

    async fn answer(&self, caller: &str, request: &Request<Vec<u8>>) -> Result<Response<Body>> {
        let route = route::parse(request.uri().path())?;
        let mut query = Query::parse(request.uri().query().unwrap_or_default())?;
        query.partial = wants_partial(request.headers())?;
        let reads = request.method() == Method::GET;
        let document = match route {
            Route::Collection(place) => return self.collection(caller, request, place, query).await,
            Route::Object(place) => return self.object(caller, request, place, query).await,
            _ if !reads => return Err(Failure::method_not_allowed()),
            Route::Health => return Ok(response(200, Bytes::from_static(b"ok"), "text/plain; charset=utf-8")),
            Route::Version => discovery::version(),
            Route::CoreVersions => discovery::core_versions(),
            Route::Groups => discovery::groups(&self.shared.core.lock().kinds),
            Route::Group(group) => discovery::group(&self.shared.core.lock().kinds, &group)?,
            Route::Resources { group, version } => {
                discovery::resources(&self.shared.core.lock().kinds, &group, &version)?
            }
        };
        json_response(200, &document)
    }

    async fn collection(
        &self,
        caller: &str,
        request: &Request<Vec<u8>>,
        place: Place,
        query: Query,
    ) -> Result<Response<Body>> {
        let (resource, kind) = self.find(&place)?;
        match *request.method() {
            Method::GET if query.watch => {
                let watch = Watch::begin(&self.shared.core, resource, kind, &place.namespace, &query)?;
                let lines = futures::StreamExt::map(watch.lines(), |line| line.map(Frame::data));
                let body = StreamBody::new(lines).boxed_unsync();
                let mut response = Response::new(body);
                response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(JSON));
                Ok(response)
            }
            Method::GET => {
                let page = self.shared.core.lock().list(&resource, &kind, &place.namespace, &query)?;
                json_response(200, &page)
            }
            Method::POST if kind.namespaced && place.namespace.is_empty() => {
                Err(if resource.custom.is_some() { route::unknown() } else { Failure::method_not_allowed() })
            }
            Method::POST => {
                let mut call = self.of_place(Verb::Create, &resource, &place, &query);
                call.body = json_body(request)?;
                let answer = self.write(caller, &call).await?;
                shown(&answer, &query)
            }
            Method::DELETE => self.delete_collection(caller, request, &resource, &kind, place, query).await,
            _ => Err(Failure::method_not_allowed()),
        }
    }

    async fn object(
        &self,
        caller: &str,
        request: &Request<Vec<u8>>,
        place: Place,
        query: Query,
    ) -> Result<Response<Body>> {
        let (resource, _) = self.find(&place)?;
        let verb = match *request.method() {
            Method::GET => Verb::Get,
            Method::POST if !place.subresource.is_empty() => Verb::Create,
            Method::PUT => Verb::Update,
            Method::PATCH => Verb::Patch(patch_format(request.headers())?),
            Method::DELETE => Verb::Delete,
            _ => return Err(Failure::method_not_allowed()),
        };
        if query.watch {
            return Err(Failure::not_simulated("watch of a single object's path; select by metadata.name"));
        }
        let mut call = self.of_place(verb, &resource, &place, &query);
        call.body = match verb {
            Verb::Get => {
                let core = self.shared.core.lock();
                let (asked, current) = (query.version()?, core.store.version());
                if asked > current {
                    return Err(Failure::too_large_version(asked, current));
                }
                return shown(&core.get(&call)?, &query);
            }
            Verb::Delete => delete_options(request, &query)?,
            Verb::Patch(PatchFormat::Apply) => serde_json::from_slice(request.body())
                .map_err(|_| Failure::not_simulated("bodies of applies that are YAML and no JSON"))?,
            Verb::Patch(_) => serde_json::from_slice(request.body()).map_err(|err| unreadable(&err))?,
            Verb::Create | Verb::Update => json_body(request)?,
        };
        call.options.dry_run |= call.verb == Verb::Delete && is_dry(&call.body);
        shown(&self.write(caller, &call).await?, &query)
    }

    /// Deletes one by one what a list tells.
    async fn delete_collection(
        &self,
        caller: &str,
        request: &Request<Vec<u8>>,
        resource: &Arc<Resource>,
        kind: &Kind,
        place: Place,
        query: Query,
    ) -> Result<Response<Body>> {
        let page = self.shared.core.lock().list(resource, kind, &place.namespace, &query)?;
        let options = delete_options(request, &query)?;
        for object in &page.items {
            let (namespace, name) = super::store::place(object);
            let mut call = self.of_place(Verb::Delete, resource, &Place { namespace, name, ..place.clone() }, &query);
            call.body = options.clone();
            call.options.dry_run |= is_dry(&call.body);
            match self.write(caller, &call).await {
                // Somebody was faster.
                Err(failure) if failure.code == 404 => {}
                other => drop(other?),
            }
        }
        json_response(200, &page)
    }

    fn find(&self, place: &Place) -> Result<(Arc<Resource>, Kind)> {
        let core = self.shared.core.lock();
        let resource = core.kinds.at(&place.group, &place.version, &place.plural);
        let resource = resource
            .ok_or_else(|| if place.group.is_empty() { Failure::no_such_resource() } else { route::unknown() })?;
        let kind = resource.kind(&place.version).ok_or_else(route::unknown)?;
        if kind.namespaced && place.namespace.is_empty() && !place.name.is_empty() {
            return Err(Failure::no_such_resource());
        }
        if !kind.namespaced && !place.namespace.is_empty() {
            return Err(Failure::no_such_resource());
        }
        Ok((Arc::clone(resource), kind.clone()))
    }

    fn of_place(&self, verb: Verb, resource: &Resource, place: &Place, query: &Query) -> Call {
        let mut call = Call::new(verb, &resource.id).at(&place.namespace, &place.name).sub(&place.subresource);
        place.version.clone_into(&mut call.version);
        call.options = query.options.clone();
        call
    }
}

const JSON: &str = "application/json";

fn shown(answer: &Answer, query: &Query) -> Result<Response<Body>> {
    let is_object = answer.body.get("kind").and_then(Value::as_str) != Some("Status");
    if query.partial && is_object {
        return json_response(answer.code, &partial(&answer.body));
    }
    json_response(answer.code, &*answer.body)
}

fn json_response(code: u16, body: &impl serde::Serialize) -> Result<Response<Body>> {
    let mut bytes = Vec::with_capacity(2_048);
    serde_json::to_writer(&mut bytes, body).map_err(|err| Failure::new(500, "InternalError", err.to_string()))?;
    Ok(response(code, bytes.into(), JSON))
}

fn response(code: u16, body: Bytes, content_type: &'static str) -> Response<Body> {
    let mut response = Response::new(Full::new(body).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

fn refusal(failure: &Failure) -> Response<Body> {
    if *failure == route::unknown() {
        return response(404, Bytes::from_static(b"404 page not found\n"), "text/plain; charset=utf-8");
    }
    let mut response = response(failure.code, failure.status().to_string().into(), JSON);
    if let Some(seconds) = failure.details.get("retryAfterSeconds").and_then(Value::as_u64) {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(seconds));
    }
    response
}

fn unreadable(err: &serde_json::Error) -> Failure {
    Failure::bad_request(format!("the object provided is unrecognized (must be of type object): {err}"))
}

fn header_text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn media_type(headers: &HeaderMap) -> &str {
    header_text(headers, header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim()
}

fn json_body(request: &Request<Vec<u8>>) -> Result<Value> {
    match media_type(request.headers()) {
        "" | JSON | "*/*" => serde_json::from_slice(request.body()).map_err(|err| unreadable(&err)),
        other @ ("application/yaml" | "application/vnd.kubernetes.protobuf" | "application/cbor") => {
            Err(Failure::not_simulated(format!("bodies in {other}")))
        }
        _ => Err(unsupported("application/json, application/yaml, application/vnd.kubernetes.protobuf")),
    }
}

fn unsupported(accepted: &str) -> Failure {
    let message =
        format!("the body of the request was in an unknown format - accepted media types include: {accepted}");
    Failure::new(415, "UnsupportedMediaType", message)
}

fn patch_format(headers: &HeaderMap) -> Result<PatchFormat> {
    match media_type(headers) {
        "application/json-patch+json" => Ok(PatchFormat::Json),
        "application/merge-patch+json" => Ok(PatchFormat::Merge),
        "application/strategic-merge-patch+json" => Ok(PatchFormat::Strategic),
        "application/apply-patch+yaml" => Ok(PatchFormat::Apply),
        _ => {
            Err(unsupported("application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"))
        }
    }
}

/// Whether only metadata is accepted.
fn wants_partial(headers: &HeaderMap) -> Result<bool> {
    let accepted = header_text(headers, header::ACCEPT);
    let first = accepted.split(',').next().unwrap_or_default();
    let mut parts = first.split(';').map(str::trim);
    match parts.next().unwrap_or_default() {
        "" | JSON | "*/*" | "application/*" => {}
        other => {
            return Err(Failure::not_simulated(format!("answers in {other}")));
        }
    }
    let shape = parts.find_map(|part| part.strip_prefix("as="));
    match shape {
        None => Ok(false),
        Some("PartialObjectMetadata" | "PartialObjectMetadataList") => Ok(true),
        Some(other) => Err(Failure::not_simulated(format!("answers as {other}"))),
    }
}

/// DeleteOptions of the body and the query.
fn delete_options(request: &Request<Vec<u8>>, query: &Query) -> Result<Value> {
    let mut options = if request.body().is_empty() { json!({}) } else { json_body(request).map_err(undecoded)? };
    if !options.is_object() {
        return Err(Failure::bad_request("DeleteOptions must be an object"));
    }
    // As with kube-apiserver, a body counts instead of the query.
    if request.body().is_empty() {
        if let Some(grace) = query.grace {
            put_at(&mut options, &["gracePeriodSeconds"], json!(grace));
        }
        if !query.policy.is_empty() {
            put_at(&mut options, &["propagationPolicy"], json!(query.policy));
        }
    }
    Ok(options)
}

/// Options that cannot be read are said to be the server's fault.
fn undecoded(failure: Failure) -> Failure {
    if failure.code == 400 { Failure::new(500, "", failure.message) } else { failure }
}

fn is_dry(options: &Value) -> bool {
    options.get("dryRun").and_then(Value::as_array).is_some_and(|list| list.iter().any(|entry| entry == "All"))
}
