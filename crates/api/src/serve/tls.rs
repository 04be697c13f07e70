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
    #[error("`cert_file` has no certificate in it (PEM, -----BEGIN CERTIFICATE-----)")]
    Empty,
    /// Each file holds what belongs in the other.
    #[error("`cert_file` and `key_file` are swapped: the first holds a key and the second a certificate")]
    Swapped,
    /// There is no private key in it.
    #[error("`key_file` has no private key in it (PEM, -----BEGIN PRIVATE KEY-----)")]
    NoKey,
    /// The private key needs a passphrase.
    #[error(
        "the key in `key_file` is encrypted, and there is nobody to ask for its passphrase; decrypt it with \
         `openssl pkey -in KEY -out PLAIN-KEY`"
    )]
    Encrypted,
    /// The key is another certificate's.
    #[error("the key in `key_file` does not belong to the certificate in `cert_file`")]
    Mismatch,
    /// The server's own certificate is not the first of the chain.
    #[error(
        "the certificates in `cert_file` are out of order: the server's own, which the key belongs to, is number {0}; \
         it has to come first, then the one that issued it, and so on"
    )]
    Order(usize),
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
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(wrong("certificates"))?;
    if certificates.is_empty() {
        let has_certificate = CertificateDer::pem_slice_iter(key).any(|read| read.is_ok());
        let is_swapped =
            has_certificate && (is_encrypted(chain) || PrivateKeyDer::from_pem_slice(chain).is_ok());
        return Err(if is_swapped {
            TlsError::Swapped
        } else {
            TlsError::Empty
        });
    }
    let key = match PrivateKeyDer::from_pem_slice(key) {
        Ok(_) if is_encrypted(key) => return Err(TlsError::Encrypted),
        Ok(read) => read,
        Err(_) if is_encrypted(key) => return Err(TlsError::Encrypted),
        Err(pem::Error::NoItemsFound) => return Err(TlsError::NoKey),
        Err(source) => return Err(wrong("the key")(source)),
    };
    let provider = aws_lc_rs::default_provider();
    let certified =
        |chain: Vec<CertificateDer<'static>>| CertifiedKey::from_der(chain, key.clone_key(), &provider);
    match certified(certificates.clone()) {
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
            let own = |certificate: &CertificateDer<'static>| certified(vec![certificate.clone()]).is_ok();
            Err(certificates
                .iter()
                .position(own)
                .map_or(TlsError::Mismatch, |at| TlsError::Order(at + 1)))
        }
        read => Ok(read?),
    }
}

/// Whether a PEM text holds a key under a passphrase: PKCS #8 (RFC 7468 section 11) or the older form (RFC 1421
/// section 4.6.1.1).
fn is_encrypted(pem: &[u8]) -> bool {
    let text = String::from_utf8_lossy(pem);
    text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    /// A certificate and its key, as PEM.
    fn pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn each_way_in_which_a_pair_is_unusable_is_named() {
        let ((own, key), (other, other_key)) = (pair(), pair());
        let read =
            |chain: &str, key: &str| Certificate::from_pem(chain.as_bytes(), key.as_bytes()).map(|_| ());
        assert!(read(&own, &key).is_ok() && read(&format!("{own}{other}"), &key).is_ok());
        assert!(matches!(read(&own, &other_key), Err(TlsError::Mismatch)));
        assert!(matches!(
            read(&format!("{other}{own}"), &key),
            Err(TlsError::Order(2))
        ));
        assert!(matches!(read(&key, &own), Err(TlsError::Swapped)));
        assert!(matches!(read("", &key), Err(TlsError::Empty)));
        assert!(matches!(read("hello", &key), Err(TlsError::Empty)));
        assert!(matches!(read(&own, ""), Err(TlsError::NoKey)));
        assert!(matches!(read(&own, &other), Err(TlsError::NoKey)));
        let encrypted = key
            .replace("BEGIN PRIVATE", "BEGIN ENCRYPTED PRIVATE")
            .replace("END PRIVATE", "END ENCRYPTED PRIVATE");
        assert!(matches!(read(&own, &encrypted), Err(TlsError::Encrypted)));
        let older = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        assert!(matches!(read(&own, older), Err(TlsError::Encrypted)));
    }
}
