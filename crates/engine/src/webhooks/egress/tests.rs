#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

mod names;

use super::connect::Lookup;
use super::*;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedMutexGuard;

const TIME_MAX: Duration = Duration::from_secs(2);

/// A name server that says what a test wants.
struct Says(Vec<IpAddr>);

impl Resolve for Says {
    fn resolve(&self, _: String, port: u16, turn: OwnedMutexGuard<()>) -> Lookup {
        let addresses = self
            .0
            .iter()
            .map(|address| SocketAddr::new(*address, port))
            .collect();
        Box::pin(async move {
            drop(turn);
            Ok(addresses)
        })
    }
}

/// A name server that never answers, and how many ask at once.
#[derive(Default)]
struct Hangs(Arc<AtomicUsize>);

impl Resolve for Hangs {
    fn resolve(&self, _: String, _: u16, turn: OwnedMutexGuard<()>) -> Lookup {
        self.0.fetch_add(1, Ordering::SeqCst);
        // As a thread does that waits for the system.
        tokio::spawn(async move {
            let _turn = turn;
            std::future::pending::<()>().await;
        });
        Box::pin(std::future::pending())
    }
}

fn egress(allow: &[&str]) -> Egress {
    let allow: Vec<Allow> = allow.iter().map(|allow| allow.parse().unwrap()).collect();
    Egress::new(&allow, &[], 1024)
}

fn post() -> Call {
    Call {
        method: Method::Post,
        headers: vec![("content-type", "text/plain".to_owned())],
        body: b"hello".to_vec(),
    }
}

async fn call(egress: &Egress, url: &str) -> Result<Answer, CallError> {
    let target = egress.target(url)?;
    egress.client(1).call(&target, post(), TIME_MAX).await
}

/// A server that gives each connection to a script; its port, and how many connections there were.
async fn serve<F, R>(script: F) -> (u16, Arc<AtomicUsize>)
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(script(stream));
        }
    });
    (port, connections)
}

/// Reads one request up to the end of its body, which is `hello`.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\nhello") {
        let mut piece = [0; 1024];
        match stream.read(&mut piece).await {
            Ok(n) if n > 0 => request.extend_from_slice(&piece[..n]),
            _ => return None,
        }
    }
    Some(String::from_utf8_lossy(&request).into_owned())
}

