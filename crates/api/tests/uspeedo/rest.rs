//! uSpeedo REST v1.

use super::{
    AT_ONCE, KEY, REFUSED, SILENT, UNDELIVERED, USER, assert_uuid, basic, batch, code_and_message, code_for,
    code_of, names, post, receipt_of,
};
use crate::testkit::{
    self, BADLY_SIGNED, BLOCKED, BLOCKED_GLOBALLY, CAPPED_PLAIN, CODE, DAILY_PLAIN, ENDLESS, FOREIGN, LONG,
    NOTICE, PENDING, PLAIN, SIGNED, TestNode, UNROUTED_PREFIX, USER_BROKE, USER_CAPPED, USER_DAILY,
    USER_MUTE, USER_OFF, USER_OTHER, ut_id,
};
use api::Limits;
use axum::body::Body;
use engine::clock::SystemClock;
use http::{Method, Request, header};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) const SEND: &str = "/api/v1/usms/SendBatchUSMSMessage";
pub(crate) const QUERY: &str = "/api/v1/usms/USMSSendReceipt";

pub(crate) fn send(body: &Value) -> Request<Body> {
    post(SEND, USER, body.to_string())
}

pub(crate) fn query(user: &str, query: &str) -> Request<Body> {
    let request = Request::get(format!("{QUERY}?{query}")).header(header::AUTHORIZATION, basic(user, KEY));
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_batch_is_answered_as_documented_and_delivered() {
    let node = TestNode::start().await;
    let body = json!({"TaskContent": [
        {"TemplateId": ut_id(CODE), "SenderId": "uSpeedo",
         "Target": [{"Phone": AT_ONCE, "TemplateParams": ["123456"]}, {"Phone": "13812345678", "TemplateParams": [7]}]},
        {"TemplateId": ut_id(PLAIN), "SenderId": "", "Target": [{"Phone": "(44)7700900123"}]},
    ]});
    let answer = node.ask(send(&body)).await;
    assert_eq!(code_of(&answer), 0);
    let sent = answer.json();
    assert_eq!(
        names(&sent),
        ["FailedTargetPhones", "Message", "RetCode", "SessionNo"]
    );
    assert_eq!(sent["Message"], "success");
    assert_eq!(sent["FailedTargetPhones"], json!([]));
    let sessions = sent["SessionNo"].as_array().unwrap();
    assert_eq!(sessions.len(), 2, "one session for each item");
    sessions.iter().for_each(assert_uuid);
    assert_eq!(node.received("+8613812345678").await.text, "Your code is 7");
    assert_eq!(node.received("+447700900123").await.text, "Hello");

    let ids = format!(
        "id={}&id={}",
        sessions[0].as_str().unwrap(),
        sessions[1].as_str().unwrap()
    );
    let all_delivered = |answer: &testkit::Answer| {
        let data = answer.json()["Data"].clone();
        let receipts = data
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|session| session["ReceiptSet"].as_array().unwrap());
        receipts
            .map(|receipt| receipt["ReceiptResult"].clone())
            .eq(["Success", "Success", "Success"])
    };
    let answer = node.ask_until(|| query(USER, &ids), all_delivered).await.json();
    assert_eq!(names(&answer), ["Data", "Message", "RetCode"]);
    assert_eq!(answer["Data"][0]["SessionNo"], sessions[0]);
    assert_eq!(answer["Data"][1]["SessionNo"], sessions[1]);
    let receipt = &answer["Data"][1]["ReceiptSet"][0];
    let now_s = node.engine.now() / 1000;
    assert!(
        (now_s - 60..=now_s).contains(&receipt["ReceiptTime"].as_i64().unwrap()),
        "{receipt}"
    );
    let expected = json!({
        "Phone": "(44)7700900123", "CostCount": 1, "ReceiptResult": "Success", "ReceiptCode": "DELIVRD",
        "ReceiptDesc": "delivered", "ReceiptTime": receipt["ReceiptTime"], "UserId": "", "BrevityCode": "GB",
        "CountryCode": "44",
    });
    assert_eq!(*receipt, expected);
}

