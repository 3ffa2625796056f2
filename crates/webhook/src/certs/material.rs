//! A serving certificate with its key and authority: reading it from its keys, and whether it is fit to serve (PL-43, PL-45).
//!
//! Any key type that the TLS library can sign with is accepted (ruling 21), so the RSA material of an earlier
//! installation stays in use. Nothing here reads a clock: the time to judge for is an argument.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, InconsistentKeys, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

/// Key of the authority's private key.
pub const CA_KEY: &str = "ca-key.pem";
/// Key of the authority's certificate.
pub const CA_CERT: &str = "ca-cert.pem";
/// Keys of the serving key; both hold the same text.
pub const SERVING_KEY: [&str; 2] = ["key.pem", "tls.key"];
/// Keys of the serving certificate; both hold the same text.
pub const SERVING_CERT: [&str; 2] = ["cert.pem", "tls.crt"];
/// Key of the authority's certificate in a Secret that somebody else keeps (PL-46).
pub const EXTERNAL_CA_CERT: &str = "ca.crt";

/// What a Secret or a folder holds: names and contents.
pub type Data = BTreeMap<String, Vec<u8>>;

/// Serving pair and authority, in PEM as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Material {
    /// Private key of the authority; absent where somebody else keeps it.
    pub ca_key: Option<Vec<u8>>,
    /// Certificate of the authority.
    pub ca_cert: Vec<u8>,
    /// Private key that the server uses.
    pub key: Vec<u8>,
    /// Certificate that the server shows, with intermediates.
    pub cert: Vec<u8>,
}

/// Why material can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A key of the Secret or folder is missing or empty.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// Two keys that must hold the same text differ: a reader of the other one would serve something else.
    #[error("{0} and {1} differ")]
    Twins(&'static str, &'static str),
    /// The text holds no certificate.
    #[error("{0} holds no certificate")]
    Certificate(&'static str),
    /// The text holds no private key, or one that nothing here can sign with.
    #[error("{what} holds no usable private key: {reason}")]
    Key {
        /// Which key.
        what: &'static str,
        /// What the library says.
        reason: String,
    },
    /// Certificate and key do not belong together.
    #[error("{0} does not belong to its private key")]
    Mismatch(&'static str),
    /// The authority is not valid at the time asked for.
    #[error("the authority is not valid at {0}")]
    Authority(Timestamp),
    /// The chain, the name or the dates do not verify at the time asked for.
    #[error("the serving certificate does not verify for {name} at {at}: {reason}")]
    Verification {
        /// Server name asked for.
        name: String,
        /// Time asked for.
        at: Timestamp,
        /// What the library says.
        reason: String,
    },
}

impl std::fmt::Debug for Material {
    /// Says that there is material, never what: the keys must not reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Material").finish_non_exhaustive()
    }
}

impl Material {
    /// Reads the six keys (PL-45). Of each pair of twins one may be absent.
    ///
    /// # Errors
    /// Fails where a key is missing or twins differ.
    pub fn read(data: &Data) -> Result<Self, Unfit> {
        Ok(Self {
            ca_key: present(data, CA_KEY).map(<[u8]>::to_vec),
            ca_cert: present(data, CA_CERT).ok_or(Unfit::Missing(CA_CERT))?.to_vec(),
            key: twin(data, SERVING_KEY)?,
            cert: twin(data, SERVING_CERT)?,
        })
    }

    /// Reads the keys of a Secret that somebody else keeps (PL-46).
    ///
    /// # Errors
    /// Fails where a key is missing.
    pub fn read_external(data: &Data) -> Result<Self, Unfit> {
        let required = |name| present(data, name).map(<[u8]>::to_vec).ok_or(Unfit::Missing(name));
        Ok(Self {
            ca_key: None,
            ca_cert: required(EXTERNAL_CA_CERT)?,
            key: required(SERVING_KEY[1])?,
            cert: required(SERVING_CERT[1])?,
        })
    }

    /// The six keys (PL-45).
    pub fn data(&self) -> Data {
        let mut data = Data::new();
        data.insert(CA_CERT.to_owned(), self.ca_cert.clone());
        if let Some(key) = &self.ca_key {
            data.insert(CA_KEY.to_owned(), key.clone());
        }
        data.extend(SERVING_KEY.map(|name| (name.to_owned(), self.key.clone())));
        data.extend(SERVING_CERT.map(|name| (name.to_owned(), self.cert.clone())));
        data
    }

