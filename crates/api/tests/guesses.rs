//! Guessed secrets, on every wire: bounded before they are checked, and no customer is locked out by them.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests stop at the first surprise"
)]

#[path = "testkit/mod.rs"]
mod testkit;

use api::Limits;
use api::serve::proxy::TrustedProxies;
use api::serve::{Client, ServeLimits, ServeSettings};
use axum::body::Body;
use engine::UnixMs;
use engine::clock::{Clock, PausedClock, SystemClock};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use http::{Request, header};
use md5::{Digest as _, Md5};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use testkit::signing::{basic, hex, sign};
use testkit::{Answer, KEY, TestNode, USER};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// What a client can show a credential on. uSpeedo's Action wire takes it in two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    UspeedoRest,
    UspeedoAction,
    UspeedoSigned,
    Ucloud,
    Sendcloud,
    EngagelabA,
    EngagelabC,
}

impl Wire {
    const ALL: [Self; 7] = [
        Self::UspeedoRest,
        Self::UspeedoAction,
        Self::UspeedoSigned,
        Self::Ucloud,
        Self::Sendcloud,
        Self::EngagelabA,
        Self::EngagelabC,
    ];

    /// Where an answer has its code, the one for wrong credentials, and the one for what is too much.
    const fn codes(self) -> (&'static str, u64, u64) {
        match self {
            Self::UspeedoRest | Self::UspeedoAction | Self::UspeedoSigned => ("RetCode", 215_398, 215_400),
            Self::Ucloud => ("RetCode", 171, 153),
            Self::Sendcloud => ("statusCode", 422, 50_000),
            Self::EngagelabA => ("code", 30_000, 30_429),
            Self::EngagelabC => ("code", 2001, 3004),
        }
    }

    /// What came of a request.
    fn checked(self, answer: &Answer) -> Checked {
        let (name, wrong, too_many) = self.codes();
        match answer.json()[name].as_u64() {
            Some(code) if code == wrong => Checked::Wrong,
            Some(code) if code == too_many => Checked::TooMany,
            _ => Checked::LetIn,
        }
    }

    /// A request with right credentials or wrong ones, as somebody at an address; signed at `now`, where a time is.
    fn request(self, client: &Client, right: bool, now: UnixMs) -> Request<Body> {
        let key = if right { KEY } else { "a wrong secret" };
        let receipts = json!({"Action": "GetUSMSSendReceipt", "SessionNoSet": ["x"]});
        let get = |uri: &str| {
            Request::get(uri)
                .header(header::AUTHORIZATION, basic(USER, key))
                .body(Body::empty())
        };
        let mut request = match self {
            Self::UspeedoRest => get("/api/v1/usms/USMSSendReceipt?id=x"),
            Self::UspeedoAction => Request::post("/api")
                .header(header::AUTHORIZATION, basic(USER, key))
                .body(Body::from(receipts.to_string())),
            Self::UspeedoSigned => Request::post("/api")
                .header("X-Access-Key-Id", USER)
                .header("X-Signature", sign(&receipts, key))
                .header("X-Timestamp", (now / 1000).to_string())
                .body(Body::from(receipts.to_string())),
            Self::Ucloud => {
                let signed =
                    json!({"Action": "GetUSMSSendReceipt", "PublicKey": USER, "SessionNoSet.0": "x"});
                let signature = sign(&signed, key);
                Request::get(format!(
                    "/?Action=GetUSMSSendReceipt&PublicKey={USER}&SessionNoSet.0=x&Signature={signature}"
                ))
                .body(Body::empty())
            }
            Self::Sendcloud => {
                let signature = hex(&Md5::digest(format!("{key}&smsUser={USER}&{key}")));
                Request::get(format!("/smsapi/label/list?smsUser={USER}&signature={signature}"))
                    .body(Body::empty())
            }
            Self::EngagelabA => get("/v1/labels"),
            Self::EngagelabC => get("/v1/sign-configs"),
        }
        .unwrap();
        request.extensions_mut().insert(client.clone());
        request
    }

