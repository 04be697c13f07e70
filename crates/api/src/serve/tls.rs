//! HTTPS with a certificate that can be replaced while connections go on.

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;
use tokio_rustls::TlsAcceptor;

/// A certificate with its key, shown to every new connection; [`Certificate::replace`] changes it for those to come.
pub struct Certificate {
    current: ArcSwap<CertifiedKey>,
}

/// A certificate cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The PEM text does not read.
    #[error("reading {what}: {source}")]
    Pem {
        /// Certificates or key.
        what: &'static str,
        /// Why.
        source: pem::Error,
    },
    /// There is no certificate in it.
    #[error("there is no certificate in the PEM text")]
    Empty,
    /// The key is of no use, or does not belong to the certificate.
    #[error("certificate and key: {0}")]
    Unusable(#[from] rustls::Error),
}

impl Certificate {
    /// From a PEM chain (the server's own certificate first) and its PEM key.
    ///
    /// # Errors
    /// [`TlsError`] when either does not read, or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Arc<Self>, TlsError> {
        Ok(Arc::new(Self {
            current: ArcSwap::from_pointee(read(chain, key)?),
        }))
    }

    /// Shows another certificate to connections from now on; those that stand keep theirs.
    ///
    /// # Errors
    /// As [`Certificate::from_pem`]; the old certificate then stays.
    pub fn replace(&self, chain: &[u8], key: &[u8]) -> Result<(), TlsError> {
        self.current.store(Arc::new(read(chain, key)?));
        Ok(())
    }

    /// What [`super::serve`] takes: TLS 1.2 and 1.3, HTTP/1.1 alone.
    ///
    /// # Errors
    /// [`TlsError::Unusable`] when the cryptography at hand offers no protocol version.
    pub fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, TlsError> {
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(self) as _;
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate(..)")
    }
}

fn read(chain: &[u8], key: &[u8]) -> Result<CertifiedKey, TlsError> {
    let wrong = |what| move |source| TlsError::Pem { what, source };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(wrong("certificates"))?;
    if chain.is_empty() {
        return Err(TlsError::Empty);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(wrong("the key"))?;
    Ok(CertifiedKey::from_der(
        chain,
        key,
        &aws_lc_rs::default_provider(),
    )?)
}
