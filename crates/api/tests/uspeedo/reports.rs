//! What accounts report to UCloud's wire, and fetch from it.

use super::{AT_ONCE, UNDELIVERED, Wire, code_and_message, code_of, names, with};
use crate::testkit::fake_endpoint::{FakeEndpoint, ReceivedCall, Reply, endpoint};
use crate::testkit::{ACCOUNT, Answer, CODE, TestNode, USER_OTHER, until, ut_id};
use engine::clock::{Clock, PausedClock};
use engine::{CarrierNo, Record, RecordFilter, RecordKind};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use store::NewInbound;
use tokio::task::JoinSet;

async fn ask(node: &TestNode, action: &str, params: &Value) -> Answer {
    Wire::Ucloud.ask(node, action, params).await
}

/// The bodies of the newest reports kept, the oldest first.
async fn kept(node: &TestNode, count: usize) -> Vec<Value> {
    let filter = |offset, limit| RecordFilter {
        name_contains: None,
        offset,
        limit,
    };
    let engine = &node.engine;
    let total = engine
        .records(ACCOUNT, RecordKind::Backfill, filter(0, 1))
        .await
        .unwrap()
        .total;
    let page = filter(total.saturating_sub(count as u64), count);
    let page = engine.records(ACCOUNT, RecordKind::Backfill, page).await.unwrap();
    page.items
        .iter()
        .map(|record| serde_json::from_str(&record.body).unwrap())
        .collect()
}