/// What is wrong, in a request that is otherwise good, and what it is answered.
#[tokio::test]
async fn every_refusal_of_a_whole_request_has_its_code_and_text() {
    let node = TestNode::start().await;
    let target = |target: Value| batch(CODE, json!([target]));
    let params =
        |template, params: Value| batch(template, json!([{"Phone": AT_ONCE, "TemplateParams": params}]));
    let item = |name: &str, value: Value| {
        let mut body = code_for(AT_ONCE);
        body["TaskContent"][0][name] = value;
        body
    };
    let without = |name: &str| {
        let mut body = code_for(AT_ONCE);
        body["TaskContent"][0].as_object_mut().unwrap().remove(name);
        body
    };
    let missing = |name: &str| (215_397, format!("Missing required parameter [{name}]"));
    let invalid = |name: &str| (215_392, format!("Invalid parameter [{name}]"));
    let many = json!(vec![json!({"Phone": AT_ONCE}); 1001]);
    for (body, expected) in [
        (json!({}), missing("TaskContent")),
        (json!({"TaskContent": null}), missing("TaskContent")),
        (json!({"TaskContent": []}), missing("TaskContent")),
        (json!({"TaskContent": 7}), invalid("TaskContent")),
        (json!({"TaskContent": "no base64!"}), invalid("TaskContent")),
        (json!({"TaskContent": "{}"}), invalid("TaskContent")),
        (json!({"TaskContent": "[]"}), missing("TaskContent")),
        (json!({"TaskContent": [7]}), invalid("TaskContent")),
        (without("TemplateId"), missing("TemplateId")),
        (without("SenderId"), missing("SenderId")),
        (without("Target"), missing("Target")),
        (item("TemplateId", json!("")), missing("TemplateId")),
        (item("TemplateId", json!([1])), invalid("TemplateId")),
        (
            item("TemplateId", json!("UTA000000000000")),
            invalid("TemplateId"),
        ),
        (item("TemplateId", json!(ut_id(FOREIGN))), invalid("TemplateId")),
        (item("TemplateId", json!(ut_id(PENDING))), invalid("TemplateId")),
        (
            item("TemplateId", json!(ut_id(BADLY_SIGNED))),
            invalid("SigContent"),
        ),
        (item("SenderId", json!(null)), missing("SenderId")),
        (item("SenderId", json!({})), invalid("SenderId")),
        (item("SenderId", json!("twelve chars")), invalid("SenderId")),
        (item("SenderId", json!("1234567890123456")), invalid("SenderId")),
        (item("Target", json!([])), missing("Target")),
        (item("Target", json!("x")), invalid("Target")),
        (item("Target", json!(["13812345678"])), invalid("Target")),
        (item("Target", many), invalid("Target")),
        (target(json!({"TemplateParams": ["1"]})), missing("Phone")),
        (
            target(json!({"Phone": "", "TemplateParams": ["1"]})),
            missing("Phone"),
        ),
        (
            target(json!({"Phone": ["1"], "TemplateParams": ["1"]})),
            invalid("Phone"),
        ),
        (
            target(json!({"Phone": "12", "TemplateParams": ["1"]})),
            invalid("Phone"),
        ),
        (
            target(json!({"Phone": BLOCKED, "TemplateParams": ["1"]})),
            invalid("Phone"),
        ),
        (
            target(json!({"Phone": BLOCKED_GLOBALLY, "TemplateParams": ["1"]})),
            invalid("Phone"),
        ),
        (
            target(json!({"Phone": format!("+{UNROUTED_PREFIX}12345678"), "TemplateParams": ["1"]})),
            invalid("Phone"),
        ),
        (
            target(json!({"Phone": AT_ONCE, "TemplateParams": ["1"], "UserId": "it's"})),
            invalid("UserId"),
        ),
        (
            target(json!({"Phone": AT_ONCE, "TemplateParams": ["1"], "UserId": "x".repeat(33)})),
            invalid("UserId"),
        ),
        (
            target(json!({"Phone": AT_ONCE, "TemplateParams": ["1"], "UserId": "\u{1f600}"})),
            invalid("UserId"),
        ),
        (
            target(json!({"Phone": AT_ONCE, "TemplateParams": ["1"], "ExtendCode": "12a"})),
            invalid("ExtendCode"),
        ),
        (params(CODE, json!([])), invalid("TemplateParams")),
        (params(CODE, json!(["1", "2"])), invalid("TemplateParams")),
        (params(CODE, json!("1")), invalid("TemplateParams")),
        (params(CODE, json!([["1"]])), invalid("TemplateParams")),
        (params(PLAIN, json!(["1"])), invalid("TemplateParams")),
        (params(LONG, json!(["12345678901"])), invalid("TemplateParams")),
        (params(ENDLESS, json!([])), invalid("TemplateParams")),
    ] {
        let answer = node.ask(send(&body)).await;
        assert_eq!(code_and_message(&answer), expected, "{body}");
        assert_eq!(names(&answer.json()), ["Message", "RetCode"], "{body}");
    }
    assert_eq!(node.inbox_count(AT_ONCE), 0, "nothing was sent");
}

