//! Handshakes over TCP with certificates of every kind that fails.

use super::*;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use std::net::SocketAddr;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A certificate with its key.
struct Own {
    certificate: CertificateDer<'static>,
    key: KeyPair,
    params: CertificateParams,
}

fn params(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).unwrap()
}

fn self_signed(params: CertificateParams) -> Own {
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    Own {
        certificate,
        key,
        params,
    }
}

fn authority(name: &str) -> Own {
    let mut params = params("authority.example");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    self_signed(params)
}

fn issued(params: CertificateParams, by: &Own) -> Own {
    let key = KeyPair::generate().unwrap();
    let issuer = Issuer::from_params(&by.params, &by.key);
    let certificate = params.signed_by(&key, &issuer).unwrap().der().clone();
    Own {
        certificate,
        key,
        params,
    }
}

/// A server that shakes hands with everybody.
async fn server(own: &Own) -> SocketAddr {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.certificate.clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _ = stream.shutdown().await;
            }
        }
    });
    address
}

/// What comes of a handshake with whoever trusts `trusted`: empty when it succeeds.
async fn handshake(address: SocketAddr, trusted: &[&Own]) -> String {
    let mut roots = RootCertStore::empty();
    let trusted: Vec<_> = trusted.iter().map(|own| own.certificate.clone()).collect();
    roots.add_parsable_certificates(trusted.iter().cloned());
    let connector = TlsConnector::from(Arc::new(client(roots, trusted)));
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("smsc.example").unwrap();
    match connector.connect(name, stream).await {
        Ok(_) => String::new(),
        Err(error) => Reason {
            error: &error,
            setting: "`tls.ca_file`",
        }
        .to_string(),
    }
}

#[tokio::test]
async fn a_failed_handshake_names_its_reason_and_what_to_do() {
    let (ours, other) = (authority("ours"), authority("other"));
    let fine = issued(params("smsc.example"), &ours);
    assert_eq!(handshake(server(&fine).await, &[&ours]).await, "");

    let unknown = handshake(server(&fine).await, &[&other]).await;
    assert!(
        unknown.starts_with("unknown issuer") && unknown.contains("`tls.ca_file`"),
        "{unknown}"
    );

    let misnamed = issued(params("elsewhere.example"), &ours);
    let wrong = handshake(server(&misnamed).await, &[&ours]).await;
    assert_eq!(
        wrong,
        "wrong name: the certificate of the other side is for elsewhere.example, not for smsc.example"
    );

    let mut old = params("smsc.example");
    (old.not_before, old.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 2, 3));
    let expired = handshake(server(&issued(old, &ours)).await, &[&ours]).await;
    assert_eq!(expired, "the certificate of the other side expired on 2020-02-03");

    let mut young = params("smsc.example");
    (young.not_before, young.not_after) = (date_time_ymd(2090, 1, 1), date_time_ymd(2095, 1, 1));
    let early = handshake(server(&issued(young, &ours)).await, &[&ours]).await;
    assert!(early.contains("valid from 2090-01-01 on"), "{early}");
}

#[tokio::test]
async fn a_self_signed_certificate_is_named_as_such_and_trusted_once_it_is_named() {
    let other = authority("other");
    let plain = self_signed(params("smsc.example"));
    let mut marked = params("smsc.example");
    marked.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let marked = self_signed(marked);
    for own in [&plain, &marked] {
        let address = server(own).await;
        let reason = handshake(address, &[&other]).await;
        assert!(
            reason.starts_with("self-signed") && reason.contains("`tls.ca_file`"),
            "{reason}"
        );
        assert_eq!(handshake(address, &[&other, own]).await, "");
    }
    // To be named does not make it younger.
    let mut old = params("smsc.example");
    old.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (old.not_before, old.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 2, 3));
    let old = self_signed(old);
    let reason = handshake(server(&old).await, &[&old]).await;
    assert!(reason.contains("expired on 2020-02-03"), "{reason}");
    // To be named does not make it somebody else's.
    let mut misnamed = params("elsewhere.example");
    misnamed.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let misnamed = self_signed(misnamed);
    let reason = handshake(server(&misnamed).await, &[&misnamed]).await;
    assert!(reason.starts_with("wrong name"), "{reason}");
}

#[tokio::test]
async fn a_port_without_tls_is_named_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"220 hello\r\n220 hello\r\n").await;
        }
    });
    let reason = handshake(address, &[&authority("ours")]).await;
    assert!(reason.contains("does not speak TLS"), "{reason}");
}

#[test]
fn no_octets_make_the_reader_of_certificates_panic() {
    let own = self_signed(params("a.example"));
    assert!(is_self_signed(&own.certificate));
    for length in 0..own.certificate.len() {
        is_self_signed(&own.certificate[..length]);
    }
    for first in 0..=255 {
        is_self_signed(&[first, 0x84, 0xff, 0xff, 0xff, 0xff]);
    }
}

#[test]
fn a_chain_says_each_cause_once() {
    let cause = io::Error::other("refused");
    #[derive(Debug, Error)]
    #[error("cannot connect")]
    struct Outer(#[source] io::Error);
    assert_eq!(chain(&Outer(cause)), "cannot connect: refused");
}
