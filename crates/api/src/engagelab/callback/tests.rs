//! Calls, field by field, against the pages of the vendor's OTP product, whose callback this is.

use super::*;
use crate::engagelab::fixtures::{
    self, ACCEPTED, ACCOUNT, CUSTOM, HAPPENED, SECRET, TEMPLATE, TO, accepted, any_payload, batch, came,
    inbound, message, reviewed, stamp,
};
use engine::catalog::Review;
use engine::sms::state::MessageState;
use engine::webhooks::Subject;
use engine::{Dialect, EventWhat, MessageId, MessageView};
use proptest::prelude::*;
use serde_json::json;

/// As the caller wrote it, digit for digit.
fn custom() -> Value {
    serde_json::from_str(CUSTOM).unwrap()
}

fn endpoint(settings: Value, secret: &str) -> EndpointEntry {
    fixtures::endpoint("engagelab_callback", settings, secret)
}

fn calls(settings: Value, payloads: &[EventPayload]) -> Vec<Call> {
    Callback.calls(&endpoint(settings, SECRET), payloads, &stamp())
}

fn header<'a>(call: &'a Call, name: &str) -> Option<&'a str> {
    let found = call.headers.iter().find(|(of, _)| *of == name);
    found.map(|(_, value)| value.as_str())
}

/// The rows of a call, as many as it says.
fn rows(call: &Call) -> Vec<Value> {
    let mut body: Value = serde_json::from_slice(&call.body).unwrap();
    let Value::Array(rows) = body["rows"].take() else {
        panic!("{body}")
    };
    assert_eq!(body["total"], rows.len());
    rows
}

fn reported(payload: EventPayload) -> Vec<Value> {
    calls(json!(null), &[payload]).iter().flat_map(rows).collect()
}

fn one(payload: EventPayload) -> Value {
    let rows = reported(payload);
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows[0].clone()
}

fn of_state(state: MessageState, error: &str, attempts: u8) -> MessageView {
    message(&batch(Dialect::EngagelabC), 0, state, error, attempts)
}

fn id() -> String {
    MessageId::first_at(ACCEPTED).to_string()
}

fn message_row(status: &str) -> Value {
    json!({
        "message_id": id(),
        "to": TO,
        "server": "sms",
        "channel": "sms",
        "itime": HAPPENED / 1000,
        "custom_args": custom(),
        "status": {
            "message_status": status,
            "status_data": {
                "msg_time": ACCEPTED / 1000,
                "message_id": id(),
                "current_send_channel": "sms",
                "template_key": TEMPLATE.to_string(),
                "business_id": "15",
            },
            "error_code": 0,
        },
    })
}

#[test]
fn a_message_is_reported_as_on_the_page() {
    assert_eq!(
        reported(accepted(Dialect::EngagelabC, 1)),
        [message_row("plan"), message_row("target_valid")]
    );
    assert_eq!(
        one(came(of_state(MessageState::Submitted, "", 1))),
        message_row("sent")
    );
    assert_eq!(
        one(came(of_state(MessageState::Delivered, "", 1))),
        message_row("delivered")
    );
}

#[test]
fn failures_have_the_vendors_numbers() {
    let refused = |status| MessageView {
        status,
        ..of_state(MessageState::Rejected, "", 1)
    };
    let taken = |state, error| MessageView {
        submitted_at: Some(HAPPENED - 1),
        ..of_state(state, error, 1)
    };
    for (message, status, code, detail) in [
        (
            of_state(MessageState::Rejected, "410", 0),
            "target_invalid",
            5013,
            "phone number in the blacklist",
        ),
        (
            of_state(MessageState::Rejected, "420", 0),
            "target_invalid",
            5013,
            "phone number in the blacklist",
        ),
        (
            of_state(MessageState::Rejected, "430", 0),
            "target_invalid",
            5019,
            "the user has unsubscribed",
        ),
        (
            of_state(MessageState::Rejected, "450", 0),
            "sent_failed",
            5014,
            "the content is not allowed",
        ),
        (refused(0x0B), "sent_failed", 5011, "invalid phone number format"),
        (refused(0x45), "sent_failed", 5015, "intercepted or rejected"),
        (
            of_state(MessageState::Cancelled, "", 0),
            "sent_failed",
            5016,
            "internal sending error",
        ),
        (
            of_state(MessageState::Expired, "", 0),
            "sent_failed",
            5012,
            "phone unreachable",
        ),
        (
            of_state(MessageState::Expired, "expired_before_sent", 0),
            "sent_failed",
            5016,
            "internal sending error (expired_before_sent)",
        ),
        (
            of_state(MessageState::Expired, "expired_before_sent", 3),
            "sent_failed",
            5016,
            "internal sending error (expired_before_sent)",
        ),
        (
            taken(MessageState::Undelivered, "5012"),
            "delivered_failed",
            5012,
            "phone unreachable",
        ),
        (
            taken(MessageState::Undelivered, "5018"),
            "delivered_failed",
            5018,
            "phone powered off or suspended",
        ),
        (
            taken(MessageState::Undelivered, "001"),
            "delivered_failed",
            5012,
            "phone unreachable (001)",
        ),
        (
            taken(MessageState::Rejected, "069"),
            "delivered_failed",
            5015,
            "intercepted or rejected (069)",
        ),
        (
            taken(MessageState::Expired, ""),
            "delivered_failed",
            5012,
            "phone unreachable",
        ),
    ] {
        let reported = one(came(message.clone()));
        let status_of = &reported["status"];
        assert_eq!(
            (
                &status_of["message_status"],
                &status_of["error_code"],
                &status_of["error_detail"]
            ),
            (&json!(status), &json!(code), &json!({ "message": detail })),
            "{message:?}"
        );
    }
}