#[tokio::test]
async fn accounts_are_held_to_their_balance_caps_and_rights() {
    let node = TestNode::start().await;
    let plain = |template, phones: &[&str]| {
        let targets: Vec<_> = phones.iter().map(|phone| json!({"Phone": phone})).collect();
        batch(template, json!(targets)).to_string()
    };
    let broke = plain(
        testkit::BROKE_PLAIN,
        &["+447700900001", "+447700900002", "+447700900003"],
    );
    let answer = node.ask(post(SEND, USER_BROKE, broke)).await;
    assert_eq!(
        code_and_message(&answer),
        (215_400, "Insufficient balance".into())
    );
    let answer = node.ask(post(SEND, USER_MUTE, plain(PLAIN, &[AT_ONCE]))).await;
    assert_eq!(code_and_message(&answer), (215_398, "Account restricted".into()));
    for (user, template, unit) in [
        (USER_CAPPED, CAPPED_PLAIN, "minute"),
        (USER_DAILY, DAILY_PLAIN, "day"),
    ] {
        let both = plain(template, &["+447700900001", "+447700900002"]);
        assert_eq!(code_of(&node.ask(post(SEND, user, both)).await), 0);
        let again = plain(template, &["+447700900001", "+447700900003"]);
        let answer = node.ask(post(SEND, user, again)).await;
        assert_eq!(code_of(&answer), 0);
        let reason = format!("phone has reached its limit per {unit}");
        assert_eq!(answer.json()["FailedTargetPhones"][0]["FailureReason"], reason);
    }
}

#[tokio::test]
async fn what_was_accepted_makes_a_success_and_what_was_not_is_listed() {
    let node = TestNode::start().await;
    let body = json!({"TaskContent": [
        {"TemplateId": ut_id(CODE), "SenderId": "uSpeedo", "Target": [
            {"Phone": AT_ONCE, "TemplateParams": ["1"]},
            {"Phone": "12", "TemplateParams": ["2"]},
            {"Phone": BLOCKED, "TemplateParams": [3]},
            {"Phone": "+447700900001"},
            {"Phone": AT_ONCE, "TemplateParams": ["1"]},
            {"Phone": AT_ONCE, "TemplateParams": ["4"]},
            {"TemplateParams": ["5"]},
        ]},
        {"TemplateId": "UTA0", "SenderId": "uSpeedo", "Target": [{"Phone": "+447700900002", "TemplateParams": ["6"]}]},
    ]});
    let answer = node.ask(send(&body)).await;
    assert_eq!(code_of(&answer), 0);
    let sent = answer.json();
    assert_eq!(
        sent["SessionNo"].as_array().unwrap().len(),
        1,
        "an item of which nothing was taken has no session"
    );
    let failed = |phone: &str, params: &[&str], reason: &str| json!({"Phone": phone, "TemplateParams": params, "FailureReason": reason});
    let expected = json!([
        failed("12", &["2"], "phone is invalid"),
        failed(BLOCKED, &["3"], "phone in the black list"),
        failed("+447700900001", &[], "fewer template params than variables"),
        failed(AT_ONCE, &["1"], "phone is repeated with the same parameters"),
        failed("", &["5"], "phone is missing"),
        failed("+447700900002", &["6"], "template not found"),
    ]);
    assert_eq!(sent["FailedTargetPhones"], expected);
    node.received("+10000000010").await;
}

