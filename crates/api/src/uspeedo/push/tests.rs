//! Calls, field by field, against the samples of the vendors' pages (contract sections 3.4 and 3.5).

use super::*;
use engine::sms::class::{Class, Kind};
use engine::sms::state::MessageState;
use engine::{
    AccountId, BatchView, CarrierNo, Dialect, Endpoint, EndpointId, Event, EventOffset, EventWhat, InboundId,
    MessageId, UnixMs,
};
use proptest::prelude::*;
use secrecy::SecretString;
use serde_json::json;
use store::DimensionsNo;

/// The moment of the pages' own samples.
const ENDED: UnixMs = 1_563_867_000_123;
const CHINESE: &str = "8618512345678";
const BRITISH: &str = "447700900123";

fn ids() -> PublicIds {
    PublicIds::new(&[7; 32])
}

fn stamp() -> Stamp {
    Stamp {
        now: ENDED + 1,
        random: [9; 32],
        public_ids: Arc::new(ids()),
    }
}

fn endpoint(settings: Value) -> EndpointEntry {
    EndpointEntry {
        endpoint: Endpoint {
            id: EndpointId(1),
            account: AccountId(1),
            name: "reports".into(),
            format: "ucloud".into(),
            url: "https://hook.example/sms".into(),
            kinds: EventKinds::ALL,
            settings,
            sealed_secret: Vec::new(),
            enabled: true,
        },
        secret: SecretString::from(""),
    }
}

fn first() -> MessageId {
    MessageId::first_at(ENDED - 5_000)
}