    async fn ask(self, node: &TestNode, client: &Client, right: bool) -> Answer {
        let now = node.engine.now();
        node.ask(self.request(client, right, now)).await
    }

    async fn guess(self, node: &TestNode, client: &Client, right: bool) -> Checked {
        self.checked(&self.ask(node, client, right).await)
    }
}

/// What came of a request with a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Checked {
    LetIn,
    Wrong,
    /// Turned away, in the wire's own words.
    TooMany,
}

fn somebody(last: u8) -> Client {
    Client::new(std::net::Ipv4Addr::new(192, 0, 2, last).into())
}

/// Three wrong credentials a minute of one address, and as many where a key is known.
async fn node_of_three() -> TestNode {
    let limits = Limits {
        failed_credentials_per_minute_max: 3,
        ..testkit::limits()
    };
    TestNode::with(limits, Arc::new(SystemClock)).await
}

/// Goal: beyond the bound a credential of the address is not checked, be it right or wrong, before its turn; other addresses,
/// and a connection on which the same credential was verified before, go on.
#[tokio::test]
async fn beyond_the_bound_a_credential_is_checked_when_its_turn_comes() {
    for wire in Wire::ALL {
        for is_known in [false, true] {
            let node = node_of_three().await;
            let open = somebody(2);
            if is_known {
                wire.guess(&node, &open, true).await;
            }
            for n in 0..3 {
                let checked = wire.guess(&node, &somebody(2), false).await;
                assert_eq!(checked, Checked::Wrong, "{wire:?} {n}");
            }
            for right in [false, true] {
                let waits = wire.guess(&node, &somebody(2), right).now_or_never().is_none();
                assert!(waits, "{wire:?}: the credential was checked before its turn");
            }
            let at_once = if is_known { open } else { somebody(3) };
            let checked = wire.guess(&node, &at_once, true).await;
            assert_eq!(checked, Checked::LetIn, "{wire:?}");
        }
    }
}

/// Goal: a request that has waited for its turn goes on with it to its end, whoever waits behind it.
#[tokio::test]
async fn a_request_whose_turn_has_come_is_checked_whoever_waits_behind_it() {
    for wire in Wire::ALL {
        for (right, expected) in [(true, Checked::LetIn), (false, Checked::Wrong)] {
            let clock = Arc::new(PausedClock::at(1_795_278_600_000));
            let limits = Limits {
                failed_credentials_per_minute_max: 3,
                ..testkit::limits()
            };
            let node = TestNode::with(limits, Arc::clone(&clock) as Arc<dyn Clock>).await;
            let client = somebody(1);
            for _ in 0..3 {
                wire.guess(&node, &client, false).await;
            }
            let mut waiting = Box::pin(wire.guess(&node, &client, right));
            assert!(waiting.as_mut().now_or_never().is_none(), "{wire:?}");
            let mut behind = Box::pin(wire.guess(&node, &client, false));
            assert!(behind.as_mut().now_or_never().is_none(), "{wire:?}");
            clock.advance(20_000);
            assert_eq!(waiting.await, expected, "{wire:?}");
            let denied = node.metrics();
            assert!(!denied.contains("reason=\"too_many\"} 1"), "{wire:?}: {denied}");
        }
    }
}

/// Goal: a key that was verified from an address lately is not held back by what is tried with other keys there.
#[tokio::test]
async fn a_key_that_was_verified_from_an_address_is_not_held_back_by_guesses_at_others() {
    let node = node_of_three().await;
    let (known, other) = (Wire::UspeedoRest, Wire::EngagelabA);
    known.guess(&node, &somebody(1), true).await;
    for _ in 0..3 {
        other.guess(&node, &somebody(1), false).await;
    }
    let waits = other.guess(&node, &somebody(1), false).now_or_never().is_none();
    assert!(waits);
    for _ in 0..100 {
        assert_eq!(known.guess(&node, &somebody(1), true).await, Checked::LetIn);
    }
}

