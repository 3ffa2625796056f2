//! Certificates change under a constant stream of Pods: whoever changes them, nobody is turned away.

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use e2e::cluster::Cluster;
use e2e::install::{self, Helm, NAMESPACE};
use e2e::pki::{Authority, Subject};
use e2e::scenario::{PATIENCE, Visitors};
use e2e::tls;
use e2e::wait::{self, Seen};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::kit;

/// The Secret, and the name that its certificate stands for.
const SECRET: &str = "kruise-webhook-certs";
const NAME: &str = "kruise-webhook-service.kruise-system.svc";
/// Objects with a `caBundle`.
const OBJECTS: [&str; 3] = [
    "mutatingwebhookconfiguration/kruise-mutating-webhook-configuration",
    "validatingwebhookconfiguration/kruise-validating-webhook-configuration",
    "customresourcedefinition/clonesets.apps.kruise.io",
];
/// Visitors that come after all replicas have switched.
const AFTER: u64 = 50;

#[tokio::test] // IN-35, IN-36, ruling 21
async fn nobody_notices_a_change_of_the_certificates() -> Result<()> {
    let (cluster, _alone) = kit::alone().await?;
    let secrets: Api<Secret> = Api::namespaced(cluster.client().await?, NAMESPACE);
    rotation("rotation after the Secret was deleted", &cluster, async || {
        secrets.delete(SECRET, &DeleteParams::default()).await?;
        Ok(())
    })
    .await?;
    rotation("rotation after the Secret was emptied", &cluster, async || {
        secrets.patch(SECRET, &PatchParams::default(), &Patch::Merge(json!({"data": null}))).await?;
        Ok(())
    })
    .await?;
    rotation("rotation to somebody else's authority", &cluster, async || {
        let data = foreign()?;
        secrets.patch(SECRET, &PatchParams::default(), &Patch::Merge(json!({ "data": data }))).await?;
        Ok(())
    })
    .await
}

/// Breaks the certificates and waits until every replica serves under another authority.
async fn rotation<F: Future<Output = Result<()>>>(
    what: &str,
    cluster: &Cluster,
    change: impl FnOnce() -> F,
) -> Result<()> {
    let client = cluster.client().await?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    let before = authority(Some(&secrets.get(SECRET).await?)).context("no authority is stored")?;
    let visitors = Visitors::served(&client, "default");
    visitors.until(AFTER).await?;
    change().await?;
    let after =
        wait::object("another authority is stored", &secrets, SECRET, PATIENCE, |found| match authority(found) {
            Some(stored) if stored != before => Seen::Done(stored),
            Some(_) => Seen::NotYet("still the old one".to_owned()),
            None => Seen::NotYet("none".to_owned()),
        })
        .await?;
    let pods = install::webhooks(client, PATIENCE).await?;
    let addresses: Vec<String> =
        pods.iter().filter_map(|pod| Some(format!("{}:9876", pod.status.as_ref()?.pod_ip.as_ref()?))).collect();
    wait::until("every replica serves under the new authority", PATIENCE, async || {
        for address in &addresses {
            tls::verify(address, NAME, &after).await?;
        }
        Ok(Seen::Done(()))
    })
    .await?;
    let bundles = bundles(cluster).await?;
    for bundle in &bundles {
        for (age, certificate) in [("old", &before), ("new", &after)] {
            let text = String::from_utf8_lossy(certificate);
            ensure!(String::from_utf8_lossy(bundle).contains(text.trim()), "the {age} authority is not trusted");
        }
    }
    ensure!(bundles.len() > 3 && bundles.windows(2).all(|two| two[0] == two[1]), "{} bundles differ", bundles.len());
    visitors.until(visitors.so_far().came + AFTER).await?;
    visitors.stop().clean(what, 2 * AFTER)
}

#[tokio::test] // IN-47, IN-71
async fn a_second_sync_empties_neither_secret_nor_bundle() -> Result<()> {
    let (cluster, _alone) = kit::alone().await?;
    let client = cluster.client().await?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    let (secret, trusted) = (secrets.get(SECRET).await?.metadata.resource_version, bundles(&cluster).await?);
    let visitors = Visitors::served(&client, "default");
    Helm::new(cluster.tools(), &cluster.kubeconfig()).install(&kit::VALUES, kit::INSTALL).await?;
    visitors.until(visitors.so_far().came + AFTER).await?;
    visitors.stop().clean("a second helm upgrade with the same values", AFTER)?;
    ensure!(secrets.get(SECRET).await?.metadata.resource_version == secret, "the Secret was written");
    ensure!(bundles(&cluster).await? == trusted, "a caBundle was changed");
    Ok(())
}

/// The stored authority.
fn authority(secret: Option<&Secret>) -> Option<Vec<u8>> {
    let certificate = secret?.data.as_ref()?.get("ca-cert.pem")?;
    Some(certificate.0.clone()).filter(|certificate| !certificate.is_empty())
}

/// Keys of the Secret as somebody else would fill it, with another authority.
fn foreign() -> Result<Value> {
    let folder = tempfile::tempdir()?;
    let subject = Subject { name: NAME, serves: &["localhost", NAME], ..Subject::default() };
    Authority::create(folder.path())?.issue("serving", &subject)?;
    let mut data = serde_json::Map::new();
    for (keys, file) in [
        (vec!["ca-cert.pem"], "ca.crt"),
        (vec!["ca-key.pem"], "ca.key"),
        (vec!["cert.pem", "tls.crt"], "serving.crt"),
        (vec!["key.pem", "tls.key"], "serving.key"),
    ] {
        let text = STANDARD.encode(std::fs::read(folder.path().join(file))?);
        data.extend(keys.into_iter().map(|key| (key.to_owned(), json!(text))));
    }
    Ok(data.into())
}

/// Every `caBundle` that the API server trusts us by.
async fn bundles(cluster: &Cluster) -> Result<Vec<Vec<u8>>> {
    let mut bundles = Vec::new();
    for object in OBJECTS {
        let object: Value = serde_json::from_str(&cluster.kubectl().run(&format!("get {object} -o json")).await?)?;
        let entries = object["webhooks"].as_array().cloned().unwrap_or_default();
        let configs = entries.iter().map(|entry| &entry["clientConfig"]);
        let conversion = &object["spec"]["conversion"]["webhook"]["clientConfig"];
        for config in configs.chain((!conversion.is_null()).then_some(conversion)) {
            bundles.push(STANDARD.decode(config["caBundle"].as_str().context("an entry without caBundle")?)?);
        }
    }
    Ok(bundles)
}
