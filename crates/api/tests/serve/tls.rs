//! HTTPS.

use super::*;
use api::serve::Certificate;

pub(super) struct Identity {
    pub(super) chain: String,
    pub(super) key: String,
    pub(super) der: rustls::pki_types::CertificateDer<'static>,
}

pub(super) fn identity() -> Identity {
    let made = rcgen::generate_simple_self_signed(vec!["sms.example".to_owned()]).unwrap();
    Identity {
        chain: made.cert.pem(),
        key: made.signing_key.serialize_pem(),
        der: made.cert.der().clone(),
    }
}

/// Shakes hands trusting one certificate alone.
async fn connect_tls(
    running: &Running,
    trusted: &Identity,
) -> std::io::Result<impl AsyncRead + AsyncWrite + Unpin> {
    connect_tls_from(running, trusted, 1).await
}

/// Likewise, from 127.0.0.`last`.
pub(super) async fn connect_tls_from(
    running: &Running,
    trusted: &Identity,
    last: u8,
) -> std::io::Result<impl AsyncRead + AsyncWrite + Unpin> {
    shake(running.connect_from(last).await, trusted).await
}

/// Likewise, over a stream on which something may have been said already.
pub(super) async fn shake(
    stream: TcpStream,
    trusted: &Identity,
) -> std::io::Result<impl AsyncRead + AsyncWrite + Unpin> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.der.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    connector.connect("sms.example".try_into().unwrap(), stream).await
}

#[tokio::test]
async fn https_is_served_and_a_new_certificate_is_shown_to_new_connections() {
    let (old, new) = (identity(), identity());
    let certificate = Certificate::from_pem(old.chain.as_bytes(), old.key.as_bytes()).unwrap();
    let limits = ServeLimits {
        header_read_timeout_ms: 500,
        ..lenient_limits()
    };
    let running = start_with(limits, Some(certificate.acceptor().unwrap())).await;
    let mut before = connect_tls(&running, &old).await.unwrap();
    assert_served(&mut before).await;

    assert!(
        certificate
            .replace(new.chain.as_bytes(), old.key.as_bytes())
            .is_err(),
        "not its key"
    );
    assert!(
        certificate.replace(b"", old.key.as_bytes()).is_err(),
        "no certificate"
    );
    certificate
        .replace(new.chain.as_bytes(), new.key.as_bytes())
        .unwrap();
    assert!(connect_tls(&running, &old).await.is_err());
    let mut after = connect_tls(&running, &new).await.unwrap();
    assert_served(&mut after).await;
    assert_served(&mut before).await;

    let mut silent = running.connect().await;
    closed(&mut silent).await;
    drop((before, after));
    assert_eq!(running.stop().await, Stopped { cut: 0 });
}
