//! uSpeedo Action.

use super::{
    AT_ONCE, KEY, USER, assert_uuid, basic, code_and_message, code_for, code_of, hex, names, post, sign, with,
};
use crate::testkit::{BLOCKED, CODE, PLAIN, TestNode, USER_OFF, ut_id};
use axum::body::Body;
use http::{Method, Request, header};
use serde_json::{Value, json};

/// A request signed in its headers, as every SDK does it.
fn signed(node: &TestNode, body: &Value) -> Request<Body> {
    signed_by(USER, &sign(body, KEY), node.engine.now() / 1000, body)
}

pub(super) fn signed_by(user: &str, signature: &str, at_s: i64, body: &Value) -> Request<Body> {
    Request::post("/api?Action=ignored")
        .header("X-Access-Key-Id", user)
        .header("X-Signature", signature)
        .header("X-Timestamp", at_s.to_string())
        .header("X-Nonce", "0123456789")
        .body(Body::from(body.to_string()))
        .unwrap()
}

fn send(targets: Value) -> Value {
    json!({"Action": "SendBatchUSMSMessage", "AccountId": 1, "TaskContent": [
        {"TemplateId": ut_id(CODE), "SenderId": "uSpeedo", "Target": targets}]})
}

fn receipts(session: &Value) -> Value {
    json!({"Action": "GetUSMSSendReceipt", "SessionNoSet": [session]})
}

#[tokio::test]
async fn a_batch_is_answered_as_documented_and_delivered() {
    let node = TestNode::start().await;
    let target =
        json!({"Phone": AT_ONCE, "TemplateParams": ["123456"], "ExtendCode": "123", "UserId": "456"});
    let answer = node.ask(signed(&node, &send(json!([target])))).await;
    assert_eq!(code_of(&answer), 0);
    let sent = answer.json();
    let all = [
        "Action",
        "FailContent",
        "Message",
        "ReqUuid",
        "RetCode",
        "SessionNo",
        "SuccessCount",
    ];
    assert_eq!(names(&sent), all);
    assert_eq!(sent["Action"], "SendBatchUSMSMessageResponse");
    assert_eq!(
        (&sent["Message"], &sent["SuccessCount"]),
        (&json!("submit success"), &json!(1))
    );
    assert_eq!(sent["FailContent"], json!([]));
    assert_uuid(&sent["SessionNo"]);
    assert_uuid(&sent["ReqUuid"]);
    assert_eq!(
        sent["ReqUuid"].as_str().unwrap(),
        answer.headers["x-speedo-request-uuid"]
    );
    let delivered = |answer: &crate::testkit::Answer| {
        answer.json()["Data"][0]["ReceiptSet"][0]["ReceiptResult"] == "Success"
    };
    let answer = node
        .ask_until(|| signed(&node, &receipts(&sent["SessionNo"])), delivered)
        .await
        .json();
    assert_eq!(answer["Action"], "GetUSMSSendReceiptResponse");
    let receipt = &answer["Data"][0]["ReceiptSet"][0];
    assert_eq!(
        (&receipt["UserId"], &receipt["CountryCode"]),
        (&json!("456"), &json!("1"))
    );
}

#[tokio::test]
async fn a_query_has_at_most_a_hundred_sessions() {
    let node = TestNode::start().await;
    let ask = |count: usize| {
        let sessions: Vec<String> = (0..count).map(|n| format!("session-{n}")).collect();
        signed(
            &node,
            &json!({"Action": "GetUSMSSendReceipt", "SessionNoSet": sessions}),
        )
    };
    let answer = node.ask(ask(100)).await;
    assert_eq!(code_of(&answer), 0);
    assert_eq!(answer.json()["Data"].as_array().map(Vec::len), Some(100));
    assert_eq!(
        code_and_message(&node.ask(ask(101)).await),
        (215_392, "Invalid parameter [SessionNoSet]".into())
    );
}

