//! What each event says, in forms and in JSON.

use super::*;

#[test]
fn a_request_is_reported_with_the_ids_of_the_answer() {
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
    let reported = only_json(json!({ "body": "json" }), accepted(two.clone()));
    assert_eq!(
        (
            &reported["phones"],
            &reported["customArgs"],
            &reported["eventType"]
        ),
        (
            &json!(r#"["13800138000","008613900139000"]"#),
            &json!({ "k": "小" }),
            &json!(1)
        ),
        "lists are texts, as in the page's sample of 2022"
    );
    let reported = only_json(json!({ "numbering": "international" }), accepted(two));
    assert_eq!(
        (&reported["event"], &reported["phones"], &reported["smsIds"]),
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
fn a_delivery_is_reported_as_in_the_sample() {
    let reported = only_form(Value::Null, ended(MessageState::Delivered, "000", 1));
    assert_eq!(
        plain(reported),
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
    let reported = only_json(
        json!({ "numbering": "international" }),
        ended(MessageState::Delivered, "000", 1),
    );
    assert_eq!(
        (&reported["event"], &reported["eventType"], &reported["msgCount"]),
        (&json!("Delivered"), &json!(20), &json!(2))
    );
}

#[test]
fn failures_are_reported_by_their_code() {
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
        (
            MessageState::Expired,
            "expired_before_sent",
            0,
            "delivererror",
            "590",
            "EXPIRED(其他)",
        ),
    ] {
        let reported = only_form(Value::Null, ended(state, error, attempts));
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
            assert_eq!(reported[field], value, "{state:?} {error} {field}");
        }
    }
    let reported = only_form(Value::Null, ended(MessageState::Rejected, "430", 0));
    assert_eq!(
        reported["encodeMessage"], "c21zd29ya2VyOmFkZHJlc3MgaW4gdW5zdWJzY3JpYmUgbGlzdCjlj5bmtojorqLpmIUp",
        "of the page's own sample"
    );
    let international = json!({ "numbering": "international" });
    let reported = only_json(international.clone(), ended(MessageState::Rejected, "410", 0));
    assert_eq!(
        (&reported["event"], &reported["eventType"]),
        (&json!("Suppressed"), &json!(4))
    );
    let reported = only_json(international, ended(MessageState::Undelivered, "", 1));
    assert_eq!(
        (&reported["event"], &reported["eventType"]),
        (&json!("Failed"), &json!(5))
    );
}

#[test]
fn an_event_is_reported_as_it_was_though_its_message_is_further_on() {
    let mut earlier = ended(MessageState::Undelivered, "5011", 1);
    earlier.subject = Subject::Message(Box::new(message(MessageState::Delivered, "000", 1)));
    assert_eq!(only_form(Value::Null, earlier)["event"], "delivererror");
}

#[test]
fn a_reply_is_reported_without_message_and_id() {
    let reported = only_form(json!({ "sms_user": "APP" }), inbound("8613888888888"));
    assert_eq!(
        plain(reported),
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
fn a_review_is_reported_with_the_vendors_spelling() {
    let reported = only_form(Value::Null, reviewed(Review::Approved));
    assert_eq!(
        plain(reported),
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
        let reported = only_form(json!({ "sms_user": "APP" }), reviewed(review));
        assert_eq!(
            (&*reported["verfiyResult"], &*reported["smsUser"]),
            (result, "APP")
        );
        let comment = (review == Review::Rejected).then_some("no signature");
        assert_eq!(reported.get("verfiyComment").map(String::as_str), comment);
    }
    let reported = only_json(
        json!({ "numbering": "international" }),
        reviewed(Review::Approved),
    );
    assert_eq!(
        (&reported["event"], &reported["verfiyResult"]),
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
    for (what, payload) in [
        ("submitted", ended(MessageState::Submitted, "", 1)),
        ("unknown", ended(MessageState::Unknown, "", 1)),
        ("another wire's message", of_another_wire),
        ("another wire's batch", accepted(vec![foreign])),
        ("an empty batch", accepted(Vec::new())),
        ("a message that is gone", gone),
        (
            "a signature",
            payload(
                EventWhat::SignatureReviewed {
                    id: 7,
                    review: Review::Approved,
                },
                Subject::Gone,
            ),
        ),
    ] {
        assert_eq!(calls(Value::Null, &[payload]), [], "{what}");
    }
}

#[test]
fn what_a_carriers_codes_mean_is_reported_by_the_hooks_codes() {
    use engine::sms::reason::Reason;
    for (cause, code, message_text) in [
        (Reason::NumberNotAssigned, "500", "UNDELIV(空号)"),
        (Reason::NumberOutOfService, "510", "UNDELIV(停机)"),
        (Reason::BlockedByNetwork, "520", "UNDELIV(拦截)"),
        (Reason::PhoneBusy, "530", "UNDELIV(占线)"),
        (Reason::PhoneNotAnswered, "540", "UNDELIV(无人接听)"),
        (Reason::ContentComplained, "550", "UNDELIV(被投诉)"),
        (Reason::PhoneFaulty, "560", "UNDELIV(手机故障)"),
        (Reason::PhoneOutOfCoverage, "570", "UNDELIV(不在服务区)"),
        (Reason::PhoneOff, "580", "UNDELIV(关机)"),
        (Reason::NotDelivered, "590", "UNDELIV(其他)"),
    ] {
        let message = MessageView {
            cause: Some(cause),
            by_receipt: true,
            ..message(MessageState::Undelivered, "033", 1)
        };
        let what = EventWhat::Message {
            id: message.id,
            state: MessageState::Undelivered,
            error: "033".into(),
        };
        let reported = only_form(Value::Null, payload(what, Subject::Message(Box::new(message))));
        assert_eq!(
            (
                &*reported["event"],
                &*reported["statusCode"],
                &*reported["message"]
            ),
            ("delivererror", code, message_text)
        );
    }
}
