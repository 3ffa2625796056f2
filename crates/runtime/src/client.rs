//! The connection to the API server: where it is, how fast we may ask, and how a failed answer is worded.
//!
//! Sending is throttled and counted in `throttle.rs`. What to do about a failure is the caller's business.

use std::env;

use anyhow::Context;
use api::k8s::Projection;
use kube::api::GetParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Request;
use kube::{Client, Config};
use serde::de::DeserializeOwned;

use crate::flags::{ClientArgs, Limits};

mod fresh;
mod throttle;

pub(crate) use fresh::fresh_lists;

/// Connects as told: `--kubeconfig`, else `KUBECONFIG`, else the Pod's service account, else `~/.kube/config`.
/// `user_agent` is also what the API server shows as field manager where none is given (PL-33).
///
/// # Errors
/// No usable configuration was found, or it cannot be used. The server itself is not asked yet.
pub async fn connect(args: &ClientArgs, user_agent: &str, defaults: Limits) -> anyhow::Result<Client> {
    let mut config = find_config(args).await?;
    // Retries are ours: a lost answer to a write must not lead to a second write.
    config.default_retry = false;
    config.headers.push((http::header::USER_AGENT, user_agent.parse().context("user agent is not a header value")?));
    let namespace = config.default_namespace.clone();
    let host = config.cluster_url.authority().map(ToString::to_string).unwrap_or_default();
    let inner = Client::try_from(config).context("cannot use the cluster configuration")?;
    Ok(throttle::throttled(inner, namespace, host, args.limits(defaults)))
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
    let request = Request::new(url).get(name, &GetParams::default()).map_err(kube::Error::BuildRequest)?;
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
