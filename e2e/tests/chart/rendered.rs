//! The chart's manifests as data: rendered once a call, looked up by kind and name.

use std::path::Path;

use anyhow::{Context, Result};
use e2e::install::Helm;
use e2e::paths;
use e2e::progress::Progress;
use e2e::tools::Tools;
use serde_json::{Value, json};

/// What is rendered for unless a test says otherwise. Helm built from its module assumes 1.20.
const KUBE_VERSION: &str = "1.34.0";

pub(crate) const MUTATING: (&str, &str) = ("MutatingWebhookConfiguration", "kruise-mutating-webhook-configuration");
pub(crate) const VALIDATING: (&str, &str) =
    ("ValidatingWebhookConfiguration", "kruise-validating-webhook-configuration");

/// Helm without a cluster.
pub(crate) async fn helm() -> Result<Helm> {
    Ok(Helm::new(&Tools::ensure(&Progress::start()).await?, Path::new("/dev/null")))
}

/// The manifests of one rendering.
pub(crate) struct Rendered(pub(crate) Vec<Value>);

impl Rendered {
    /// Renders with these values.
    pub(crate) async fn with(values: &Value) -> Result<Self> {
        Self::on(KUBE_VERSION, values).await
    }

    /// Renders with these values for a Kubernetes version.
    pub(crate) async fn on(version: &str, values: &Value) -> Result<Self> {
        Self::read(&text(version, &values.to_string()).await?)
    }

    /// Renders with a values file of the chart's folder `ci`.
    pub(crate) async fn with_file(name: &str) -> Result<Self> {
        let values = std::fs::read_to_string(paths::workspace()?.join("charts/kruise/ci").join(name))?;
        Self::read(&text(KUBE_VERSION, &values).await.context(name.to_owned())?)
    }

    /// Reads the documents of a rendering.
    pub(crate) fn read(text: &str) -> Result<Self> {
        let options = serde_saphyr::options! { strict_booleans: true };
        let mut all = Vec::new();
        for document in text.split("\n---").map(|document| document.trim_start_matches("---")) {
            if document.lines().all(|line| line.trim().is_empty() || line.starts_with('#')) {
                continue;
            }
            all.push(
                serde_saphyr::from_str_with_options(document, options.clone()).with_context(|| document.to_owned())?,
            );
        }
        Ok(Self(all))
    }

    /// The one object of this kind and name.
    pub(crate) fn get(&self, kind: &str, name: &str) -> Result<&Value> {
        self.find(kind, name).with_context(|| format!("no {kind} {name}"))
    }

    /// The object of this kind and name, if it is rendered.
    pub(crate) fn find(&self, kind: &str, name: &str) -> Option<&Value> {
        self.0.iter().find(|object| object["kind"] == json!(kind) && object["metadata"]["name"] == json!(name))
    }

    /// All objects of a kind.
    pub(crate) fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |object| object["kind"] == json!(kind))
    }

    /// The Deployment of the webhook.
    pub(crate) fn webhook(&self) -> Result<&Value> {
        self.get("Deployment", "kruise-webhook")
    }

    /// All entries, first those that change objects, as they wait in the templates (PL-48).
    pub(crate) fn entries(&self) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        for (kind, name) in [MUTATING, VALIDATING] {
            let text = self.get(kind, name)?["metadata"]["annotations"]["template"].as_str().context("no template")?;
            all.extend(serde_json::from_str::<Vec<Value>>(text)?);
        }
        Ok(all)
    }

    /// The entry of this name.
    pub(crate) fn entry(&self, name: &str) -> Result<Value> {
        let found = self.entries()?.into_iter().find(|entry| entry["name"] == json!(name));
        found.with_context(|| format!("no entry {name}"))
    }
}

/// The text that Helm renders.
pub(crate) async fn text(version: &str, values: &str) -> Result<String> {
    helm().await?.template(&[&format!("--kube-version={version}")], values).await
}

/// The values files of the chart's folder `ci`.
pub(crate) fn ci_files() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(paths::workspace()?.join("charts/kruise/ci"))? {
        names.extend(entry?.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

/// `a.b.c` and a value, as the tree that Helm reads.
pub(crate) fn value(path: &str, value: Value) -> Value {
    path.rsplit('.').fold(value, |inner, name| json!({ name: inner }))
}
