//! The sink against a client over real connections: one test for each thing it can do to a gateway.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests stop at the first surprise"
)]

use std::time::{Duration, Instant};

use sim::load::{Wire, WireError};
use sim::sink::{Behaviour, CountBy, Sink, SinkConfig, SinkHandle};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Longer than anything takes that is going to happen.
const TIMEOUT: Duration = Duration::from_secs(10);

async fn start(config: SinkConfig) -> SinkHandle {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Sink::start(config, listener).unwrap()
}

/// A sink with seed 1 that behaves as the TOML says.
async fn start_with(behaviour: &str) -> SinkHandle {
    start(SinkConfig {
        seed: 1,
        count_by: CountBy::Recipient,
        behaviour: toml::from_str(behaviour).unwrap(),
        ..SinkConfig::default()
    })
    .await
}

fn request(id: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /events HTTP/1.1\r\nHost: sink\r\nContent-Type: application/json\r\nwebhook-id: {id}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A call that reports a state of the message to a number.
fn event_request(id: &str, number: u64, state: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"type":"message.{state}","timestamp":"2026-11-24T00:00:00.000Z","data":{{"id":"1_1_1_1_abcdef$+{number}","to":"+{number}","state":"{state}"}}}}"#
    );
    request(id, &body)
}

async fn wire(sink: &SinkHandle) -> Wire {
    Wire::connect(&sink.url(), TIMEOUT).await.unwrap()
}

/// Makes a call over a connection of its own; the status, or `None` if there is no whole answer.
async fn call(sink: &SinkHandle, request: &[u8]) -> Option<u16> {
    let mut wire = Wire::connect(&sink.url(), TIMEOUT).await.ok()?;
    wire.exchange(request).await.ok().map(|exchange| exchange.status)
}