/// The action of a page that the vendor withdrew, whose sample has values as numbers.
#[tokio::test]
async fn the_old_action_for_one_text_is_still_there() {
    let node = TestNode::start().await;
    let old = json!({"Action": "SendUSMSMessage", "AccountId": "1", "PhoneNumbers": [AT_ONCE, "+447700900001"],
        "TemplateId": ut_id(CODE), "SenderId": "uSpeedo", "TemplateParams": [123456], "ExtendCode": "12", "UserId": "o-1"});
    let answer = node.ask(signed(&node, &old)).await;
    assert_eq!(code_of(&answer), 0, "{}", answer.body);
    let sent = answer.json();
    assert_eq!(
        (&sent["Action"], &sent["UserId"]),
        (&json!("SendUSMSMessageResponse"), &json!("o-1"))
    );
    assert_uuid(&sent["SessionNo"]);
    let received = node.received(AT_ONCE).await;
    assert_eq!(
        (received.text.as_str(), received.from.as_str()),
        ("Your code is 123456", "uSpeedo")
    );
    node.received("+447700900001").await;
    for (name, value, expected) in [
        (
            "PhoneNumbers",
            json!([]),
            (215_397, "Missing required parameter [PhoneNumbers]"),
        ),
        (
            "PhoneNumbers",
            json!(vec![AT_ONCE; 1001]),
            (215_392, "Invalid parameter [PhoneNumbers]"),
        ),
        (
            "TemplateId",
            json!(null),
            (215_397, "Missing required parameter [TemplateId]"),
        ),
        (
            "TemplateId",
            json!("UTA0"),
            (215_392, "Invalid parameter [TemplateId]"),
        ),
        (
            "SenderId",
            json!("x".repeat(12)),
            (215_392, "Invalid parameter [SenderId]"),
        ),
        (
            "TemplateParams",
            json!([]),
            (215_392, "Invalid parameter [TemplateParams]"),
        ),
        (
            "ExtendCode",
            json!("x"),
            (215_392, "Invalid parameter [ExtendCode]"),
        ),
    ] {
        let answer = node.ask(signed(&node, &super::with(&old, name, value))).await;
        let (code, message) = code_and_message(&answer);
        assert_eq!((code, &*message), expected, "{name} {}", answer.body);
    }
}

#[tokio::test]
async fn failures_stand_where_the_documents_put_them() {
    let node = TestNode::start().await;
    let body = json!({"Action": "SendBatchUSMSMessage", "TaskContent": [
        {"TemplateId": ut_id(CODE), "SenderId": "uSpeedo", "Target": [
            {"Phone": BLOCKED, "TemplateParams": ["1"], "ExtendCode": "123", "UserId": "456"},
            {"Phone": AT_ONCE, "TemplateParams": ["1"]}]},
        {"TemplateId": "UTA0", "Target": [{"Phone": "+447700900001"}]},
    ]});
    let sent = node.ask(signed(&node, &body)).await.json();
    assert_eq!((&sent["RetCode"], &sent["SuccessCount"]), (&json!(0), &json!(1)));
    let expected = json!([
        {"TemplateId": ut_id(CODE), "SenderId": "uSpeedo", "FailureDetails": "", "Target": [
            {"Phone": BLOCKED, "TemplateParams": ["1"], "ExtendCode": "123", "UserId": "456",
             "FailureDetails": "phone in the black list"}]},
        {"TemplateId": "UTA0", "SenderId": "", "FailureDetails": "template not found", "Target": [
            {"Phone": "+447700900001", "TemplateParams": [], "FailureDetails": ""}]},
    ]);
    assert_eq!(sent["FailContent"], expected);

    let nothing = json!({"Action": "SendBatchUSMSMessage", "TaskContent": [
        {"TemplateId": "UTA0", "Target": [{"Phone": "+447700900001"}]}]});
    let answer = node.ask(signed(&node, &nothing)).await;
    assert_eq!(
        code_and_message(&answer),
        (215_392, "Invalid parameter [TemplateId]".into())
    );
    assert_eq!(
        names(&answer.json()),
        ["Action", "FailContent", "Message", "ReqUuid", "RetCode"]
    );
    assert_eq!(answer.json()["FailContent"][0], expected[1]);
}

#[tokio::test]
async fn a_target_may_name_a_sender_of_its_own() {
    let node = TestNode::start().await;
    let targets = json!([
        {"Phone": "+447700900001", "TemplateParams": ["1"], "SenderId": "Other"},
        {"Phone": "+447700900002", "TemplateParams": ["1"]},
        {"Phone": "+447700900003", "TemplateParams": ["1"], "SenderId": "Other"},
        {"Phone": "+447700900004", "TemplateParams": ["1"], "SenderId": "much too long"},
    ]);
    let sent = node.ask(signed(&node, &send(targets))).await.json();
    assert_eq!(sent["SuccessCount"], 3);
    assert_uuid(&sent["SessionNo"]);
    assert_eq!(sent["FailContent"].as_array().unwrap().len(), 1);
    let failed = &sent["FailContent"][0];
    assert_eq!(
        (&failed["SenderId"], &failed["FailureDetails"]),
        (&json!("much too long"), &json!("sender is invalid"))
    );
    assert_eq!(node.received("+447700900001").await.from, "Other");
    assert_eq!(node.received("+447700900002").await.from, "uSpeedo");
    let answer = node
        .ask(signed(&node, &receipts(&sent["SessionNo"])))
        .await
        .json();
    assert_eq!(
        answer["Data"][0]["ReceiptSet"].as_array().unwrap().len(),
        3,
        "one session for all"
    );
}

