//! TLS handshakes: what unverified clients can do with them.

use super::tls::{Identity, connect_tls_from, identity};
use super::*;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::io::Cursor;

/// Shows a certificate, and counts how often: each time costs a signature.
#[derive(Debug)]
struct Counted {
    shown: AtomicUsize,
    key: Arc<CertifiedKey>,
}

impl ResolvesServerCert for Counted {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.shown.fetch_add(1, Ordering::SeqCst);
        Some(Arc::clone(&self.key))
    }
}

/// A listener of HTTPS whose certificate is counted.
async fn start_counted(limits: ServeLimits) -> (Running, Identity, Arc<Counted>) {
    use rustls::pki_types::pem::PemObject as _;
    let identity = identity();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let key = CertifiedKey::from_der(vec![identity.der.clone()], key, &provider).unwrap();
    let counted = Arc::new(Counted {
        shown: AtomicUsize::new(0),
        key: Arc::new(key),
    });
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(&counted) as _);
    let running = start_with(limits, Some(TlsAcceptor::from(Arc::new(config)))).await;
    (running, identity, counted)
}

/// What a client says first.
fn hello() -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = "sms.example".try_into().unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut hello = Cursor::new(Vec::new());
    client.write_tls(&mut hello).unwrap();
    hello.into_inner()
}

/// Begins a handshake from 127.0.0.`last`.
async fn begun(running: &Running, last: u8) -> TcpStream {
    let mut stream = running.connect_from(last).await;
    stream.write_all(&hello()).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_begun_and_left_garbage_and_halves_of_a_hello_keep_nobody_out() {
    const EACH: usize = 60;
    let (running, identity, counted) = start_counted(lenient_limits()).await;
    let hello = hello();
    let mut held = Vec::new();
    for count in 0..EACH {
        let last = 2 + (count % 3) as u8;
        drop(begun(&running, last).await);
        let mut garbage = running.connect_from(last).await;
        garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut half = running.connect_from(last).await;
        half.write_all(&hello[..hello.len() / 2]).await.unwrap();
        held.push((garbage, half, begun(&running, last).await));
        if count % 20 == 19 {
            let mut good = connect_tls_from(&running, &identity, 9).await.unwrap();
            assert_served(&mut good).await;
        }
    }
    let failed = &running.metrics.tls_handshakes_failed;
    until("garbage and those who left are counted", || {
        failed.get() >= 2 * EACH as u64
    })
    .await;
    // An answer to garbage is an alert, and nothing is signed for it.
    let (garbage, ..) = held.first_mut().unwrap();
    let mut reported = Vec::new();
    let _ = timeout(SOON, garbage.read_to_end(&mut reported)).await.unwrap();
    assert!(reported.is_empty() || reported[0] == 21, "{reported:?}");
    assert!(counted.shown.load(Ordering::SeqCst) <= 2 * EACH + 3);
    assert_eq!(running.metrics.tls_handshakes.get(), 3);
    drop(held);
    until("all is given back", || running.metrics.connections.get() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_begins_more_handshakes_than_it_may_waits_and_others_do_not() {
    let limits = ServeLimits {
        handshakes_per_s_max: 1,
        ..lenient_limits()
    };
    let (running, identity, counted) = start_counted(limits).await;
    let mut held = Vec::new();
    for _ in 0..50 {
        held.push(begun(&running, 2).await);
    }
    let paced = || running.metrics.tls_handshakes_paced.get();
    until("they wait", || paced() > 0).await;
    for other in 3..6 {
        let mut good = connect_tls_from(&running, &identity, other).await.unwrap();
        assert_served(&mut good).await;
    }
    // One by one they get their turn.
    let shown = counted.shown.load(Ordering::SeqCst);
    until("the next", || counted.shown.load(Ordering::SeqCst) > shown).await;
    assert!(counted.shown.load(Ordering::SeqCst) < 50);
}

#[tokio::test]
async fn an_address_where_a_credential_was_verified_does_not_wait_for_handshakes() {
    let limits = ServeLimits {
        handshakes_per_s_max: 1,
        ..lenient_limits()
    };
    let (running, identity, _) = start_counted(limits).await;
    let mut known = connect_tls_from(&running, &identity, 2).await.unwrap();
    send(&mut known, "GET /login HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer(&mut known).await.0.contains("200"));
    for _ in 0..20 {
        let mut next = connect_tls_from(&running, &identity, 2).await.unwrap();
        assert_served(&mut next).await;
    }
    assert_eq!(running.metrics.tls_handshakes_paced.get(), 0);
}

#[tokio::test]
async fn nothing_is_signed_for_a_client_that_has_left() {
    let limits = ServeLimits {
        handshakes_per_s_max: 1,
        ..lenient_limits()
    };
    let (running, identity, counted) = start_counted(limits).await;
    let first = connect_tls_from(&running, &identity, 2).await.unwrap();
    for _ in 0..20 {
        drop(begun(&running, 2).await);
    }
    // It stands in line behind those, and need not wait a second for each.
    let mut good = connect_tls_from(&running, &identity, 2).await.unwrap();
    assert_served(&mut good).await;
    assert_eq!(counted.shown.load(Ordering::SeqCst), 2);
    until("those who left are counted", || {
        running.metrics.tls_handshakes_failed.get() == 20
    })
    .await;
    drop(first);
}

#[tokio::test]
async fn a_handshake_without_end_is_cut_by_its_length() {
    let (running, ..) = start_counted(lenient_limits()).await;
    let mut stream = running.connect().await;
    // A hello of 60,000 octets, in records of 1,000.
    let mut body = vec![1, 0, 0xea, 0x60];
    body.resize(60_004, 0);
    let sending = async {
        for piece in body.chunks(1_000) {
            let head = [22, 3, 1, (piece.len() >> 8) as u8, piece.len() as u8];
            if stream.write_all(&[&head[..], piece].concat()).await.is_err() {
                return;
            }
        }
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    };
    timeout(SOON, sending).await.expect("it is closed in time");
    until("it is counted", || {
        running.metrics.tls_handshakes_failed.get() == 1
    })
    .await;
}
