//! Requests that somebody has seen on their way, sent again by him.

use crate::testkit::{Answer, CODE, TestNode, USER, USER_MUTE, ut_id};
use crate::wires::{action, sendcloud, ucloud};
use api::Limits;
use axum::body::Body;
use engine::clock::{Clock, PausedClock};
use http::{HeaderValue, Request};
use serde_json::json;
use std::sync::Arc;

const WINDOW_S: u32 = 600;

/// The two wires whose signature covers no time: a request by a user, and the response to its replay.
type Wire = (
    &'static str,
    u64,
    fn(&TestNode, &str, &str, &serde_json::Value) -> Request<Body>,
);

const WIRES: [Wire; 2] = [
    ("uspeedo_action", 215_398, action),
    ("ucloud", 171, |_, user, name, params| ucloud(user, name, params)),
];

async fn node(limits: Limits) -> (TestNode, Arc<PausedClock>) {
    let clock = Arc::new(PausedClock::at(1_795_278_600_000));
    let node = TestNode::with(limits, Arc::clone(&clock) as Arc<dyn Clock>).await;
    (node, clock)
}

async fn with_windows() -> (TestNode, Arc<PausedClock>) {
    node(Limits {
        uspeedo_replay_window_s: WINDOW_S,
        ucloud_replay_window_s: WINDOW_S,
        ..crate::testkit::limits()
    })
    .await
}

/// A code to a number, by `SendUSMSMessage`.
fn code_to(to: &str) -> serde_json::Value {
    json!({"PhoneNumbers": [to], "TemplateId": ut_id(CODE), "SigContent": "", "TemplateParams": ["8341"]})
}

fn with_id(mut request: Request<Body>, id: &'static str) -> Request<Body> {
    let value = HeaderValue::from_static(id);
    request.headers_mut().insert("Idempotency-Key", value);
    request
}

fn ret_code(answer: &Answer) -> u64 {
    answer.json()["RetCode"].as_u64().unwrap()
}

fn accepted(node: &TestNode, dialect: &str) -> u64 {
    counted(
        node,
        &format!("postrider_accepted_total{{dialect=\"{dialect}\"}} "),
    )
}

fn counted(node: &TestNode, series: &str) -> u64 {
    let text = node.metrics();
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    line.map_or(0, |count| count.parse().unwrap())
}

/// Goal: the window counts time that passes: a machine's clock that jumps ahead by a day ends none.
#[tokio::test]
async fn a_jump_of_the_clock_ends_no_window() {
    for (dialect, refused, ask) in WIRES {
        // It carries no time that the wire looks at, or one that follows the machine's clock.
        let (node, clock) = with_windows().await;
        let send = || node.ask(ask(&node, USER, "SendUSMSMessage", &code_to("(44)7700900123")));
        assert_eq!(ret_code(&send().await), 0, "{dialect}");
        clock.set_ahead(86_400_000);
        assert_eq!(ret_code(&send().await), refused, "{dialect}");
        clock.set_back(2 * 86_400_000);
        assert_eq!(ret_code(&send().await), refused, "{dialect}");
    }
}

/// Goal: within the window a signed request is executed once; its replay gets the wire's error and is counted. Another
/// request is executed meanwhile, and the same one when the window is over.
#[tokio::test]
async fn a_signed_request_that_acts_is_taken_once_within_the_window() {
    for (dialect, refused, ask) in WIRES {
        let (node, clock) = with_windows().await;
        let send = |to: &str| node.ask(ask(&node, USER, "SendUSMSMessage", &code_to(to)));
        assert_eq!(ret_code(&send("(44)7700900123").await), 0, "{dialect}");
        for _ in 0..3 {
            assert_eq!(ret_code(&send("(44)7700900123").await), refused, "{dialect}");
            clock.advance(i64::from(WINDOW_S) * 1000 / 4);
        }
        assert_eq!(ret_code(&send("(44)7700900124").await), 0, "{dialect}");
        assert_eq!(accepted(&node, dialect), 2, "{dialect}");
        let denied = format!("postrider_denied_requests_total{{dialect=\"{dialect}\",reason=\"replayed\"}} ");
        assert_eq!(counted(&node, &denied), 3, "{dialect}: {}", node.metrics());
        clock.advance(i64::from(WINDOW_S) * 1000 / 4);
        assert_eq!(
            ret_code(&send("(44)7700900123").await),
            0,
            "{dialect}: the window is over"
        );
    }
}