#[tokio::test]
async fn when_all_fail_for_different_reasons_each_is_reported() {
    let node = TestNode::start().await;
    let targets =
        json!([{"Phone": "12", "TemplateParams": ["1"]}, {"Phone": BLOCKED, "TemplateParams": ["1"]}]);
    let answer = node.ask(send(&batch(CODE, targets))).await;
    assert_eq!(
        code_and_message(&answer),
        (215_392, "Invalid parameter [Phone]".into())
    );
    let reasons = &answer.json()["FailedTargetPhones"];
    assert_eq!(reasons[0]["FailureReason"], "phone is invalid");
    assert_eq!(reasons[1]["FailureReason"], "phone in the black list");
}

#[tokio::test]
async fn the_documented_credentials_are_required() {
    let node = TestNode::start().await;
    let parse_token = (215_398, "Failed to parse token".to_owned());
    let with = |authorization: &str| {
        let request = Request::post(SEND).header(header::AUTHORIZATION, authorization);
        request.body(Body::from(code_for(AT_ONCE).to_string())).unwrap()
    };
    for authorization in [
        basic(USER, "wrong"),
        basic("nobody", KEY),
        basic(USER_OFF, KEY),
        basic(USER, ""),
        "Basic".to_owned(),
        "Bearer x".to_owned(),
        String::new(),
    ] {
        assert_eq!(
            code_and_message(&node.ask(with(&authorization)).await),
            parse_token,
            "{authorization}"
        );
    }
    let nothing = Request::post(SEND).body(Body::from("{}")).unwrap();
    assert_eq!(code_and_message(&node.ask(nothing).await), parse_token);
    assert_eq!(
        code_and_message(&node.ask(query("nobody", "id=x")).await),
        parse_token
    );
    assert_eq!(
        code_of(&node.ask(with(&basic(USER, &format!("{KEY}\n")))).await),
        0
    );
}

#[tokio::test]
async fn what_is_no_request_of_this_wire_gets_the_wires_error() {
    let node = TestNode::with(
        Limits {
            body_bytes_max: 1000,
            ..crate::testkit::limits()
        },
        Arc::new(SystemClock),
    )
    .await;
    let invalid = |name: &str| (215_392, format!("Invalid parameter [{name}]"));
    let good = code_for(AT_ONCE).to_string();
    let deep = format!("{{\"TaskContent\":{}{}}}", "[".repeat(400), "]".repeat(400));
    for body in [
        Vec::new(),
        b"TaskContent=x".to_vec(),
        b"[1]".to_vec(),
        good.as_bytes()[..good.len() - 1].to_vec(),
        [good.as_bytes(), &[b' '; 1000]].concat(),
        good.replace("uSpeedo", "\u{fffd}")
            .into_bytes()
            .into_iter()
            .filter(|b| *b != 0xbf)
            .collect(),
        good.replace("\"SenderId\"", "\"SenderId\":\"a\",\"SenderId\"")
            .into_bytes(),
        deep.into_bytes(),
    ] {
        let answer = node.ask(post(SEND, USER, body.clone())).await;
        assert_eq!(
            code_and_message(&answer),
            invalid("Body"),
            "{}",
            String::from_utf8_lossy(&body)
        );
    }
    for (method, path, field) in [
        (Method::GET, SEND, "Method"),
        (Method::DELETE, SEND, "Method"),
        (Method::POST, QUERY, "Method"),
        (Method::POST, "/api/v1/usms/SendBatch", "Path"),
        (Method::GET, "/api/v1/usms/a/b/c", "Path"),
    ] {
        let request = Request::builder()
            .method(&method)
            .uri(path)
            .body(Body::empty())
            .unwrap();
        assert_eq!(
            code_and_message(&node.ask(request).await),
            invalid(field),
            "{method} {path}"
        );
    }
    let plain = Request::post(SEND)
        .header(header::AUTHORIZATION, basic(USER, KEY))
        .header(header::CONTENT_TYPE, "text/plain")
        .body(Body::from(format!("\u{feff}{good}")))
        .unwrap();
    assert_eq!(
        code_of(&node.ask(plain).await),
        0,
        "the content type does not matter, nor does a byte order mark"
    );
}