#[tokio::test]
async fn a_signature_must_be_right_and_recent() {
    let node = TestNode::start().await;
    let body = send(json!([{"Phone": AT_ONCE, "TemplateParams": ["1"]}]));
    let now_s = node.engine.now() / 1000;
    let right = sign(&body, KEY);
    for (user, signature, at_s, expected) in [
        (USER, right.clone(), now_s, 0),
        (USER, right.to_uppercase(), now_s - 295, 0),
        (USER, right.clone(), now_s + 295, 0),
        (USER, right.clone(), now_s - 310, 215_398),
        (USER, right.clone(), now_s + 310, 215_398),
        (USER, right.clone(), i64::MIN, 215_398),
        (USER, sign(&body, "wrong"), now_s, 215_398),
        (USER, String::new(), now_s, 215_398),
        ("nobody", right.clone(), now_s, 215_398),
        (USER_OFF, right, now_s, 215_398),
    ] {
        let answer = node.ask(signed_by(user, &signature, at_s, &body)).await;
        assert_eq!(
            code_of(&answer),
            expected,
            "{user} {signature} {}",
            at_s.wrapping_sub(now_s)
        );
        assert!(!answer.body.contains(KEY));
    }
    let mut changed = signed(&node, &body);
    *changed.body_mut() = Body::from(body.to_string().replace("\"1\"", "\"2\""));
    assert_eq!(code_of(&node.ask(changed).await), 215_398, "another body");
}

/// Contract section 1.2: what the SDKs put into bodies.
#[tokio::test]
async fn the_bodies_of_all_clients_verify() {
    let node = TestNode::start().await;
    let mut php = send(json!([{"Phone": AT_ONCE, "TemplateParams": ["1"]}]));
    let signature = sign(&php, KEY);
    php["PublicKey"] = json!(USER);
    php["Signature"] = json!(signature);
    let answer = node
        .ask(signed_by(USER, &signature, node.engine.now() / 1000, &php))
        .await;
    assert_eq!(
        code_of(&answer),
        0,
        "PHP: key and signature in the body, neither signed"
    );

    for (index, absent) in [json!(null), json!([])].into_iter().enumerate() {
        let phone = format!("+44770090010{index}");
        let body = json!({"Action": "SendBatchUSMSMessage", "AccountId": "1", "TaskContent": [
            {"TemplateId": ut_id(PLAIN), "SenderId": "u", "Target": [
                {"Phone": phone, "TemplateParams": absent, "ExtendCode": null, "UserId": ""}]}]});
        let sent = node.ask(signed(&node, &body)).await.json();
        assert_eq!(sent["SuccessCount"], 1, "{sent}");
    }

    // A number's token is signed as it is written, and escapes are undone first.
    let text = r#"{"Action":"SendBatchUSMSMessage","AccountId":42.0,"TaskContent":[{"TemplateId":"UTA261122001001",
        "SenderId":"\u0075\u003c","Target":[{"Phone":447700900123,"TemplateParams":[12.50]}]}]}"#;
    let canonical = format!(
        "AccountId42.0ActionSendBatchUSMSMessageTaskContentSenderIdu<TargetPhone447700900123TemplateParams12.50\
         TemplateIdUTA261122001001{KEY}"
    );
    let signature = hex(&<sha1::Sha1 as sha1::Digest>::digest(canonical));
    let mut request = signed_by(USER, &signature, node.engine.now() / 1000, &json!({}));
    *request.body_mut() = Body::from(text);
    let answer = node.ask(request).await;
    assert_eq!(code_of(&answer), 0);
    let received = node.received("+447700900123").await;
    assert_eq!(
        (received.from.as_ref(), received.text.as_ref()),
        ("u<", "Your code is 12.50")
    );
}

