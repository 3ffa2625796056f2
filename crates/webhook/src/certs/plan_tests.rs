//! What a pass does about stored certificates, case by case.

use super::*;
use crate::certs::material::{CA_KEY, EXTERNAL_CA_CERT, SERVING_KEY};

const RENEW_BEFORE: SignedDuration = SignedDuration::from_hours(180 * 24);
const NAME: &str = "kruise-webhook-service.kruise-system.svc";

fn at(days: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap() + SignedDuration::from_hours(days * 24)
}

/// Material made on a day.
fn made(day: i64) -> Material {
    Authority::new(at(day)).unwrap().issue(NAME, None, at(day)).unwrap()
}

fn stored(material: &Material) -> Stored {
    Stored { data: material.data(), previous: None }
}

/// A case: everything is fit and published, but for what the test changes.
struct Case {
    stored: Option<Stored>,
    published: Vec<CertificateDer<'static>>,
    serving: Vec<u8>,
    name: String,
    renew_before: SignedDuration,
    now: Timestamp,
}

fn case(material: &Material) -> Case {
    Case {
        stored: Some(stored(material)),
        published: material.authority(),
        serving: material.cert.clone(),
        name: NAME.to_owned(),
        renew_before: RENEW_BEFORE,
        now: at(0),
    }
}

impl Case {
    fn decide(&self) -> Decision {
        decide(&Situation {
            stored: self.stored.as_ref(),
            published: &self.published,
            serving: &self.serving,
            name: &self.name,
            renew_before: self.renew_before,
            now: self.now,
        })
    }

    /// Who signs, what was noted as previous, and why.
    fn makes(&self) -> (Signer, Vec<CertificateDer<'static>>, String) {
        match self.decide() {
            Decision::Make { authority, previous, because } => (authority, noted(previous), because),
            other => panic!("{other:?}"),
        }
    }
}

fn noted(previous: Option<Previous>) -> Vec<CertificateDer<'static>> {
    previous.map(|previous| certificates(previous.bundle.as_bytes())).unwrap_or_default()
}

#[test] // PL-42, PL-43
fn fit_material_is_kept() {
    let material = made(0);
    assert_eq!(case(&material).decide(), Decision::Keep(material));
}

#[test] // PL-42
fn nothing_stored_is_made_anew_and_what_is_trusted_stays_trusted() {
    let (material, mut fresh) = (made(0), case(&made(0)));
    fresh.stored = None;
    fresh.published = Vec::new();
    assert_eq!(fresh.makes(), (Signer::New, vec![], "none is stored".to_owned()));
    fresh.published = material.authority();
    assert_eq!(fresh.makes().1, material.authority());
}

#[test] // PL-43
fn what_does_not_verify_is_made_anew_by_the_stored_authority() {
    let (material, other) = (made(0), made(0));
    let by_authority = Authority::stored(&material.data(), at(0), RENEW_BEFORE).unwrap();
    let elsewhere = by_authority.issue("elsewhere.svc", None, at(0)).unwrap();
    for (what, material, want) in [
        ("key of another", Material { key: other.key.clone(), ..material.clone() }, "does not belong"),
        ("other name", elsewhere, "does not verify for"),
        ("chain of another", Material { key: other.key, cert: other.cert, ..material.clone() }, "does not verify for"),
        ("no certificate", Material { cert: b"x".to_vec(), ..material.clone() }, "holds no certificate"),
        ("no key", Material { key: b"x".to_vec(), ..material.clone() }, "no usable private key"),
        ("empty", Material { key: Vec::new(), ..material }, "key.pem is missing"),
    ] {
        let (signer, previous, because) = case(&material).makes();
        assert_eq!((signer, previous), (Signer::Stored, vec![]), "{what}");
        assert!(because.contains(want), "{what}: {because}");
    }
}

#[test] // PL-45
fn twins_that_differ_are_unfit() {
    let mut twins = case(&made(0));
    twins.stored.as_mut().unwrap().data.insert("tls.key".into(), b"other".to_vec());
    assert_eq!(twins.makes().2, "key.pem and tls.key differ");
}

