//! Calls, field by field, against the samples of the vendor's pages.

use super::*;
use engine::catalog::{Position, Review, Template};
use engine::notify::Subject;
use engine::public_id::PublicIds;
use engine::sms::class::{Class, Kind};
use engine::sms::phone::Msisdn;
use engine::sms::state::MessageState;
use engine::{
    AccountId, BatchView, CarrierNo, Dialect, Endpoint, EndpointId, Event, EventKinds, EventPlace, EventWhat,
    Inbound, InboundId, MessageId, MessageView, UnixMs,
};
use proptest::prelude::*;
use secrecy::SecretString;
use serde_json::json;
use std::collections::BTreeMap;
use store::SeriesNo;

const APP_KEY: &str = "demo_app_key";
/// 2022-05-10 01:29:31.408 in China, a moment of the page's own sample.
const ACCEPTED: UnixMs = 1_652_117_371_408;
/// 2022-05-10 01:29:50 in China.
const ENDED: UnixMs = 1_652_117_390_000;

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
            account: AccountId(19_999),
            name: "hook".into(),
            format: "sendcloud".into(),
            url: "https://hook.example/sms".into(),
            kinds: EventKinds::ALL,
            settings,
            sealed_secret: Vec::new(),
            enabled: true,
        },
        secret: SecretString::from(APP_KEY),
    }
}