fn message(number: &str, state: MessageState, error: &str, attempts: u8) -> MessageView {
    let batch = BatchView {
        accepted_at: ENDED - 5_000,
        id: first(),
        session: first(),
        count: 1,
        account: AccountId(1),
        dialect: Dialect::Ucloud,
        user: "key".into(),
        dimensions: DimensionsNo(1),
        class: Class::Otp,
        kind: Kind::Text,
        message_type: None,
        template: 1001,
        text: "Your code is 8341".into(),
        sender: None,
        label: 0,
        custom: None,
        due: None,
        expires_at: None,
    };
    MessageView {
        id: first(),
        batch: Arc::new(batch),
        msisdn: Msisdn::from_digits(number).unwrap(),
        written: number.into(),
        params: None,
        extra: Some(r#"{"user_id":"order 1","extend_code":"12"}"#.into()),
        segments: 2,
        state,
        carrier: CarrierNo(1),
        attempts,
        submitted_at: None,
        changed_at: ENDED,
        status: 0,
        error: error.into(),
        cause: None,
        by_receipt: false,
    }
}

fn payload(what: EventWhat, subject: Subject) -> EventPayload {
    EventPayload {
        event: Event {
            offset: EventOffset { row: 1, index: 0 },
            at: ENDED,
            what,
        },
        subject,
    }
}

fn ended(number: &str, state: MessageState, error: &str, attempts: u8) -> EventPayload {
    let message = message(number, state, error, attempts);
    let what = EventWhat::Message {
        id: message.id,
        state,
        error: error.into(),
    };
    payload(what, Subject::Message(Box::new(message)))
}

fn replied(from: &str, text: &str) -> EventPayload {
    let id = InboundId(1);
    let inbound = Inbound {
        id,
        account: Some(AccountId(1)),
        carrier: CarrierNo(1),
        from: from.into(),
        to: "1069".into(),
        text: text.into(),
        binary: None,
        answers: None,
        received_at: ENDED,
    };
    payload(EventWhat::Inbound { id }, Subject::Inbound(Box::new(inbound)))
}

fn bodies(form: Form, settings: Value, payloads: &[EventPayload]) -> Vec<Value> {
    let calls = form.calls(&endpoint(settings), payloads, &stamp());
    for call in &calls {
        assert_eq!(call.method, Method::Post);
        assert_eq!(
            call.headers,
            [("content-type", "application/json; charset=utf-8".to_owned())]
        );
    }
    calls
        .iter()
        .map(|call| serde_json::from_slice(&call.body).unwrap())
        .collect()
}

/// The result, code and text of one report.
fn words_of(form: Form, settings: Value, payload: EventPayload) -> (String, String, String) {
    let body = bodies(form, settings, &[payload]).remove(0);
    let word = |name: &str| body["Data"][0][name].as_str().unwrap().to_owned();
    (word("ReceiptResult"), word("ReceiptCode"), word("ReceiptDesc"))
}

#[test]
fn a_report_is_what_uspeedos_page_shows() {
    let session = ids().session(AccountId(1), first());
    let payloads = [
        ended(CHINESE, MessageState::Delivered, "000", 1),
        ended(BRITISH, MessageState::Undelivered, "MK:0001", 1),
    ];
    let expected = json!([{"MsgType": 2, "Data": [
        {"SessionNo": session, "Phone": CHINESE, "CostCount": 2, "ReceiptTime": 1_563_867_000, "ReceiptResult": "Success",
         "ReceiptCode": "Delivrd", "ReceiptDesc": "delivered", "UserId": "order 1"},
        {"SessionNo": session, "Phone": BRITISH, "CostCount": 2, "ReceiptTime": 1_563_867_000, "ReceiptResult": "Fail",
         "ReceiptCode": "MK:0001", "ReceiptDesc": "undelivered", "UserId": "order 1"}]}]);
    assert_eq!(json!(bodies(Form::Uspeedo, json!({}), &payloads)), expected);
}

#[test]
fn a_report_is_what_uclouds_page_shows() {
    let session = ids().session(AccountId(1), first());
    let payloads = [
        ended(CHINESE, MessageState::Delivered, "000", 1),
        ended(BRITISH, MessageState::Expired, "", 1),
    ];
    let expected = json!([{"MsgType": 2, "Data": [
        {"SessionNo": session, "Phone": "18512345678", "CostCount": 2, "ReceiptTime": 1_563_867_000,
         "ReceiptResult": "发送成功", "ReceiptCode": "Delivrd", "ReceiptDesc": "用户接收成功", "UserId": "order 1"},
        {"SessionNo": session, "Phone": "(44)7700900123", "CostCount": 2, "ReceiptTime": 1_563_867_000,
         "ReceiptResult": "发送失败", "ReceiptCode": "EXPIRED", "ReceiptDesc": "短信已过期", "UserId": "order 1"}]}]);
    assert_eq!(json!(bodies(Form::Ucloud, Value::Null, &payloads)), expected);
    let pulled = reports(&Value::Null, &payloads, &ids());
    assert_eq!(serde_json::to_value(pulled).unwrap(), expected[0]["Data"]);
    assert!(
        bodies(Form::UcloudPull, Value::Null, &payloads).is_empty(),
        "pulled, not pushed"
    );
}

#[test]
fn results_and_codes_are_the_documented_words() {
    let en = || json!({"language": "en"});
    let unknown = || ended(CHINESE, MessageState::Unknown, "", 1);
    let blocked = || ended(CHINESE, MessageState::Rejected, "420", 0);
    for (form, settings, payload, expected) in [
        (
            Form::Uspeedo,
            json!({}),
            unknown(),
            ("UNKNOWN", "UNKNOWN", "unknown"),
        ),
        (Form::Ucloud, en(), unknown(), ("Unknow", "UNKNOWN", "unknown")),
        (
            Form::Ucloud,
            json!({}),
            unknown(),
            ("状态未知", "UNKNOWN", "状态未知"),
        ),
        (
            Form::Uspeedo,
            json!({}),
            ended(CHINESE, MessageState::Expired, "expired_before_sent", 0),
            ("Fail", "EXPIRED", "expired before it was submitted"),
        ),
        (
            Form::Ucloud,
            json!({}),
            ended(CHINESE, MessageState::Expired, "expired_before_sent", 2),
            ("发送失败", "EXPIRED", "短信在提交前已过期"),
        ),
        (
            Form::Uspeedo,
            json!({}),
            ended(CHINESE, MessageState::Unknown, "expired_in_doubt", 1),
            ("UNKNOWN", "UNKNOWN", "expired, a submission had no answer"),
        ),
        (
            Form::Uspeedo,
            json!({}),
            blocked(),
            ("Fail", "MSBLACK", "phone in the black list"),
        ),
        (
            Form::Ucloud,
            json!({}),
            blocked(),
            ("发送失败", "MSBLACK", "手机号码在黑名单中"),
        ),
        (
            Form::Ucloud,
            en(),
            ended(CHINESE, MessageState::Rejected, "420", 1),
            ("Fail", "420", "rejected"),
        ),
        (
            Form::Ucloud,
            en(),
            ended(CHINESE, MessageState::Cancelled, "", 0),
            ("Fail", "DELETED", "withdrawn"),
        ),
    ] {
        let (result, code, text) = words_of(form, settings, payload);
        assert_eq!((&*result, &*code, &*text), expected, "{form:?}");
    }
}

#[test]
fn a_reply_is_what_the_page_shows() {
    let payloads = [replied(CHINESE, "好的，可以了"), replied("1069012", "收到")];
    let expected = json!([{"MsgType": 0, "Data": [
        {"Phone": "18512345678", "ReplyContent": "好的，可以了", "ReplyTime": 1_563_867_000},
        {"Phone": "(1)069012", "ReplyContent": "收到", "ReplyTime": 1_563_867_000}]}]);
    assert_eq!(json!(bodies(Form::Ucloud, json!({}), &payloads)), expected);
    let named = bodies(
        Form::Uspeedo,
        json!({}),
        &[replied("+447700900123", "a"), replied("Carrier", "b")],
    );
    assert_eq!(named[0]["Data"][0]["Phone"], "447700900123");
    assert_eq!(named[0]["Data"][1]["Phone"], "Carrier");
}

#[test]
fn reports_and_replies_keep_their_order_in_calls_of_their_own() {
    let report = || ended(CHINESE, MessageState::Delivered, "", 1);
    let kinds = |payloads: &[EventPayload]| -> Vec<(u64, usize)> {
        bodies(Form::Ucloud, json!({}), payloads)
            .iter()
            .map(|body| {
                (
                    body["MsgType"].as_u64().unwrap(),
                    body["Data"].as_array().unwrap().len(),
                )
            })
            .collect()
    };
    let mixed = [
        report(),
        report(),
        replied(CHINESE, "a"),
        report(),
        replied(CHINESE, "b"),
    ];
    assert_eq!(kinds(&mixed), [(2, 2), (0, 1), (2, 1), (0, 1)]);
    let submitted = payload(
        EventWhat::Message {
            id: first(),
            state: MessageState::Submitted,
            error: Box::default(),
        },
        Subject::Message(Box::new(message(CHINESE, MessageState::Submitted, "", 1))),
    );
    let accepted = payload(
        EventWhat::Accepted {
            first: first(),
            count: 1,
        },
        Subject::Batch(vec![message(CHINESE, MessageState::Queued, "", 0)]),
    );
    let gone = payload(EventWhat::Inbound { id: InboundId(2) }, Subject::Gone);
    assert_eq!(kinds(&[submitted, accepted, gone]), [], "no words for these");
}

#[test]
fn an_answer_with_code_nought_is_one_that_took_the_call() {
    for (status, body, taken) in [
        (200, r#"{"code":0,"message":"ok"}"#, true),
        (200, r#"{ "message" : "ok" , "code" : "0" }"#, true),
        (204, r#"{"code":0}"#, true),
        (200, "{\n    code: 0,\n    message: \"ok\"\n}", true),
        (200, "{'code': 0}", true),
        (200, r#"{"code":1,"message":"busy"}"#, false),
        (200, "{ code: 1, message: \"code: 0\" }", false),
        (200, r#"{"code":null}"#, false),
        (200, r#"{"message":"ok"}"#, false),
        (200, "ok", false),
        (200, "", false),
        (200, "[0]", false),
        (500, r#"{"code":0}"#, false),
        (302, r#"{"code":0}"#, false),
    ] {
        assert_eq!(
            Form::Ucloud.is_taken(status, body.as_bytes()),
            taken,
            "{status} {body}"
        );
    }
    assert!(!Form::Uspeedo.is_taken(200, b"\xff{\"code\":0}"));
}

#[test]
fn calls_are_repeated_three_times_a_second_apart() {
    let schedule = Form::Ucloud.schedule(&Value::Null);
    assert_eq!(schedule.waits, [Duration::from_secs(1); 3]);
    assert_eq!(schedule.jitter_percent, 0);
    assert!(Form::Ucloud.probes(&endpoint(Value::Null), &stamp()).is_empty());
}

#[test]
fn settings_are_checked_when_they_are_set_up() {
    let names: Vec<_> = formats().iter().map(|form| form.name()).collect();
    assert_eq!(names, ["uspeedo", "ucloud", "ucloud_pull"]);
    for (form, settings, fine) in [
        (Form::Uspeedo, json!(null), true),
        (Form::Uspeedo, json!({}), true),
        (Form::Uspeedo, json!({"batch_max": 1}), true),
        (Form::Uspeedo, json!({"language": "en"}), false),
        (Form::Ucloud, json!({"language": "en", "batch_max": 1000}), true),
        (
            Form::UcloudPull,
            json!({"language": "zh", "concurrency": 4}),
            true,
        ),
        (Form::Ucloud, json!({"language": "fr"}), false),
        (Form::Ucloud, json!({"batch_max": 0}), false),
        (Form::Ucloud, json!({"batch_max": 1001}), false),
        (Form::Ucloud, json!({"batch_max": "10"}), false),
        (Form::Ucloud, json!({"batch": 10}), false),
        (Form::Ucloud, json!([10, "en"]), false),
    ] {
        assert_eq!(form.check(&settings).is_ok(), fine, "{form:?} {settings}");
    }
    assert_eq!(Form::Ucloud.events_max(&json!({"batch_max": 7})), 7);
    assert_eq!(Form::Ucloud.events_max(&Value::Null), 100);
}

proptest! {
    #[test]
    fn answers_of_any_kind_are_read(body in prop::collection::vec(any::<u8>(), 0..60), text in "\\{? ?\"?code\"? ?: ?[-0-9\"]{0,4} ?\\}?") {
        let _ = Form::Ucloud.is_taken(200, &body);
        prop_assert!(!Form::Ucloud.is_taken(500, text.as_bytes()));
        let _ = Form::Ucloud.is_taken(200, text.as_bytes());
    }

    #[test]
    fn every_end_of_a_message_is_reported_once(states in prop::collection::vec(0..10_u8, 0..40), error in ".{0,8}") {
        let payloads: Vec<_> = states.iter().map(|&state| {
            ended(BRITISH, MessageState::from_u8(state).unwrap(), &error, 1)
        }).collect();
        let reported: usize = bodies(Form::Uspeedo, json!({}), &payloads)
            .iter()
            .map(|body| body["Data"].as_array().unwrap().len())
            .sum();
        let ends = states.iter().filter(|&&state| MessageState::from_u8(state).unwrap().is_final()).count();
        prop_assert_eq!(reported, ends);
    }

    #[test]
    fn settings_of_any_kind_are_checked(number in any::<i64>(), text in ".{0,6}") {
        for settings in [json!(number), json!(text), json!({"batch_max": number}), json!({"language": text})] {
            let _ = Form::Ucloud.check(&settings);
            prop_assert!((1..=1000).contains(&Form::Ucloud.events_max(&settings)));
        }
    }
}
