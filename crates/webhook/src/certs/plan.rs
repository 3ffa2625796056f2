//! What a pass does about the stored certificates (PL-42..44, IN-34, ruling 21).
//!
//! The stored material is the one thing all replicas agree on, so everything that they must do alike is written there:
//! also which authorities were valid before a change and since when the new one is. The `caBundle` that each replica
//! publishes follows from the stored state alone, and no two replicas ever want different ones.

use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use super::generate::Authority;
use super::material::{CA_CERT, Data, Material, Span, certificates, concatenated};

/// How long the authorities before a change stay in `caBundle` (IN-36). A replica that has not switched by then can't be
/// called any more.
pub const PREVIOUS_KEPT: SignedDuration = SignedDuration::from_mins(10);

/// The stored state.
#[derive(Clone, PartialEq, Eq)]
pub struct Stored {
    /// The keys of the Secret, or the files.
    pub data: Data,
    /// Authorities that were valid before the last change.
    pub previous: Option<Previous>,
}

impl std::fmt::Debug for Stored {
    /// Leaves the data out: it holds private keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stored").field("previous", &self.previous).finish_non_exhaustive()
    }
}

/// Authorities that were valid before a change, kept as a note beside the material.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    /// When the change was stored.
    pub since: Timestamp,
    /// Their certificates, in PEM.
    pub bundle: String,
}

/// All that the decision depends on.
pub struct Situation<'a> {
    /// What is stored, if anything.
    pub stored: Option<&'a Stored>,
    /// The authorities that calls depend on at the moment: all of the `caBundle`s that are ours, and the one that this
    /// replica serves under, which somebody may have taken out of all of them.
    pub published: &'a [CertificateDer<'static>],
    /// The serving certificate that this replica shows; empty before the first.
    pub serving: &'a [u8],
    /// The name that the certificate must carry.
    pub name: &'a str,
    /// How long before its end a certificate is replaced.
    pub renew_before: SignedDuration,
    /// The time to judge for.
    pub now: Timestamp,
}

/// What to do about the stored state.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an undone decision leaves the certificates as they are"]
pub enum Decision {
    /// The stored material is fit.
    Keep(Material),
    /// The stored material is fit; only the note of previous authorities changes.
    Note(Option<Previous>),
    /// A serving certificate is made, with its authority as given.
    Make {
        /// Who signs.
        authority: Signer,
        /// The note that goes with it.
        previous: Option<Previous>,
        /// Why, for the log.
        because: String,
    },
}

/// Who signs a new serving certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The stored authority.
    Stored,
    /// A new one.
    New,
}

/// Decides what a pass does.
pub fn decide(situation: &Situation<'_>) -> Decision {
    let Some(stored) = situation.stored else {
        return make(situation, Signer::New, "none is stored".to_owned());
    };
    let at = situation.now.saturating_add(situation.renew_before).unwrap_or(Timestamp::MAX);
    let verified = Material::read(&stored.data).and_then(|material| {
        material.verify(situation.name, at)?;
        Ok(material)
    });
    match verified {
        Err(unfit) => {
            let reusable = Authority::stored(&stored.data, situation.now, situation.renew_before).is_some();
            make(situation, if reusable { Signer::Stored } else { Signer::New }, unfit.to_string())
        }
        Ok(material) => match note(situation, stored, &material) {
            Some(previous) => Decision::Note(previous),
            None => Decision::Keep(material),
        },
    }
}

/// The `caBundle` to publish: authorities before the last change, then the present one (IN-36).
pub fn bundle(material: &Material, previous: Option<&Previous>) -> Vec<u8> {
    match previous {
        // Byte for byte what is stored: other readers of the Secret write the same.
        None => material.ca_cert.clone(),
        Some(previous) => concatenated([previous.bundle.as_bytes(), &material.ca_cert]),
    }
}

/// Reasons that fail before a certificate is made.
fn make(situation: &Situation<'_>, authority: Signer, because: String) -> Decision {
    let stored = situation.stored;
    let mut before: Vec<CertificateDer<'static>> = Vec::new();
    if let Some(previous) = stored.and_then(|stored| stored.previous.as_ref()) {
        before.extend(certificates(previous.bundle.as_bytes()));
    }
    let present = stored.and_then(|stored| stored.data.get(CA_CERT)).map(|pem| certificates(pem)).unwrap_or_default();
    before.extend_from_slice(situation.published);
    let kept = match authority {
        Signer::New => {
            before.extend(present);
            Vec::new()
        }
        // The authority stays: what is noted or published besides it stays noted, itself is no previous one.
        Signer::Stored => present,
    };
    before.retain(|certificate| !kept.contains(certificate));
    Decision::Make { authority, previous: previous(before, situation.now), because }
}

/// Whether the note of a fit state must change, and to what.
fn note(situation: &Situation<'_>, stored: &Stored, material: &Material) -> Option<Option<Previous>> {
    let present = material.authority();
    let is_published = situation.published.iter().any(|certificate| present.contains(certificate));
    if !is_published && !situation.published.is_empty() {
        // Somebody replaced the stored material and said nothing. Replicas may still serve under what is published.
        let noted = stored.previous.as_ref().map(|noted| certificates(noted.bundle.as_bytes())).unwrap_or_default();
        let missing = situation.published.iter().any(|certificate| !noted.contains(certificate));
        let before = noted.into_iter().chain(situation.published.iter().cloned()).collect();
        return match previous(before, situation.now) {
            Some(previous) if missing => Some(Some(previous)),
            _ => None,
        };
    }
    let over = stored.previous.as_ref()?.since.saturating_add(PREVIOUS_KEPT).is_ok_and(|end| situation.now >= end);
    (over && situation.serving == material.cert).then_some(None)
}

/// A note of certificates that are still valid, each once; `None` for none.
fn previous(certificates: Vec<CertificateDer<'static>>, now: Timestamp) -> Option<Previous> {
    let mut kept: Vec<CertificateDer<'static>> = Vec::new();
    for certificate in certificates {
        let valid = Span::of(&certificate).is_some_and(|span| now <= span.not_after);
        if valid && !kept.contains(&certificate) {
            kept.push(certificate);
        }
    }
    let bundle: String = kept.iter().map(|certificate| pem(certificate)).collect();
    (!bundle.is_empty()).then_some(Previous { since: now, bundle })
}

/// PEM of a certificate (RFC 7468: lines of 64 characters).
fn pem(certificate: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    let mut block = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at_checked(64).unwrap_or((rest, ""));
        block.push_str(line);
        block.push('\n');
        rest = tail;
    }
    block.push_str("-----END CERTIFICATE-----\n");
    block
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