#[tokio::test]
async fn task_content_comes_in_four_forms() {
    use base64::Engine as _;
    let node = TestNode::start().await;
    let task = |phone: &str| json!([{"TemplateId": ut_id(CODE), "Target": [{"Phone": phone, "TemplateParams": ["1"]}]}]);
    let base64 = |task: Value| base64::engine::general_purpose::STANDARD.encode(task.to_string());
    let wrapped = |text: String| {
        text.as_bytes()
            .chunks(76)
            .map(|line| String::from_utf8_lossy(line) + "\n")
            .collect::<String>()
    };
    for (index, content) in [
        task("+447700900000"),
        json!(task("+447700900001").to_string()),
        json!(base64(task("+447700900002"))),
        json!(wrapped(base64(task("+447700900003")))),
        json!(base64(task("+447700900004")).trim_end_matches('=')),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({"Action": "SendBatchUSMSMessage", "TaskContent": content});
        assert_eq!(
            node.ask(signed(&node, &body)).await.json()["SuccessCount"],
            1,
            "{body}"
        );
        node.received(&format!("+44770090000{index}")).await;
    }
    let dotted = json!({"Action": "SendBatchUSMSMessage", "TaskContent.0.TemplateId": ut_id(CODE),
        "TaskContent.0.Target.0.Phone": "+447700900005", "TaskContent.0.Target.0.TemplateParams.0": "1"});
    assert_eq!(node.ask(signed(&node, &dotted)).await.json()["SuccessCount"], 1);
    let dotted = json!({"TaskContent.0.TemplateId": ut_id(CODE), "TaskContent.0.SenderId": "u",
        "TaskContent.0.Target.0.Phone": "+447700900006", "TaskContent.0.Target.0.TemplateParams.0": "1"});
    let answer = node.ask(post(super::rest::SEND, USER, dotted.to_string())).await;
    assert_eq!(code_of(&answer), 0, "REST takes dotted names too");
}