/// Goal: who has a credential of his own does not guess another's on its connection without being counted.
#[tokio::test]
async fn a_verified_connection_that_tries_other_keys_is_counted() {
    let node = node_of_three().await;
    let client = somebody(1);
    let (own, other) = (Wire::UspeedoRest, Wire::EngagelabA);
    own.guess(&node, &client, true).await;
    for n in 0..3 {
        other.guess(&node, &client, false).await;
        // Its own again: that resets nothing.
        assert_eq!(own.guess(&node, &client, true).await, Checked::LetIn, "{n}");
    }
    let waits = other.guess(&node, &client, false).now_or_never().is_none();
    assert!(waits);
}

/// Goal: guesses at one key from many addresses are bounded together: each address has a tenth then. An address that has
/// tried nothing with it, as its owner's, is let in at once.
#[tokio::test]
async fn a_key_that_is_guessed_at_from_many_addresses_is_open_to_its_owner() {
    for wire in Wire::ALL {
        let limits = Limits {
            failed_credentials_per_key_per_minute_max: 20,
            ..testkit::limits()
        };
        let node = TestNode::with(limits, Arc::new(SystemClock)).await;
        for n in 0..20 {
            wire.guess(&node, &somebody(n), false).await;
        }
        let mut count = 0;
        // Meanwhile one may have come back to the key itself.
        while let Some(checked) = wire.guess(&node, &somebody(30), false).now_or_never() {
            assert_eq!(checked, Checked::Wrong, "{wire:?}");
            count += 1;
            assert!(count < 10, "{wire:?}");
        }
        let owner = wire.guess(&node, &somebody(31), true).await;
        assert_eq!(owner, Checked::LetIn, "{wire:?}");
    }
}

/// Goal: the number of waiting requests is bounded; one more gets the wire's error for too many and is not checked.
#[tokio::test]
async fn beyond_those_that_may_wait_the_wires_own_error_is_sent() {
    for wire in Wire::ALL {
        for (waiting_max, per_address_max) in [(1, 64), (1024, 1)] {
            let limits = Limits {
                failed_credentials_per_minute_max: 1,
                failed_credentials_waiting_max: waiting_max,
                failed_credentials_waiting_per_address_max: per_address_max,
                ..testkit::limits()
            };
            let node = TestNode::with(limits, Arc::new(SystemClock)).await;
            let checked = wire.guess(&node, &somebody(1), false).await;
            assert_eq!(checked, Checked::Wrong, "{wire:?}");
            let one = somebody(1);
            let mut waiting = Box::pin(wire.guess(&node, &one, false));
            assert!(waiting.as_mut().now_or_never().is_none(), "{wire:?}");
            for right in [false, true] {
                let checked = wire.guess(&node, &somebody(1), right).await;
                assert_eq!(checked, Checked::TooMany, "{wire:?}");
            }
            let other = wire.guess(&node, &somebody(2), true).await;
            assert_eq!(other, Checked::LetIn, "{wire:?}: another address");
        }
    }
}

/// Goal: a wait has an end, and what waited for nothing is turned away unjudged.
#[tokio::test]
async fn a_wait_for_a_turn_has_an_end() {
    let limits = Limits {
        failed_credentials_per_minute_max: 1,
        failed_credentials_wait_ms_max: 50,
        ..testkit::limits()
    };
    let node = TestNode::with(limits, Arc::new(SystemClock)).await;
    let wire = Wire::UspeedoRest;
    assert_eq!(wire.guess(&node, &somebody(1), false).await, Checked::Wrong);
    assert_eq!(wire.guess(&node, &somebody(1), true).await, Checked::TooMany);
    assert!(node.metrics().contains("reason=\"too_many\"} 1"));
}

/// Guesses of one address at one key, half of which hang up without reading an answer.
const GUESSES: usize = 2_000;
/// So many at once.
const AT_ONCE: usize = 500;

/// `GET` of a path with HTTP Basic, as octets.
fn get(path: &str, user: &str, key: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {}\r\n\r\n",
        basic(user, key)
    )
}

