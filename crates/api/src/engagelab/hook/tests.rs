//! Calls, field by field, against what is known of the vendor's pages.

use super::*;
use crate::engagelab::fixtures::{
    self, ACCEPTED, ACCOUNT, CUSTOM, HAPPENED, SECRET, TEMPLATE, TO, accepted, any_payload, batch, came,
    inbound, message, prefix, reviewed, stamp,
};
use engine::Dialect;
use engine::catalog::Review;
use engine::sms::state::MessageState;
use engine::webhooks::Subject;
use proptest::prelude::*;
use serde_json::json;

/// As the caller wrote it, digit for digit.
fn custom() -> Value {
    serde_json::from_str(CUSTOM).unwrap()
}

fn endpoint(settings: Value) -> EndpointEntry {
    fixtures::endpoint("engagelab", settings, SECRET)
}

fn calls(settings: Value, payloads: &[EventPayload]) -> Vec<Call> {
    SmsHook.calls(&endpoint(settings), payloads, &stamp())
}

fn header<'a>(call: &'a Call, name: &str) -> &'a str {
    let found = call.headers.iter().find(|(of, _)| *of == name);
    &found.unwrap().1
}

/// The body of the only call, which is signed.
fn reported(payload: EventPayload) -> Value {
    let calls = calls(json!({ "sms_user": "demo" }), &[payload]);
    let [call] = &*calls else { panic!("{calls:?}") };
    assert_eq!(call.method, Method::Post);
    assert_eq!(header(call, "content-type"), "application/json; charset=utf-8");
    serde_json::from_slice(&call.body).unwrap()
}

fn ended(state: MessageState, error: &str, attempts: u8) -> EventPayload {
    came(message(&batch(Dialect::EngagelabA), 0, state, error, attempts))
}

#[test]
fn calls_are_signed_over_time_app_key_and_secret() {
    // printf '1681112345678smsdemo_app_secret' | md5sum
    assert_eq!(
        signature("1681112345678", "sms", SECRET),
        "68b08f8972633907a3dc2854d29188e7"
    );
    let call = &calls(json!(null), &[accepted(Dialect::EngagelabA, 1)])[0];
    let timestamp = (HAPPENED + 1).to_string();
    assert_eq!(header(call, "x-smshook-timestamp"), timestamp);
    assert_eq!(header(call, "x-smshook-appkey"), "sms");
    assert_eq!(header(call, "x-smshook-version"), "1.0");
    assert_eq!(
        header(call, "x-smshook-signature"),
        signature(&timestamp, "sms", SECRET)
    );
    let settings = json!({ "app_key": "key-7", "version": "v2" });
    let call = &calls(settings, &[accepted(Dialect::EngagelabA, 1)])[0];
    assert_eq!(
        (
            header(call, "x-smshook-appkey"),
            header(call, "x-smshook-version")
        ),
        ("key-7", "v2")
    );
    assert_eq!(
        header(call, "x-smshook-signature"),
        signature(&timestamp, "key-7", SECRET)
    );
}

#[test]
fn an_accepted_request_is_reported_as_on_the_page() {
    let sms_id = format!("{}${TO}", prefix());
    assert_eq!(
        reported(accepted(Dialect::EngagelabA, 2)),
        json!({
            "server": "sms",
            "message_id": prefix(),
            "itime": HAPPENED,
            "custom_args": custom(),
            "status": {
                "message_status": "target",
                "status_data": {
                    "message": "successfully request",
                    "template_id": TEMPLATE,
                    "template_type": 0,
                    "label_id": 231,
                    "user_id": 15,
                    "sms_user": "demo",
                    "sms_ids": [sms_id, sms_id],
                    "to": [TO, TO],
                    "msg_type": 2,
                },
            },
        })
    );
}

#[test]
fn the_parts_of_a_message_id_are_those_of_the_event() {
    let reported = reported(accepted(Dialect::EngagelabA, 1));
    let id = reported["message_id"].as_str().unwrap().to_owned();
    let parts: Vec<_> = id.split('_').collect();
    let data = &reported["status"]["status_data"];
    assert_eq!(parts[0], ACCEPTED.to_string());
    assert_eq!(parts[1], data["user_id"].to_string());
    assert_eq!(parts[3], data["template_id"].to_string());
}

