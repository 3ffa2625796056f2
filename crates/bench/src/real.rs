//! kube-apiserver with etcd instead of the stand-in: no scheduler, no kubelets, so that objects stay as they are put in.
//!
//! It serves far slower than the stand-in, as in a cluster: what is measured against it is what an operator waits for.
//! What it holds and how that gets there is `fill.rs`.

mod fill;

use std::ops::Range;
use std::path::Path;

use anyhow::{Context as _, Result};
use e2e::apiserver::ApiServer;
use e2e::manifests;
use http::Request;
use kube::Client;

use crate::harness::{Server, sample};
use crate::objects::pods::Layout;
use crate::server::Streaming;

/// A running kube-apiserver with its etcd; both end when this is dropped.
pub(crate) struct RealServer {
    api: ApiServer,
    client: Client,
}

impl RealServer {
    /// Starts one that holds the definitions of the product, a webhook that seems to answer, and no Pods.
    pub(crate) async fn start(streaming: Streaming) -> Result<Self> {
        let flags: &[&str] = match streaming {
            Streaming::Offered => &[],
            Streaming::Refused => &["--feature-gates=WatchList=false"],
        };
        let api = ApiServer::start_with(flags).await?;
        let client = api.client().await?;
        fill::installation(&client).await.context("install the definitions")?;
        Ok(Self { api, client })
    }

    /// Its version, as in `v1.34.4`.
    pub(crate) async fn version(&self) -> Result<String> {
        Ok(self.client.apiserver_version().await?.git_version)
    }

    /// Adds the webhook configurations as an installation leaves them: their entries wait for a webhook.
    pub(crate) async fn admission(&self) -> Result<()> {
        let configurations = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];
        self.api.kubectl().apply(&manifests::of_kinds(&configurations)?).await.map(drop)
    }

    /// Creates CloneSets that want no Pods.
    pub(crate) async fn clonesets(&self, which: Range<u32>) -> Result<()> {
        fill::clonesets(&self.client, which).await
    }

    /// A client with all rights.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Creates Pods and Nodes and reports their status.
    pub(crate) async fn fill(&self, layout: Layout) -> Result<()> {
        fill::workloads(&self.client, layout).await
    }
}

impl Server for RealServer {
    fn kubeconfig(&self) -> &Path {
        self.api.kubeconfig()
    }

    fn dir(&self) -> &Path {
        self.api.dir()
    }

    async fn lists(&mut self) -> Result<u64> {
        let text = self.client.request_text(Request::get("/metrics").body(Vec::new())?).await?;
        let of_pods = [("group", ""), ("resource", "pods"), ("scope", "cluster"), ("verb", "LIST")];
        Ok(sample(&text, "apiserver_request_total", &of_pods).unwrap_or_default() as u64)
    }
}
