//! Whether a TLS server shows a certificate that certain authorities vouch for: a handshake and nothing after it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Longest time for one handshake.
const PATIENCE: Duration = Duration::from_secs(5);

/// Shakes hands with the server at `address` (`host:port`), asking for `name` and trusting `authorities` (PEM) alone.
///
/// # Errors
/// No connection, or a certificate that does not verify.
pub async fn verify(address: &str, name: &str, authorities: &[u8]) -> Result<()> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(authorities).filter_map(Result::ok));
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let shake = async {
        let stream = TcpStream::connect(address).await?;
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(name.to_owned())?, stream).await?;
        anyhow::Ok(())
    };
    let shaken = tokio::time::timeout(PATIENCE, shake).await;
    shaken
        .with_context(|| format!("no handshake with {address} within {PATIENCE:?}"))?
        .with_context(|| address.to_owned())
}
