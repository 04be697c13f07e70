//! Proxies that are trusted, others, and what they say of their clients.

use super::tls::{connect_tls_from, identity, shake};
use super::*;
use api::serve::Certificate;
use api::serve::proxy::TrustedProxies;

/// The listener believes the headers of 127.0.0.2, 127.0.0.3 and 127.0.0.6. PROXY protocol comes from 127.0.0.5 and 127.0.0.6.
fn trusting() -> ServeSettings {
    ServeSettings {
        limits: lenient_limits(),
        trusted_proxies: ranges(&["127.0.0.2/31", "127.0.0.6"]),
        proxy_protocol_from: ranges(&["127.0.0.5", "127.0.0.6"]),
        ..ServeSettings::default()
    }
}

fn ranges(written: &[&str]) -> TrustedProxies {
    TrustedProxies::new(written.iter().map(|range| range.parse().unwrap()).collect())
}

/// The client's address as the listener sees it.
async fn whoami(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), headers: &str) -> String {
    send(
        stream,
        &format!("GET /whoami HTTP/1.1\r\nHost: x\r\n{headers}\r\n"),
    )
    .await;
    let (status, body) = answer(stream).await;
    if status.contains(" 200") { body } else { status }
}

const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

#[tokio::test]
async fn a_trusted_proxy_names_the_client_of_each_request() {
    let running = start(trusting()).await;
    let mut proxy = running.connect_from(2).await;
    for (headers, expected) in [
        ("X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1"),
        ("X-Forwarded-For: 198.51.100.1, 192.0.2.2\r\n", "192.0.2.2"),
        (
            "X-Forwarded-For: 192.0.2.3\r\nX-Forwarded-For: 127.0.0.3\r\n",
            "192.0.2.3",
        ),
        (
            "Forwarded: for=\"[2001:db8::7]:4711\";proto=https\r\n",
            "2001:db8::7",
        ),
        ("", "127.0.0.2"),
    ] {
        assert_eq!(whoami(&mut proxy, headers).await, expected, "{headers}");
    }
    let two = "Forwarded: for=192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\n";
    assert!(whoami(&mut proxy, two).await.contains(" 400"));
}

#[tokio::test]
async fn what_others_say_of_their_clients_is_not_believed() {
    let running = start(trusting()).await;
    let mut unverified = running.connect_from(4).await;
    for headers in ["X-Forwarded-For: 192.0.2.1\r\n", "Forwarded: for=192.0.2.1\r\n"] {
        assert_eq!(whoami(&mut unverified, headers).await, "127.0.0.4");
    }
    for preamble in [
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n".as_slice(),
        &v2(0x21, 0x11, &[1; 12]),
    ] {
        let mut unverified = running.connect_from(4).await;
        unverified.write_all(preamble).await.unwrap();
        let _ = unverified.write_all(GET.as_bytes()).await;
        assert!(answer(&mut unverified).await.0.contains(" 400"));
    }
}

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [V2_SIGNATURE, &[command, family], &length, rest].concat()
}

