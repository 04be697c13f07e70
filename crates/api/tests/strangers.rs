//! What a stranger's request costs, on every wire: memory counted by an allocator, bodies that never come, guesses.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests stop at the first surprise"
)]

#[path = "house/mod.rs"]
mod house;

use api::Limits;
use api::serve::{Client, ServeLimits, ServeMetrics, serve};
use axum::body::{Body, Bytes};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::clock::{Clock as _, SystemClock};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use house::{Answer, CODE, House, KEY, USER, ut_id};
use http::{Request, header};
use md5::{Digest as _, Md5};
use serde_json::json;
use sha1::Sha1;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;
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
// SAFETY: every call is handed on to the system's allocator as it is.
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

/// The answer, the bytes that were held at most beyond what was there before, and how often memory was asked for.
async fn measured(house: &House, request: Request<Body>) -> (Answer, isize, usize) {
    let before = HELD.get();
    PEAK.set(before);
    CALLS.set(0);
    let answer = house.ask(request).await;
    (answer, PEAK.get() - before, CALLS.get())
}

/// As long as a body may be.
const BODY_BYTES: usize = 4 * 1024 * 1024;
/// What a request may cost before a credential is verified, beyond its body.
const STRANGER_BYTES_MAX: isize = 64 * 1024;
/// How often memory may be asked for meanwhile: what a request costs is counted, not timed.
const STRANGER_ALLOCATIONS_MAX: usize = 400;
/// What a request may cost whose public key is right and whose signature is not, beyond its body and one copy of it.
const KNOWN_KEY_BYTES_MAX: isize = 12 * 1024 * 1024;

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

fn basic(user: &str, key: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{key}")))
}

