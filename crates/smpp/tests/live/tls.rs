//! The same over TLS, with certificates made for the occasion.

use std::sync::Arc;

use smpp::client::{self, ConnectError, Transport};
use smpp::pdu::SubmitSmResp;
use smpp::server::ServerConfig;
use smpp::session::{Reply, Request};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, RootCertStore, crypto};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{Inbox, Server, message, soon};

/// An acceptor for `localhost`, and a connector that trusts it and nobody else.
fn tls() -> (TlsAcceptor, TlsConnector) {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a matching pair");
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).expect("a certificate");
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (
        TlsAcceptor::from(Arc::new(server)),
        TlsConnector::from(Arc::new(client)),
    )
}

fn transport(connector: TlsConnector, name: &'static str) -> Transport {
    Transport::Tls {
        connector,
        server_name: ServerName::try_from(name).expect("a name"),
    }
}

#[tokio::test]
async fn messages_go_over_tls_in_bulk() {
    const MESSAGES: u64 = 1000;
    let (acceptor, connector) = tls();
    let mut server = Server::start(ServerConfig::default(), Some(acceptor)).await;
    let config = server.client_config(|config| config.session.window_max = 100);
    let bound = soon(client::connect(config, &transport(connector, "localhost")))
        .await
        .expect("bound");
    let (session, mut inbox) = server.session().await;
    let requests = (0..MESSAGES)
        .map(|token| Request::new(token, message(token)))
        .collect();
    soon(bound.client.send_batch(requests)).await.expect("open");
    let serving = tokio::spawn(async move {
        for token in 0..MESSAGES {
            let (sequence, received) = inbox.submit().await;
            assert_eq!(received, message(token));
            session.respond(vec![Reply::ok(sequence, SubmitSmResp::new("1"))]);
        }
        inbox
    });
    let mut events = Inbox::new(bound.events);
    for token in 0..MESSAGES {
        assert_eq!(events.response().await.0, token);
    }
    let mut inbox = soon(serving).await.expect("all served");
    soon(bound.client.unbind_and_drain(super::TOO_LONG)).await;
    assert_eq!(events.closed().await.0, "unbound");
    assert_eq!(inbox.closed().await.0, "the peer unbound");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_accepted() {
    let (acceptor, connector) = tls();
    let server = Server::start(ServerConfig::default(), Some(acceptor)).await;
    let other = transport(connector, "smsc.example");
    let refused = soon(client::connect(server.client_config(|_| {}), &other)).await;
    assert!(matches!(refused, Err(ConnectError::Tls(_))), "{refused:?}");
}

#[tokio::test]
async fn plain_text_does_not_pass_for_tls() {
    let (_, connector) = tls();
    let server = Server::start(ServerConfig::default(), None).await;
    let refused = soon(client::connect(
        server.client_config(|_| {}),
        &transport(connector, "localhost"),
    ))
    .await;
    assert!(matches!(refused, Err(ConnectError::Tls(_))), "{refused:?}");
}