#[test]
fn a_message_is_reported_state_by_state() {
    for (state, error, attempts, name, words, sub_status) in [
        (MessageState::Submitted, "", 1, "sent", "Successfully sent", None),
        (
            MessageState::Delivered,
            "",
            1,
            "delivered",
            "Successfully delivered",
            None,
        ),
        (
            MessageState::Rejected,
            "410",
            0,
            "process_failed",
            "Global block",
            Some(410),
        ),
        (
            MessageState::Rejected,
            "420",
            0,
            "process_failed",
            "Partial block",
            Some(420),
        ),
        (
            MessageState::Rejected,
            "430",
            0,
            "process_failed",
            "Unsubscribe",
            Some(430),
        ),
        (
            MessageState::Rejected,
            "450",
            0,
            "process_failed",
            "Variable error",
            Some(450),
        ),
        (
            MessageState::Undelivered,
            "5011",
            1,
            "send_failed",
            "Empty",
            Some(500),
        ),
        (
            MessageState::Undelivered,
            "5018",
            1,
            "send_failed",
            "Out of service",
            Some(580),
        ),
        (
            MessageState::Expired,
            "",
            1,
            "send_failed",
            "Out of service",
            Some(580),
        ),
        (
            MessageState::Expired,
            "expired_before_sent",
            2,
            "send_failed",
            "Other",
            Some(590),
        ),
        (
            MessageState::Rejected,
            "069",
            1,
            "send_failed",
            "Other",
            Some(590),
        ),
    ] {
        let reported = reported(ended(state, error, attempts));
        let mut data = json!({
            "message": words,
            "template_id": TEMPLATE,
            "template_type": 0,
            "label_id": 231,
            "user_id": 15,
            "sms_user": "demo",
            "sms_id": format!("{}${TO}", prefix()),
            "msg_type": 2,
        });
        if let Some(code) = sub_status {
            data["sub_status"] = json!(code);
        }
        assert_eq!(
            reported,
            json!({
                "server": "sms",
                "message_id": prefix(),
                "itime": HAPPENED,
                "from": "Acme",
                "to": TO,
                "custom_args": custom(),
                "status": { "message_status": name, "status_data": data },
            }),
            "{state:?} {error}"
        );
    }
}