/// Requests of people whom nobody knows, by wire.
fn strange_requests() -> Vec<(String, Request<Body>)> {
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
async fn a_strangers_request_costs_at_most_64_kib_beyond_its_body() {
    let house = House::start().await;
    for (what, request) in strange_requests() {
        let (answer, bytes, calls) = measured(&house, request).await;
        assert!(
            bytes <= STRANGER_BYTES_MAX,
            "{what}: {bytes} bytes; {}",
            answer.body
        );
        assert!(calls <= STRANGER_ALLOCATIONS_MAX, "{what}: {calls} allocations");
        assert!(!answer.body.contains("success\""), "{what}: {}", answer.body);
    }
}

/// Goal: a form in a hundred thousand parts is refused at the first part too many, and nothing is kept of the others.
#[tokio::test]
async fn a_form_in_many_parts_costs_its_first_ones() {
    let house = House::start().await;
    let part = "--b\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\nv\r\n";
    let pieces = (0..1000).map(move |_| Ok::<_, std::io::Error>(Bytes::from(part.repeat(60))));
    // As from a network: one piece after the other.
    let pieces = stream::iter(pieces).then(|piece| async {
        tokio::task::yield_now().await;
        piece
    });
    let request = Request::post("/smsapi/send")
        .header(header::CONTENT_TYPE, "multipart/form-data; boundary=b")
        .body(Body::from_stream(pieces))
        .unwrap();
    let (answer, bytes, _) = measured(&house, request).await;
    assert_eq!(answer.json()["statusCode"], 421);
    // What was read ahead is part of the body, of which most was never asked for.
    assert!(bytes <= (BODY_BYTES / 2) as isize, "{bytes}");
}

/// Goal: whoever knows a public key, and not its secret, makes a node build a bounded amount.
#[tokio::test]
async fn a_known_key_with_a_wrong_signature_costs_a_bounded_amount() {
    let house = House::start().await;
    let head = format!(
        "\"Action\":\"SendUSMSMessage\",\"Signature\":\"{}\",\"PublicKey\":\"{USER}\",",
        "0".repeat(40)
    );
    for (what, body) in hostile(&head) {
        let (answer, bytes, _) = measured(&house, Request::post("/").body(Body::from(body)).unwrap()).await;
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
        let (_, bytes, _) = measured(&house, request.body(Body::from(body)).unwrap()).await;
        assert!(bytes <= KNOWN_KEY_BYTES_MAX, "{what}: {bytes}");
    }
}

/// Goal: what customers send is far below the bounds.
#[tokio::test]
async fn a_thousand_recipients_with_values_fit() {
    let house = House::start().await;
    let targets: Vec<_> = (0..1000)
        .map(|n| json!({"Phone": format!("+4477009{n:05}"), "TemplateParams": ["8341"], "UserId": format!("user-{n}"),
            "ExtendCode": "12", "SenderId": "uSpeedo"}))
        .collect();
    let body =
        json!({"TaskContent": [{"TemplateId": ut_id(CODE), "SenderId": "uSpeedo", "Target": targets}]});
    let request =
        Request::post("/api/v1/usms/SendBatchUSMSMessage").header(header::AUTHORIZATION, basic(USER, KEY));
    let answer = house
        .ask(request.body(Body::from(body.to_string())).unwrap())
        .await;
    assert_eq!(answer.json()["RetCode"], 0, "{}", answer.body);
}

struct Listening {
    addr: std::net::SocketAddr,
    stop: CancellationToken,
    _house: House,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn listening() -> Listening {
    let house = House::start().await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(serve(
        listener,
        house.router.clone(),
        ServeLimits::default(),
        None,
        ServeMetrics::default(),
        stop.clone(),
    ));
    Listening {
        addr,
        stop,
        _house: house,
    }
}

/// Goal: where the credentials stand in the head, wrong ones are answered before anything of the body is there; and on the
/// wires that sign bodies, so is a key in the query that nobody has.
#[tokio::test]
async fn wrong_credentials_in_the_head_are_answered_before_the_body() {
    let listening = listening().await;
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
        let mut stream = TcpStream::connect(listening.addr).await.unwrap();
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

/// A request on each wire, as somebody at an address, with right credentials or wrong ones.
fn guess(wire: usize, client: &Client, right: bool) -> Request<Body> {
    let key = if right { KEY } else { "a wrong secret" };
    let mut request = match wire {
        0 => Request::get("/api/v1/usms/USMSSendReceipt?id=x")
            .header(header::AUTHORIZATION, basic(USER, key))
            .body(Body::empty()),
        1 => Request::post("/api")
            .header(header::AUTHORIZATION, basic(USER, key))
            .body(Body::from(
                r#"{"Action":"GetUSMSSendReceipt","SessionNoSet":["x"]}"#,
            )),
        2 => {
            let signed = format!("ActionGetUSMSSendReceiptPublicKey{USER}SessionNoSet.0x{key}");
            let signature: String = Sha1::digest(signed)
                .iter()
                .map(|octet| format!("{octet:02x}"))
                .collect();
            let uri = format!(
                "/?Action=GetUSMSSendReceipt&PublicKey={USER}&SessionNoSet.0=x&Signature={signature}"
            );
            Request::get(uri).body(Body::empty())
        }
        3 => {
            let signature: String = Md5::digest(format!("{key}&smsUser={USER}&{key}"))
                .iter()
                .map(|octet| format!("{octet:02x}"))
                .collect();
            Request::get(format!("/smsapi/label/list?smsUser={USER}&signature={signature}"))
                .body(Body::empty())
        }
        4 => Request::get("/v1/labels")
            .header(header::AUTHORIZATION, basic(USER, key))
            .body(Body::empty()),
        _ => Request::get("/v1/sign-configs")
            .header(header::AUTHORIZATION, basic(USER, key))
            .body(Body::empty()),
    }
    .unwrap();
    request.extensions_mut().insert(client.clone());
    request
}

const WIRES: usize = 6;
/// `code` of an answer to wrong credentials, and of one that is too much, by wire.
const CODES: [(&str, u64, u64); WIRES] = [
    ("RetCode", 215_398, 215_400),
    ("RetCode", 215_398, 215_400),
    ("RetCode", 171, 153),
    ("statusCode", 422, 50_000),
    ("code", 30_000, 30_429),
    ("code", 2001, 3004),
];

fn somebody(last: u8) -> Client {
    Client::new(std::net::Ipv4Addr::new(192, 0, 2, last).into())
}

/// Goal: who guesses is answered later and later requests of his do not come through, while right credentials of the same
/// address, on a connection of their own, are answered meanwhile.
#[tokio::test]
async fn guesses_are_slowed_and_right_credentials_of_the_same_address_are_not() {
    for (wire, (name, wrong, _)) in CODES.into_iter().enumerate() {
        let limits = Limits {
            failed_credentials_per_minute_max: 3,
            failed_credentials_per_key_per_minute_max: 0,
            failed_credentials_delay_ms: 10_000,
            ..Limits::default()
        };
        let house = House::with(limits, Arc::new(SystemClock)).await;
        for _ in 0..3 {
            let answer = house.ask(guess(wire, &somebody(1), false)).await;
            assert_eq!(answer.json()[name], wrong, "{wire}: {}", answer.body);
        }
        let mut held = Box::pin(house.ask(guess(wire, &somebody(1), false)));
        assert!(
            held.as_mut().now_or_never().is_none(),
            "{wire}: the fourth is not answered at once"
        );
        let answer = house.ask(guess(wire, &somebody(1), true)).await;
        assert_ne!(answer.json()[name], wrong, "{wire}: {}", answer.body);
        let answer = house.ask(guess(wire, &somebody(2), false)).await;
        assert_eq!(answer.json()[name], wrong, "{wire}: another address");
        assert!(held.as_mut().now_or_never().is_none(), "{wire}: still held");
    }
}

/// Goal: the same for one key that is tried from many addresses; its owner is not locked out.
#[tokio::test]
async fn guesses_at_one_key_from_many_addresses_are_slowed_and_its_owner_is_not() {
    for (wire, (name, wrong, _)) in CODES.into_iter().enumerate() {
        let limits = Limits {
            failed_credentials_per_key_per_minute_max: 3,
            failed_credentials_delay_ms: 10_000,
            ..Limits::default()
        };
        let house = House::with(limits, Arc::new(SystemClock)).await;
        for n in 0..3 {
            house.ask(guess(wire, &somebody(n), false)).await;
        }
        let mut held = Box::pin(house.ask(guess(wire, &somebody(9), false)));
        assert!(held.as_mut().now_or_never().is_none(), "{wire}");
        let answer = house.ask(guess(wire, &somebody(10), true)).await;
        assert_ne!(answer.json()[name], wrong, "{wire}: {}", answer.body);
    }
}

/// Goal: answers are held back in bounded number; one more is told that there are too many, in its wire's words.
#[tokio::test]
async fn beyond_the_answers_that_may_be_held_back_the_wires_own_too_many_is_told() {
    for (wire, (name, wrong, too_many)) in CODES.into_iter().enumerate() {
        let limits = Limits {
            failed_credentials_per_minute_max: 1,
            failed_credentials_delay_ms: 10_000,
            failed_credentials_delayed_max: 1,
            ..Limits::default()
        };
        let house = House::with(limits, Arc::new(SystemClock)).await;
        let answer = house.ask(guess(wire, &somebody(1), false)).await;
        assert_eq!(answer.json()[name], wrong);
        let mut held = Box::pin(house.ask(guess(wire, &somebody(1), false)));
        assert!(held.as_mut().now_or_never().is_none(), "{wire}");
        let answer = house.ask(guess(wire, &somebody(1), false)).await;
        assert_eq!(answer.json()[name], too_many, "{wire}: {}", answer.body);
        let answer = house.ask(guess(wire, &somebody(1), true)).await;
        assert!(
            answer.json()[name] != too_many && answer.json()[name] != wrong,
            "{wire}: {}",
            answer.body
        );
    }
}

/// Goal: what was verified once on a connection makes it no stranger's any more.
#[tokio::test]
async fn a_right_credential_is_noted_on_its_connection() {
    let house = House::start().await;
    for wire in 0..WIRES {
        let client = somebody(1);
        house.ask(guess(wire, &client, false)).await;
        assert!(!client.is_verified(), "{wire}");
        house.ask(guess(wire, &client, true)).await;
        assert!(client.is_verified(), "{wire}");
    }
}

/// Goal: a credential makes as many requests a second as it may, and one more is told so in its wire's words; another
/// credential of the account is not held back.
#[tokio::test]
async fn a_credential_makes_as_many_requests_a_second_as_it_may() {
    for (wire, (name, _, too_many)) in CODES.into_iter().enumerate() {
        let clock = Arc::new(engine::clock::PausedClock::at(1_795_278_600_000));
        let house = House::with(
            Limits::default(),
            Arc::clone(&clock) as Arc<dyn engine::clock::Clock>,
        )
        .await;
        house.set_rate(USER, 2).await;
        for n in 0..2 {
            let answer = house.ask(guess(wire, &somebody(1), true)).await;
            assert_ne!(answer.json()[name], too_many, "{wire} {n}: {}", answer.body);
        }
        let answer = house.ask(guess(wire, &somebody(2), true)).await;
        assert_eq!(answer.json()[name], too_many, "{wire}: {}", answer.body);
        if wire >= 4 {
            assert_eq!(answer.status, 429, "{wire}");
            assert_eq!(answer.headers[header::RETRY_AFTER], "1", "{wire}");
        }
        clock.advance(500);
        let answer = house.ask(guess(wire, &somebody(1), true)).await;
        assert_ne!(
            answer.json()[name],
            too_many,
            "{wire}: half a second later there is one again"
        );
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
            while metrics.connections.get() < connections.len() as i64 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
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
