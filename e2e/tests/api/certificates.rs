//! Three replicas that keep their certificates, and somebody who breaks what they keep (platform page, 8.1 to 8.3).

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use e2e::pki::{Authority, Subject};
use e2e::scenario::Stage;
use e2e::wait::{self, Seen};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::fleet::{CRD, Fleet, Launch, MUTATING, NAME, PATIENCE, SECRET, VALIDATING};
use crate::stream::Calls;

const REPLICAS: usize = 3;

#[tokio::test] // PL-42, PL-E1, IN-33, IN-71
async fn replicas_that_start_at_once_end_with_one_authority_and_then_write_no_more() -> Result<()> {
    let fleet = Fleet::running(REPLICAS).await?;
    let authority = fleet.stored("ca-cert.pem").await?.context("no authority is stored")?;
    fleet.trusted(&authority).await?;
    for name in [NAME, "localhost"] {
        fleet.serves(name, &authority).await?;
    }

    fleet.pass(1).await?;
    let before = fleet.versions().await?;
    fleet.pass(3).await?;
    let after = fleet.versions().await?;
    ensure!(before[1..] == after[1..], "somebody keeps writing: {before:?} {after:?}");
    // The Secret's version is of our own touch: what it holds is what counts.
    let secret = fleet.get(SECRET).await?["data"].clone();
    fleet.apply().await?;
    fleet.pass(1).await?;
    ensure!(fleet.get(SECRET).await?["data"] == secret, "a second sync changed the Secret");
    fleet.trusted(&authority).await
}

#[tokio::test] // PL-40, PL-48, PL-49, IN-32
async fn what_somebody_breaks_is_healed_within_seconds() -> Result<()> {
    let fleet = Fleet::running(REPLICAS).await?;
    let stage = Stage::open(fleet.client().clone(), fleet.kubectl(), "healing").await?;
    let authority = fleet.stored("ca-cert.pem").await?.context("no authority is stored")?;
    let right = shape(&fleet).await?;
    let calls = Calls::start(&stage).await?;

    let bundle = |bundle: &str, at: &Value| {
        let mut webhooks = at["webhooks"].clone();
        webhooks[0]["clientConfig"]["caBundle"] = json!(bundle);
        json!({ "webhooks": webhooks })
    };
    let elsewhere = STANDARD.encode(elsewhere()?);
    let conversion = |config: Value| json!({"spec": {"conversion": {"webhook": {"clientConfig": config}}}});
    let (mutating, validating) = (fleet.get(MUTATING).await?, fleet.get(VALIDATING).await?);
    let entries = validating["webhooks"].as_array().context("no entries")?;
    for (what, object, change) in [
        ("a caBundle emptied", MUTATING, bundle("", &mutating)),
        ("a caBundle replaced", VALIDATING, bundle(&elsewhere, &validating)),
        ("an entry deleted", VALIDATING, json!({"webhooks": entries[1..]})),
        ("all entries deleted", MUTATING, json!({"webhooks": null})),
        ("the caBundle of the definition replaced", CRD, conversion(json!({"caBundle": elsewhere}))),
        ("the Service of the definition changed", CRD, conversion(json!({"service": {"name": "nobody"}}))),
    ] {
        calls.take();
        fleet.patch(object, &change).await?;
        wait::until(what, PATIENCE, async || {
            Ok(if shape(&fleet).await? == right { Seen::Done(()) } else { Seen::NotYet("not healed".to_owned()) })
        })
        .await?;
        calls.take().show(what);
    }
    // It answers again, and goes on to do so.
    wait::until("all is well again", PATIENCE, async || {
        calls.take();
        fleet.pass(1).await?;
        Ok(calls.take().clean("after all is healed").map_or_else(|error| Seen::NotYet(error.to_string()), Seen::Done))
    })
    .await?;
    ensure!(fleet.stored("ca-cert.pem").await?.as_ref() == Some(&authority), "the authority changed on the way");
    Ok(())
}

