//! The cost of an unverified client: the memory of a request on every wire and of a connection that waits, counted by an
//! allocator, and responses that do not wait for a body; and what one customer leaves another.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests stop at the first surprise"
)]

#[path = "testkit/mod.rs"]
mod testkit;

use api::serve::{BodyLimits, ServeLimits, ServeMetrics, ServeSettings, serve};
use axum::body::{Body, Bytes};
use engine::clock::{Clock as _, SystemClock};
use http::{Request, header};
use serde_json::json;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;
use testkit::signing::basic;
use testkit::{Answer, CODE, KEY, TestNode, USER, USER_OTHER, ut_id};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Counts what the thread it runs on has and had.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // Nothing is counted while the thread ends.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + usize::from(bytes > 0)));
}

#[allow(unsafe_code, reason = "an allocator is")]
// SAFETY: every call is passed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both may be there for a moment.
        count(size as isize);
        count(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The response, the peak of bytes held beyond those held before, and the number of allocations.
async fn measured(node: &TestNode, request: Request<Body>) -> (Answer, isize, usize) {
    let before = HELD.get();
    PEAK.set(before);
    CALLS.set(0);
    let answer = node.ask(request).await;
    (answer, PEAK.get() - before, CALLS.get())
}

/// As long as a body may be.
const BODY_BYTES: usize = 4 * 1024 * 1024;
/// What a request may cost before a credential is verified, beyond its body.
const UNVERIFIED_BYTES_MAX: isize = 64 * 1024;
/// The allocations that a request may cause: its cost is counted, not timed.
const UNVERIFIED_ALLOCATIONS_MAX: usize = 400;
/// What a request may cost whose public key is right and whose signature is not, beyond its body and one copy of it.
const KNOWN_KEY_BYTES_MAX: isize = 13 * 1024 * 1024;

/// Bodies of 4 MiB that cost most where something is built of them.
fn hostile(head: &str) -> Vec<(&'static str, String)> {
    let fill = |unit: &str, open: &str, close: &str| {
        let times = (BODY_BYTES - head.len() - open.len() - close.len() - 16) / unit.len();
        format!("{{{head}{open}{}{close}}}", unit.repeat(times))
    };
    vec![
        ("zeros", fill("0,", "\"A\":[", "0]")),
        ("empty objects", fill("{},", "\"A\":[", "0]")),
        ("a text of escapes", fill("\\u4f60", "\"A\":\"", "\"")),
        (
            "nested",
            format!("{{{head}\"A\":{}", "[".repeat(BODY_BYTES - 200)),
        ),
        ("a long number", fill("9", "\"A\":1e", "")),
        ("many members", {
            let members: String = (0..280_000).map(|n| format!("\"m{n:06}\":0,")).collect();
            format!("{{{head}{members}\"z\":0}}")
        }),
        ("keys that are none", fill("\"PublicKey\":\"no\",", "", "\"z\":0")),
    ]
}

/// Requests with an unknown key or user, by wire.
fn unverified_requests() -> Vec<(String, Request<Body>)> {
    let mut requests = Vec::new();
    for (what, body) in
        hostile("\"Action\":\"SendUSMSMessage\",\"Signature\":\"00\",\"PublicKey\":\"nobody\",")
    {
        let body = Bytes::from(body);
        requests.push((
            format!("ucloud {what}"),
            Request::post("/").body(Body::from(body.clone())).unwrap(),
        ));
        for (uri, user, key) in [
            ("/api/v1/usms/SendBatchUSMSMessage", "nobody", KEY),
            ("/api/v1/usms/SendBatchUSMSMessage", USER, "wrong"),
            ("/api", "nobody", KEY),
            ("/api", USER, "wrong"),
            ("/v1/send", "nobody", KEY),
            ("/v1/messages", USER, "wrong"),
            ("/v1/templates", USER, "wrong"),
        ] {
            let request = Request::post(uri).header(header::AUTHORIZATION, basic(user, key));
            requests.push((
                format!("{uri} {what}"),
                request.body(Body::from(body.clone())).unwrap(),
            ));
        }
        for (user, timestamp) in [("nobody", "1"), (USER, "1"), (USER, "never")] {
            let request = Request::post("/api")
                .header("X-Access-Key-Id", user)
                .header("X-Signature", "0".repeat(40))
                .header("X-Timestamp", timestamp);
            requests.push((
                format!("/api signed {what}"),
                request.body(Body::from(body.clone())).unwrap(),
            ));
        }
    }
    for (what, unit) in [
        ("fields", "a=1&"),
        ("escapes", "%41"),
        ("pluses", "+"),
        ("names", "&&&&"),
    ] {
        let ucloud = "Action=SendUSMSMessage&PublicKey=nobody&Signature=00&x=";
        let sendcloud = format!("smsUser=nobody&signature={}&x=", "0".repeat(32));
        for (uri, head) in [
            ("/", ucloud),
            ("/smsapi/send", &sendcloud),
            ("/smsapi/template/list", &sendcloud),
        ] {
            let body = format!("{head}{}", unit.repeat((BODY_BYTES - head.len()) / unit.len()));
            let request =
                Request::post(uri).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            requests.push((format!("{uri} {what}"), request.body(Body::from(body)).unwrap()));
        }
    }
    let long = format!("Basic {}", "QUFB".repeat(15_000));
    for uri in ["/api/v1/usms/SendBatchUSMSMessage", "/api", "/v1/send"] {
        let request = Request::post(uri).header(header::AUTHORIZATION, &long);
        requests.push((format!("{uri} long header"), request.body(Body::empty()).unwrap()));
    }
    requests
}

/// Goal: who is not known costs next to nothing beyond his body, whatever he sends on whichever wire.
#[tokio::test]
async fn an_unverified_clients_request_costs_at_most_64_kib_beyond_its_body() {
    let node = TestNode::start().await;
    for (what, request) in unverified_requests() {
        let (answer, bytes, calls) = measured(&node, request).await;
        assert!(
            bytes <= UNVERIFIED_BYTES_MAX,
            "{what}: {bytes} bytes; {}",
            answer.body
        );
        assert!(calls <= UNVERIFIED_ALLOCATIONS_MAX, "{what}: {calls} allocations");
        assert!(!answer.body.contains("success\""), "{what}: {}", answer.body);
    }
}

/// A body of parts with a `smsUser`, as long as a body may be: one part with all of it, or very many.
fn in_parts(sms_user: &str) -> Vec<(&'static str, Request<Body>)> {
    let part = |name: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let head = part("smsUser", sms_user) + &part("signature", &"0".repeat(32));
    let one = part("x", &"v".repeat(BODY_BYTES - head.len() - 100));
    let many = part("n", "v").repeat((BODY_BYTES - head.len() - 10) / part("n", "v").len());
    let request = |body: String| {
        Request::post("/smsapi/send")
            .header(header::CONTENT_TYPE, "multipart/form-data; boundary=b")
            .body(Body::from(body))
            .unwrap()
    };
    vec![
        ("one part", request(format!("{head}{one}--b--\r\n"))),
        ("many parts", request(format!("{head}{many}--b--\r\n"))),
    ]
}

/// Goal: a form in parts costs no more than any other, neither of somebody whom nobody knows nor with a key that somebody
/// has.
#[tokio::test]
async fn a_form_in_parts_costs_as_little_as_any() {
    let node = TestNode::start().await;
    for (what, request) in in_parts("nobody") {
        let (answer, bytes, calls) = measured(&node, request).await;
        assert_eq!(answer.json()["statusCode"], 471, "{what}: {}", answer.body);
        assert!(bytes <= UNVERIFIED_BYTES_MAX, "{what}: {bytes}");
        assert!(calls <= UNVERIFIED_ALLOCATIONS_MAX, "{what}: {calls} allocations");
    }
    for ((what, request), code) in in_parts(USER).into_iter().zip([422, 421]) {
        let (answer, bytes, _) = measured(&node, request).await;
        assert_eq!(answer.json()["statusCode"], code, "{what}: {}", answer.body);
        assert!(bytes <= KNOWN_KEY_BYTES_MAX, "{what}: {bytes}");
    }
}

/// Goal: whoever knows a public key, and not its secret, makes a node build a bounded amount.
#[tokio::test]
async fn a_known_key_with_a_wrong_signature_costs_a_bounded_amount() {
    let node = TestNode::start().await;
    let head = format!(
        "\"Action\":\"SendUSMSMessage\",\"Signature\":\"{}\",\"PublicKey\":\"{USER}\",",
        "0".repeat(40)
    );
    for (what, body) in hostile(&head) {
        let (answer, bytes, _) = measured(&node, Request::post("/").body(Body::from(body)).unwrap()).await;
        assert!(
            matches!(answer.json()["RetCode"].as_u64(), Some(171 | 18_000)),
            "{what}: {}",
            answer.body
        );
        assert!(bytes <= KNOWN_KEY_BYTES_MAX, "{what}: {bytes}");
    }
    for (what, unit) in [("fields", "a=1&"), ("escapes", "%41"), ("pluses", "+")] {
        let head = format!("smsUser={USER}&signature={}&x=", "0".repeat(32));
        let body = format!("{head}{}", unit.repeat((BODY_BYTES - head.len()) / unit.len()));
        let request =
            Request::post("/smsapi/send").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let (_, bytes, _) = measured(&node, request.body(Body::from(body)).unwrap()).await;
        assert!(bytes <= KNOWN_KEY_BYTES_MAX, "{what}: {bytes}");
    }
}

/// Goal: what customers send is far below the bounds.
#[tokio::test]
async fn a_thousand_recipients_with_values_fit() {
    let node = TestNode::start().await;
    let targets: Vec<_> = (0..1000)
        .map(|n| json!({"Phone": format!("+4477009{n:05}"), "TemplateParams": ["8341"], "UserId": format!("user-{n}"),
            "ExtendCode": "12", "SenderId": "uSpeedo"}))
        .collect();
    let body =
        json!({"TaskContent": [{"TemplateId": ut_id(CODE), "SenderId": "uSpeedo", "Target": targets}]});
    let request =
        Request::post("/api/v1/usms/SendBatchUSMSMessage").header(header::AUTHORIZATION, basic(USER, KEY));
    let answer = node
        .ask(request.body(Body::from(body.to_string())).unwrap())
        .await;
    assert_eq!(answer.json()["RetCode"], 0, "{}", answer.body);
}

/// Goal: where the credentials stand in the head, wrong ones are answered before anything of the body is there; and on the
/// wires that sign bodies, so is a key in the query that nobody has.
#[tokio::test]
async fn wrong_credentials_in_the_head_are_answered_before_the_body() {
    let node = TestNode::start().await;
    let listening = node.listen().await;
    let wrong = basic(USER, "wrong");
    let signed = |key: &str, at: i64| {
        format!(
            "X-Access-Key-Id: {key}\r\nX-Signature: {}\r\nX-Timestamp: {at}\r\n",
            "0".repeat(40)
        )
    };
    let now_s = SystemClock.now() / 1000;
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let query = "smsUser=nobody&signature=00000000000000000000000000000000";
    for (uri, headers, status, words) in [
        (
            "/api/v1/usms/SendBatchUSMSMessage".to_owned(),
            format!("Authorization: {wrong}\r\n"),
            200,
            "215398",
        ),
        (
            "/api/v1/usms/SendBatchUSMSMessage".to_owned(),
            String::new(),
            200,
            "215398",
        ),
        (
            "/api/v1/usms/USMSTemplate".to_owned(),
            format!("Authorization: {wrong}\r\n"),
            200,
            "215398",
        ),
        (
            "/api?Action=SendUSMSMessage".to_owned(),
            format!("Authorization: {wrong}\r\n"),
            200,
            "SendUSMSMessageResponse",
        ),
        ("/api".to_owned(), signed("nobody", now_s), 200, "215398"),
        ("/api".to_owned(), signed(USER, now_s - 1000), 200, "215398"),
        (
            "/v1/send".to_owned(),
            format!("Authorization: {wrong}\r\n"),
            401,
            "30000",
        ),
        (
            "/v1/messages".to_owned(),
            format!("Authorization: {wrong}\r\n"),
            401,
            "2001",
        ),
        ("/v1/templates".to_owned(), String::new(), 401, "30000"),
        (
            "/?Action=SendUSMSMessage&PublicKey=nobody&Signature=00".to_owned(),
            form.to_owned(),
            200,
            "172",
        ),
        (format!("/smsapi/send?{query}"), form.to_owned(), 200, "471"),
    ] {
        let mut stream = TcpStream::connect(listening.address).await.unwrap();
        let head = format!("POST {uri} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // The connection stays open for the body that does not come, so the answer's end is seen by its length.
        let read = async {
            let mut piece = [0; 4096];
            while !answer.windows(4).any(|end| end == b"\r\n\r\n") || !answer.contains(&b'}') {
                let octets = stream.read(&mut piece).await.unwrap();
                assert!(octets > 0, "{uri}: closed without an answer");
                answer.extend_from_slice(&piece[..octets]);
            }
        };
        tokio::time::timeout(Duration::from_secs(20), read)
            .await
            .unwrap_or_else(|_| panic!("{uri}: no answer"));
        let answer = String::from_utf8(answer).unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{uri}: {answer}"
        );
        assert!(answer.contains(words), "{uri}: {answer}");
    }
}

/// Connections to a listener on this thread, of which each has said the same, and the bytes that each holds.
async fn held_by_each(said: &str) -> isize {
    use std::io::Write as _;
    const CONNECTIONS: usize = 200;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (metrics, shutdown) = (ServeMetrics::default(), CancellationToken::new());
    let router = axum::Router::new();
    let limits = ServeLimits::default();
    let served = tokio::spawn(serve(
        listener,
        router,
        limits,
        None,
        metrics.clone(),
        shutdown.clone(),
    ));
    let mut connections = Vec::with_capacity(2 * CONNECTIONS);
    let mut held = Vec::with_capacity(2);
    // The first make tables grow.
    for _ in 0..2 {
        for _ in 0..CONNECTIONS {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.write_all(said.as_bytes()).unwrap();
            connections.push(stream);
            // One by one: the queue of connections that are not accepted yet is short.
            let accepted = async {
                while metrics.connections.get() < connections.len() as i64 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(20), accepted)
                .await
                .expect("the listener accepts");
        }
        // All that was said is read.
        tokio::time::sleep(Duration::from_millis(200)).await;
        held.push(HELD.get());
    }
    shutdown.cancel();
    served.await.unwrap();
    (held[1] - held[0]) / CONNECTIONS as isize
}

#[tokio::test]
async fn a_connection_that_waits_costs_little_and_a_silent_one_least() {
    let silent = held_by_each("").await;
    let head = held_by_each("GET / HTTP/1.1\r\nHost: x\r\n").await;
    let answered = held_by_each("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!((1..4 * 1024).contains(&silent), "{silent} octets");
    assert!((1..32 * 1024).contains(&head), "{head} octets");
    assert!((1..24 * 1024).contains(&answered), "{answered} octets");
}

/// A connection on which a user has shown who he is, and has sent `sent` octets of a body of `bytes` since.
async fn sending(address: std::net::SocketAddr, user: &str, bytes: usize, sent: usize) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let pair = basic(user, KEY);
    let first = format!("GET /v1/labels HTTP/1.1\r\nHost: x\r\nAuthorization: {pair}\r\n\r\n");
    stream.write_all(first.as_bytes()).await.unwrap();
    let head = answer_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let second = format!(
        "POST /v1/send HTTP/1.1\r\nHost: x\r\nAuthorization: {pair}\r\nConnection: close\r\nContent-Length: {bytes}\r\n\r\n{}",
        "x".repeat(sent)
    );
    stream.write_all(second.as_bytes()).await.unwrap();
    stream
}

/// An answer up to the end of its head; what is read of its body is dropped.
async fn answer_head(stream: &mut TcpStream) -> String {
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    let read = async {
        while !answer.windows(4).any(|end| end == b"\r\n\r\n") || !answer.ends_with(b"}") {
            let octets = stream.read(&mut piece).await.unwrap();
            assert!(octets > 0, "closed without an answer");
            answer.extend_from_slice(&piece[..octets]);
        }
    };
    let read = tokio::time::timeout(Duration::from_secs(20), read).await;
    read.expect("an answer in time");
    String::from_utf8(answer).unwrap()
}

/// Goal: a customer has half of the room for requests, and another at the same address another half.
#[tokio::test]
async fn a_customer_with_all_that_he_may_have_leaves_his_neighbour_at_the_address_the_same() {
    let node = TestNode::start().await;
    let listening = node
        .listen_with(ServeSettings {
            bodies: BodyLimits {
                bytes_max: 1 << 20,
                per_address_bytes_max: 1 << 18,
            },
            ..ServeSettings::default()
        })
        .await;
    let metrics = &listening.metrics;
    let mut held = Vec::new();
    for count in 1..=4 {
        held.push(sending(listening.address, USER, 1 << 20, 100 << 10).await);
        testkit::until(async || {
            let bytes = metrics.bodies_bytes.get();
            if bytes == count * (100 << 10) {
                Ok(())
            } else {
                Err(bytes)
            }
        })
        .await;
    }
    let mut other = sending(listening.address, USER_OTHER, 400 << 10, 400 << 10).await;
    let answer = answer_head(&mut other).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    // Nobody had to make room, and nobody was busy.
    assert_eq!((metrics.bodies_evicted.get(), metrics.bodies_busy.get()), (0, 0));
    drop(held);
}