async fn session(node: &TestNode) -> String {
    let send = json!({"PhoneNumbers": [AT_ONCE], "TemplateId": ut_id(CODE), "TemplateParams": ["1"]});
    ask(node, "SendUSMSMessage", &send).await.json()["SessionNo"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn a_code_that_was_used_is_taken_down() {
    let node = TestNode::start().await;
    let report = json!({"SendNo": "order-1", "Target": "(44)7700900123", "BackfillTime": 5, "SendTime": 7, "Content": "8341"});
    let answer = ask(&node, "AddBackfill", &report).await;
    assert_eq!(code_and_message(&answer), (0, String::new()));
    assert_eq!(names(&answer.json()), ["Action", "Message", "RetCode"]);
    assert_eq!(kept(&node, 1).await, std::slice::from_ref(&report));
    for (name, value, code) in [
        ("SendNo", json!(""), 18_001),
        ("Target", json!(null), 18_001),
        ("Target", json!("7700900123"), 18_003),
        ("BackfillTime", json!("now"), 18_002),
        ("SendTime", json!(-1), 18_003),
        ("Content", json!("x".repeat(501)), 18_003),
    ] {
        let answer = ask(&node, "AddBackfill", &with(&report, name, value)).await;
        assert_eq!(code_of(&answer), code, "{name} {}", answer.body);
    }
}

fn backfill(no: u64) -> Record {
    Record {
        id: 0,
        account: ACCOUNT,
        kind: RecordKind::Backfill,
        name: Box::default(),
        body: format!(r#"{{"no":{no}}}"#).into(),
        data: Vec::new(),
        created_at: 0,
        updated_at: 0,
    }
}

#[tokio::test]
async fn the_oldest_reports_make_room() {
    let node = TestNode::start().await;
    let most = node.engine.settings().account_limits.documents_max;
    // Many at once, so that they share the store's commits, yet fewer than its queue holds; the last one after them.
    for first in (0..most - 1).step_by(1000) {
        let mut adding = JoinSet::new();
        for no in first..(most - 1).min(first + 1000) {
            let engine = Arc::clone(&node.engine);
            adding.spawn(async move { engine.add_record(backfill(no)).await.unwrap().unwrap() });
        }
        adding.join_all().await;
    }
    node.engine.add_record(backfill(most - 1)).await.unwrap().unwrap();
    let report = json!({"SendNo": "order-1", "Target": "+447700900123"});
    assert_eq!(code_of(&ask(&node, "AddBackfill", &report).await), 0);
    let newest = kept(&node, 2).await;
    assert_eq!(newest, [json!({"no": most - 1}), report]);
}

#[tokio::test]
async fn a_status_is_taken_for_ones_own_sessions() {
    let node = TestNode::start().await;
    let session = session(&node).await;
    let report =
        json!({"SessionNoSet": [session, "x"], "PhoneNumber": ["13800138000"], "CustomerStatus": "0"});
    let answer = ask(&node, "upUSMSCustomerStatus", &report).await;
    assert_eq!(code_and_message(&answer), (0, "submit success".into()));
    assert_eq!(answer.json()["Action"], "upUSMSCustomerStatusResponse");
    assert_eq!(answer.json()["Data"], json!([{"MessageNo": session}]));
    let expected = json!({"SessionNoSet": [session], "PhoneNumbers": ["13800138000"], "Used": true});
    assert_eq!(kept(&node, 1).await, [expected]);
    let unused = json!({"SessionNoSet": [session], "CustomerStatus": "1"});
    assert_eq!(code_of(&ask(&node, "upUSMSCustomerStatus", &unused).await), 0);
    assert_eq!(
        kept(&node, 1).await,
        [json!({"SessionNoSet": [session], "Used": false})]
    );
    for (params, code) in [
        (json!({}), 18_001),
        (json!({"SessionNoSet": ["x"]}), 18_003),
        (json!({"SessionNoSet": vec!["x"; 101]}), 18_003),
        (with(&unused, "PhoneNumbers", json!(["12"])), 18_003),
        (with(&unused, "CustomerStatus", json!("used")), 18_002),
    ] {
        let answer = ask(&node, "upUSMSCustomerStatus", &params).await;
        assert_eq!(code_of(&answer), code, "{params} {}", answer.body);
    }
    let theirs = Wire::Ucloud.request(&node, USER_OTHER, "upUSMSCustomerStatus", &unused);
    assert_eq!(code_of(&node.ask(theirs).await), 18_003);
}

/// Sends a code to a number for a user id; the session.
async fn sent(node: &TestNode, phone: &str, user_id: &str) -> String {
    let send = json!({"PhoneNumbers": [phone], "TemplateId": ut_id(CODE), "TemplateParams": ["1"], "UserId": user_id});
    let answer = ask(node, "SendUSMSMessage", &send).await;
    answer.json()["SessionNo"]
        .as_str()
        .unwrap_or_else(|| panic!("{}", answer.body))
        .to_owned()
}

#[tokio::test]
async fn reports_are_pulled_once() {
    let node = TestNode::start().await;
    let pull = || Wire::Ucloud.request(&node, super::USER, "PullUSMSReport", &json!({"Limit": 200}));
    let refused = node.ask(pull()).await;
    assert_eq!(
        code_and_message(&refused),
        (291, "The account has no right for this Action".into())
    );
    node.put(endpoint("ucloud_pull", "", Value::Null)).await;
    let empty = node.ask(pull()).await;
    assert_eq!(code_and_message(&empty), (0, "pull success".into()));
    assert_eq!(
        names(&empty.json()),
        ["Action", "Message", "ReportSet", "ReqUuid", "RetCode"]
    );
    assert_eq!(empty.json()["ReportSet"], json!([]));

    let (good, bad) = (
        sent(&node, AT_ONCE, "order-1").await,
        sent(&node, UNDELIVERED, "order-2").await,
    );
    let mut pulled: Vec<Value> = Vec::new();
    until(async || {
        let answer = node.ask(pull()).await.json();
        pulled.extend(answer["ReportSet"].as_array().unwrap().iter().cloned());
        if pulled.len() >= 2 {
            Ok(())
        } else {
            Err(pulled.clone())
        }
    })
    .await;
    pulled.sort_by_key(|report| report["UserId"].to_string());
    for (report, session, phone, result, user) in [
        (&pulled[0], &good, "(1)0000000010", "发送成功", "order-1"),
        (&pulled[1], &bad, "(1)0000000002", "发送失败", "order-2"),
    ] {
        assert_eq!(
            (&report["SessionNo"], &report["Phone"]),
            (&json!(session), &json!(phone))
        );
        assert_eq!(
            (&report["ReceiptResult"], &report["UserId"]),
            (&json!(result), &json!(user))
        );
        assert_eq!(report["CostCount"], 1);
        let age_s = node.engine.now() / 1000 - report["ReceiptTime"].as_i64().unwrap();
        assert!((0..60).contains(&age_s), "{age_s}");
    }
    assert_eq!(
        node.ask(pull()).await.json()["ReportSet"],
        json!([]),
        "removed once pulled"
    );
    for (limit, code) in [
        (json!(0), 18_003),
        (json!(201), 18_003),
        (json!("all"), 18_002),
        (json!(null), 0),
    ] {
        assert_eq!(
            code_of(&ask(&node, "PullUSMSReport", &json!({"Limit": limit})).await),
            code,
            "{limit}"
        );
    }
    let theirs = Wire::Ucloud.request(&node, USER_OTHER, "PullUSMSReport", &json!({}));
    assert_eq!(code_of(&node.ask(theirs).await), 291);
}

#[tokio::test]
async fn a_small_limit_passes_over_what_is_no_report() {
    let node = TestNode::start().await;
    // Its endpoint gets every event: that a message was accepted, and taken, as well.
    node.put(endpoint("ucloud_pull", "", Value::Null)).await;
    for _ in 0..3 {
        sent(&node, AT_ONCE, "order").await;
    }
    until(async || {
        let in_flight = node.engine.store().counts().await.unwrap().in_flight;
        let there = node.inbox_count(AT_ONCE);
        if (there, in_flight) == (3, 0) {
            Ok(())
        } else {
            Err((there, in_flight))
        }
    })
    .await;
    for expected in [1, 1, 1, 0] {
        let answer = ask(&node, "PullUSMSReport", &json!({"Limit": 1})).await;
        let reports = answer.json()["ReportSet"].as_array().unwrap().len();
        assert_eq!(reports, expected, "{}", answer.body);
    }
}

#[tokio::test]
async fn reports_wait_seventy_two_hours_to_be_pulled() {
    let clock = Arc::new(PausedClock::at(1_795_278_600_000));
    let node = TestNode::with(crate::testkit::limits(), Arc::clone(&clock) as Arc<dyn Clock>).await;
    node.put(endpoint("ucloud_pull", "", Value::Null)).await;
    let pull = async || {
        let answer = ask(&node, "PullUSMSReport", &json!({"Limit": 200})).await;
        assert_eq!(code_of(&answer), 0, "{}", answer.body);
        answer.json()["ReportSet"].as_array().unwrap().len()
    };
    let ended = async |before: usize| {
        sent(&node, AT_ONCE, "order").await;
        until(async || {
            let in_flight = node.engine.store().counts().await.unwrap().in_flight;
            if node.inbox_count(AT_ONCE) > before && in_flight == 0 {
                return Ok(());
            }
            // The sandbox answers and reports by the clock.
            clock.advance(100);
            Err(in_flight)
        })
        .await;
    };
    ended(0).await;
    clock.advance(72 * 3_600_000 - 60_000);
    assert_eq!(pull().await, 1, "just in time");
    ended(1).await;
    clock.advance(72 * 3_600_000 + 1);
    assert_eq!(pull().await, 0, "too late");
}

/// An answer as the vendor's page shows it.
const TAKEN: Reply = (200, "{\n    code: 0,\n    message: \"ok\"\n}");
const BUSY: Reply = (200, r#"{"code": 1, "message": "busy"}"#);

/// Takes a call only when it comes a second time.
fn second_time(before: &[ReceivedCall], call: &ReceivedCall) -> Reply {
    let known = before.iter().any(|earlier| earlier.body == call.body);
    if known { TAKEN } else { BUSY }
}

/// The entries of the calls of a kind that were taken, once there are so many.
async fn entries(receiver: &FakeEndpoint, msg_type: u8, count: usize) -> Vec<Value> {
    let entries = |came: &[ReceivedCall]| -> Vec<Value> {
        came.iter()
            .filter(|came| came.reply == TAKEN && came.body["MsgType"] == msg_type)
            .flat_map(|came| came.body["Data"].as_array().unwrap().clone())
            .collect()
    };
    let came = receiver.until(|came| entries(came).len() >= count).await;
    for came in &came {
        assert_eq!(came.header("content-type"), "application/json; charset=utf-8");
    }
    entries(&came)
}

/// Goal: an account's endpoint receives reports and replies in its vendor's format, again when it does not take them.
#[tokio::test]
async fn reports_and_replies_are_pushed_until_they_are_taken() {
    for (format, settings, phone, results) in [
        ("uspeedo", Value::Null, "10000000010", ["Success", "Fail"]),
        (
            "ucloud",
            json!({"language": "en", "batch_max": 1}),
            "(1)0000000010",
            ["Success", "Fail"],
        ),
        ("ucloud", Value::Null, "(1)0000000010", ["发送成功", "发送失败"]),
    ] {
        let node = TestNode::start().await;
        let receiver = FakeEndpoint::playing(second_time).await;
        node.start_webhooks(endpoint(format, &receiver.url(), settings))
            .await;
        let session = sent(&node, AT_ONCE, "order-1").await;
        sent(&node, UNDELIVERED, "order-2").await;
        let mut reports = entries(&receiver, 2, 2).await;
        reports.sort_by_key(|report| report["UserId"].to_string());
        let shown: Vec<_> = reports
            .iter()
            .map(|report| report["ReceiptResult"].as_str().unwrap())
            .collect();
        assert_eq!(shown, results);
        assert_eq!(
            (&reports[0]["SessionNo"], &reports[0]["Phone"]),
            (&json!(session), &json!(phone))
        );
        assert_eq!(
            (&reports[0]["ReceiptCode"], &reports[0]["UserId"]),
            (&json!("Delivrd"), &json!("order-1"))
        );

        let reply = NewInbound {
            account: Some(ACCOUNT),
            carrier: CarrierNo(1),
            from: "447700900123".into(),
            to: "1069".into(),
            body: "好的，可以了".into(),
            answers: None,
            received_at: 1_573_552_778_000,
            part: None,
        };
        let store = node.engine.store();
        store.record_inbound(vec![reply], Arc::default()).await.unwrap();
        let phone = if format == "ucloud" {
            "(44)7700900123"
        } else {
            "447700900123"
        };
        assert_eq!(
            entries(&receiver, 0, 1).await,
            [json!({"Phone": phone, "ReplyContent": "好的，可以了", "ReplyTime": 1_573_552_778})]
        );
        node.engine.stop(Duration::from_secs(5)).await.unwrap();
    }
}

/// A request as it goes over a connection.
async fn on_the_wire(request: http::Request<axum::body::Body>) -> Vec<u8> {
    use http_body_util::BodyExt;
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let mut wire = format!(
        "{} {} HTTP/1.1\r\nHost: node\r\nContent-Length: {}\r\n",
        head.method,
        head.uri,
        body.len()
    );
    for (name, value) in &head.headers {
        if *name != http::header::CONTENT_LENGTH && *name != http::header::HOST {
            wire.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
        }
    }
    wire.push_str("\r\n");
    [wire.as_bytes(), &body].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_whose_answer_was_not_read_are_pulled_again() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    let node = TestNode::start().await;
    node.put(endpoint("ucloud_pull", "", Value::Null)).await;
    let listening = node.listen().await;
    let pull = async || {
        on_the_wire(Wire::Ucloud.request(&node, super::USER, "PullUSMSReport", &json!({"Limit": 200}))).await
    };
    // The answer, read to its end; how many reports are in it.
    let read = async |stream: &mut TcpStream| {
        let mut answer = Vec::new();
        loop {
            stream.read_buf(&mut answer).await.unwrap();
            let text = String::from_utf8_lossy(&answer).into_owned();
            if let Some((_, body)) = text.split_once("\r\n\r\n")
                && let Ok(body) = serde_json::from_str::<Value>(body)
            {
                return body["ReportSet"].as_array().unwrap().len();
            }
        }
    };
    // A client that closes at once, one that closes when the answer is there, one that resets the connection then.
    for way in 0..3 {
        sent(&node, AT_ONCE, "order").await;
        until(async || {
            let start = store::EventOffset::default();
            let events = node
                .engine
                .store()
                .events(ACCOUNT, start, store::EventKinds::ENDED, 100);
            let events = events.await.unwrap().0;
            if events.len() > way { Ok(()) } else { Err(events) }
        })
        .await;
        let mut stream = TcpStream::connect(listening.address).await.unwrap();
        stream.write_all(&pull().await).await.unwrap();
        if way > 0 {
            stream.peek(&mut [0]).await.unwrap();
        }
        if way == 2 {
            stream.set_zero_linger().unwrap();
        }
        drop(stream);
        let mut stream = TcpStream::connect(listening.address).await.unwrap();
        stream.write_all(&pull().await).await.unwrap();
        assert_eq!(read(&mut stream).await, 1, "nobody has read it yet, way {way}");
        stream.write_all(&pull().await).await.unwrap();
        assert_eq!(read(&mut stream).await, 0, "it was read");
    }
    // And over another connection.
    sent(&node, AT_ONCE, "order-2").await;
    until(async || {
        let mut stream = TcpStream::connect(listening.address).await.unwrap();
        stream.write_all(&pull().await).await.unwrap();
        match read(&mut stream).await {
            0 => Err("not yet"),
            _ => Ok(()),
        }
    })
    .await;
    let mut stream = TcpStream::connect(listening.address).await.unwrap();
    stream.write_all(&pull().await).await.unwrap();
    assert_eq!(read(&mut stream).await, 0);
    listening.stop().await;
}
