//! The format `standard`: Standard Webhooks 1.0.0 (standardwebhooks.com), for which there are libraries in most
//! languages.

use super::{Call, EventPayload, Format, Method, Schedule, Stamp, Subject};
use crate::catalog::EndpointEntry;
use crate::reason::ReasonView;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::Sha256;
use sms::state::MessageState;
use std::time::Duration;
use store::{BatchView, Event, EventWhat, Inbound, MessageView, Review, UnixMs};

/// Standard Webhooks. One event a call.
///
/// The endpoint's secret is `whsec_` and base64, as its libraries take it; with several, separated by spaces, each signs
/// (so that a receiver can change from one to the next). Text that is no base64 is taken as the key itself. Without a
/// secret there is no signature.
#[derive(Debug, Clone, Copy, Default)]
pub struct Standard;

/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// How to make a secret.
const MAKE: &str = "make one with `echo whsec_$(openssl rand -base64 24)`";

/// "Example retry schedule", after the first call at once.
const WAITS_S: [u64; 9] = [
    5,
    5 * 60,
    30 * 60,
    2 * 3600,
    5 * 3600,
    10 * 3600,
    14 * 3600,
    20 * 3600,
    24 * 3600,
];

impl Format for Standard {
    fn name(&self) -> &'static str {
        "standard"
    }

    fn check(&self, settings: &Value) -> Result<(), String> {
        match settings {
            Value::Null => Ok(()),
            Value::Object(settings) => match settings.keys().find(|key| *key != "concurrency") {
                Some(key) => Err(format!("standard has no setting {key:?}")),
                None => Ok(()),
            },
            _ => Err("the settings must be an object".to_owned()),
        }
    }

    fn check_secret(&self, secret: &str) -> Result<(), String> {
        for one in secret.split_whitespace() {
            match one.strip_prefix(PREFIX) {
                Some("") => return Err(format!("has no key behind `{PREFIX}`; {MAKE}")),
                Some(bare) if STANDARD.decode(bare).is_err() => {
                    return Err(format!("has no Base64 with padding behind `{PREFIX}`; {MAKE}"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn key_octets(&self, secret: &str) -> usize {
        let keys = secret.split_whitespace().map(|one| key(one).len());
        keys.min().unwrap_or(0)
    }

    fn events_max(&self, _: &Value) -> usize {
        1
    }

    fn calls(&self, endpoint: &EndpointEntry, payloads: &[EventPayload], stamp: &Stamp) -> Vec<Call> {
        let call = |payload: &EventPayload| {
            let (kind, id, data) = rendered(payload, stamp)?;
            Some(signed(endpoint, &id, kind, payload.event.at, data, stamp.now))
        };
        payloads.iter().filter_map(call).collect()
    }

    fn is_taken(&self, status: u16, _: &[u8]) -> bool {
        (200..300).contains(&status)
    }

    fn is_gone(&self, status: u16, _: &[u8]) -> bool {
        status == 410
    }

    /// "Somewhere between 15 and 30s".
    fn time_max(&self) -> Duration {
        Duration::from_secs(20)
    }

    fn schedule(&self, _: &Value) -> Schedule {
        Schedule {
            waits: WAITS_S.map(Duration::from_secs).to_vec(),
            jitter_percent: 10,
        }
    }

    fn probes(&self, endpoint: &EndpointEntry, stamp: &Stamp) -> Vec<Call> {
        let random = u64::from_be_bytes(std::array::from_fn(|n| stamp.random[n]));
        let id = format!("probe_{random:016x}");
        vec![signed(
            endpoint,
            &id,
            "endpoint.probe",
            stamp.now,
            json!({}),
            stamp.now,
        )]
    }
}

/// The body. Its fields stand in the order of the specification's examples.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    timestamp: String,
    data: Value,
}

fn signed(endpoint: &EndpointEntry, id: &str, kind: &str, at: UnixMs, data: Value, now: UnixMs) -> Call {
    let body = Body {
        kind,
        timestamp: rfc3339(at),
        data,
    };
    // Strings, numbers and maps with text keys: there is nothing in it that JSON cannot say.
    let body = serde_json::to_vec(&body).unwrap_or_default();
    let seconds = now.div_euclid(1000);
    let mut headers = vec![
        ("content-type", "application/json".to_owned()),
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", seconds.to_string()),
    ];
    let signatures: Vec<String> = endpoint
        .secret
        .expose_secret()
        .split_whitespace()
        .map(key)
        // A store of an earlier release may have a prefix without a key: everybody could sign with it.
        .filter(|key| !key.is_empty())
        .map(|key| signature(&key, id, seconds, &body))
        .collect();
    if !signatures.is_empty() {
        headers.push(("webhook-signature", signatures.join(" ")));
    }
    Call {
        method: Method::Post,
        headers,
        body,
    }
}

fn key(secret: &str) -> Vec<u8> {
    let bare = secret.strip_prefix(PREFIX).unwrap_or(secret);
    STANDARD
        .decode(bare)
        .unwrap_or_else(|_| secret.as_bytes().to_vec())
}

/// `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
fn signature(key: &[u8], id: &str, seconds: i64, body: &[u8]) -> String {
    let mut mac =
        <Hmac<Sha256> as Mac>::new_from_slice(key).unwrap_or_else(|_| unreachable!("HMAC takes any key"));
    mac.update(format!("{id}.{seconds}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// Type, id and data of an event; `None` when there is nothing to say.
fn rendered(payload: &EventPayload, stamp: &Stamp) -> Option<(&'static str, String, Value)> {
    let event = &payload.event;
    let id = event_id(event);
    match (&payload.subject, &event.what) {
        (Subject::Batch(messages), EventWhat::Accepted { first, .. }) => {
            let batch = &messages.first()?.batch;
            // The pieces of a long batch are calls of their own.
            let id = match first.0 - batch.id.0 {
                0 => id,
                piece => format!("{id}_{piece}"),
            };
            Some(("message.accepted", id, accepted(batch, messages, stamp)))
        }
        (Subject::Message(message), EventWhat::Message { state, error, .. }) => {
            let kind = match state {
                MessageState::Submitted => "message.submitted",
                MessageState::Delivered => "message.delivered",
                MessageState::Unknown => "message.unknown",
                state if state.is_failure() => "message.failed",
                _ => return None,
            };
            Some((kind, id, of_message(message, *state, error, stamp)))
        }
        (Subject::Inbound(inbound), _) => Some(("message.received", id, received(inbound))),
        (Subject::Template(template), EventWhat::TemplateReviewed { review, .. }) => {
            let data = json!({
                "number": template.number,
                "id": template.ut_id,
                "name": template.name,
                "version": template.version,
                "review": review,
                "reason": reason(*review, &template.reason),
            });
            Some(("template.reviewed", id, data))
        }
        (Subject::Signature(signature), EventWhat::SignatureReviewed { review, .. }) => {
            let data = json!({
                "id": signature.id,
                "text": signature.text,
                "review": review,
                "reason": reason(*review, &signature.reason),
            });
            Some(("signature.reviewed", id, data))
        }
        _ => None,
    }
}

/// The same over all tries and replays. The time is in it because a new store counts from 1 again.
fn event_id(event: &Event) -> String {
    format!("evt_{}_{}_{}", event.at, event.offset.row, event.offset.index)
}

/// Why it was rejected; nothing otherwise.
fn reason(review: Review, reason: &str) -> Option<&str> {
    (review == Review::Rejected).then_some(reason)
}

/// By which answers to requests named a message, too.
fn message_id(message: &MessageView, stamp: &Stamp) -> String {
    let batch = &message.batch;
    let prefix = stamp
        .public_ids
        .message_prefix(batch.account, batch.session, batch.template);
    format!("{prefix}${}", message.written)
}

fn session(batch: &BatchView, stamp: &Stamp) -> String {
    stamp.public_ids.session(batch.account, batch.session)
}

fn accepted(batch: &BatchView, messages: &[MessageView], stamp: &Stamp) -> Value {
    let named = |message: &MessageView| json!({ "id": message_id(message, stamp), "to": plus(message), "segments": message.segments });
    json!({
        "session": session(batch, stamp),
        "template": batch.template,
        "class": batch.class.to_string(),
        "label": batch.label,
        "custom": own(batch.custom.as_deref()),
        "due": batch.due.map(rfc3339),
        "messages": messages.iter().map(named).collect::<Vec<_>>(),
    })
}

fn of_message(message: &MessageView, state: MessageState, error: &str, stamp: &Stamp) -> Value {
    let batch = &message.batch;
    json!({
        "id": message_id(message, stamp),
        "session": session(batch, stamp),
        "to": plus(message),
        "state": state,
        "error": (!error.is_empty()).then_some(error),
        "reason": ReasonView::at(message, state, error),
        "segments": message.segments,
        "attempts": message.attempts,
        "template": batch.template,
        "class": batch.class.to_string(),
        "label": batch.label,
        "custom": own(batch.custom.as_deref()),
        "extra": own(message.extra.as_deref()),
        "accepted_at": rfc3339(message.batch.accepted_at),
        "submitted_at": message.submitted_at.map(rfc3339),
    })
}

fn received(inbound: &Inbound) -> Value {
    let mut data = json!({
        "id": inbound.id.0.to_string(),
        "from": inbound.from,
        "to": inbound.to,
        "text": inbound.text,
        "received_at": rfc3339(inbound.received_at),
    });
    if let Some(binary) = &inbound.binary {
        data["binary"] = binary.hex().into();
        data["port"] = binary.port.into();
    }
    data
}

fn plus(message: &MessageView) -> String {
    format!("+{}", message.msisdn)
}

/// The caller's own data, given back as it was: JSON, or text that is none.
fn own(text: Option<&str>) -> Option<Value> {
    text.map(|text| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)))
}

fn rfc3339(at: UnixMs) -> String {
    jiff::Timestamp::from_millisecond(at).map_or_else(|_| at.to_string(), |at| format!("{at:.3}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use crate::public_id::PublicIds;
    use proptest::prelude::*;
    use secrecy::SecretString;
    use sms::class::{Class, Kind};
    use sms::phone::Msisdn;
    use sms::user_data::Binary;
    use std::sync::Arc;
    use store::{
        AccountId, CarrierNo, Dialect, DimensionsNo, Endpoint, EndpointId, EventKinds, EventOffset, InboundId,
    };

    const AT: UnixMs = 1_795_000_000_123;

    fn endpoint(secret: &str) -> EndpointEntry {
        EndpointEntry {
            endpoint: Endpoint {
                id: EndpointId(1),
                account: AccountId(1),
                name: "hooks".into(),
                format: "standard".into(),
                url: "https://hooks.example/".into(),
                kinds: EventKinds::ALL,
                settings: Value::Null,
                sealed_secret: Vec::new(),
                enabled: true,
            },
            secret: SecretString::from(secret.to_owned()),
        }
    }

    fn stamp() -> Stamp {
        Stamp {
            now: AT + 5_000,
            random: [7; 32],
            public_ids: Arc::new(PublicIds::new(&[1; 32])),
        }
    }

    fn message(n: i64) -> MessageView {
        let id = store::MessageId::first_at(AT - 60_000);
        MessageView {
            id: id.plus(n),
            batch: Arc::new(BatchView {
                accepted_at: id.time_part(),
                id,
                session: id,
                count: 2,
                account: AccountId(1),
                dialect: Dialect::Sendcloud,
                user: "demo".into(),
                dimensions: DimensionsNo(0),
                class: Class::Otp,
                kind: Kind::Text,
                message_type: None,
                template: 7,
                text: "Hello".into(),
                sender: None,
                label: 0,
                custom: Some("{\"order\":1.50}".into()),
                due: None,
                expires_at: None,
            }),
            msisdn: Msisdn::from_digits("447700900123").unwrap(),
            written: "+447700900123".into(),
            params: None,
            extra: None,
            segments: 1,
            state: MessageState::Delivered,
            carrier: CarrierNo(1),
            attempts: 1,
            submitted_at: Some(AT - 1_000),
            changed_at: AT,
            status: 0,
            error: Box::default(),
            cause: None,
            by_receipt: false,
        }
    }

    fn payload(what: EventWhat, subject: Subject) -> EventPayload {
        let offset = EventOffset { row: 12, index: 3 };
        let event = Event { offset, at: AT, what };
        EventPayload { event, subject }
    }

    fn of_state(state: MessageState) -> EventPayload {
        let what = EventWhat::Message {
            id: message(0).id,
            state,
            error: "001".into(),
        };
        payload(what, Subject::Message(Box::new(message(0))))
    }

    fn call(payload: EventPayload, secret: &str) -> (Call, Value) {
        let mut calls = Standard.calls(&endpoint(secret), &[payload], &stamp());
        assert_eq!(calls.len(), 1);
        let call = calls.remove(0);
        let body = serde_json::from_slice(&call.body).unwrap();
        (call, body)
    }

    fn header<'a>(call: &'a Call, name: &str) -> Option<&'a str> {
        let found = call.headers.iter().find(|(of, _)| *of == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Vectors of the specification's own libraries (Rust and JavaScript).
    #[test]
    fn signatures_are_those_of_the_specifications_libraries() {
        let key_of = key("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
        let body = br#"{"email":"test@example.com","username":"test_user"}"#;
        assert_eq!(
            signature(&key_of, "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body),
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
        );
        let key_of = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        assert_eq!(
            signature(
                &key_of,
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                br#"{"test": 2432232314}"#
            ),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn a_delivered_message_is_reported_under_an_id_that_stays() {
        let (first, body) = call(of_state(MessageState::Delivered), "whsec_AAAA");
        assert_eq!(header(&first, "webhook-id"), Some("evt_1795000000123_12_3"));
        assert_eq!(header(&first, "webhook-timestamp"), Some("1795000005"));
        assert_eq!(body["type"], "message.delivered");
        assert_eq!(body["timestamp"], "2026-11-18T11:06:40.123Z");
        assert_eq!(body["data"]["to"], "+447700900123");
        assert_eq!(body["data"]["state"], "delivered");
        assert_eq!(
            body["data"]["custom"]["order"].to_string(),
            "1.50",
            "numbers stay as written"
        );
        let id = body["data"]["id"].as_str().unwrap();
        let (read, number) = stamp().public_ids.read_message(AccountId(1), id).unwrap();
        assert_eq!((read, number), (message(0).id, "+447700900123"));
        let mut later = stamp();
        later.now += 3_600_000;
        let again = Standard.calls(
            &endpoint("whsec_AAAA"),
            &[of_state(MessageState::Delivered)],
            &later,
        );
        assert_eq!(again[0].body, first.body);
        assert_eq!(header(&again[0], "webhook-id"), header(&first, "webhook-id"));
        assert_ne!(
            header(&again[0], "webhook-signature"),
            header(&first, "webhook-signature")
        );
    }

    #[test]
    fn every_state_and_thing_has_its_type() {
        for (state, kind) in [
            (MessageState::Submitted, "message.submitted"),
            (MessageState::Delivered, "message.delivered"),
            (MessageState::Undelivered, "message.failed"),
            (MessageState::Rejected, "message.failed"),
            (MessageState::Expired, "message.failed"),
            (MessageState::Cancelled, "message.failed"),
            (MessageState::Unknown, "message.unknown"),
        ] {
            let (_, body) = call(of_state(state), "");
            assert_eq!(body["type"], kind);
            assert_eq!(body["data"]["error"], "001");
        }
        let first = message(0).id;
        let what = EventWhat::Accepted { first, count: 2 };
        let (whole, body) = call(payload(what, Subject::Batch(vec![message(0), message(1)])), "");
        assert_eq!(body["type"], "message.accepted");
        assert_eq!(body["data"]["messages"].as_array().unwrap().len(), 2);
        let what = EventWhat::Accepted {
            first: first.plus(1),
            count: 1,
        };
        let (piece, _) = call(payload(what, Subject::Batch(vec![message(1)])), "");
        assert_ne!(header(&whole, "webhook-id"), header(&piece, "webhook-id"));
        let inbound = Inbound {
            id: InboundId(5),
            account: Some(AccountId(1)),
            carrier: CarrierNo(1),
            from: "447700900123".into(),
            to: "12345".into(),
            text: "STOP".into(),
            binary: None,
            answers: None,
            received_at: AT,
        };
        let what = EventWhat::Inbound { id: InboundId(5) };
        let (_, body) = call(
            payload(what.clone(), Subject::Inbound(Box::new(inbound.clone()))),
            "",
        );
        assert_eq!(
            (&body["type"], &body["data"]["text"]),
            (&"message.received".into(), &"STOP".into())
        );
        assert!(body["data"].get("binary").is_none());
        let binary = Inbound {
            text: "".into(),
            binary: Some(Binary {
                octets: Box::new([0, 0xfe]),
                port: Some(2948),
            }),
            ..inbound
        };
        let (_, body) = call(payload(what, Subject::Inbound(Box::new(binary))), "");
        assert_eq!(
            (
                &body["data"]["text"],
                &body["data"]["binary"],
                &body["data"]["port"]
            ),
            (&"".into(), &"00fe".into(), &2948.into())
        );
    }

    #[test]
    fn what_is_gone_is_passed_over() {
        let mut gone = of_state(MessageState::Delivered);
        gone.subject = Subject::Gone;
        assert!(Standard.calls(&endpoint(""), &[gone], &stamp()).is_empty());
    }

    #[test]
    fn two_secrets_sign_twice_and_none_not_at_all() {
        let (two, _) = call(of_state(MessageState::Delivered), "whsec_AAAA whsec_BBBB");
        let signatures: Vec<_> = header(&two, "webhook-signature").unwrap().split(' ').collect();
        assert_eq!(signatures.len(), 2);
        assert_ne!(signatures[0], signatures[1]);
        let (one, _) = call(of_state(MessageState::Delivered), "whsec_BBBB");
        assert_eq!(header(&one, "webhook-signature"), Some(signatures[1]));
        let (none, _) = call(of_state(MessageState::Delivered), "");
        assert_eq!(header(&none, "webhook-signature"), None);
    }

    #[test]
    fn settings_that_mean_nothing_are_refused() {
        assert!(Standard.check(&Value::Null).is_ok());
        assert!(Standard.check(&json!({ "concurrency": 3 })).is_ok());
        assert!(Standard.check(&json!({ "concurency": 3 })).is_err());
        assert!(Standard.check(&json!([])).is_err());
    }

    proptest! {
        #[test]
        fn a_signature_is_over_id_time_and_body(
            secret in "[ -~]{1,40}", id in "[a-z0-9_]{1,20}", seconds in 0_i64..4_000_000_000, body: Vec<u8>,
        ) {
            // Another implementation of HMAC than the one above.
            let key_of = key(&secret);
            let signed = [format!("{id}.{seconds}.").as_bytes(), &body].concat();
            let tag = aws_lc_rs::hmac::sign(
                &aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &key_of),
                &signed,
            );
            let expected = format!("v1,{}", STANDARD.encode(tag.as_ref()));
            prop_assert_eq!(signature(&key_of, &id, seconds, &body), expected);
        }

        #[test]
        fn a_secret_with_and_without_its_prefix_is_the_same_key(octets: Vec<u8>) {
            let written = STANDARD.encode(&octets);
            prop_assert_eq!(key(&written), octets.clone());
            prop_assert_eq!(key(&format!("whsec_{written}")), octets);
        }
    }
}