#[tokio::test]
async fn receipts_report_each_state_in_the_documented_words() {
    let node = TestNode::start().await;
    let failed = receipt_of(&node, UNDELIVERED, "Fail").await;
    assert_eq!(
        (&failed["ReceiptCode"], &failed["ReceiptDesc"]),
        (
            &json!("5012"),
            &json!(
                "undelivered: The network reported that the phone could not be reached (network error 5012)."
            )
        )
    );
    let refused = receipt_of(&node, REFUSED, "SubmitFail").await;
    assert_eq!(
        refused["ReceiptDesc"],
        "rejected: The carrier refused the recipient's number (ESME_RINVDSTADR 0xB: destination address is invalid)."
    );
    let pending = receipt_of(&node, SILENT, "Unknow").await;
    assert_eq!(
        (&pending["ReceiptCode"], &pending["ReceiptTime"]),
        (&json!(""), &json!(0))
    );
}

#[tokio::test]
async fn sessions_are_read_by_their_own_account_however_they_are_listed() {
    let node = TestNode::start().await;
    let session = |sent: &testkit::Answer| sent.json()["SessionNo"][0].as_str().unwrap().to_owned();
    let one = session(&node.ask(send(&code_for(AT_ONCE))).await);
    let other = session(&node.ask(send(&code_for("+447700900001"))).await);
    for listed in [
        format!("id={one}&id={other}"),
        format!("id={one},{other}"),
        format!("x=1&id=%5B%22{one}%22%2C%20%22{other}%22%5D&id="),
    ] {
        let answer = node.ask(query(USER, &listed)).await;
        assert_eq!(code_of(&answer), 0);
        let data = answer.json()["Data"].clone();
        assert_eq!(
            (&data[0]["SessionNo"], &data[1]["SessionNo"]),
            (&json!(one), &json!(other)),
            "{listed}"
        );
        assert_eq!(data[1]["ReceiptSet"].as_array().unwrap().len(), 1, "{listed}");
    }
    let unknown = json!([{"SessionNo": one, "ReceiptSet": []}]);
    assert_eq!(
        node.ask(query(USER_OTHER, &format!("id={one}"))).await.json()["Data"],
        unknown
    );
    assert_eq!(
        node.ask(query(USER, "id=x")).await.json()["Data"],
        json!([{"SessionNo": "x", "ReceiptSet": []}])
    );
    let missing = (215_397, "Missing required parameter [id]".to_owned());
    assert_eq!(code_and_message(&node.ask(query(USER, "")).await), missing);
    assert_eq!(
        code_and_message(&node.ask(query(USER, "id=&id=,")).await),
        missing
    );
    let many = vec!["id=x"; 101].join("&");
    let answer = node.ask(query(USER, &many)).await;
    assert_eq!(
        code_and_message(&answer),
        (215_392, "Invalid parameter [id]".into())
    );
}

#[tokio::test]
async fn an_idempotency_key_repeats_the_first_answer() {
    let node = TestNode::start().await;
    let keyed = |key: &str, path: &str, body: &Value| {
        let mut request = post(path, USER, body.to_string());
        request
            .headers_mut()
            .insert("Idempotency-Key", key.parse().unwrap());
        request
    };
    let first = node.ask(keyed("k-1", SEND, &code_for(AT_ONCE))).await;
    assert_eq!(code_of(&first), 0);
    let again = node.ask(keyed("k-1", SEND, &code_for("+447700900001"))).await;
    assert_eq!(again.body, first.body);
    let mut body = code_for("+447700900002");
    body["Action"] = json!("SendBatchUSMSMessage");
    let elsewhere = node.ask(keyed("k-1", "/api", &body)).await.json();
    assert_eq!(elsewhere["SuccessCount"], 1, "another wire has keys of its own");
    let refused = node.ask(keyed("k-2", SEND, &code_for("12"))).await;
    assert_eq!(code_of(&refused), 215_392);
    assert_eq!(
        code_of(&node.ask(keyed("k-2", SEND, &code_for(AT_ONCE))).await),
        0,
        "a refusal uses up no key"
    );
    let answer = node.ask(keyed(&"k".repeat(256), SEND, &code_for(AT_ONCE))).await;
    assert_eq!(
        code_and_message(&answer),
        (215_392, "Invalid parameter [Idempotency-Key]".into())
    );
}