#[test]
fn a_number_that_gets_nothing_is_planned_and_not_valid() {
    let suppressed = of_state(MessageState::Rejected, "430", 0);
    let what = EventWhat::Accepted {
        first: suppressed.id,
        count: 1,
    };
    let rows = reported(fixtures::payload(what, Subject::Batch(vec![suppressed])));
    assert_eq!(rows, [message_row("plan")]);
}

#[test]
fn absent_fields_and_other_wires_events_are_left_out() {
    let mut plain = (*batch(Dialect::EngagelabC)).clone();
    plain.custom = None;
    let plain = std::sync::Arc::new(plain);
    let row = one(came(message(&plain, 0, MessageState::Delivered, "", 1)));
    assert!(row.get("custom_args").is_none(), "{row}");
    assert!(row["status"].get("error_detail").is_none(), "{row}");
    for payload in [
        came(of_state(MessageState::Unknown, "", 1)),
        came(of_state(MessageState::Queued, "", 0)),
        came(message(
            &batch(Dialect::EngagelabA),
            0,
            MessageState::Delivered,
            "",
            1,
        )),
        accepted(Dialect::EngagelabA, 1),
        inbound("12673800456", None),
        fixtures::payload(
            EventWhat::SignatureReviewed {
                id: 1,
                review: Review::Approved,
            },
            Subject::Gone,
        ),
        fixtures::payload(
            EventWhat::Inbound {
                id: engine::InboundId(1),
            },
            Subject::Gone,
        ),
    ] {
        assert!(
            calls(json!(null), std::slice::from_ref(&payload)).is_empty(),
            "{payload:?}"
        );
    }
}

#[test]
fn a_reply_is_an_uplink_message() {
    for (from, reported) in [("12673800456", TO), ("10010", "10010")] {
        assert_eq!(
            one(inbound(from, Some(ACCOUNT))),
            json!({
                "server": "sms",
                "itime": HAPPENED / 1000,
                "message_id": "0",
                "business_id": "0",
                "response": {
                    "event": "uplink_message",
                    "response_data": {
                        "message_sid": "77", "account_sid": "15", "from": reported, "to": "10690", "body": "STOP",
                    },
                },
            })
        );
    }
}

#[test]
fn a_review_is_a_notification() {
    for (review, status, reason) in [
        (Review::Approved, 2, ""),
        (Review::Rejected, 3, "no signature"),
        (Review::Disabled, 3, "no signature"),
    ] {
        assert_eq!(
            one(reviewed(review)),
            json!({
                "server": "sms",
                "itime": HAPPENED / 1000,
                "notification": {
                    "event": "template_audit_result",
                    "notification_data": {
                        "business_id": "15",
                        "template_id": TEMPLATE.to_string(),
                        "template_name": "Welcome",
                        "status": status,
                        "reason": reason,
                    },
                },
            }),
            "{review:?}"
        );
    }
}

#[test]
fn many_rows_go_in_calls_of_a_bounded_size() {
    let settings = json!({ "rows_max": 10 });
    let few = [
        accepted(Dialect::EngagelabC, 4),
        came(of_state(MessageState::Submitted, "", 1)),
        came(of_state(MessageState::Delivered, "", 1)),
        reviewed(Review::Approved),
    ];
    let sizes = |calls: &[Call]| calls.iter().map(|call| rows(call).len()).collect::<Vec<_>>();
    assert_eq!(sizes(&calls(settings.clone(), &few)), [10, 1]);
    assert_eq!(sizes(&calls(json!({ "rows_max": 1 }), &few)), [1; 11]);
    assert_eq!(Callback.events_max(&settings), 10);
    assert_eq!(Callback.events_max(&json!(null)), 100);

    let many = calls(
        json!({ "rows_max": 1000 }),
        &[accepted(Dialect::EngagelabC, 1000)],
    );
    assert_eq!(sizes(&many).iter().sum::<usize>(), 2000);
    for call in &many {
        assert!(call.body.len() < 64 * 1024, "{}", call.body.len());
    }
    assert!(many.len() < 40, "{}", many.len());
    let first = |call: &Call| header(call, "x-callback-id").map(str::to_owned);
    let signed = calls(
        json!({ "rows_max": 1, "username": "demo" }),
        &[accepted(Dialect::EngagelabC, 1)],
    );
    assert_ne!(
        first(&signed[0]),
        first(&signed[1]),
        "every call has a nonce of its own"
    );
}

