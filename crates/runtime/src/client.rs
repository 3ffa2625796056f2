//! The connection to the API server: where it is, how fast we may ask, and how a failed answer is worded.
//!
//! One pool of connections is shared by as many clients as there are parts that ask, each with a rate, a user agent and,
//! for those that act on the cluster, a leadership of its own (PL-33). How requests are sent is in `throttle.rs`, why
//! one has no answer in `failure.rs`. What to do about a failure is the caller's business.

use std::env;
use std::time::Duration;

use anyhow::Context;
use api::k8s::Projection;
use http::HeaderValue;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{GetParams, PartialObjectMeta};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Request;
use kube::{Client, Config};
use rules::write::Resource;
use serde::de::DeserializeOwned;

use crate::expectations::ObjectId;
use crate::flags::{ClientArgs, Limits};
use crate::informer::ObjectKey;
use crate::leader::Leadership;

mod failure;
mod fresh;
mod throttle;

pub use failure::{Failure, failure};
pub(crate) use fresh::fresh_lists;
pub(crate) use throttle::WholeAnswerWithin;

/// How long a read of one object may take; it has no lease to mind.
pub(crate) const SINGLE_READ: Duration = Duration::from_secs(10);

/// Connects as told: `--kubeconfig`, else `KUBECONFIG`, else the Pod's service account, else `~/.kube/config`.
/// `user_agent` is also what the API server shows as field manager where none is given (PL-33).
///
/// # Errors
/// No usable configuration was found, or it cannot be used. The server itself is not asked yet.
pub async fn connect(args: &ClientArgs, user_agent: &str, defaults: Limits) -> anyhow::Result<Client> {
    Ok(Connection::open(args, defaults).await?.client(user_agent))
}

/// One pool of connections; clones and all clients made from it share it.
#[derive(Clone)]
pub struct Connection {
    pool: Client,
    host: String,
    limits: Limits,
}

impl Connection {
    /// Finds the API server as [`connect`] does.
    ///
    /// # Errors
    /// As [`connect`].
    pub async fn open(args: &ClientArgs, defaults: Limits) -> anyhow::Result<Self> {
        let mut config = find_config(args).await?;
        // Retries are ours: a lost answer to a write must not lead to a second write.
        config.default_retry = false;
        let host = config.cluster_url.authority().map(ToString::to_string).unwrap_or_default();
        let pool = Client::try_from(config).context("cannot use the cluster configuration")?;
        Ok(Self { pool, host, limits: args.limits(defaults) })
    }

    /// Over a client that is there already, for tests and simulations: whatever answers it is the API server.
    #[must_use]
    pub fn over(pool: Client, limits: Limits) -> Self {
        Self { pool, host: "test".to_owned(), limits }
    }

    /// A client with a rate and a user agent of its own, for what every replica does: reads, events, election.
    #[must_use]
    pub fn client(&self, user_agent: &str) -> Client {
        self.throttled(user_agent, None)
    }

    /// A client with a rate and a user agent of its own that writes only while leadership is held.
    #[must_use]
    pub fn guarded(&self, user_agent: &str, leadership: &Leadership) -> Guarded {
        Guarded { client: self.throttled(user_agent, Some(leadership.clone())), leadership: leadership.clone() }
    }

    fn throttled(&self, user_agent: &str, leadership: Option<Leadership>) -> Client {
        // Ours are all plain text; whatever is not shows as the product.
        let agent = HeaderValue::from_str(user_agent).unwrap_or_else(|_| HeaderValue::from_static("kruise-rs"));
        throttle::throttled(self.pool.clone(), self.host.clone(), agent, self.limits, leadership)
    }
}

/// A client that is bound to a leadership: whatever is written through it, by whom and how late ever, is sent only while
/// this process leads, and has ended before another can.
#[derive(Clone)]
pub struct Guarded {
    client: Client,
    leadership: Leadership,
}

impl Guarded {
    /// The client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What it is bound to.
    #[must_use]
    pub fn leadership(&self) -> &Leadership {
        &self.leadership
    }
}

/// Builds requests for the objects of one resource in one namespace; `None` for cluster-scoped ones.
pub(crate) fn urls(resource: Resource, namespace: Option<&str>) -> Request {
    let Resource { group, version, plural, .. } = resource;
    let base = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
    Request::new(match namespace {
        Some(namespace) => format!("{base}/namespaces/{namespace}/{plural}"),
        None => format!("{base}/{plural}"),
    })
}

async fn find_config(args: &ClientArgs) -> anyhow::Result<Config> {
    let options = KubeConfigOptions::default();
    if !args.kubeconfig.is_empty() {
        let path = &args.kubeconfig;
        let file = Kubeconfig::read_from(path).with_context(|| format!("cannot read kubeconfig {path}"))?;
        return Config::from_custom_kubeconfig(file, &options).await.with_context(|| format!("cannot use {path}"));
    }
    if env::var_os("KUBECONFIG").is_some_and(|value| !value.is_empty()) {
        return Config::from_kubeconfig(&options).await.context("cannot use the file named by KUBECONFIG");
    }
    if env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        return Config::incluster_env().context("cannot use the Pod's service account");
    }
    Config::from_kubeconfig(&options)
        .await
        .context("no --kubeconfig, KUBECONFIG or service account, and no ~/.kube/config")
}

/// Reads one object live, as its projection; `None` where there is none.
///
/// # Errors
/// The server could not be asked, refused, or the object cannot be read.
pub async fn get<T>(client: &Client, namespace: &str, name: &str) -> kube::Result<Option<T>>
where
    T: Projection + DeserializeOwned,
{
    let namespace = (!namespace.is_empty()).then_some(namespace);
    let url = <T::Of as kube::Resource>::url_path(&(), namespace);
    let request = Request::new(url).get(name, &GetParams::default());
    read(client, request.map_err(kube::Error::BuildRequest)?).await
}

/// Metadata of an object as the server has it; `None` where it is not.
pub(crate) async fn live_metadata(client: &Client, object: &ObjectId) -> kube::Result<Option<ObjectMeta>> {
    let ObjectKey { namespace, name } = &object.key;
    let namespace = Some(namespace.as_str()).filter(|namespace| !namespace.is_empty());
    let request = urls(object.resource, namespace).get_metadata(name, &GetParams::default());
    let live: Option<PartialObjectMeta> = read(client, request.map_err(kube::Error::BuildRequest)?).await?;
    Ok(live.map(|live| live.metadata))
}

async fn read<T: DeserializeOwned>(client: &Client, mut request: http::Request<Vec<u8>>) -> kube::Result<Option<T>> {
    request.extensions_mut().insert(WholeAnswerWithin(SINGLE_READ));
    match client.request(request).await {
        Ok(object) => Ok(Some(object)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(err) => Err(err),
    }
}

/// A failed request in one line: what the server said, or why it said nothing.
#[must_use]
pub fn words(err: &kube::Error) -> String {
    match err {
        kube::Error::Api(status) if status.message.is_empty() => format!("{} ({})", status.reason, status.code),
        kube::Error::Api(status) => format!("{} ({} {})", status.message, status.code, status.reason),
        kube::Error::Service(cause) => chain(cause.as_ref()),
        other => chain(other),
    }
}

/// The messages of an error and its causes, each part once.
fn chain(err: &(dyn std::error::Error + 'static)) -> String {
    let mut text = err.to_string();
    let mut next = err.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        // Many libraries repeat the cause in their own message.
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