/// The answer to a request on a connection of its own; empty when the connection was closed without one.
async fn raw_response(addr: SocketAddr, request: &str) -> String {
    let mut answer = Vec::new();
    if let Ok(mut stream) = TcpStream::connect(addr).await {
        let _ = stream.write_all(request.as_bytes()).await;
        let _ = stream.read_to_end(&mut answer).await;
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Goal: two thousand guesses in parallel, disconnecting or not, are checked as often as the bound allows, while a customer
/// at the same address gets in, and is not delayed again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_in_parallel_are_bounded_and_the_customer_beside_them_comes_in() {
    const PER_MINUTE: u32 = 60;
    let limits = Limits {
        failed_credentials_per_minute_max: PER_MINUTE,
        failed_credentials_wait_ms_max: 20_000,
        ..testkit::limits()
    };
    let node = TestNode::with(limits, Arc::new(SystemClock)).await;
    let listening = node.listen().await;
    let addr = listening.address;
    let begun = Instant::now();
    let at_once = Arc::new(Semaphore::new(AT_ONCE));
    let guesses: Vec<_> = (0..GUESSES)
        .map(|n| {
            let at_once = Arc::clone(&at_once);
            tokio::spawn(async move {
                let _permit = at_once.acquire().await.unwrap();
                let request = get("/v1/labels", USER, &format!("guess {n}"));
                if n % 2 == 0 {
                    return raw_response(addr, &request).await;
                }
                if let Ok(mut stream) = TcpStream::connect(addr).await {
                    let _ = stream.write_all(request.as_bytes()).await;
                }
                String::new()
            })
        })
        .collect();
    let checked = || {
        let metrics = node.metrics();
        let is_it = |line: &&str| {
            line.contains("denied_requests_total{dialect=\"engagelab_a\",reason=\"wrong_secret\"}")
        };
        let line = metrics.lines().find(is_it).unwrap_or("0");
        line.rsplit(' ').next().unwrap().parse::<u32>().unwrap()
    };
    testkit::until(async || {
        let checked = checked();
        if checked >= PER_MINUTE {
            Ok(())
        } else {
            Err(checked)
        }
    })
    .await;
    let customer = get("/api/v1/usms/USMSSendReceipt?id=x", USER, KEY);
    for n in 0..20 {
        let answer = raw_response(addr, &customer).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{n}: {answer}");
        assert!(
            !answer.contains("215398") && !answer.contains("215400"),
            "{n}: {answer}"
        );
    }
    for guess in guesses {
        let answer = guess.await.unwrap();
        let is_refused = answer.contains("30000") || answer.contains("30429");
        assert!(answer.is_empty() || is_refused, "{answer}");
    }
    // All at once, and one in a second since, of which one may have begun.
    let may_be = PER_MINUTE + 1 + u32::try_from(begun.elapsed().as_secs()).unwrap();
    let checked = checked();
    assert!(checked <= may_be, "{checked} of {may_be} that may be");
    let owner = Wire::EngagelabA.guess(&node, &somebody(1), true).await;
    assert_eq!(owner, Checked::LetIn, "from an address of his own");
    listening.stop().await;
}

/// Goal: a connection on which a credential was verified once counts as verified from then on.
#[tokio::test]
async fn a_right_credential_is_noted_on_its_connection() {
    let node = TestNode::start().await;
    for wire in Wire::ALL {
        let client = somebody(1);
        wire.guess(&node, &client, false).await;
        assert!(!client.is_verified(), "{wire:?}");
        wire.guess(&node, &client, true).await;
        assert!(client.is_verified(), "{wire:?}");
    }
}

/// Goal: a credential makes as many requests a second as it may, and one more gets the wire's error; another credential of
/// the account is not delayed.
#[tokio::test]
async fn a_credential_makes_as_many_requests_a_second_as_it_may() {
    for wire in Wire::ALL {
        let clock = Arc::new(PausedClock::at(1_795_278_600_000));
        let node = TestNode::with(testkit::limits(), Arc::clone(&clock) as Arc<dyn Clock>).await;
        node.set_rate(USER, 2).await;
        for n in 0..2 {
            let checked = wire.guess(&node, &somebody(1), true).await;
            assert_eq!(checked, Checked::LetIn, "{wire:?} {n}");
        }
        let answer = wire.ask(&node, &somebody(2), true).await;
        assert_eq!(
            wire.checked(&answer),
            Checked::TooMany,
            "{wire:?}: {}",
            answer.body
        );
        if matches!(wire, Wire::EngagelabA | Wire::EngagelabC) {
            assert_eq!(answer.status, 429, "{wire:?}");
            assert_eq!(answer.headers[header::RETRY_AFTER], "1", "{wire:?}");
        }
        clock.advance(500);
        let checked = wire.guess(&node, &somebody(1), true).await;
        assert_eq!(
            checked,
            Checked::LetIn,
            "{wire:?}: half a second later there is one again"
        );
    }
}

/// Goal: a request that waits for a turn makes room for others: it gets the wire's error, and its credential is not checked.
/// So does a request that waits when the node stops.
#[tokio::test]
async fn a_request_that_waits_for_a_turn_makes_room_and_is_refused_as_one_too_many() {
    const WAITING: usize = 4;
    let full = ServeLimits {
        connections_max: WAITING,
        ..ServeLimits::default()
    };
    let of_address = ServeLimits {
        per_address_max: WAITING,
        ..ServeLimits::default()
    };
    let behind_proxy = ServeSettings {
        limits: of_address.clone(),
        trusted_proxies: TrustedProxies::new(vec!["127.0.0.1".parse().unwrap()]),
        ..ServeSettings::default()
    };
    for settings in [ServeSettings::from(full), of_address.into(), behind_proxy] {
        let limits = Limits {
            failed_credentials_per_minute_max: 1,
            failed_credentials_wait_ms_max: 600_000,
            ..testkit::limits()
        };
        let node = TestNode::with(limits, Arc::new(SystemClock)).await;
        let is_behind_proxy = settings.trusted_proxies != TrustedProxies::default();
        let listening = node.listen_with(settings).await;
        let addr = listening.address;
        let path = "/api/v1/usms/USMSSendReceipt?id=x";
        let wrong = raw_response(addr, &get(path, "nobody", "x")).await;
        assert!(wrong.contains("215398"), "{wrong}");
        let guess = move |n: usize| async move {
            let path = if n.is_multiple_of(2) { path } else { "/v1/labels" };
            raw_response(addr, &get(path, USER, "wrong")).await
        };
        let mut waiting = FuturesUnordered::new();
        for n in 1..=WAITING {
            waiting.push(tokio::spawn(guess(n)));
            testkit::until(async || {
                let metrics = node.metrics();
                let delayed: usize = metrics
                    .lines()
                    .filter(|line| line.contains("denials_delayed_total{"))
                    .map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap())
                    .sum();
                if delayed == n { Ok(()) } else { Err(metrics) }
            })
            .await;
        }
        let wait_max = std::time::Duration::from_secs(30);
        if is_behind_proxy {
            // Behind a proxy one request more of the client is taken at once, and the slowest makes room for it.
            waiting.push(tokio::spawn(guess(WAITING + 1)));
        } else {
            let newcomer = get("/nowhere", "", "");
            let newcomer = tokio::time::timeout(wait_max, raw_response(addr, &newcomer));
            let newcomer = newcomer.await.expect("somebody makes room");
            assert!(newcomer.starts_with("HTTP/1.1 404"), "{newcomer}");
        }
        let next = async |waiting: &mut FuturesUnordered<JoinHandle<String>>| {
            let gone = tokio::time::timeout(wait_max, waiting.next()).await;
            let answer = gone.expect("an answer in time").unwrap().unwrap();
            let is_too_many = answer.contains("215400") || answer.contains("30429");
            assert!(is_too_many, "{answer}");
        };
        next(&mut waiting).await;
        let stopped = tokio::time::timeout(wait_max, listening.stop());
        stopped.await.expect("a stop waits for nobody's turn");
        while !waiting.is_empty() {
            next(&mut waiting).await;
        }
        assert!(node.metrics().contains("reason=\"too_many\""));
        assert!(!node.metrics().contains("reason=\"wrong_secret\""));
    }
}