#[tokio::test]
async fn success_is_never_reported_when_nothing_was_stored() {
    let node = TestNode::start().await;
    let session = node.ask(send(&code_for(AT_ONCE))).await.json()["SessionNo"][0].clone();
    node.engine.store().close().await.unwrap();
    let answer = node.ask(send(&code_for(AT_ONCE))).await;
    assert_eq!(code_and_message(&answer), (215_400, "Server error".into()));
    let answer = node
        .ask(query(USER, &format!("id={}", session.as_str().unwrap())))
        .await;
    assert_eq!(code_and_message(&answer), (215_400, "Server error".into()));
}

#[tokio::test]
async fn a_thousand_recipients_are_one_request() {
    let node = TestNode::start().await;
    let targets: Vec<_> = (0..1000)
        .map(|n| json!({"Phone": format!("+4477009{n:05}"), "TemplateParams": [n, "x"]}))
        .collect();
    let answer = node.ask(send(&batch(NOTICE, json!(targets)))).await;
    assert_eq!(code_of(&answer), 0);
    let session = answer.json()["SessionNo"][0].as_str().unwrap().to_owned();
    let receipts = node.ask(query(USER, &format!("id={session}"))).await.json();
    let receipts = receipts["Data"][0]["ReceiptSet"].as_array().unwrap();
    assert_eq!(receipts.len(), 1000);
    assert_eq!(receipts[999]["Phone"], "+447700900999");
}

#[tokio::test]
async fn signatures_stand_around_the_text_as_its_country_reads_them() {
    let node = TestNode::start().await;
    let targets = json!([{"Phone": "13812345678", "TemplateParams": ["1"]}, {"Phone": AT_ONCE, "TemplateParams": ["2"]}]);
    let answer = node.ask(send(&batch(SIGNED, targets))).await;
    assert_eq!(code_of(&answer), 0);
    assert_eq!(answer.json()["SessionNo"].as_array().unwrap().len(), 1);
    assert_eq!(
        node.received("+8613812345678").await.text,
        "【Example】Your code is 1"
    );
    assert_eq!(node.received(AT_ONCE).await.text, "[Example]Your code is 2");
}

#[tokio::test]
async fn a_body_may_begin_with_a_byte_order_mark() {
    let node = TestNode::start().await;
    let body = format!("\u{feff}{}", code_for(AT_ONCE));
    let answer = node.ask(post(SEND, USER, body)).await;
    assert_eq!(code_of(&answer), 0, "{}", answer.body);
    assert_eq!(node.received(AT_ONCE).await.text, "Your code is 8341");
}

/// Goal: a text with a word that may not be sent is refused in each wire's words, and the other numbers of the request are not.
#[tokio::test]
async fn a_forbidden_word_is_refused_in_the_wires_words() {
    let node = TestNode::start().await;
    node.forbid(&["casino"], &["发票"]).await;
    let targets = json!([
        {"Phone": "+447700900171", "TemplateParams": ["1"]},
        {"Phone": "+447700900172", "TemplateParams": ["Casino!"]},
        {"Phone": "+447700900173", "TemplateParams": ["代开发票"]},
    ]);
    let batch = super::batch(testkit::CODE, targets);
    let answer = node.ask(send(&batch)).await.json();
    assert_eq!(answer["RetCode"], 0, "{answer}");
    let failed = answer["FailedTargetPhones"].as_array().unwrap();
    let reasons: Vec<_> = failed
        .iter()
        .map(|one| (&one["Phone"], &one["FailureReason"]))
        .collect();
    let reason = json!("content has a forbidden word");
    assert_eq!(
        reasons,
        [
            (&json!("+447700900172"), &reason),
            (&json!("+447700900173"), &reason)
        ]
    );
    let only = super::batch(
        testkit::CODE,
        json!([{"Phone": "+447700900174", "TemplateParams": ["CASINO"]}]),
    );
    assert_eq!(
        code_and_message(&node.ask(send(&only)).await),
        (215_392, "Invalid parameter [TemplateParams]".into())
    );
    let ucloud = super::Wire::Ucloud;
    let answer = ucloud.ask(&node, "SendBatchUSMSMessage", &only).await;
    assert_eq!(
        code_and_message(&answer),
        (18_023, "content has a forbidden word".into())
    );
}