#[tokio::test]
async fn a_trusted_proxy_names_the_client_of_a_connection_by_proxy_protocol() {
    let running = start(trusting()).await;
    let v4 = [
        192, 0, 2, 9, 198, 51, 100, 1, 0x12, 0x67, 1, 187, 3, 0, 4, 1, 2, 3, 4,
    ];
    for (preamble, expected) in [
        (
            b"PROXY TCP4 192.0.2.8 198.51.100.1 4711 443\r\n".to_vec(),
            "192.0.2.8",
        ),
        (b"PROXY TCP6 2001:db8::8 ::1 4711 443\r\n".to_vec(), "2001:db8::8"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.5"),
        (v2(0x21, 0x11, &v4), "192.0.2.9"),
        (v2(0x20, 0, &[]), "127.0.0.5"),
        (v2(0x21, 0, &[]), "127.0.0.5"),
    ] {
        let mut stream = running.connect_from(5).await;
        // In two pieces: a preamble may come so, if seldom.
        let (begin, rest) = preamble.split_at(5);
        stream.write_all(begin).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        stream.write_all(rest).await.unwrap();
        assert_eq!(whoami(&mut stream, "").await, expected);
        // That is who is there, and its headers are not believed: even where the proxy does not know its client, they
        // are the client's own.
        for header in [
            "X-Forwarded-For: 198.51.100.7\r\n",
            "Forwarded: for=198.51.100.7\r\n",
        ] {
            assert_eq!(whoami(&mut stream, header).await, expected);
        }
    }
    // A proxy behind a proxy.
    let mut stream = running.connect_from(5).await;
    stream
        .write_all(b"PROXY TCP4 127.0.0.3 198.51.100.1 1 2\r\n")
        .await
        .unwrap();
    assert_eq!(
        whoami(&mut stream, "X-Forwarded-For: 198.51.100.7\r\n").await,
        "198.51.100.7"
    );
    for wrong in [
        b"PROXY TCP4 x y 1 2\r\n".to_vec(),
        v2(0x31, 0x11, &v4),
        v2(0x21, 0x11, &v4[..4]),
    ] {
        let refused = running.metrics.preambles_refused.get();
        let mut stream = running.connect_from(5).await;
        stream.write_all(&wrong).await.unwrap();
        closed(&mut stream).await;
        assert_eq!(running.metrics.preambles_refused.get(), refused + 1);
    }
}

#[tokio::test]
async fn whether_a_proxy_speaks_proxy_protocol_is_not_guessed() {
    let running = start(trusting()).await;
    // One that names clients in headers passes on what a client writes, which may look like a preamble.
    for preamble in [
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n".as_slice(),
        &v2(0x21, 0x11, &[1; 12]),
    ] {
        let mut stream = running.connect_from(2).await;
        stream.write_all(preamble).await.unwrap();
        let _ = stream.write_all(GET.as_bytes()).await;
        assert!(answer(&mut stream).await.0.contains(" 400"));
    }
    // One that is to begin with a preamble and does not is not served, whatever its headers say.
    for from in [5, 6] {
        for begin in [GET, "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\0\0"] {
            let refused = running.metrics.preambles_refused.get();
            let mut stream = running.connect_from(from).await;
            send(&mut stream, begin).await;
            closed(&mut stream).await;
            assert_eq!(running.metrics.preambles_refused.get(), refused + 1);
        }
    }
    // Who only looks whether the port is open is no fault.
    let refused = running.metrics.preambles_refused.get();
    drop(running.connect_from(5).await);
    until("it is gone", || {
        running.metrics.accepted.get() == 9 && running.metrics.connections.get() == 0
    })
    .await;
    assert_eq!(running.metrics.preambles_refused.get(), refused);
}

#[tokio::test]
async fn headers_behind_a_preamble_are_believed_of_proxies_in_both_lists_alone() {
    let running = start(trusting()).await;
    for (preamble, expected) in [
        ("PROXY UNKNOWN\r\n", "198.51.100.7"),
        ("PROXY TCP4 192.0.2.8 198.51.100.1 4711 443\r\n", "192.0.2.8"),
    ] {
        let mut stream = running.connect_from(6).await;
        send(&mut stream, preamble).await;
        let header = "X-Forwarded-For: 198.51.100.7\r\n";
        assert_eq!(whoami(&mut stream, header).await, expected);
    }
}

#[tokio::test]
async fn a_preamble_stands_before_tls_and_nothing_within_it_is_one() {
    let own = identity();
    let certificate = Certificate::from_pem(own.chain.as_bytes(), own.key.as_bytes()).unwrap();
    let running = start_with(trusting(), Some(certificate.acceptor().unwrap())).await;
    let preamble = "PROXY TCP4 192.0.2.8 198.51.100.1 4711 443\r\n";
    let header = "X-Forwarded-For: 198.51.100.7\r\n";
    for (from, preamble, expected) in [
        (5, preamble, "192.0.2.8"),
        (5, "PROXY UNKNOWN\r\n", "127.0.0.5"),
        (6, "PROXY UNKNOWN\r\n", "198.51.100.7"),
        (2, "", "198.51.100.7"),
    ] {
        let mut stream = running.connect_from(from).await;
        send(&mut stream, preamble).await;
        let mut stream = shake(stream, &own).await.unwrap();
        assert_eq!(whoami(&mut stream, header).await, expected);
    }
    assert!(connect_tls_from(&running, &own, 5).await.is_err(), "no preamble");
    let mut stream = connect_tls_from(&running, &own, 2).await.unwrap();
    send(&mut stream, preamble).await;
    assert!(whoami(&mut stream, header).await.contains(" 400"));
}

#[tokio::test]
async fn limits_count_the_clients_of_a_proxy_and_not_the_proxy() {
    let mut settings = trusting();
    settings.limits.per_address_max = 5;
    let running = start(settings).await;
    let unfinished = |client: &str| {
        format!("POST /read HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {client}\r\nContent-Length: 9\r\n\r\n")
    };
    let mut held = Vec::new();
    // Many clients behind one proxy.
    for client in 0..30 {
        let mut stream = running.connect_from(2).await;
        send(&mut stream, &unfinished(&format!("192.0.2.{client}"))).await;
        held.push(stream);
    }
    let mut proxy = running.connect_from(2).await;
    assert_eq!(
        whoami(&mut proxy, "X-Forwarded-For: 192.0.2.99\r\n").await,
        "192.0.2.99"
    );
    assert_eq!(running.metrics.evicted.get(), 0);
    // One client with many.
    let mut many = Vec::new();
    for _ in 0..20 {
        let mut stream = running.connect_from(2).await;
        send(&mut stream, &unfinished("198.51.100.1")).await;
        many.push(stream);
    }
    until("the slowest made room", || {
        running.metrics.evicted.get() + running.metrics.refused.get() >= 15
    })
    .await;
    for stream in &mut held {
        send(stream, "123456789").await;
        assert_eq!(answer(stream).await.1, "read 9");
    }
    // Named by PROXY protocol, it is counted with those.
    let mut stream = running.connect_from(5).await;
    stream
        .write_all(b"PROXY TCP4 198.51.100.1 198.51.100.2 1 2\r\n")
        .await
        .unwrap();
    let evicted = running.metrics.evicted.get();
    until("another made room for it", || {
        running.metrics.evicted.get() > evicted
    })
    .await;
    assert_eq!(whoami(&mut stream, "").await, "198.51.100.1");
}

/// Requests `path` with more lines of a head; the body of the response.
async fn ask(stream: &mut TcpStream, path: &str, client: &str) -> String {
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {client}\r\n\r\n");
    send(stream, &head).await;
    let (status, body) = answer(stream).await;
    assert!(status.contains(" 200"), "{status}");
    body
}

#[tokio::test]
async fn a_credential_verified_behind_a_proxy_lifts_no_limit_of_the_next_request_on_the_connection() {
    let mut settings = trusting();
    settings.limits.per_address_max = 2;
    let running = start(settings).await;
    let mut held = Vec::new();
    for _ in 0..10 {
        let mut upstream = running.connect_from(2).await;
        ask(&mut upstream, "/login", "192.0.2.1").await;
        for client in ["198.51.100.1", "192.0.2.1"] {
            assert_eq!(ask(&mut upstream, "/known", client).await, "false");
        }
        ask(&mut upstream, "/login", "192.0.2.1").await;
        // Somebody else has the connection now and is slow.
        let unfinished =
            "POST /read HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.1\r\nContent-Length: 9\r\n\r\n";
        send(&mut upstream, unfinished).await;
        held.push(upstream);
    }
    until("no more than twice what an address may have", || {
        running.metrics.evicted.get() + running.metrics.refused.get() >= 6
    })
    .await;
}

#[tokio::test]
async fn a_body_of_a_known_client_behind_a_proxy_is_read_in_large_pieces() {
    let running = start(trusting()).await;
    let mut upstream = running.connect_from(2).await;
    let body = vec![b'x'; 512 * 1024];
    let mut largest = async |client: &str| {
        let head = format!(
            "POST /largest HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {client}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        send(&mut upstream, &head).await;
        upstream.write_all(&body).await.unwrap();
        answer(&mut upstream).await.1.parse::<usize>().unwrap()
    };
    assert!(largest("192.0.2.1").await <= 8192);
    let mut other = running.connect_from(2).await;
    ask(&mut other, "/login", "192.0.2.1").await;
    // How much lies there to be read at once is the kernel's to say.
    let mut large = false;
    for _ in 0..20 {
        large |= largest("192.0.2.1").await > 8192;
    }
    assert!(large);
}

#[tokio::test]
async fn a_client_behind_a_proxy_that_has_too_many_requests_under_way_gets_an_error_and_none_is_just_closed()
{
    const MAY_HAVE: usize = 5;
    const MANY: usize = 14;
    let mut settings = trusting();
    settings.limits.per_address_max = MAY_HAVE;
    let running = start(settings).await;
    let mut requested = Vec::new();
    for _ in 0..MANY {
        let mut stream = running.connect_from(2).await;
        let head =
            "POST /read HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\nContent-Length: 9\r\n\r\n";
        send(&mut stream, head).await;
        requested.push(stream);
    }
    until("the others are gone", || {
        running.metrics.evicted.get() + running.metrics.refused.get() >= (MANY - MAY_HAVE) as u64
    })
    .await;
    // Those that stay are done.
    let mut statuses = Vec::new();
    for stream in &mut requested {
        let _ = stream.write_all(b"123456789").await;
        let (status, _) = answer(stream).await;
        statuses.push(status.split(' ').nth(1).unwrap_or_default().to_owned());
    }
    let of = |status: &str| statuses.iter().filter(|one| *one == status).count();
    assert_eq!(
        (of("200"), of("429")),
        (MAY_HAVE, MANY - MAY_HAVE),
        "{statuses:?}"
    );
}