#[tokio::test]
async fn what_is_no_request_of_this_wire_gets_the_wires_error() {
    let node = TestNode::start().await;
    let ask = |body: &str| post("/api/", USER, body.to_owned());
    let invalid = |name: &str| (215_392, format!("Invalid parameter [{name}]"));
    let missing = |name: &str| (215_397, format!("Missing required parameter [{name}]"));
    for (body, expected) in [
        ("", missing("Action")),
        ("{}", missing("Action")),
        (r#"{"Action":""}"#, missing("Action")),
        (r#"{"Action":"CreateUSMSSignature"}"#, invalid("Action")),
        (r#"{"Action":{}}"#, invalid("Action")),
        ("not json", invalid("Body")),
        (r#"{"Action":"SendBatchUSMSMessage""#, invalid("Body")),
        (r#"{"Action":"SendBatchUSMSMessage"}"#, missing("TaskContent")),
        (
            r#"{"Action":"SendBatchUSMSMessage","AccountId":"x"}"#,
            invalid("AccountId"),
        ),
        (r#"{"Action":"GetUSMSSendReceipt"}"#, missing("SessionNoSet")),
        (
            r#"{"Action":"GetUSMSSendReceipt","SessionNoSet":[{}]}"#,
            invalid("SessionNoSet"),
        ),
        (r#"{"Action":"a","Action":"b"}"#, invalid("Body")),
    ] {
        assert_eq!(code_and_message(&node.ask(ask(body)).await), expected, "{body}");
    }
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let request = Request::builder()
            .method(&method)
            .uri("/api")
            .body(Body::empty())
            .unwrap();
        assert_eq!(
            code_and_message(&node.ask(request).await),
            invalid("Method"),
            "{method}"
        );
    }
    let named_in_query = Request::post("/api?Action=GetUSMSSendReceipt")
        .header(header::AUTHORIZATION, basic(USER, KEY))
        .body(Body::from(r#"{"SessionNoSet":["x"]}"#))
        .unwrap();
    assert_eq!(code_of(&node.ask(named_in_query).await), 0);
    let anonymous = Request::post("/api").body(Body::from("{}")).unwrap();
    assert_eq!(code_of(&node.ask(anonymous).await), 215_398);
}

/// Goal: the UCloud Action document requires `Action` of every answer, errors too: the request's and `Response`, wherever the request ended and
/// wherever it names its action.
#[tokio::test]
async fn every_answer_has_an_action_errors_too() {
    let node = TestNode::start().await;
    let now = node.engine.now() / 1000;
    let batch = send(json!([{"Phone": AT_ONCE, "TemplateParams": ["1"]}]));
    let request = |method: Method, uri: &str, body: &str| {
        Request::builder()
            .method(method)
            .uri(uri)
            .header(header::AUTHORIZATION, basic(USER, KEY))
            .body(Body::from(body.to_owned()))
            .unwrap()
    };
    let sends = "SendBatchUSMSMessageResponse";
    for (what, request, action) in [
        ("accepted", signed(&node, &batch), sends),
        (
            "wrong signature",
            signed_by(USER, &"0".repeat(40), now, &batch),
            sends,
        ),
        (
            "unknown key",
            signed_by("nobody", &"0".repeat(40), now, &batch),
            sends,
        ),
        (
            "too old",
            signed_by(USER, &sign(&batch, KEY), now - 400, &batch),
            sends,
        ),
        (
            "no credentials",
            Request::post("/api").body(Body::from(batch.to_string())).unwrap(),
            sends,
        ),
        (
            "missing parameter",
            request(Method::POST, "/api", r#"{"Action":"GetUSMSSendReceipt"}"#),
            "GetUSMSSendReceiptResponse",
        ),
        (
            "unknown action",
            request(Method::POST, "/api", r#"{"Action":"DescribeUSMS"}"#),
            "DescribeUSMSResponse",
        ),
        (
            "not served here",
            request(Method::POST, "/api", r#"{"Action":"CreateUSMSSignature"}"#),
            "CreateUSMSSignatureResponse",
        ),
        (
            "cut off behind the action",
            request(
                Method::POST,
                "/api",
                r#"{"Action":"SendBatchUSMSMessage","AccountId":1"#,
            ),
            sends,
        ),
        (
            "a body that cannot be read, the action in the query",
            request(Method::POST, "/api?Action=SendBatchUSMSMessage", "\u{1}"),
            sends,
        ),
        (
            "another method",
            request(Method::GET, "/api/?Action=SendBatchUSMSMessage", ""),
            sends,
        ),
        ("no action", request(Method::POST, "/api", "{}"), "Response"),
        (
            "no name of an action",
            request(Method::POST, "/api", r#"{"Action":"<b>"}"#),
            "Response",
        ),
        (
            "a name too long",
            request(
                Method::POST,
                "/api",
                &json!({"Action": "A".repeat(65)}).to_string(),
            ),
            "Response",
        ),
    ] {
        let answer = node.ask(request).await;
        code_of(&answer);
        assert_eq!(answer.json()["Action"], action, "{what}: {}", answer.body);
    }
    let rest = node.ask(post(super::rest::SEND, "nobody", "{}")).await;
    assert_eq!(
        rest.json().get("Action"),
        None,
        "the uSpeedo REST v1 document has none"
    );
}

/// Goal: an account number that is no whole number above 0 is refused by name, whatever the action.
#[tokio::test]
async fn an_account_id_is_a_whole_number_above_0() {
    let node = TestNode::start().await;
    for (id, code) in [
        (json!(1), 0),
        (json!("60000011"), 0),
        (json!(0), 215_392),
        (json!(-1), 215_392),
        (json!(1.5), 215_392),
        (json!("0"), 215_392),
        (json!("abc"), 215_392),
        (json!([1]), 215_392),
    ] {
        for action in [
            json!({"Action": "GetUSMSSendReceipt", "SessionNoSet": ["x"]}),
            json!({"Action": "QueryUSMSTemplate", "TemplateId": [ut_id(CODE)]}),
            send(json!([{"Phone": AT_ONCE, "TemplateParams": ["1"]}])),
        ] {
            let body = with(&action, "AccountId", id.clone());
            let answer = node.ask(post("/api", USER, body.to_string())).await;
            assert_eq!(code_of(&answer), code, "{body}: {}", answer.body);
            if code != 0 {
                assert_eq!(answer.json()["Message"], "Invalid parameter [AccountId]");
            }
        }
        let body = with(&code_for("+447700900123"), "AccountId", id.clone());
        let answer = node.ask(post(super::rest::SEND, USER, body.to_string())).await;
        assert_eq!(code_of(&answer), code, "REST {id}");
    }
}

#[tokio::test]
async fn an_engine_that_stops_answers_that_it_is_busy() {
    let node = TestNode::start().await;
    node.engine.stop(std::time::Duration::from_secs(5)).await.unwrap();
    let body = send(json!([{"Phone": AT_ONCE, "TemplateParams": ["1"]}]));
    let answer = node.ask(signed(&node, &body)).await;
    assert_eq!(code_and_message(&answer), (215_400, "Server busy".into()));
}

#[tokio::test]
async fn a_signed_body_may_begin_with_a_byte_order_mark() {
    let node = TestNode::start().await;
    let body = send(json!([{"Phone": AT_ONCE, "TemplateParams": ["8341"]}]));
    let mut request = signed(&node, &body);
    *request.body_mut() = Body::from(format!("\u{feff}{body}"));
    let answer = node.ask(request).await;
    assert_eq!(code_of(&answer), 0, "{}", answer.body);
}
