//! What an endpoint can choose, and how it is looked at before it is set up.

use super::*;

#[test]
fn only_the_events_that_were_chosen_are_reported() {
    let settings = json!({ "events": ["deliver", "templateVerify"] });
    let all = [
        ended(MessageState::Delivered, "", 1),
        ended(MessageState::Undelivered, "", 1),
        inbound("8613888888888"),
        reviewed(Review::Approved),
    ];
    let reported: Vec<_> = calls(settings, &all)
        .iter()
        .map(|call| form(call)["event"].clone())
        .collect();
    assert_eq!(reported, ["deliver", "templateVerify"]);
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
