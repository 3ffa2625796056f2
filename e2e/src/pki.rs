//! Certificates and kubeconfig files of a test cluster: one authority, P-256 keys, made new for each cluster.
//!
//! Who may do what follows from the subject, as Kubernetes reads it: common name is the user, organisations are groups.

use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io::Write};

use anyhow::{Context, Result};
use base64::Engine;
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType, date_time_ymd,
};

/// The authority, its folder, and the key that signs service account tokens.
pub struct Authority {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// Who a certificate speaks for.
#[derive(Debug, Default)]
pub struct Subject<'a> {
    /// The user.
    pub name: &'a str,
    /// Its groups.
    pub groups: &'a [&'a str],
    /// Names and addresses under which it serves.
    pub serves: &'a [&'a str],
    /// Its last moment; without one it never ends.
    pub ends: Option<Timestamp>,
}

impl Authority {
    /// Makes an authority and the service account key `sa.key` in a folder.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn create(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "kruise-test-ca");
        params.key_usages =
            vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem();
        write_secret(&dir.join("ca.key"), &key.serialize_pem())?;
        fs::write(dir.join("ca.crt"), &certificate)?;
        let accounts = KeyPair::generate()?;
        write_secret(&dir.join("sa.key"), &accounts.serialize_pem())?;
        fs::write(dir.join("sa.pub"), accounts.public_key_pem())?;
        Ok(Self { dir: dir.to_owned(), issuer: Issuer::new(params, key), certificate })
    }

    /// Makes `<file>.crt` and `<file>.key` for a subject, good for serving and for asking.
    ///
    /// # Errors
    /// A name that no certificate can hold, or a folder that cannot be written.
    pub fn issue(&self, file: &str, subject: &Subject<'_>) -> Result<Pair> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, subject.name);
        for group in subject.groups {
            params.distinguished_name.push(DnType::OrganizationName, *group);
        }
        for name in subject.serves {
            params.subject_alt_names.push(match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName((*name).try_into()?),
            });
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        if let Some(ends) = subject.ends {
            // The library's own type of date is made from a calendar day only.
            params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(ends.as_second())?);
        }
        let key = KeyPair::generate()?;
        let pair = Pair { certificate: params.signed_by(&key, &self.issuer)?.pem(), key: key.serialize_pem() };
        fs::write(self.dir.join(format!("{file}.crt")), &pair.certificate)?;
        write_secret(&self.dir.join(format!("{file}.key")), &pair.key)?;
        Ok(pair)
    }

    /// Writes a kubeconfig that holds everything in itself, so that it can be copied anywhere.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn kubeconfig(&self, file: &Path, server: &str, pair: &Pair) -> Result<()> {
        let [ca, certificate, key] = [&self.certificate, &pair.certificate, &pair.key]
            .map(|pem| base64::engine::general_purpose::STANDARD.encode(pem));
        let text = format!(
            r#"apiVersion: v1
kind: Config
clusters:
  - name: kruise-test
    cluster:
      server: {server}
      certificate-authority-data: {ca}
users:
  - name: user
    user:
      client-certificate-data: {certificate}
      client-key-data: {key}
contexts:
  - name: kruise-test
    context:
      cluster: kruise-test
      user: user
current-context: kruise-test
"#
        );
        write_secret(file, &text)
    }
}

/// A certificate with its key, both PEM.
#[derive(Debug)]
pub struct Pair {
    certificate: String,
    key: String,
}

fn write_secret(file: &Path, text: &str) -> Result<()> {
    let open = fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(file);
    open.and_then(|mut open| open.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_names_user_groups_and_addresses() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::create(folder.path()).unwrap();
        let subject = Subject {
            name: "system:node:node1",
            groups: &["system:nodes"],
            serves: &["node1", "172.30.0.11"],
            ends: None,
        };
        authority.issue("node1", &subject).unwrap();

        let pem = fs::read(folder.path().join("node1.crt")).unwrap();
        let (_, pem) = x509_parser::pem::parse_x509_pem(&pem).unwrap();
        let certificate = pem.parse_x509().unwrap();
        assert_eq!(certificate.subject().to_string(), "CN=system:node:node1, O=system:nodes");
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        assert_eq!(names.value.general_names.len(), 2);
    }

    #[test]
    fn keys_are_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        Authority::create(folder.path()).unwrap();
        for name in ["ca.key", "sa.key"] {
            assert_eq!(fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
