//! Certificates and bundles that somebody else keeps (PL-46, IN-38): followed, never written.

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use e2e::pki::{Authority, Subject};
use e2e::wait::{self, Seen};
use serde_json::{Value, json};

use crate::fleet::{CRD, Fleet, Launch, MUTATING, NAME, PATIENCE, SECRET, VALIDATING};

const GATE: &str = "EnableExternalCerts=true";

#[tokio::test] // PL-46, IN-38
async fn external_certificates_are_waited_for_followed_and_never_written() -> Result<()> {
    let mut fleet = Fleet::install(&format!("featureGates: {GATE}")).await?;
    let folder = tempfile::tempdir()?;
    let authority = Authority::create(folder.path())?;
    let trusted = std::fs::read_to_string(folder.path().join("ca.crt"))?;
    store(&fleet, &authority, folder.path(), &["localhost", NAME]).await?;
    let before = fleet.versions().await?;
    fleet.launch(Launch { gates: GATE, ..Launch::default() })?;

    // The injector takes its time, object after object.
    let mut expected = before;
    for (number, (object, text)) in [
        (MUTATING, "MutatingWebhookConfiguration kruise-mutating-webhook-configuration does not match the external caBundle"),
        (VALIDATING, "ValidatingWebhookConfiguration kruise-validating-webhook-configuration does not match the external caBundle"),
        (CRD, "CRD clonesets.apps.kruise.io does not match external caBundle"),
    ]
    .into_iter()
    .enumerate()
    {
        wait::until(&format!("it waits for {object}"), PATIENCE, async || {
            let log = fleet.log(0);
            Ok(if log.contains(&format!("caBundle of {text}")) { Seen::Done(()) } else { Seen::NotYet(log) })
        })
        .await?;
        let readiness = fleet.readiness(0).await?;
        ensure!(readiness.contains("webhook controller has not initialized"), "ready too early: {readiness:?}");
        ensure!(fleet.versions().await? == expected, "something was written: {expected:?}");
        inject(&fleet, object, &trusted).await?;
        expected[number + 1] = fleet.versions().await?[number + 1].clone();
    }
    fleet.ready().await?;
    fleet.serves(NAME, &trusted).await?;
    ensure!(fleet.versions().await? == expected, "something was written: {expected:?}");

    // A renewal by the same authority; the new name tells the certificates apart.
    store(&fleet, &authority, folder.path(), &["localhost", NAME, "renewed.example"]).await?;
    fleet.serves("renewed.example", &trusted).await?;
    ensure!(fleet.versions().await?[1..] == expected[1..], "something was written: {expected:?}");
    ensure!(fleet.readiness(0).await?.is_empty(), "a renewal made it unready");
    Ok(())
}

/// Fills the Secret, as cert-manager would.
async fn store(fleet: &Fleet, authority: &Authority, folder: &std::path::Path, serves: &[&str]) -> Result<()> {
    authority.issue("serving", &Subject { name: NAME, serves, ..Subject::default() })?;
    let read = |file: &str| anyhow::Ok(STANDARD.encode(std::fs::read(folder.join(file))?));
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "kruise-webhook-certs", "namespace": "kruise-system"},
        "type": "kubernetes.io/tls",
        "data": {"ca.crt": read("ca.crt")?, "tls.crt": read("serving.crt")?, "tls.key": read("serving.key")?},
    });
    fleet.kubectl().apply(&secret.to_string()).await.with_context(|| SECRET.to_owned()).map(drop)
}

/// Puts the authority into every client configuration of an object, as cert-manager would.
async fn inject(fleet: &Fleet, object: &str, authority: &str) -> Result<()> {
    let bundle = json!(STANDARD.encode(authority));
    if object == CRD {
        let config = json!({
            "caBundle": bundle,
            "service": {"namespace": "kruise-system", "name": "kruise-webhook-service", "path": "/convert", "port": 443},
        });
        return fleet.patch(object, &json!({"spec": {"conversion": {"webhook": {"clientConfig": config}}}})).await;
    }
    let mut webhooks: Vec<Value> = fleet.get(object).await?["webhooks"].as_array().cloned().unwrap_or_default();
    for entry in &mut webhooks {
        entry["clientConfig"]["caBundle"] = bundle.clone();
    }
    fleet.patch(object, &json!({ "webhooks": webhooks })).await
}