#[tokio::test] // PL-42, IN-34, IN-36, ruling 21
async fn a_secret_that_somebody_breaks_is_made_anew_and_no_call_fails() -> Result<()> {
    let fleet = Fleet::running(REPLICAS).await?;
    let stage = Stage::open(fleet.client().clone(), fleet.kubectl(), "rotation").await?;
    let calls = Calls::start(&stage).await?;
    let garbage: Value = ["ca-cert.pem", "ca-key.pem", "cert.pem", "tls.crt", "key.pem", "tls.key"]
        .into_iter()
        .map(|key| (key.to_owned(), json!(STANDARD.encode("garbage"))))
        .collect::<serde_json::Map<String, Value>>()
        .into();
    for (what, data) in [("deleted", None), ("emptied", Some(Value::Null)), ("filled with garbage", Some(garbage))] {
        let before = fleet.stored("ca-cert.pem").await?.context("no authority is stored")?;
        match data {
            Some(data) => fleet.patch(SECRET, &json!({ "data": data })).await?,
            None => fleet.delete(SECRET).await?,
        }
        rotated(&fleet, &before).await?;
        calls.take().clean(&format!("Secret {what}"))?;
    }
    Ok(())
}

#[tokio::test] // PL-43, IN-36, ruling 21
async fn an_expiring_certificate_is_replaced_with_both_authorities_trusted_and_no_call_fails() -> Result<()> {
    let mut fleet = Fleet::install("").await?;
    // Of an authority whose key is gone, so that it can't sign again.
    let before = expiring(&fleet).await?;
    fleet.launch(Launch { renew_before: "30d", ..Launch::default() })?;
    fleet.ready().await?;
    fleet.active().await?;
    ensure!(fleet.stored("ca-cert.pem").await?.as_ref() == Some(&before), "it was replaced too early");
    let stage = Stage::open(fleet.client().clone(), fleet.kubectl(), "expiry").await?;
    let calls = Calls::start(&stage).await?;
    for _ in 1..REPLICAS {
        fleet.launch(Launch { renew_before: "180d", ..Launch::default() })?;
    }
    fleet.ready().await?;
    rotated(&fleet, &before).await?;
    calls.take().clean("expiring certificate")
}

/// Waits until every replica serves under another authority, while every `caBundle` trusts both.
async fn rotated(fleet: &Fleet, before: &str) -> Result<()> {
    let after = wait::until("another authority is stored", PATIENCE, async || {
        Ok(match fleet.stored("ca-cert.pem").await? {
            Some(stored) if stored != before && stored.contains("BEGIN CERTIFICATE") => Seen::Done(stored),
            other => Seen::NotYet(format!("{other:?}")),
        })
    })
    .await?;
    fleet.serves(NAME, &after).await?;
    let bundles = fleet.bundles().await?;
    ensure!(bundles.windows(2).all(|two| two[0] == two[1]), "the caBundles differ: {bundles:?}");
    ensure!(bundles[0].contains(before.trim()), "the old authority is not trusted any more");
    ensure!(bundles[0].contains(after.trim()), "the new authority is not trusted");
    Ok(())
}

/// What counts in the objects that name us: who is called where, and is trusted by what.
async fn shape(fleet: &Fleet) -> Result<Vec<Value>> {
    let (mutating, validating, crd) = (fleet.get(MUTATING).await?, fleet.get(VALIDATING).await?, fleet.get(CRD).await?);
    Ok(vec![mutating["webhooks"].clone(), validating["webhooks"].clone(), crd["spec"]["conversion"].clone()])
}

/// An authority that has nothing to do with us.
fn elsewhere() -> Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    Authority::create(folder.path())?;
    Ok(std::fs::read(folder.path().join("ca.crt"))?)
}

/// Stores a certificate that ends in a hundred days; returns its authority.
async fn expiring(fleet: &Fleet) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let ends = runtime::clock::Clock::system().now() + SignedDuration::from_hours(100 * 24);
    let subject = Subject { name: NAME, serves: &["localhost", NAME], ends: Some(ends), ..Subject::default() };
    Authority::create(folder.path())?.issue("serving", &subject)?;
    let read = |file: &str| anyhow::Ok(std::fs::read_to_string(folder.path().join(file))?);
    let (ca, certificate, key) = (read("ca.crt")?, read("serving.crt")?, read("serving.key")?);
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "kruise-webhook-certs", "namespace": "kruise-system"},
        "stringData": {"ca-cert.pem": ca, "cert.pem": certificate, "tls.crt": certificate, "key.pem": key, "tls.key": key},
    });
    fleet.kubectl().apply(&secret.to_string()).await?;
    Ok(ca)
}