#[test]
fn calls_are_signed_for_those_who_want_that() {
    // printf '17012345671234demo' | openssl dgst -sha256 -hmac demo_app_secret
    assert_eq!(
        signature(SECRET, "1701234567", "1234", "demo"),
        "6f8c195c15ed0020cdbbf3633076fa7e2e1093aef8632bbeb9c4dc3929c5cc52"
    );
    let reported = [accepted(Dialect::EngagelabC, 1)];
    let call = &calls(json!({ "username": "demo" }), &reported)[0];
    let written = header(call, "x-callback-id").unwrap();
    let parts: Vec<(&str, &str)> = written
        .split(';')
        .map(|part| part.split_once('=').unwrap())
        .collect();
    let [
        ("timestamp", at),
        ("nonce", nonce),
        ("username", "demo"),
        ("signature", signed),
    ] = *parts
    else {
        panic!("{written}")
    };
    assert_eq!(at, ((HAPPENED + 1) / 1000).to_string());
    assert!(!nonce.is_empty() && nonce.bytes().all(|digit| digit.is_ascii_digit()));
    assert_eq!(signed, signature(SECRET, at, nonce, "demo"));
    assert_eq!(header(call, "authorization"), None);

    let call = &calls(json!({ "authorization": "Bearer abc" }), &reported)[0];
    assert_eq!(
        (header(call, "authorization"), header(call, "x-callback-id")),
        (Some("Bearer abc"), None)
    );
    let without_secret = endpoint(json!({ "username": "demo" }), "");
    let calls = Callback.calls(&without_secret, &reported, &stamp());
    assert_eq!(header(&calls[0], "x-callback-id"), None);
}

#[test]
fn settings_are_checked() {
    for good in [
        json!(null),
        json!({}),
        json!({ "username": "demo", "authorization": "Basic dTpr", "rows_max": 1, "concurrency": 4 }),
        json!({ "username": "de=mo", "rows_max": 1000 }),
    ] {
        assert_eq!(Callback.check(&good), Ok(()), "{good}");
    }
    for bad in [
        json!([]),
        json!("x"),
        json!({ "user": "demo" }),
        json!({ "username": "" }),
        json!({ "username": "a;b" }),
        json!({ "username": "a b" }),
        json!({ "username": "小" }),
        json!({ "authorization": "" }),
        json!({ "authorization": "a\r\nb: c" }),
        json!({ "authorization": "x".repeat(4097) }),
        json!({ "rows_max": 0 }),
        json!({ "rows_max": 1001 }),
        json!({ "rows_max": "1" }),
    ] {
        assert!(Callback.check(&bad).is_err(), "{bad}");
    }
}

#[test]
fn an_endpoint_is_probed_with_an_empty_object() {
    let settings = json!({ "username": "demo", "authorization": "Bearer abc" });
    let probes = Callback.probes(&endpoint(settings, SECRET), &stamp());
    assert_eq!(probes.len(), 1);
    assert_eq!((probes[0].method, &*probes[0].body), (Method::Post, &b"{}"[..]));
    assert!(header(&probes[0], "x-callback-id").is_some() && header(&probes[0], "authorization").is_some());
    assert_eq!(Callback.time_max(), Duration::from_secs(3));
    for (status, taken) in [(200, true), (204, true), (302, false), (400, false), (500, false)] {
        assert_eq!(Callback.is_taken(status, b""), taken, "{status}");
    }
    assert_eq!(Callback.schedule(&json!(null)).waits.len(), 7);
}

proptest! {
    #[test]
    fn every_event_is_rendered_or_passed_over(
        payloads in prop::collection::vec(any_payload(Dialect::EngagelabC), 0..8), rows_max in 1_usize..4,
    ) {
        for call in calls(json!({ "rows_max": rows_max }), &payloads) {
            let rows = rows(&call);
            prop_assert!((1..=rows_max).contains(&rows.len()));
            for row in rows {
                let status = &row["status"];
                let failed = status["message_status"].as_str().unwrap().ends_with("_failed")
                    || status["message_status"] == "target_invalid";
                prop_assert_eq!(failed, status["error_code"] != 0, "{}", status);
            }
        }
    }

    #[test]
    fn no_settings_panic(settings in "\\PC{0,60}") {
        let settings = serde_json::from_str(&settings).unwrap_or(Value::Null);
        let _ = Callback.check(&settings);
        prop_assert_eq!(calls(settings, &[accepted(Dialect::EngagelabC, 1)]).len(), 1);
    }
}