fn batch(dialect: Dialect) -> BatchView {
    let first = MessageId::first_at(ACCEPTED);
    BatchView {
        id: first,
        session: first,
        count: 1,
        account: AccountId(19_999),
        dialect,
        user: "APP".into(),
        series: SeriesNo(1),
        class: Class::Otp,
        kind: Kind::Text,
        template: 29_999,
        text: "Your code is 8341".into(),
        sender: None,
        label: 9,
        custom: Some(r#"{"k": "小"}"#.into()),
        due: None,
    }
}

fn message(state: MessageState, error: &str, attempts: u8) -> MessageView {
    numbered(
        &Arc::new(batch(Dialect::Sendcloud)),
        0,
        "13800138000",
        state,
        error,
        attempts,
    )
}

fn numbered(
    batch: &Arc<BatchView>,
    no: i64,
    written: &str,
    state: MessageState,
    error: &str,
    attempts: u8,
) -> MessageView {
    MessageView {
        id: batch.session.plus(no),
        batch: Arc::clone(batch),
        msisdn: Msisdn::from_digits("8613800138000").unwrap(),
        written: written.into(),
        params: None,
        extra: None,
        segments: 2,
        state,
        carrier: CarrierNo(1),
        attempts,
        submitted_at: None,
        changed_at: ENDED,
        status: 0,
        error: error.into(),
    }
}

fn telling(what: EventWhat, subject: Subject) -> Telling {
    Telling {
        event: Event {
            place: EventPlace { row: 1, index: 0 },
            at: ENDED,
            what,
        },
        subject,
    }
}

fn ended(state: MessageState, error: &str, attempts: u8) -> Telling {
    let message = message(state, error, attempts);
    let what = EventWhat::Message {
        id: message.id,
        state,
        error: error.into(),
    };
    telling(what, Subject::Message(Box::new(message)))
}

fn accepted(messages: Vec<MessageView>) -> Telling {
    let what = EventWhat::Accepted {
        first: MessageId::first_at(ACCEPTED),
        count: messages.len() as u32,
    };
    telling(what, Subject::Batch(messages))
}

fn inbound(from: &str) -> Telling {
    let inbound = Inbound {
        id: InboundId(1),
        account: Some(AccountId(19_999)),
        carrier: CarrierNo(1),
        from: from.into(),
        to: "10690000".into(),
        text: "test_reply".into(),
        answers: None,
        received_at: ENDED,
    };
    telling(
        EventWhat::Inbound { id: inbound.id },
        Subject::Inbound(Box::new(inbound)),
    )
}

fn reviewed(review: Review) -> Telling {
    let template = Template {
        account: AccountId(19_999),
        number: 6255,
        ut_id: "UTA1".into(),
        name: "Welcome".into(),
        class: Class::Notice,
        text: "Hello".into(),
        review,
        reason: "no signature".into(),
        signature: None,
        position: Position::Front,
        version: 1,
        remark: Box::default(),
        details: Value::Null,
        created_at: 0,
        updated_at: 0,
    };
    let what = EventWhat::TemplateReviewed {
        number: template.number,
        review,
    };
    telling(what, Subject::Template(Box::new(template)))
}

fn calls(settings: Value, tellings: &[Telling]) -> Vec<Call> {
    SmsHook.calls(&endpoint(settings), tellings, &stamp())
}

fn form(call: &Call) -> BTreeMap<String, String> {
    assert_eq!(
        call.headers,
        [("content-type", "application/x-www-form-urlencoded".to_owned())]
    );
    form_urlencoded::parse(&call.body).into_owned().collect()
}

fn only_form(settings: Value, telling: Telling) -> BTreeMap<String, String> {
    let calls = calls(settings, &[telling]);
    assert_eq!(calls.len(), 1);
    let fields = form(&calls[0]);
    assert_signed(&fields["timestamp"], &fields["token"], &fields["signature"]);
    fields
}

fn only_json(settings: Value, telling: Telling) -> Value {
    let calls = calls(settings, &[telling]);
    assert_eq!(calls.len(), 1);
    assert_eq!(
        calls[0].headers,
        [("content-type", "application/json;charset=utf-8".to_owned())]
    );
    let fields: Value = serde_json::from_slice(&calls[0].body).unwrap();
    let text = |name: &str| fields[name].as_str().unwrap().to_owned();
    assert_signed(
        &fields["timestamp"].to_string(),
        &text("token"),
        &text("signature"),
    );
    fields
}

fn assert_signed(timestamp: &str, token: &str, signature: &str) {
    assert_eq!(token.len(), TOKEN_CHARS);
    assert!(
        token.bytes().all(|octet| octet.is_ascii_alphanumeric()),
        "{token}"
    );
    assert_eq!(
        signature,
        super::signature(APP_KEY, timestamp.parse().unwrap(), token)
    );
}

/// All but what is random or made from it.
fn plain(mut fields: BTreeMap<String, String>) -> BTreeMap<String, String> {
    fields.remove("token").unwrap();
    fields.remove("signature").unwrap();
    fields
}

fn expected(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn sms_id(written: &str) -> String {
    let prefix = ids().message_prefix(AccountId(19_999), MessageId::first_at(ACCEPTED), 29_999);
    format!("{prefix}${written}")
}

#[test]
fn the_signature_is_the_contracts() {
    let token = format!("{}{}", "A".repeat(25), "b".repeat(25));
    assert_eq!(
        signature(APP_KEY, 1_700_000_000_123, &token),
        "09ea3f9d05ef7a8afa725d0a8769b10c2abf7cc211dfb2c6d3443941b70108c8"
    );
}

#[test]
fn a_request_is_told_with_the_ids_of_the_answer() {
    let batch = Arc::new(batch(Dialect::Sendcloud));
    let two = vec![
        numbered(&batch, 0, "13800138000", MessageState::Queued, "", 0),
        numbered(&batch, 1, "008613900139000", MessageState::Rejected, "420", 0),
    ];
    let (first, second) = (sms_id("13800138000"), sms_id("008613900139000"));
    assert_eq!(
        plain(only_form(Value::Null, accepted(two.clone()))),
        expected(&[
            ("event", "request"),
            ("eventType", "1"),
            ("message", "request"),
            ("userId", "19999"),
            ("smsUser", "APP"),
            ("templateId", "29999"),
            ("labelId", "9"),
            ("customArgs", r#"{"k": "小"}"#),
            ("smsIds", &format!(r#"["{first}","{second}"]"#)),
            ("phones", r#"["13800138000","008613900139000"]"#),
            ("msgType", "0"),
            ("msgCount", "4"),
            ("timestamp", "1652117390000"),
        ])
    );
    let told = only_json(json!({ "body": "json" }), accepted(two.clone()));
    assert_eq!(
        (&told["phones"], &told["customArgs"], &told["eventType"]),
        (
            &json!(r#"["13800138000","008613900139000"]"#),
            &json!({ "k": "小" }),
            &json!(1)
        ),
        "lists are texts, as in the page's sample of 2022"
    );
    let told = only_json(json!({ "numbering": "international" }), accepted(two));
    assert_eq!(
        (&told["event"], &told["phones"], &told["smsIds"]),
        (
            &json!("Requested"),
            &json!(["13800138000", "008613900139000"]),
            &json!([first, second])
        )
    );
}

#[test]
fn a_request_to_many_numbers_needs_several_calls() {
    let batch = Arc::new(batch(Dialect::Sendcloud));
    let many: Vec<_> = (0..1001)
        .map(|no| numbered(&batch, no, &format!("138{no:08}"), MessageState::Queued, "", 0))
        .collect();
    let calls = calls(Value::Null, &[accepted(many)]);
    let counts: Vec<usize> = calls
        .iter()
        .map(|call| {
            let phones: Vec<String> = serde_json::from_str(&form(call)["phones"]).unwrap();
            assert!(call.body.len() < 100_000, "{}", call.body.len());
            phones.len()
        })
        .collect();
    assert_eq!(counts, [500, 500, 1]);
    assert_ne!(form(&calls[0])["token"], form(&calls[1])["token"]);
}

#[test]
fn a_delivery_is_told_as_in_the_sample() {
    let told = only_form(Value::Null, ended(MessageState::Delivered, "000", 1));
    assert_eq!(
        plain(told),
        expected(&[
            ("event", "deliver"),
            ("eventType", "2"),
            ("message", "Successfully delivered"),
            ("userId", "19999"),
            ("smsUser", "APP"),
            ("templateId", "29999"),
            ("labelId", "9"),
            ("customArgs", r#"{"k": "小"}"#),
            ("smsId", &sms_id("13800138000")),
            ("phone", "13800138000"),
            ("msgType", "0"),
            ("msgCount", "2"),
            ("outboundTime", "2022-05-10 01:29:31"),
            ("receiptTime", "2022-05-10 01:29:50"),
            ("timestamp", "1652117390000"),
        ])
    );
    let told = only_json(
        json!({ "numbering": "international" }),
        ended(MessageState::Delivered, "000", 1),
    );
    assert_eq!(
        (&told["event"], &told["eventType"], &told["msgCount"]),
        (&json!("Delivered"), &json!(20), &json!(2))
    );
}

#[test]
fn failures_are_told_by_their_code() {
    for (state, error, attempts, name, code, message) in [
        (
            MessageState::Rejected,
            "430",
            0,
            "workererror",
            "430",
            "smsworker:address in unsubscribe list(取消订阅)",
        ),
        (
            MessageState::Rejected,
            "420",
            0,
            "workererror",
            "420",
            "smsworker:address in local bounce list(局部拦截列表)",
        ),
        (
            MessageState::Rejected,
            "410",
            0,
            "workererror",
            "410",
            "smsworker:address in global bounce list(全局拦截列表)",
        ),
        (
            MessageState::Rejected,
            "450",
            0,
            "workererror",
            "450",
            "smsworker:variable error(替换变量错误)",
        ),
        (
            MessageState::Rejected,
            "460",
            0,
            "workererror",
            "460",
            "smsworker:content over 500 characters(短信内容超过500字)",
        ),
        (
            MessageState::Rejected,
            "069",
            1,
            "delivererror",
            "590",
            "REJECTD(其他)",
        ),
        (
            MessageState::Undelivered,
            "5011",
            1,
            "delivererror",
            "500",
            "UNDELIV(空号)",
        ),
        (
            MessageState::Expired,
            "",
            1,
            "delivererror",
            "580",
            "EXPIRED(关机)",
        ),
    ] {
        let told = only_form(Value::Null, ended(state, error, attempts));
        let kind = if name == "workererror" { "4" } else { "5" };
        for (field, value) in [
            ("event", name),
            ("eventType", kind),
            ("statusCode", code),
            ("message", message),
            ("outboundTime", "2022-05-10 01:29:31"),
            ("receiptTime", "2022-05-10 01:29:50"),
            ("timestamp", "1652117390000"),
            ("smsId", &sms_id("13800138000")),
            ("phone", "13800138000"),
            ("userId", "19999"),
            ("smsUser", "APP"),
            ("templateId", "29999"),
            ("labelId", "9"),
            ("customArgs", r#"{"k": "小"}"#),
            ("msgType", "0"),
            ("msgCount", "2"),
        ] {
            assert_eq!(told[field], value, "{state:?} {error} {field}");
        }
    }
    let told = only_form(Value::Null, ended(MessageState::Rejected, "430", 0));
    assert_eq!(
        told["encodeMessage"], "c21zd29ya2VyOmFkZHJlc3MgaW4gdW5zdWJzY3JpYmUgbGlzdCjlj5bmtojorqLpmIUp",
        "of the page's own sample"
    );
    let international = json!({ "numbering": "international" });
    let told = only_json(international.clone(), ended(MessageState::Rejected, "410", 0));
    assert_eq!(
        (&told["event"], &told["eventType"]),
        (&json!("Suppressed"), &json!(4))
    );
    let told = only_json(international, ended(MessageState::Undelivered, "", 1));
    assert_eq!(
        (&told["event"], &told["eventType"]),
        (&json!("Failed"), &json!(5))
    );
}

#[test]
fn an_event_is_told_as_it_was_though_its_message_is_further_on() {
    let mut earlier = ended(MessageState::Undelivered, "5011", 1);
    earlier.subject = Subject::Message(Box::new(message(MessageState::Delivered, "000", 1)));
    assert_eq!(only_form(Value::Null, earlier)["event"], "delivererror");
}

#[test]
fn a_reply_is_told_without_message_and_id() {
    let told = only_form(json!({ "sms_user": "APP" }), inbound("8613888888888"));
    assert_eq!(
        plain(told),
        expected(&[
            ("event", "reply"),
            ("eventType", "6"),
            ("smsUser", "APP"),
            ("userId", "19999"),
            ("templateId", "0"),
            ("labelId", "0"),
            ("phone", "13888888888"),
            ("replyContent", "test_reply"),
            ("encodeReplyContent", "dGVzdF9yZXBseQ=="),
            ("replyTime", "2022-05-10 01:29:50"),
            ("timestamp", "1652117390000"),
        ])
    );
    for (from, phone) in [
        ("447700900123", "00447700900123"),
        ("10086", "10086"),
        ("InfoCode", "InfoCode"),
    ] {
        assert_eq!(only_form(Value::Null, inbound(from))["phone"], phone);
    }
}

#[test]
fn a_review_is_told_with_the_vendors_spelling() {
    let told = only_form(Value::Null, reviewed(Review::Approved));
    assert_eq!(
        plain(told),
        expected(&[
            ("event", "templateVerify"),
            ("eventType", "8"),
            ("userId", "19999"),
            ("templateId", "6255"),
            ("name", "Welcome"),
            ("msgType", "0"),
            ("verfiyResult", "1"),
            ("timestamp", "1652117390000"),
        ])
    );
    for (review, result) in [
        (Review::Rejected, "-1"),
        (Review::Submitted, "0"),
        (Review::Draft, "0"),
    ] {
        let told = only_form(json!({ "sms_user": "APP" }), reviewed(review));
        assert_eq!((&*told["verfiyResult"], &*told["smsUser"]), (result, "APP"));
        let comment = (review == Review::Rejected).then_some("no signature");
        assert_eq!(told.get("verfiyComment").map(String::as_str), comment);
    }
    let told = only_json(
        json!({ "numbering": "international" }),
        reviewed(Review::Approved),
    );
    assert_eq!(
        (&told["event"], &told["verfiyResult"]),
        (&json!("Template Verify"), &json!(1))
    );
}

#[test]
fn what_this_wire_has_no_words_for_is_passed_over() {
    let foreign = Arc::new(batch(Dialect::UspeedoRest));
    let foreign = numbered(&foreign, 0, "13800138000", MessageState::Delivered, "", 1);
    let mut of_another_wire = ended(MessageState::Delivered, "", 1);
    of_another_wire.subject = Subject::Message(Box::new(foreign.clone()));
    let mut gone = ended(MessageState::Delivered, "", 1);
    gone.subject = Subject::Gone;
    for (what, telling) in [
        ("submitted", ended(MessageState::Submitted, "", 1)),
        ("unknown", ended(MessageState::Unknown, "", 1)),
        ("another wire's message", of_another_wire),
        ("another wire's batch", accepted(vec![foreign])),
        ("an empty batch", accepted(Vec::new())),
        ("a message that is gone", gone),
        (
            "a signature",
            telling(
                EventWhat::SignatureReviewed {
                    id: 7,
                    review: Review::Approved,
                },
                Subject::Gone,
            ),
        ),
    ] {
        assert_eq!(calls(Value::Null, &[telling]), [], "{what}");
    }
}

#[test]
fn only_the_events_that_were_chosen_are_told() {
    let settings = json!({ "events": ["deliver", "templateVerify"] });
    let all = [
        ended(MessageState::Delivered, "", 1),
        ended(MessageState::Undelivered, "", 1),
        inbound("8613888888888"),
        reviewed(Review::Approved),
    ];
    let told: Vec<_> = calls(settings, &all)
        .iter()
        .map(|call| form(call)["event"].clone())
        .collect();
    assert_eq!(told, ["deliver", "templateVerify"]);
    assert_eq!(calls(Value::Null, &all).len(), 4);
}

#[test]
fn settings_are_checked() {
    for good in [
        json!(null),
        json!({}),
        json!({ "body": "form", "numbering": "classic", "retry": "short", "events": ["request"], "sms_user": "u" }),
        json!({ "body": "json", "numbering": "international", "retry": "long", "concurrency": 4 }),
    ] {
        assert_eq!(SmsHook.check(&good), Ok(()), "{good}");
    }
    for bad in [
        json!({ "body": "xml" }),
        json!({ "numbering": 1 }),
        json!({ "events": ["deliver", "test"] }),
        json!({ "retries": "long" }),
        json!([]),
        json!("form"),
    ] {
        let complaint = SmsHook.check(&bad).unwrap_err();
        assert!(!complaint.is_empty(), "{bad}");
    }
}

#[test]
fn both_documented_schedules_can_be_chosen() {
    let minutes = |settings: Value| -> Vec<u64> {
        let schedule = SmsHook.schedule(&settings);
        assert_eq!(schedule.jitter_percent, 0);
        schedule.waits.iter().map(|wait| wait.as_secs() / 60).collect()
    };
    assert_eq!(minutes(json!(null)), [3, 10, 30, 60, 360, 720, 1440]);
    assert_eq!(minutes(json!({ "retry": "long" })), minutes(json!({})));
    assert_eq!(
        minutes(json!({ "retry": "short", "concurrency": 4 })),
        [1, 2, 4, 8, 16]
    );
    assert_eq!(SmsHook.time_max(), Duration::from_secs(3));
    for (status, taken) in [
        (200, true),
        (201, false),
        (204, false),
        (302, false),
        (500, false),
    ] {
        assert_eq!(SmsHook.is_taken(status, b"anything"), taken, "{status}");
    }
    assert_eq!(
        (SmsHook.name(), SmsHook.events_max(&Value::Null)),
        ("sendcloud", 1)
    );
}

#[test]
fn an_endpoint_is_probed_with_get_and_a_signed_post() {
    let probes = SmsHook.probes(&endpoint(json!({ "sms_user": "APP" })), &stamp());
    assert_eq!(
        probes.iter().map(|call| call.method).collect::<Vec<_>>(),
        [Method::Get, Method::Post]
    );
    assert!(probes[0].body.is_empty());
    let fields = form(&probes[1]);
    assert_signed(&fields["timestamp"], &fields["token"], &fields["signature"]);
    assert_eq!(
        (&*fields["event"], &*fields["eventType"], &*fields["smsUser"]),
        ("test", "0", "APP")
    );
}

proptest! {
    #[test]
    fn whatever_was_written_reads_back_from_every_body(
        written in "[ -~小-文]{1,20}", content in "\\PC{0,60}", error in "\\PC{0,8}", json in any::<bool>(),
        attempts in 0_u8..3, state in 0_usize..10,
    ) {
        let mut telling = ended(MessageState::ALL[state], &error, attempts);
        if let Subject::Message(message) = &mut telling.subject {
            message.written = written.clone().into();
        }
        let mut reply = inbound(&written);
        if let Subject::Inbound(inbound) = &mut reply.subject {
            inbound.text = content.clone().into();
        }
        let body = if json { "json" } else { "form" };
        for call in calls(json!({ "body": body }), &[telling, reply]) {
            let fields: BTreeMap<String, String> = if json {
                let object: BTreeMap<String, Value> = serde_json::from_slice(&call.body).unwrap();
                let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                object.into_iter().map(|(name, value)| (name, text(value))).collect()
            } else {
                form(&call)
            };
            assert_signed(&fields["timestamp"], &fields["token"], &fields["signature"]);
            if fields["event"] == "reply" {
                prop_assert_eq!(&fields["replyContent"], &content);
            } else {
                prop_assert_eq!(&fields["phone"], &written);
                prop_assert_eq!(&fields["smsId"], &sms_id(&written));
            }
        }
    }
}