/// Goal: values that are cut apart elsewhere have the same signature, so they are the same request.
#[tokio::test]
async fn a_request_cut_apart_elsewhere_is_the_same_request() {
    for (dialect, refused, ask) in WIRES {
        let (node, _) = with_windows().await;
        let params = |numbers: [&str; 2]| {
            let mut params = code_to("");
            params["PhoneNumbers"] = json!(numbers);
            params
        };
        let first = ask(
            &node,
            USER,
            "SendUSMSMessage",
            &params(["447700900123", "447700900124"]),
        );
        assert_eq!(ret_code(&node.ask(first).await), 0, "{dialect}");
        let cut = ask(
            &node,
            USER,
            "SendUSMSMessage",
            &params(["4477009001234", "47700900124"]),
        );
        assert_eq!(ret_code(&node.ask(cut).await), refused, "{dialect}");
    }
}

/// Goal: what honest clients repeat is answered: queries, what was refused, and what has the same `Idempotency-Key`.
#[tokio::test]
async fn queries_refused_requests_and_retries_with_their_id_are_answered_within_the_window() {
    for (dialect, refused, ask) in WIRES {
        let (node, _) = with_windows().await;
        for _ in 0..2 {
            let query = json!({"SessionNoSet": ["9205462d-d734-4a84-9b6f-6967d4deeefc"]});
            let reported = node.ask(ask(&node, USER, "GetUSMSSendReceipt", &query)).await;
            assert_eq!(ret_code(&reported), 0, "{dialect}: {}", reported.body);
            let mute = node
                .ask(ask(
                    &node,
                    USER_MUTE,
                    "SendUSMSMessage",
                    &code_to("(44)7700900123"),
                ))
                .await;
            assert!(
                mute.body.contains("Account restricted"),
                "{dialect}: {}",
                mute.body
            );
        }
        let send = || ask(&node, USER, "SendUSMSMessage", &code_to("(44)7700900123"));
        let first = node.ask(with_id(send(), "order-1")).await;
        assert_eq!(ret_code(&first), 0, "{dialect}: {}", first.body);
        let again = node.ask(with_id(send(), "order-1")).await;
        assert_eq!(again.body, first.body, "{dialect}: answered, and not sent");
        // The id is a header, and nobody signed it.
        for request in [send(), with_id(send(), "order-2")] {
            let answer = node.ask(request).await;
            assert_eq!(ret_code(&answer), refused, "{dialect}: {}", answer.body);
        }
        assert_eq!(accepted(&node, dialect), 1, "{dialect}");
    }
}

/// Goal: not only messages: templates, signatures and lists change once.
#[tokio::test]
async fn a_change_is_made_once_within_the_window() {
    let entry = json!({"Phone": "(44)7700900199", "Purpose": 0});
    let params = json!({"IsGlobal": "true", "BlackList": [entry]});
    let (node, _) = with_windows().await;
    for code in [0, 171] {
        let request = ucloud(USER, "BatchCreateUSMSBlacklistPhone", &params);
        let answer = node.ask(request).await;
        assert_eq!(ret_code(&answer), code, "{}", answer.body);
    }
}

/// Goal: without a window every request is taken as often as it comes, as at the vendors.
#[tokio::test]
async fn without_a_window_each_request_is_taken() {
    for (dialect, _, ask) in WIRES {
        let (node, _) = node(crate::testkit::limits()).await;
        for _ in 0..2 {
            let request = ask(&node, USER, "SendUSMSMessage", &code_to("(44)7700900123"));
            assert_eq!(ret_code(&node.ask(request).await), 0, "{dialect}");
        }
        assert_eq!(accepted(&node, dialect), 2, "{dialect}");
    }
}

/// Goal: where the operator requires SendCloud's timestamp, a request without one is answered 461 and has no effect.
#[tokio::test]
async fn a_timestamp_can_be_demanded_of_sendcloud() {
    let limits = Limits {
        sendcloud_timestamp_required: true,
        ..crate::testkit::limits()
    };
    let (node, clock) = node(limits).await;
    let now = clock.now().to_string();
    let common = [
        ("templateId", "1001"),
        ("msgType", "2"),
        ("phone", "00447700900123"),
        ("vars", r#"{"code":"8341"}"#),
    ];
    let empty = [&common[..], &[("timestamp", "")]].concat();
    let timely = [&common[..], &[("timestamp", &*now)]].concat();
    for (pairs, code) in [(&common[..], 461), (&empty, 461), (&timely, 200)] {
        let answer = node.ask(sendcloud(USER, "/smsapi/send", pairs)).await;
        assert_eq!(answer.json()["statusCode"], code, "{pairs:?}: {}", answer.body);
    }
    assert_eq!(accepted(&node, "sendcloud"), 1);
}
