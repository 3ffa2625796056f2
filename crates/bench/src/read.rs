//! The measure for `bench sync`: a program that asks for what the manager asks for, with the same client, and throws it
//! away. What it needs is the price of the bytes alone.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, ValueEnum};
use futures::{StreamExt as _, future::try_join_all};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use kube::core::Request;
use kube::core::params::{ListParams, WatchParams};
use runtime::client;
use runtime::flags::{ClientArgs, Limits};

use crate::server::kinds::Kind;

/// The page size of the manager's informers.
const PAGE: u32 = 500;
/// The head of a page, in which the token of the next one stands, is shorter than this.
const HEAD: usize = 512;
/// The bookmark at the end of a list by watch is shorter than this; a Node's names all of its empty fields.
const TAIL: usize = 2_048;

/// How a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Strategy {
    /// Page by page.
    Paged,
    /// As the beginning of a watch.
    Streaming,
}

impl Strategy {
    /// Its name on the command line and in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Paged => "paged",
            Self::Streaming => "streaming",
        }
    }
}

/// What to read.
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[arg(long)]
    kubeconfig: PathBuf,
    #[arg(long, value_enum)]
    strategy: Strategy,
}

/// Reads everything that the manager caches, once, and says how many bytes that was.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let args = ClientArgs { kubeconfig: options.kubeconfig.display().to_string(), ..ClientArgs::default() };
    let client = client::connect(&args, "kruise-manager", Limits::MANAGER).await?;
    client.apiserver_version().await.context("read the version of the API server")?;
    let reads = Kind::WATCHED.into_iter().map(|kind| {
        let (client, all) = (client.clone(), Request::new(kind.names().path()));
        async move {
            match options.strategy {
                Strategy::Paged => pages(&client, &all).await,
                Strategy::Streaming => stream(&client, &all).await,
            }
        }
    });
    let bytes: usize = try_join_all(reads).await?.into_iter().sum();
    writeln!(std::io::stdout(), "{bytes}").context("say how much was read")
}

async fn pages(client: &Client, all: &Request) -> Result<usize> {
    let (mut token, mut bytes): (Option<String>, _) = (None, 0);
    loop {
        let params = ListParams { limit: Some(PAGE), continue_token: token, ..ListParams::default() };
        let mut head = Vec::with_capacity(HEAD);
        let mut body = send(client, all.list(&params)?).await?.into_data_stream();
        while let Some(piece) = body.next().await {
            let piece = piece?;
            bytes += piece.len();
            head.extend(piece.iter().take(HEAD - head.len()));
        }
        token = next_page(&String::from_utf8_lossy(&head));
        if token.is_none() {
            return Ok(bytes);
        }
    }
}

/// The token of the next page, which stands in the metadata, ahead of the items.
fn next_page(head: &str) -> Option<String> {
    let (metadata, _) = head.split_once("\"items\"")?;
    let (_, rest) = metadata.split_once("\"continue\":\"")?;
    rest.split_once('"').map(|(token, _)| token.to_owned())
}

async fn stream(client: &Client, all: &Request) -> Result<usize> {
    // Without a version, as the manager asks: what is there now, not what a cache happens to hold.
    let request = all.watch(&WatchParams::default().initial_events(), "")?;
    let mut body = send(client, request).await?.into_data_stream();
    let (mut tail, mut bytes): (Vec<u8>, _) = (Vec::with_capacity(2 * TAIL), 0);
    while let Some(piece) = body.next().await {
        let piece = piece?;
        bytes += piece.len();
        tail.extend_from_slice(piece.get(piece.len().saturating_sub(TAIL)..).unwrap_or_default());
        tail.drain(..tail.len().saturating_sub(TAIL));
        // Nothing changes while this runs: the bookmark is the last thing that is sent.
        if tail.ends_with(b"}\n") && String::from_utf8_lossy(&tail).contains("\"k8s.io/initial-events-end\"") {
            return Ok(bytes);
        }
    }
    anyhow::bail!("the watch ended before its list did")
}

async fn send(client: &Client, request: http::Request<Vec<u8>>) -> Result<Body> {
    let response = client.send(request.map(Body::from)).await?;
    ensure!(response.status().is_success(), "the API server answers {}", response.status());
    Ok(response.into_body())
}

#[cfg(test)]
mod tests {
    use super::next_page;

    #[test]
    fn the_next_page_is_named_ahead_of_the_items() {
        let head = r#"{"kind":"PodList","metadata":{"resourceVersion":"7","continue":"7:a/b"},"items":[{"#;
        assert_eq!(next_page(head).as_deref(), Some("7:a/b"));
        assert_eq!(next_page(r#"{"metadata":{},"items":[{"x":{"continue":"no"}"#), None);
    }
}