#[test]
fn absent_fields_and_other_wires_events_are_left_out() {
    let mut plain = (*batch(Dialect::EngagelabA)).clone();
    plain.custom = None;
    plain.sender = None;
    let plain = std::sync::Arc::new(plain);
    let reported = reported(came(message(&plain, 0, MessageState::Delivered, "", 1)));
    assert_eq!(
        (&reported["from"], &reported["custom_args"]),
        (&json!(""), &json!({}))
    );
    for payload in [
        ended(MessageState::Unknown, "", 1),
        ended(MessageState::Queued, "", 0),
        accepted(Dialect::EngagelabC, 1),
        accepted(Dialect::Sendcloud, 1),
        came(message(
            &batch(Dialect::EngagelabC),
            0,
            MessageState::Delivered,
            "",
            1,
        )),
        inbound("12673800456", None),
        fixtures::payload(
            engine::EventWhat::TemplateReviewed {
                number: 1,
                review: Review::Approved,
            },
            Subject::Gone,
        ),
        fixtures::payload(
            engine::EventWhat::SignatureReviewed {
                id: 1,
                review: Review::Approved,
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
fn a_reply_and_a_review_belong_to_the_user_of_the_settings() {
    assert_eq!(
        reported(inbound("12673800456", Some(ACCOUNT))),
        json!({
            "server": "sms",
            "message_id": "",
            "itime": HAPPENED,
            "from": TO,
            "to": "10690",
            "status": {
                "message_status": "reply",
                "status_data": {
                    "message": "successfully reply",
                    "user_id": 15,
                    "sms_user": "demo",
                    "reply_content": "STOP",
                    "msg_type": 2,
                },
            },
        })
    );
    for (review, status) in [
        (Review::Approved, 1),
        (Review::Rejected, -1),
        (Review::Disabled, -1),
    ] {
        let reported = reported(reviewed(review));
        let mut data = json!({
            "message": "template approval",
            "template_id": TEMPLATE,
            "template_name": "Welcome",
            "template_type": 2,
            "approval_status": status,
            "user_id": 15,
            "sms_user": "demo",
            "msg_type": 2,
        });
        if status == -1 {
            data["approval_message"] = json!("no signature");
        }
        assert_eq!(reported["status"]["status_data"], data, "{review:?}");
        assert_eq!(
            (
                &reported["status"]["message_status"],
                &reported["from"],
                &reported["to"],
                &reported["message_id"]
            ),
            (&json!("template_approval"), &json!(""), &json!(""), &json!(""))
        );
    }
}

#[test]
fn a_request_to_many_numbers_is_reported_in_pieces() {
    let calls = calls(json!(null), &[accepted(Dialect::EngagelabA, 1000)]);
    let reported: usize = calls
        .iter()
        .map(|call| {
            assert!(call.body.len() < 64 * 1024, "{}", call.body.len());
            let body: Value = serde_json::from_slice(&call.body).unwrap();
            body["status"]["status_data"]["sms_ids"].as_array().unwrap().len()
        })
        .sum();
    assert_eq!((calls.len(), reported), (3, 1000));
}

#[test]
fn only_the_events_that_were_chosen_are_reported() {
    let all = [
        accepted(Dialect::EngagelabA, 1),
        ended(MessageState::Submitted, "", 1),
        ended(MessageState::Delivered, "", 1),
        ended(MessageState::Rejected, "410", 0),
        ended(MessageState::Undelivered, "", 1),
        inbound("12673800456", Some(ACCOUNT)),
        reviewed(Review::Approved),
    ];
    let names = [
        "target",
        "sent",
        "delivered",
        "process_failed",
        "send_failed",
        "reply",
        "template_approval",
    ];
    let reported = |settings: Value| -> Vec<String> {
        let calls = calls(settings, &all);
        let name = |call: &Call| {
            let body: Value = serde_json::from_slice(&call.body).unwrap();
            body["status"]["message_status"].as_str().unwrap().to_owned()
        };
        calls.iter().map(name).collect()
    };
    assert_eq!(reported(json!({})), names);
    for name in names {
        assert_eq!(reported(json!({ "events": [name] })), [name]);
    }
    assert!(reported(json!({ "events": [] })).is_empty());
}

#[test]
fn settings_are_checked() {
    for good in [
        json!(null),
        json!({}),
        json!({ "events": ["target"], "app_key": "k", "version": "v", "sms_user": "小", "concurrency": 4 }),
    ] {
        assert_eq!(SmsHook.check(&good), Ok(()), "{good}");
    }
    for bad in [
        json!([]),
        json!("x"),
        json!({ "event": [] }),
        json!({ "events": ["test"] }),
        json!({ "events": "target" }),
        json!({ "app_key": "" }),
        json!({ "app_key": "a b" }),
        json!({ "version": "小" }),
        json!({ "version": "x".repeat(129) }),
        json!({ "sms_user": 7 }),
    ] {
        assert!(SmsHook.check(&bad).is_err(), "{bad}");
    }
}

#[test]
fn seven_more_tries_are_at_least_three_minutes_apart() {
    let schedule = SmsHook.schedule(&json!(null));
    assert_eq!((schedule.waits.len(), schedule.jitter_percent), (7, 0));
    assert!(schedule.waits.iter().all(|wait| wait.as_secs() >= 180));
    assert!(schedule.waits.is_sorted());
    assert_eq!(SmsHook.time_max(), Duration::from_secs(3));
    assert_eq!(SmsHook.events_max(&json!(null)), 1);
    for (status, taken) in [(200, true), (204, true), (201, false), (400, false), (500, false)] {
        assert_eq!(SmsHook.is_taken(status, b""), taken, "{status}");
    }
}

#[test]
fn an_endpoint_is_probed_with_a_signed_call() {
    let probes = SmsHook.probes(&endpoint(json!(null)), &stamp());
    assert_eq!(probes.len(), 1);
    let timestamp = header(&probes[0], "x-smshook-timestamp");
    assert_eq!(
        header(&probes[0], "x-smshook-signature"),
        signature(timestamp, "sms", SECRET)
    );
    let body: Value = serde_json::from_slice(&probes[0].body).unwrap();
    assert_eq!(body["status"]["message_status"], "test");
}

proptest! {
    #[test]
    fn every_event_is_rendered_or_passed_over(payload in any_payload(Dialect::EngagelabA)) {
        let custom = match &payload.subject {
            Subject::Message(view) => view.batch.custom.as_deref().map(serde_json::from_str::<Value>),
            _ => None,
        };
        // Nothing given is an empty object; what is no JSON is left out.
        let custom = custom.map_or_else(|| json!({}), |read| read.unwrap_or(Value::Null));
        for call in calls(json!(null), &[payload]) {
            let body: Value = serde_json::from_slice(&call.body).unwrap();
            prop_assert_eq!(&body["custom_args"], &custom);
            prop_assert!(body["status"]["message_status"].is_string());
        }
    }

    #[test]
    fn no_settings_panic(settings in "\\PC{0,60}") {
        let settings = serde_json::from_str(&settings).unwrap_or(Value::Null);
        let _ = SmsHook.check(&settings);
        prop_assert!(!calls(settings, &[accepted(Dialect::EngagelabA, 1)]).is_empty());
    }
}