#[test] // PL-43, PL-44
fn material_near_its_end_is_renewed_and_the_authority_with_it_in_its_last_year() {
    let material = made(0);
    for (day, want) in [
        (3650 - 181, None),
        // Authority and certificate end together, so both are replaced.
        (3650 - 179, Some(Signer::New)),
    ] {
        let mut old = case(&material);
        old.now = at(day);
        match (old.decide(), want) {
            (Decision::Keep(_), None) => {}
            (Decision::Make { authority, previous, .. }, Some(want)) => {
                assert_eq!(authority, want, "day {day}");
                assert_eq!(noted(previous), material.authority(), "day {day}");
            }
            (other, _) => panic!("day {day}: {other:?}"),
        }
    }
}

#[test] // PL-43, PL-44
fn what_is_made_near_the_end_of_the_authority_is_fit_however_early_it_is_to_be_renewed() {
    let material = made(0);
    for years in [1, 2, 5, 9] {
        let mut old = case(&material);
        old.renew_before = SignedDuration::from_hours(years * 365 * 24);
        old.now = at(3650 - years * 365 + 1);
        let (signer, _, _) = old.makes();
        let authority = match signer {
            Signer::New => Authority::new(old.now).unwrap(),
            Signer::Stored => Authority::stored(&material.data(), old.now, old.renew_before).unwrap(),
        };
        let fresh = authority.issue(NAME, None, old.now).unwrap();
        old.stored = Some(stored(&fresh));
        old.published = fresh.authority();
        assert_eq!(old.decide(), Decision::Keep(fresh), "{years} years");
    }
}

#[test] // PL-44
fn an_authority_without_its_key_or_in_its_last_year_does_not_sign_again() {
    let material = made(0);
    assert!(Authority::stored(&material.data(), at(3650 - 366), RENEW_BEFORE).is_some());
    assert!(Authority::stored(&material.data(), at(3650 - 364), RENEW_BEFORE).is_none());
    let mut bare = material.data();
    bare.remove(CA_KEY);
    assert!(Authority::stored(&bare, at(0), RENEW_BEFORE).is_none());
    let mut foreign = material.data();
    foreign.insert(CA_KEY.into(), made(0).data()[CA_KEY].clone());
    assert!(Authority::stored(&foreign, at(0), RENEW_BEFORE).is_none());
    // A serving certificate is no authority, even with its key.
    let leaf = Material { ca_cert: material.cert.clone(), ca_key: Some(material.key.clone()), ..material };
    assert!(Authority::stored(&leaf.data(), at(0), RENEW_BEFORE).is_none());
}

#[test] // ruling 21
fn an_expired_authority_is_not_kept_as_previous() {
    let mut late = case(&made(0));
    late.now = at(4000);
    assert_eq!(late.makes().1, vec![]);
}

#[test] // IN-36
fn material_that_somebody_replaced_is_noted_with_what_is_still_trusted() {
    let (old, new) = (made(0), made(0));
    let mut replaced = case(&new);
    replaced.published = old.authority();
    let Decision::Note(previous) = replaced.decide() else { panic!("{:?}", replaced.decide()) };
    assert_eq!(noted(previous.clone()), old.authority());
    assert_eq!(previous.as_ref().unwrap().since, at(0));

    replaced.stored.as_mut().unwrap().previous = previous;
    assert_eq!(replaced.decide(), Decision::Keep(new.clone()), "noted once");
    replaced.published = [old.authority(), new.authority()].concat();
    assert_eq!(replaced.decide(), Decision::Keep(new));
}

#[test] // IN-36
fn the_note_is_dropped_after_ten_minutes_by_a_replica_that_has_switched() {
    let (old, new) = (made(0), made(0));
    let mut noted = case(&new);
    let bundle = String::from_utf8(old.ca_cert.clone()).unwrap();
    noted.stored.as_mut().unwrap().previous = Some(Previous { since: at(0), bundle });
    noted.published = [old.authority(), new.authority()].concat();
    noted.now = at(0) + SignedDuration::from_secs(599);
    assert_eq!(noted.decide(), Decision::Keep(new.clone()));
    noted.now = at(0) + SignedDuration::from_secs(600);
    assert_eq!(noted.decide(), Decision::Note(None));
    noted.serving = old.cert;
    assert_eq!(noted.decide(), Decision::Keep(new));
}