/// Answers every request on a connection with these octets.
async fn answering(answer: &'static str) -> (u16, Arc<AtomicUsize>) {
    serve(move |mut stream| async move {
        while read_request(&mut stream).await.is_some() {
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await
}

#[test]
fn only_plain_urls_of_the_web_are_targets() {
    let egress = egress(&[]);
    for url in [
        "https://hooks.example/a?b=c",
        "http://hooks.example:8080/",
        "https://hooks.example:443",
        "https://1.1.1.1/",
        "https://[2606:4700::1111]/",
    ] {
        assert!(egress.target(url).is_ok(), "{url}");
    }
    for url in [
        "",
        "hooks.example",
        "ftp://hooks.example/",
        "file:///etc/passwd",
        "gopher://hooks.example/",
        "https://",
        "https://user@hooks.example/",
        "https://user:password@hooks.example/",
        "https://:password@hooks.example/",
        "https://hooks.example:99999/",
    ] {
        assert!(matches!(egress.target(url), Err(CallError::Url(_))), "{url}");
    }
    let long = format!("https://hooks.example/{}", "a".repeat(2048));
    assert!(egress.target(&long).is_err());
}

#[test]
fn no_spelling_of_an_inside_address_is_a_target() {
    let egress = egress(&[]);
    for url in [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.0.0.1/",
        "http://0177.0.0.1/",
        "http://017700000001/",
        "http://127.0.0.1./",
        "http://①②⑦.0.0.1/",
        "http://%31%32%37.0.0.1/",
        "http://0/",
        "http://0.0.0.0/",
        "http://[::1]/",
        "http://[::]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[::127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://[fd00:ec2::254]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://0xa9fea9fe/",
        "http://2852039166/",
        "http://10.0.0.1/",
        "https://1.1.1.1:22/",
        "https://hooks.example:25/",
    ] {
        assert!(
            matches!(egress.target(url), Err(CallError::Forbidden(_))),
            "{url}"
        );
    }
}

#[tokio::test]
async fn a_name_is_refused_for_the_address_it_has_when_it_is_called() {
    let (port, connections) = answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let loopback: IpAddr = [127, 0, 0, 1].into();
    for addresses in [
        vec![loopback],
        vec!["1.1.1.1".parse().unwrap(), loopback],
        vec!["::1".parse().unwrap()],
        vec!["::ffff:127.0.0.1".parse().unwrap()],
        vec![[10, 0, 0, 1].into()],
        vec![[169, 254, 169, 254].into()],
    ] {
        let egress = Egress {
            resolver: Arc::new(Says(addresses.clone())),
            ..egress(&[])
        };
        let error = call(&egress, &format!("http://hooks.example:{port}/"))
            .await
            .unwrap_err();
        assert!(matches!(error, CallError::Forbidden(_)), "{addresses:?}: {error}");
    }
    let error = call(&egress(&[]), &format!("http://localhost:{port}/"))
        .await
        .unwrap_err();
    assert!(
        matches!(error, CallError::Forbidden("a loopback address")),
        "{error}"
    );
    assert_eq!(connections.load(Ordering::SeqCst), 0, "not even a connection");
    let allowed = Egress {
        resolver: Arc::new(Says(vec![loopback])),
        ..egress(&[&format!("hooks.example:{port}")])
    };
    let answer = call(&allowed, &format!("http://hooks.example:{port}/"))
        .await
        .unwrap();
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_call_is_what_the_format_said_and_connections_are_used_again() {
    let (requests, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let (port, connections) = serve(move |mut stream| {
        let requests = requests.clone();
        async move {
            while let Some(request) = read_request(&mut stream).await {
                let _ = requests.send(request);
                let answer = b"HTTP/1.1 202 Accepted\r\ncontent-length: 3\r\nretry-after: 7\r\n\r\nyes";
                if stream.write_all(answer).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    let egress = egress(&["127.0.0.0/8"]);
    let target = egress
        .target(&format!("http://127.0.0.1:{port}/a/b?c=d#e"))
        .unwrap();
    let client = egress.client(1);
    for _ in 0..3 {
        let mut sent = post();
        sent.headers.push(("host", "inside.example".to_owned()));
        sent.headers.push(("x-signed", "abc".to_owned()));
        let answer = client.call(&target, sent, TIME_MAX).await.unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (202, b"yes".as_slice()));
        assert_eq!(answer.retry_after, Some(RetryAfter::Span(Duration::from_secs(7))));
    }
    let request = seen.recv().await.unwrap().to_lowercase();
    assert!(request.starts_with("post /a/b?c=d http/1.1\r\n"), "{request}");
    for line in [
        "content-type: text/plain",
        "content-length: 5",
        "x-signed: abc",
        "user-agent: postrider/",
        &format!("host: 127.0.0.1:{port}\r\n"),
    ] {
        assert!(request.contains(line), "{line} in {request}");
    }
    assert!(!request.contains("inside.example"));
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_nobody_goes_there() {
    let (inside, connections) = answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let location =
        format!("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{inside}/\r\ncontent-length: 0\r\n\r\n");
    let (port, _) = answering(Box::leak(location.into_boxed_str())).await;
    let answer = call(&egress(&["127.0.0.0/8"]), &format!("http://127.0.0.1:{port}/"))
        .await
        .unwrap();
    assert_eq!(answer.status, 302);
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_endless_answer_is_cut_and_checked_by_its_beginning() {
    let (port, _) = serve(|mut stream| async move {
        read_request(&mut stream).await;
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
        let mut more = stream.write_all(head).await;
        while more.is_ok() {
            more = stream.write_all(chunk.as_bytes()).await;
        }
    })
    .await;
    let answer = call(&egress(&["127.0.0.0/8"]), &format!("http://127.0.0.1:{port}/"))
        .await
        .unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, ANSWER_BYTES_MAX));
}

#[tokio::test]
async fn an_endless_head_is_refused() {
    let (port, _) = serve(|mut stream| async move {
        read_request(&mut stream).await;
        let mut more = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while more.is_ok() {
            more = stream
                .write_all(format!("x: {}\r\n", "y".repeat(1000)).as_bytes())
                .await;
        }
    })
    .await;
    let error = call(&egress(&["127.0.0.0/8"]), &format!("http://127.0.0.1:{port}/"))
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Broken(_)), "{error}");
}

#[tokio::test]
async fn an_answer_that_drips_or_never_comes_is_bounded_in_time() {
    let (hanging, _) = serve(|mut stream| async move {
        read_request(&mut stream).await;
        std::future::pending().await
    })
    .await;
    let (dripping, _) = serve(|mut stream| async move {
        read_request(&mut stream).await;
        let mut more = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n")
            .await;
        while more.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            more = stream.write_all(b"x").await;
        }
    })
    .await;
    let egress = egress(&["127.0.0.0/8"]);
    for port in [hanging, dripping] {
        let target = egress.target(&format!("http://127.0.0.1:{port}/")).unwrap();
        let began = std::time::Instant::now();
        let time_max = Duration::from_millis(300);
        let error = egress
            .client(1)
            .call(&target, post(), time_max)
            .await
            .unwrap_err();
        assert!(matches!(error, CallError::Timeout(_)), "{error}");
        assert!(began.elapsed() < Duration::from_secs(2));
    }
}

#[tokio::test]
async fn a_connection_that_dies_in_mid_answer_or_is_no_http_is_broken() {
    let (dying, _) = serve(|mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
            .await;
    })
    .await;
    let (other, _) = answering("220 mail.example ESMTP\r\n").await;
    let (nobody, _) = serve(|stream| async move { drop(stream) }).await;
    for port in [dying, other, nobody] {
        let error = call(&egress(&["127.0.0.0/8"]), &format!("http://127.0.0.1:{port}/"))
            .await
            .unwrap_err();
        assert!(matches!(error, CallError::Broken(_)), "{error}");
    }
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let error = call(&egress(&["127.0.0.0/8"]), &format!("http://127.0.0.1:{free}/"))
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Connect(_)), "{error}");
}

#[tokio::test]
async fn a_call_too_long_or_with_headers_that_break_out_is_never_made() {
    let (port, connections) = answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let egress = egress(&["127.0.0.0/8"]);
    let target = egress.target(&format!("http://127.0.0.1:{port}/")).unwrap();
    let long = Call {
        body: vec![0; 1025],
        ..post()
    };
    let error = egress.client(1).call(&target, long, TIME_MAX).await.unwrap_err();
    assert!(
        error.is_permanent() && matches!(error, CallError::TooLong { bytes: 1025, .. }),
        "{error}"
    );
    let mut broken = post();
    broken.headers.push(("x-broken", "a\r\nhost: other".to_owned()));
    let error = egress
        .client(1)
        .call(&target, broken, TIME_MAX)
        .await
        .unwrap_err();
    assert!(
        error.is_permanent() && matches!(error, CallError::Header("x-broken")),
        "{error}"
    );
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn name_servers_that_hang_hold_one_lookup_and_not_one_a_call() {
    let lookups = Arc::new(AtomicUsize::new(0));
    let egress = Egress {
        resolver: Arc::new(Hangs(Arc::clone(&lookups))),
        ..egress(&[])
    };
    let target = egress.target("https://hooks.example/").unwrap();
    let client = egress.client(8);
    let calls = (0..8).map(|_| client.call(&target, post(), Duration::from_millis(200)));
    for result in futures_util::future::join_all(calls).await {
        assert!(matches!(result, Err(CallError::Timeout(_))));
    }
    assert_eq!(lookups.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_does_not_answer() {
    let (port, _) = answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    // Nobody listens on the first two.
    let addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.1"].map(|address| address.parse().unwrap());
    let egress = Egress {
        resolver: Arc::new(Says(addresses.to_vec())),
        ..egress(&["127.0.0.0/8"])
    };
    let answer = call(&egress, &format!("http://hooks.example:{port}/"))
        .await
        .unwrap();
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn certificates_are_looked_at() {
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;

    let made = rcgen::generate_simple_self_signed(vec!["hooks.example".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (port, _) = serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        }
    })
    .await;
    let allow: Vec<Allow> = vec!["127.0.0.0/8".parse().unwrap()];
    let with = |authorities: &[CertificateDer<'static>]| Egress {
        resolver: Arc::new(Says(vec![[127, 0, 0, 1].into()])),
        ..Egress::new(&allow, authorities, 1024)
    };
    let url = format!("https://hooks.example:{port}/");
    let error = call(&with(&[]), &url).await.unwrap_err();
    assert!(matches!(error, CallError::Tls(_)), "{error}");
    let trusting = with(&[certificate]);
    assert_eq!(call(&trusting, &url).await.unwrap().status, 204);
    let error = call(&trusting, &format!("https://other.example:{port}/"))
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Tls(_)), "{error}");
}

#[test]
fn a_retry_after_is_read_in_every_form_it_may_have() {
    const NOW: i64 = 1_795_000_000_000; // 2026-11-18T11:06:40Z
    let wait = |written: &'static str, date: Option<&'static str>| {
        let mut headers = http::HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static(written));
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_static(date));
        }
        RetryAfter::of(&headers).map(|retry_after| retry_after.wait(NOW).as_secs())
    };
    for (written, expected) in [
        ("15", Some(15)),
        (" 3600 ", Some(3600)),
        ("0", Some(0)),
        ("99999999999999999999999", Some(u64::MAX)),
        ("Wed, 18 Nov 2026 11:06:55 GMT", Some(15)),
        ("Wednesday, 18-Nov-26 11:06:55 GMT", Some(15)),
        ("Wed Nov 18 11:06:55 2026", Some(15)),
        ("Wed, 18 Nov 2026 11:06:25 GMT", Some(0)),
        ("", None),
        ("-5", None),
        ("soon", None),
        ("1.5", None),
    ] {
        assert_eq!(wait(written, None), expected, "{written:?}");
    }
    let retry_at = "Wed, 18 Nov 2026 12:00:15 GMT";
    let date = Some("Wed, 18 Nov 2026 12:00:00 GMT");
    assert_eq!(
        wait(retry_at, date),
        Some(15),
        "whatever this machine's clock says"
    );
}

proptest::proptest! {
    #[test]
    fn any_retry_after_is_read_or_ignored(octets in proptest::collection::vec(0_u8.., 0..40), now: i64) {
        let Ok(value) = HeaderValue::from_bytes(&octets) else { return Ok(()) };
        for date in [None, Some("Wed, 18 Nov 2026 12:00:00 GMT")] {
            let mut headers = http::HeaderMap::new();
            headers.insert(RETRY_AFTER, value.clone());
            headers.extend(date.map(|date| (DATE, HeaderValue::from_static(date))));
            let _ = RetryAfter::of(&headers).map(|retry_after| retry_after.wait(now));
        }
    }
}
