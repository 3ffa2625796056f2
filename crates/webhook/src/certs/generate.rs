//! Makes the authority and the serving certificate (PL-44): P-256 keys in PKCS#8 (ruling 21), ten years each.
//!
//! Whether something has to be made, and whether the stored authority is used again, is `plan`.

use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, date_time_ymd,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::material::{CA_CERT, CA_KEY, Data, Material, Span, certificates, certified};

/// Common name of the authority (PL-44).
const AUTHORITY_NAME: &str = "webhook-cert-ca";
/// Life of what is made here, in days: ten years (PL-44).
pub const LIFE_DAYS: i64 = 3650;
/// How long a stored authority must still be valid to sign again, in days (PL-44).
const REUSE_DAYS: i64 = 365;
/// How far a new authority reaches back, so that a clock that runs behind accepts it at once.
const BACKDATED: SignedDuration = SignedDuration::from_hours(1);

/// Making a certificate failed: the library refused a name or a key.
#[derive(Debug, thiserror::Error)]
#[error("make certificates")]
pub struct GenerateError(#[from] rcgen::Error);

/// An authority that can sign.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    key_pem: Vec<u8>,
    cert_pem: Vec<u8>,
    not_before: Timestamp,
}

impl Authority {
    /// Makes a new authority.
    ///
    /// # Errors
    /// Fails where the library can't make a key.
    pub fn new(now: Timestamp) -> Result<Self, GenerateError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let not_before = now.saturating_sub(BACKDATED).unwrap_or(now);
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(AUTHORITY_NAME);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        set_dates(&mut params, not_before, after_days(now, LIFE_DAYS));
        let cert_pem = params.self_signed(&key)?.pem().into_bytes();
        let key_pem = key.serialize_pem().into_bytes();
        Ok(Self { issuer: Issuer::new(params, key), key_pem, cert_pem, not_before })
    }

    /// Takes up the stored authority, if its pair belongs together, may sign and is valid for at least one more year, and
    /// for longer than `renew_before`: what it signs would be as unfit as what is replaced otherwise, on every pass again.
    pub fn stored(data: &Data, now: Timestamp, renew_before: SignedDuration) -> Option<Self> {
        let (key_pem, cert_pem) = (data.get(CA_KEY)?, data.get(CA_CERT)?);
        certified(cert_pem, CA_CERT, key_pem, CA_KEY).ok()?;
        let certificate = certificates(cert_pem).into_iter().next()?;
        let span = Span::of(&certificate)?;
        let renewed = now.saturating_add(renew_before).unwrap_or(Timestamp::MAX);
        if ![now, after_days(now, REUSE_DAYS), renewed].into_iter().all(|at| span.holds(at)) {
            return None;
        }
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate).ok()?;
        if !parsed.is_ca() {
            return None;
        }
        let key = KeyPair::try_from(&pkcs8(PrivateKeyDer::from_pem_slice(key_pem).ok()?)?).ok()?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key).ok()?;
        Some(Self { issuer, key_pem: key_pem.clone(), cert_pem: cert_pem.clone(), not_before: span.not_before })
    }

    /// Makes a serving certificate for a name, and for `localhost`, which the readiness check uses (PL-50).
    ///
    /// # Errors
    /// Fails where the name can't stand in a certificate.
    pub fn issue(&self, name: &str, address: Option<Ipv4Addr>, now: Timestamp) -> Result<Material, GenerateError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(name);
        params.subject_alt_names = vec![
            SanType::DnsName("localhost".try_into()?),
            match address {
                Some(address) => SanType::IpAddress(address.into()),
                None => SanType::DnsName(name.try_into()?),
            },
        ];
        params.key_usages = vec![KeyUsagePurpose::KeyEncipherment, KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        set_dates(&mut params, self.not_before, after_days(now, LIFE_DAYS));
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Material {
            ca_key: Some(self.key_pem.clone()),
            ca_cert: self.cert_pem.clone(),
            key: key.serialize_pem().into_bytes(),
            cert: certificate.pem().into_bytes(),
        })
    }
}

/// The key in the only form that the certificate library reads. A PKCS#1 key, as earlier installations stored it, is
/// wrapped; a SEC 1 key is not (nobody wrote those), so its authority is replaced.
fn pkcs8(key: PrivateKeyDer<'static>) -> Option<PrivateKeyDer<'static>> {
    /// `INTEGER 0`, then `SEQUENCE { OBJECT IDENTIFIER rsaEncryption, NULL }` (RFC 5208, RFC 8017).
    const RSA_PREFIX: [u8; 18] =
        [0x02, 0x01, 0x00, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    match key {
        PrivateKeyDer::Pkcs8(_) => Some(key),
        PrivateKeyDer::Pkcs1(key) => {
            let mut body = RSA_PREFIX.to_vec();
            body.extend(der(0x04, key.secret_pkcs1_der()));
            Some(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der(0x30, &body))))
        }
        _ => None,
    }
}

/// One DER element: tag, length in the shortest form, content.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut element = vec![tag];
    let length: Vec<u8> = content.len().to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    match (length.as_slice(), u8::try_from(content.len())) {
        (_, Ok(short @ 0..=0x7f)) => element.push(short),
        (long, _) => {
            element.push(0x80 | u8::try_from(long.len()).unwrap_or(u8::MAX));
            element.extend_from_slice(long);
        }
    }
    element.extend_from_slice(content);
    element
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn after_days(from: Timestamp, days: i64) -> Timestamp {
    from.saturating_add(SignedDuration::from_hours(days * 24)).unwrap_or(Timestamp::MAX)
}

/// The library counts its dates in a type of its own, from which it offers no constructor but a calendar day.
fn set_dates(params: &mut CertificateParams, not_before: Timestamp, not_after: Timestamp) {
    let epoch = date_time_ymd(1970, 1, 1);
    let since_epoch = |at: Timestamp| Duration::from_secs(u64::try_from(at.as_second()).unwrap_or(0));
    params.not_before = epoch + since_epoch(not_before);
    params.not_after = epoch + since_epoch(not_after);
}
