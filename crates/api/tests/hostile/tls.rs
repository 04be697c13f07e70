//! Versions of TLS. A client that supports old ones only gets an alert that says so, and nothing is served.

use api::serve::Certificate;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

/// The greeting of a client that speaks this version at most (RFC 5246, 7.4.1.2), with ciphers of its time and of ours.
fn hello(minor: u8) -> Vec<u8> {
    let mut body = vec![3, minor];
    body.extend([7; 32]);
    body.push(0);
    let ciphers = [0xc013_u16, 0xc014, 0x002f, 0x0035, 0xc02f, 0xc030, 0xc02b, 0xc02c];
    body.extend((2 * ciphers.len() as u16).to_be_bytes());
    ciphers
        .iter()
        .for_each(|cipher| body.extend(cipher.to_be_bytes()));
    body.extend([1, 0]);
    let extensions = [
        0x00, 0x0a, 0, 6, 0, 4, 0, 0x1d, 0, 0x17, // groups
        0x00, 0x0b, 0, 2, 1, 0, // point formats
        0x00, 0x0d, 0, 10, 0, 8, 4, 3, 8, 4, 4, 1, 5, 3, // signature algorithms
    ];
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let mut hello = vec![22, 3, 1];
    hello.extend((body.len() as u16 + 4).to_be_bytes());
    hello.extend([1, 0]);
    hello.extend((body.len() as u16).to_be_bytes());
    hello.extend(body);
    hello
}

/// The first record of the answer: its type, and what is in it.
async fn answered(greeting: &[u8]) -> (u8, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let certificate = Certificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    let acceptor = certificate.acceptor().unwrap();
    let (mut client, server) = duplex(1 << 16);
    let accepting = tokio::spawn(async move { acceptor.accept(server).await.is_ok() });
    client.write_all(greeting).await.unwrap();
    let mut head = [0; 5];
    client.read_exact(&mut head).await.unwrap();
    let mut record = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    client.read_exact(&mut record).await.unwrap();
    drop(client);
    assert!(!accepting.await.unwrap(), "nobody went on with the handshake");
    (head[0], record)
}

#[tokio::test]
async fn only_tls_of_today_is_spoken() {
    const ALERT: u8 = 21;
    const HANDSHAKE: u8 = 22;
    const FATAL: u8 = 2;
    const PROTOCOL_VERSION: u8 = 70;
    // SSL 3.0, TLS 1.0, TLS 1.1.
    for minor in 0..=2 {
        assert_eq!(
            answered(&hello(minor)).await,
            (ALERT, vec![FATAL, PROTOCOL_VERSION]),
            "3.{minor}"
        );
    }
    // The control: with TLS 1.2 the server greets back.
    let (kind, record) = answered(&hello(3)).await;
    assert_eq!((kind, record[0]), (HANDSHAKE, 2), "{record:?}");
}
