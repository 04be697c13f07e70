//! Transport security towards others: whom to trust, and why a handshake failed, in words.

use std::fmt;
use std::io;
use std::sync::Arc;
use thiserror::Error;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, OtherError, RootCertStore,
    SignatureScheme,
};

/// A client's settings that trust `roots`. The provider is named, for a build may hold more than one and then has no
/// default.
///
/// A server whose own certificate is among `pinned`, to the octet, is trusted as well although it is signed by itself
/// and marked as an authority (what `openssl req -x509` makes): the rules for names and dates stay.
pub(crate) fn client(roots: RootCertStore, pinned: Vec<CertificateDer<'static>>) -> ClientConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap_or_else(|_| unreachable!("the provider speaks the default versions"));
    let roots = Arc::new(roots);
    match WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), provider).build() {
        Ok(inner) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier { inner, pinned }))
            .with_no_client_auth(),
        // Nothing is trusted: then nothing will be.
        Err(_) => builder.with_root_certificates(roots).with_no_client_auth(),
    }
}

/// The library's verifier, which also says when a certificate is signed by itself, and takes those that are pinned.
#[derive(Debug)]
struct Verifier {
    inner: Arc<WebPkiServerVerifier>,
    pinned: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let error = match self.inner.verify_server_cert(own, intermediates, name, ocsp, now) {
            Ok(verified) => return Ok(verified),
            Err(error) => error,
        };
        let is_authority = is_authority_as_server(&error);
        if is_authority && self.pinned.iter().any(|pinned| pinned == own) {
            verify_server_name(&ParsedCertificate::try_from(own)?, name)?;
            return Ok(ServerCertVerified::assertion());
        }
        let is_untrusted = matches!(
            error,
            TlsError::InvalidCertificate(CertificateError::UnknownIssuer)
        );
        if (is_untrusted || is_authority) && is_self_signed(own) {
            let error = CertificateError::Other(OtherError(Arc::new(SelfSigned)));
            return Err(TlsError::InvalidCertificate(error));
        }
        Err(error)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.inner.verify_tls12_signature(message, own, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.inner.verify_tls13_signature(message, own, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// The server's certificate is its own issuer, and not trusted.
#[derive(Debug, Error)]
#[error("the certificate is signed by itself")]
struct SelfSigned;

/// Whether the library only objects that a server shows a certificate of an authority as its own.
fn is_authority_as_server(error: &TlsError) -> bool {
    // The library that says so is not named by the one in use, only its words come through.
    matches!(error, TlsError::InvalidCertificate(CertificateError::Other(other))
        if format!("{other:?}").contains("CaUsedAsEndEntity"))
}

/// Whether issuer and subject are the same (RFC 5280 section 4.1.2). False for what does not read.
fn is_self_signed(certificate: &[u8]) -> bool {
    fn names(certificate: &[u8]) -> Option<(&[u8], &[u8])> {
        let (_, issuer, rest) = der(tbs_after_algorithm(certificate)?)?;
        let (_, _, rest) = der(rest)?; // Validity.
        let (_, subject, _) = der(rest)?;
        Some((issuer, subject))
    }
    names(certificate).is_some_and(|(issuer, subject)| issuer == subject)
}

/// What is signed of a certificate, behind the algorithm: issuer, validity, subject, ... (RFC 5280 section 4.1).
fn tbs_after_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let (_, certificate, _) = der(certificate).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (_, mut rest, _) = der(certificate).filter(|(tag, ..)| *tag == SEQUENCE)?;
    if rest.first() == Some(&VERSION) {
        (_, _, rest) = der(rest)?;
    }
    let (_, _, rest) = der(rest)?; // Serial number.
    let (_, _, rest) = der(rest)?; // Signature algorithm.
    Some(rest)
}

/// One DER element: its tag, what is in it, and what follows it (X.690 section 8.1).
fn der(octets: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = octets.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = digits
                .iter()
                .fold(0_usize, |all, digit| all << 8 | usize::from(*digit));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// Why a TLS handshake failed, in words; `setting` names where authorities to trust are configured.
pub(crate) struct Reason<'a> {
    pub(crate) error: &'a io::Error,
    pub(crate) setting: &'static str,
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { error, setting } = self;
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
        match tls {
            Some(TlsError::InvalidCertificate(why)) => certificate(why, setting, f),
            Some(TlsError::InvalidMessage(_)) => {
                f.write_str("the other side does not speak TLS: is this its port for TLS?")
            }
            Some(TlsError::AlertReceived(alert)) => {
                write!(f, "the other side refused the handshake ({alert:?})")
            }
            Some(error) => error.fmt(f),
            None if error.kind() == io::ErrorKind::UnexpectedEof => f.write_str(
                "the other side closed the connection during the handshake: is this its port for TLS?",
            ),
            None => error.fmt(f),
        }
    }
}

fn certificate(why: &CertificateError, setting: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match why {
        CertificateError::Expired => f.write_str("the certificate of the other side has expired"),
        CertificateError::ExpiredContext { not_after, .. } => {
            write!(
                f,
                "the certificate of the other side expired on {}",
                Date(*not_after)
            )
        }
        CertificateError::NotValidYet => f.write_str("the certificate of the other side is not valid yet"),
        CertificateError::NotValidYetContext { not_before, .. } => write!(
            f,
            "the certificate of the other side is valid from {} on; is this machine's clock right?",
            Date(*not_before)
        ),
        CertificateError::UnknownIssuer => write!(
            f,
            "unknown issuer: the certificate of the other side was issued by an authority that is not trusted here; to \
             trust it, name a PEM file with the authority's certificate in {setting}"
        ),
        CertificateError::NotValidForName => {
            f.write_str("wrong name: the certificate of the other side is for another name")
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let presented: Vec<&str> = presented.iter().map(|name| dns_name(name)).collect();
            write!(
                f,
                "wrong name: the certificate of the other side is for {}, not for {}",
                if presented.is_empty() {
                    "no name".to_owned()
                } else {
                    presented.join(", ")
                },
                expected.to_str()
            )
        }
        CertificateError::Revoked => f.write_str("the certificate of the other side was revoked"),
        CertificateError::Other(other) if other.0.is::<SelfSigned>() => write!(
            f,
            "self-signed: the certificate of the other side is signed by itself and not trusted here; to trust it, save \
             it as a PEM file and name that file in {setting}"
        ),
        other => write!(f, "the certificate of the other side: {other}"),
    }
}

/// The name alone: the library writes `DnsName("smsc.example")`.
fn dns_name(presented: &str) -> &str {
    let inner = presented
        .split_once('"')
        .and_then(|(_, rest)| rest.split_once('"'));
    inner.map_or(presented, |(name, _)| name)
}

struct Date(UnixTime);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = i64::try_from(self.0.as_secs()).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_second(seconds) {
            Ok(time) => write!(f, "{}", time.strftime("%Y-%m-%d")),
            Err(_) => f.write_str("a day that no calendar has"),
        }
    }
}

/// An error with all its causes, each once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !said.contains(&words) {
            said.push_str(": ");
            said.push_str(&words);
        }
        cause = error.source();
    }
    said
}

mod validity;

pub use validity::certificate_validity;

#[cfg(test)]
mod tests;