    /// The pair in the form that the TLS server takes; key and certificate are checked to belong together.
    ///
    /// # Errors
    /// Fails where the pair can't serve.
    pub fn pair(&self) -> Result<Arc<CertifiedKey>, Unfit> {
        certified(&self.cert, SERVING_CERT[0], &self.key, SERVING_KEY[0]).map(Arc::new)
    }

    /// Certificates of the authority.
    pub fn authority(&self) -> Vec<CertificateDer<'static>> {
        certificates(&self.ca_cert)
    }

    /// Whether the pair belongs together, chains to the authority and stands for `name` at the time `at` (PL-43).
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn verify(&self, name: &str, at: Timestamp) -> Result<(), Unfit> {
        let pair = self.pair()?;
        let authority = self.authority();
        // A trust anchor carries no dates for the verifier, so the authority's own end is checked here.
        if !authority.iter().any(|certificate| Span::of(certificate).is_some_and(|span| span.holds(at))) {
            return Err(if authority.is_empty() { Unfit::Certificate(CA_CERT) } else { Unfit::Authority(at) });
        }
        let fails = |reason: String| Unfit::Verification { name: name.to_owned(), at, reason };
        let server_name = ServerName::try_from(name.to_owned()).map_err(|err| fails(err.to_string()))?;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(authority);
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|err| fails(err.to_string()))?;
        let [end_entity, intermediates @ ..] = pair.cert.as_slice() else {
            return Err(Unfit::Certificate(SERVING_CERT[0]));
        };
        let seconds = u64::try_from(at.as_second()).unwrap_or(0);
        verifier
            .verify_server_cert(
                end_entity,
                intermediates,
                &server_name,
                &[],
                UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
            )
            .map(|_| ())
            .map_err(|err| match err {
                rustls::Error::InvalidCertificate(CertificateError::Other(other)) => fails(other.to_string()),
                other => fails(other.to_string()),
            })
    }
}

/// The crypto provider of this process: exactly one is linked.
pub fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// All certificates in a PEM text; a block that can't be read is left out, as the API server does with a `caBundle`.
pub fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect()
}

/// PEM texts one after the other, each ending with a line break.
pub fn concatenated<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut all = Vec::new();
    for text in texts {
        all.extend_from_slice(text);
        if !text.is_empty() && !text.ends_with(b"\n") {
            all.push(b'\n');
        }
    }
    all
}

/// Reads a certificate chain and its key and checks that they belong together.
///
/// # Errors
/// Fails where one of them can't be read or they do not match.
pub fn certified(
    cert: &[u8],
    cert_name: &'static str,
    key: &[u8],
    key_name: &'static str,
) -> Result<CertifiedKey, Unfit> {
    let chain = certificates(cert);
    if chain.is_empty() {
        return Err(Unfit::Certificate(cert_name));
    }
    let unusable = |reason: String| Unfit::Key { what: key_name, reason };
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|err| unusable(err.to_string()))?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(|err| match err {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Unfit::Mismatch(cert_name),
        rustls::Error::InvalidCertificate(_) => Unfit::Certificate(cert_name),
        other => unusable(other.to_string()),
    })
}

/// The dates of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First moment of validity.
    pub not_before: Timestamp,
    /// Last moment of validity.
    pub not_after: Timestamp,
}

impl Span {
    /// Reads the dates; `None` where the certificate can't be read.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
        let validity = parsed.validity();
        Some(Self {
            not_before: Timestamp::from_second(validity.not_before.timestamp()).ok()?,
            not_after: Timestamp::from_second(validity.not_after.timestamp()).ok()?,
        })
    }

    /// Whether the certificate is valid at a time.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.not_before <= at && at <= self.not_after
    }
}

fn present<'a>(data: &'a Data, name: &str) -> Option<&'a [u8]> {
    data.get(name).map(Vec::as_slice).filter(|content| !content.is_empty())
}

fn twin(data: &Data, [first, second]: [&'static str; 2]) -> Result<Vec<u8>, Unfit> {
    match (present(data, first), present(data, second)) {
        (Some(one), Some(other)) if one != other => Err(Unfit::Twins(first, second)),
        (Some(one), _) | (None, Some(one)) => Ok(one.to_vec()),
        (None, None) => Err(Unfit::Missing(first)),
    }
}