#[test] // IN-36
fn the_bundle_is_what_is_stored_or_both_authorities() {
    let (old, new) = (made(0), made(0));
    assert_eq!(bundle(&new, None), new.ca_cert);
    let previous = Previous { since: at(0), bundle: String::from_utf8(old.ca_cert.clone()).unwrap() };
    assert_eq!(certificates(&bundle(&new, Some(&previous))), [old.authority(), new.authority()].concat());
}

#[test]
fn a_certificate_written_as_pem_reads_as_itself() {
    let authority = made(0).authority();
    assert_eq!(certificates(pem(&authority[0]).as_bytes()), authority);
}

#[test] // PL-44
fn a_serving_certificate_stands_for_its_name_and_localhost_in_p256_pkcs8() {
    let material = made(0);
    for name in [NAME, "localhost"] {
        assert_eq!(material.verify(name, at(1)), Ok(()), "{name}");
    }
    assert!(material.verify("example.com", at(1)).is_err());
    assert!(material.key.starts_with(b"-----BEGIN PRIVATE KEY-----"));
    let authority = material.authority();
    let (_, parsed) = x509_parser::parse_x509_certificate(&authority[0]).unwrap();
    assert_eq!(parsed.subject().to_string(), "CN=webhook-cert-ca");
    assert_eq!(parsed.public_key().algorithm.algorithm.to_id_string(), "1.2.840.10045.2.1");
    let serving = certificates(&material.cert);
    assert_eq!(Span::of(&serving[0]).unwrap().not_before, Span::of(&authority[0]).unwrap().not_before);
}

#[test] // PL-44
fn an_ipv4_host_is_an_address_in_the_certificate() {
    let address = "10.1.2.3".parse().unwrap();
    let material = Authority::new(at(0)).unwrap().issue("10.1.2.3", Some(address), at(0)).unwrap();
    assert_eq!(material.verify("10.1.2.3", at(1)), Ok(()));
    assert_eq!(material.verify("localhost", at(1)), Ok(()));
}

#[test] // ruling 21: what OpenKruise made stays in use, and its authority signs again
fn rsa_material_in_pkcs1_is_accepted_and_its_authority_reused() {
    let data: Data = [
        ("ca-key.pem", &include_bytes!("../../testdata/ca-key.pem")[..]),
        ("ca-cert.pem", include_bytes!("../../testdata/ca-cert.pem")),
        ("key.pem", include_bytes!("../../testdata/key.pem")),
        ("tls.key", include_bytes!("../../testdata/key.pem")),
        ("cert.pem", include_bytes!("../../testdata/cert.pem")),
        ("tls.crt", include_bytes!("../../testdata/cert.pem")),
    ]
    .into_iter()
    .map(|(name, content)| (name.to_owned(), content.to_vec()))
    .collect();
    assert!(data["key.pem"].starts_with(b"-----BEGIN RSA PRIVATE KEY-----"));
    let material = Material::read(&data).unwrap();
    let not_before = Span::of(&material.authority()[0]).unwrap().not_before;
    let now = not_before + SignedDuration::from_hours(24);
    assert_eq!(material.verify(NAME, now), Ok(()));
    let again = Authority::stored(&data, now, RENEW_BEFORE).unwrap().issue(NAME, None, now).unwrap();
    assert_eq!(again.ca_cert, material.ca_cert);
    assert_eq!(again.verify(NAME, now), Ok(()));
    assert!(again.key.starts_with(b"-----BEGIN PRIVATE KEY-----"));
}

#[test] // PL-46
fn external_material_needs_its_three_keys() {
    let material = made(0);
    let mut data = Data::from([
        (EXTERNAL_CA_CERT.to_owned(), material.ca_cert.clone()),
        ("tls.crt".to_owned(), material.cert.clone()),
        ("tls.key".to_owned(), material.key.clone()),
    ]);
    let read = Material::read_external(&data).unwrap();
    assert_eq!((read.ca_key, read.cert), (None, material.cert));
    data.remove(SERVING_KEY[1]);
    assert_eq!(Material::read_external(&data).unwrap_err().to_string(), "tls.key is missing");
}
