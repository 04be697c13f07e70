//! Calls, field by field, against the samples of the vendor's pages.

mod endpoint;
mod events;

use super::*;
use engine::catalog::{Position, Review, Template};
use engine::public_id::PublicIds;
use engine::sms::class::{Class, Kind};
use engine::sms::phone::Msisdn;
use engine::sms::state::MessageState;
use engine::webhooks::Subject;
use engine::{
    AccountId, BatchView, CarrierNo, Dialect, Endpoint, EndpointId, Event, EventKinds, EventOffset,
    EventWhat, Inbound, InboundId, MessageId, MessageView, UnixMs,
};
use proptest::prelude::*;
use secrecy::SecretString;
use serde_json::json;
use std::collections::BTreeMap;
use store::DimensionsNo;

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
        accepted_at: ACCEPTED,
        id: first,
        session: first,
        count: 1,
        account: AccountId(19_999),
        dialect,
        user: "APP".into(),
        dimensions: DimensionsNo(1),
        class: Class::Otp,
        kind: Kind::Text,
        message_type: None,
        template: 29_999,
        text: "Your code is 8341".into(),
        sender: None,
        label: 9,
        custom: Some(r#"{"k": "小"}"#.into()),
        due: None,
        expires_at: None,
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

fn ended(state: MessageState, error: &str, attempts: u8) -> EventPayload {
    let message = message(state, error, attempts);
    let what = EventWhat::Message {
        id: message.id,
        state,
        error: error.into(),
    };
    payload(what, Subject::Message(Box::new(message)))
}

fn accepted(messages: Vec<MessageView>) -> EventPayload {
    let what = EventWhat::Accepted {
        first: MessageId::first_at(ACCEPTED),
        count: messages.len() as u32,
    };
    payload(what, Subject::Batch(messages))
}

fn inbound(from: &str) -> EventPayload {
    let inbound = Inbound {
        id: InboundId(1),
        account: Some(AccountId(19_999)),
        carrier: CarrierNo(1),
        from: from.into(),
        to: "10690000".into(),
        text: "test_reply".into(),
        binary: None,
        answers: None,
        received_at: ENDED,
    };
    payload(
        EventWhat::Inbound { id: inbound.id },
        Subject::Inbound(Box::new(inbound)),
    )
}

fn reviewed(review: Review) -> EventPayload {
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
        ttl_s: None,
        remark: Box::default(),
        details: Value::Null,
        created_at: 0,
        updated_at: 0,
    };
    let what = EventWhat::TemplateReviewed {
        number: template.number,
        review,
    };
    payload(what, Subject::Template(Box::new(template)))
}

fn calls(settings: Value, payloads: &[EventPayload]) -> Vec<Call> {
    SmsHook.calls(&endpoint(settings), payloads, &stamp())
}

fn form(call: &Call) -> BTreeMap<String, String> {
    assert_eq!(
        call.headers,
        [("content-type", "application/x-www-form-urlencoded".to_owned())]
    );
    form_urlencoded::parse(&call.body).into_owned().collect()
}

fn only_form(settings: Value, payload: EventPayload) -> BTreeMap<String, String> {
    let calls = calls(settings, &[payload]);
    assert_eq!(calls.len(), 1);
    let fields = form(&calls[0]);
    assert_signed(&fields["timestamp"], &fields["token"], &fields["signature"]);
    fields
}

fn only_json(settings: Value, payload: EventPayload) -> Value {
    let calls = calls(settings, &[payload]);
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

proptest! {
    #[test]
    fn whatever_was_written_reads_back_from_every_body(
        written in "[ -~小-文]{1,20}", content in "\\PC{0,60}", error in "\\PC{0,8}", json in any::<bool>(),
        attempts in 0_u8..3, state in 0_usize..10,
    ) {
        let mut payload = ended(MessageState::ALL[state], &error, attempts);
        if let Subject::Message(message) = &mut payload.subject {
            message.written = written.clone().into();
        }
        let mut reply = inbound(&written);
        if let Subject::Inbound(inbound) = &mut reply.subject {
            inbound.text = content.clone().into();
        }
        let body = if json { "json" } else { "form" };
        for call in calls(json!({ "body": body }), &[payload, reply]) {
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