#[tokio::test]
async fn events_are_taken_and_recorded_in_order() {
    let sink = start_with("").await;
    let mut wire = wire(&sink).await;
    for (id, number, state) in [
        ("evt_1", 991_000_000_001, "submitted"),
        ("evt_2", 991_000_000_002, "submitted"),
        ("evt_3", 991_000_000_001, "delivered"),
        ("evt_3", 991_000_000_001, "delivered"),
        ("evt_1", 991_000_000_001, "submitted"),
    ] {
        let exchange = wire.exchange(&event_request(id, number, state)).await.unwrap();
        assert_eq!((exchange.status, exchange.body), (200, &b"taken"[..]));
    }
    assert_eq!(sink.states(991_000_000_001), ["submitted", "delivered"]);
    assert_eq!(sink.states(991_000_000_002), ["submitted"]);
    let counts = sink.counts();
    assert_eq!(
        (counts.taken, counts.events, counts.repeats, counts.messages),
        (5, 3, 2, 2)
    );
    assert_eq!(counts.by_type.get("message.delivered"), Some(&2));
    assert_eq!(counts.connections, 1);
    let mut seen = Vec::new();
    sink.each_message(|number, timeline| {
        let times: Vec<u16> = timeline.iter().map(|received| received.times).collect();
        seen.push((number, times));
    });
    seen.sort_unstable();
    assert_eq!(seen, [(991_000_000_001, vec![2, 2]), (991_000_000_002, vec![1])]);
    sink.stop().await;
    assert!(
        wire.exchange(&event_request("evt_9", 1, "delivered"))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn an_inbound_message_is_kept_with_its_text() {
    let sink = start_with("").await;
    let body = r#"{"type":"message.received","timestamp":"x","data":{"id":"1","from":"447700900123","to":"10690","text":"收到"}}"#;
    for id in ["evt_1", "evt_2", "evt_1"] {
        assert_eq!(call(&sink, &request(id, body)).await, Some(200));
    }
    let received: Vec<_> = sink
        .inbound()
        .into_iter()
        .map(|received| (received.text.into_string(), received.times))
        .collect();
    assert_eq!(received, [("收到".to_owned(), 2), ("收到".to_owned(), 1)]);
}

#[tokio::test]
async fn calls_are_refused_and_sent_elsewhere_and_come_again() {
    let sink = start_with(
        "refused_share = 0.5\nrefused_with = 503\nredirected_share = 0.5\nfaults_per_event_max = 1",
    )
    .await;
    let mut seen = Vec::new();
    for event in 0..20 {
        let id = format!("evt_{event}");
        let status = call(&sink, &event_request(&id, event, "delivered"))
            .await
            .unwrap();
        assert!(sink.states(event).is_empty(), "it was not taken");
        seen.push(status);
        assert_eq!(
            call(&sink, &event_request(&id, event, "delivered")).await,
            Some(200)
        );
        assert_eq!(sink.states(event), ["delivered"]);
    }
    let counts = sink.counts();
    assert_eq!((counts.refused + counts.redirected, counts.taken), (20, 20));
    assert!(seen.contains(&503) && seen.contains(&302));
    let other = start_with(
        "refused_share = 0.5\nrefused_with = 503\nredirected_share = 0.5\nfaults_per_event_max = 1",
    )
    .await;
    for (event, status) in (0_u64..).zip(seen) {
        let again = call(
            &other,
            &event_request(&format!("evt_{event}"), event, "delivered"),
        )
        .await;
        assert_eq!(again, Some(status), "the same seed, the same faults");
    }
}

#[tokio::test]
async fn an_answer_is_cut_in_the_middle_and_counts_for_nothing() {
    let sink = start_with("cut_share = 1").await;
    let mut stream = TcpStream::connect(sink.local_addr()).await.unwrap();
    stream
        .write_all(&event_request("evt_1", 1, "delivered"))
        .await
        .unwrap();
    let mut answer = Vec::new();
    // A reset after what was sent is an end as well.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\ntaken"),
        "{answer}"
    );
    assert!(answer.contains("content-length: 64"), "{answer}");
    assert_eq!((sink.counts().cut, sink.counts().taken), (1, 0));
    assert!(sink.states(1).is_empty());
}

#[tokio::test]
async fn a_call_is_never_answered_until_the_caller_gives_up() {
    let sink = start_with("hung_share = 1").await;
    let mut wire = Wire::connect(&sink.url(), Duration::from_millis(50))
        .await
        .unwrap();
    let answer = wire.exchange(&event_request("evt_1", 1, "delivered")).await;
    assert!(matches!(answer, Err(WireError::Timeout(_))), "{answer:?}");
    assert_eq!((sink.counts().hung, sink.counts().taken), (1, 0));
    drop(wire);
    sink.behave(Behaviour::default()).unwrap();
    assert_eq!(
        call(&sink, &event_request("evt_1", 1, "delivered")).await,
        Some(200)
    );
    // What hangs does not keep it from stopping.
    tokio::time::timeout(TIMEOUT, sink.stop()).await.unwrap();
}

#[tokio::test]
async fn answers_take_their_time() {
    let sink = start_with("delay_ms = [40, 60]").await;
    let began = Instant::now();
    assert_eq!(
        call(&sink, &event_request("evt_1", 1, "delivered")).await,
        Some(200)
    );
    assert!(began.elapsed() >= Duration::from_millis(40));
}

#[tokio::test]
async fn a_sink_that_left_is_unreachable_until_it_comes_back() {
    let sink = start_with("").await;
    let mut wire = wire(&sink).await;
    assert!(
        wire.exchange(&event_request("evt_1", 1, "submitted"))
            .await
            .is_ok()
    );
    sink.leave();
    assert!(
        wire.exchange(&event_request("evt_2", 1, "delivered"))
            .await
            .is_err()
    );
    let gone = async {
        while call(&sink, &event_request("evt_2", 1, "delivered"))
            .await
            .is_some()
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, gone).await.unwrap();
    let taken = sink.counts().taken;
    sink.come_back();
    let back = async {
        while call(&sink, &event_request("evt_3", 2, "delivered"))
            .await
            .is_none()
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, back).await.unwrap();
    assert_eq!(sink.counts().taken, taken + 1);
}

#[tokio::test]
async fn what_is_not_of_the_form_is_refused_and_counted() {
    let sink = start(SinkConfig {
        body_bytes_max: 300,
        ..SinkConfig::default()
    })
    .await;
    assert_eq!(call(&sink, &request("evt_1", "{}")).await, Some(400));
    let nameless = b"POST / HTTP/1.1\r\nHost: sink\r\nContent-Length: 2\r\n\r\n{}";
    assert_eq!(call(&sink, nameless).await, Some(400));
    assert_eq!(call(&sink, &request("evt_1", &"x".repeat(301))).await, Some(413));
    assert_eq!(
        call(&sink, &event_request("evt_1", 1, "delivered")).await,
        Some(200)
    );
    assert_eq!((sink.counts().malformed, sink.counts().taken), (2, 1));
}

#[tokio::test]
async fn connections_are_bounded() {
    let sink = start(SinkConfig {
        connections_max: 1,
        ..SinkConfig::default()
    })
    .await;
    let mut first = wire(&sink).await;
    assert!(
        first
            .exchange(&event_request("evt_1", 1, "submitted"))
            .await
            .is_ok()
    );
    assert_eq!(call(&sink, &event_request("evt_2", 1, "delivered")).await, None);
    assert_eq!(sink.counts().connections, 1, "the second was turned away");
    drop(first);
    let room = async {
        while call(&sink, &event_request("evt_2", 1, "delivered"))
            .await
            .is_none()
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, room).await.unwrap();
}

#[tokio::test]
async fn a_behaviour_without_sense_changes_nothing() {
    let sink = start_with("").await;
    let wrong = Behaviour {
        refused_share: 2.0,
        ..Behaviour::default()
    };
    assert!(sink.behave(wrong).is_err());
    assert_eq!(
        call(&sink, &event_request("evt_1", 1, "delivered")).await,
        Some(200)
    );
}
