//! The certificate that the server shows, and the authority that the readiness check trusts.
//!
//! Both change while connections are being opened: a handshake takes the pair of the moment and keeps it to its end, so
//! a change drops nothing (IN-35). Without a pair, handshakes fail: a replica that must not serve yet can't (ruling 21).

use std::sync::Arc;

use parking_lot::RwLock;
use rustls::RootCertStore;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;
use tokio::sync::Notify;

/// Certificate, key and trusted authority of the moment.
#[derive(Debug, Default)]
pub struct Credentials {
    present: RwLock<Option<Present>>,
    changed: Notify,
}

#[derive(Clone, Debug)]
struct Present {
    pair: Arc<CertifiedKey>,
    trust: Arc<RootCertStore>,
}

impl Credentials {
    /// Shows this pair from now on, and trusts this authority.
    pub fn present(&self, pair: Arc<CertifiedKey>, authority: &[CertificateDer<'static>]) {
        let mut trust = RootCertStore::empty();
        trust.add_parsable_certificates(authority.iter().cloned());
        *self.present.write() = Some(Present { pair, trust: Arc::new(trust) });
        self.changed.notify_one();
    }

    /// The authority that the present pair chains to; `None` before the first.
    pub fn trust(&self) -> Option<Arc<RootCertStore>> {
        self.present.read().as_ref().map(|present| Arc::clone(&present.trust))
    }

    /// Returns after the next change; one that happened since the last call counts.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

impl ResolvesServerCert for Credentials {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.present.read().as_ref().map(|present| Arc::clone(&present.pair))
    }
}
