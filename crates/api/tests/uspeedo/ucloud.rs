//! UCloud Action.

use super::{AT_ONCE, KEY, REFUSED, USER, assert_uuid, code_and_message, code_of, names, sign};
use crate::testkit::{
    ACCOUNT, Answer, BLOCKED, BROKE_PLAIN, CODE, LONG, NOTICE, PENDING, PLAIN, SIGNATURE, SIGNATURE_PENDING,
    TestNode, USER_BASE64, USER_BROKE, USER_MUTE, USER_OFF, ut_id,
};
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Request, header};
use serde_json::{Value, json};
use store::{Account, CatalogChange};

fn params(pairs: &[(&str, &str)]) -> Value {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect()
}

/// With key and signature among them.
pub(super) fn signed(params: &Value) -> Value {
    signed_by(USER, KEY, params)
}

pub(super) fn signed_by(user: &str, key: &str, params: &Value) -> Value {
    let mut params = params.clone();
    params["PublicKey"] = json!(user);
    params["Signature"] = json!(sign(&params, key));
    params
}

pub(super) fn encoded(params: &Value) -> String {
    let pairs = params
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name, value.as_str().unwrap()));
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

pub(super) fn form(params: &Value) -> Request<Body> {
    let request = Request::post("/").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    request
        .header("U-Timestamp-Ms", "1")
        .body(Body::from(encoded(params)))
        .unwrap()
}

pub(super) fn get(params: &Value) -> Request<Body> {
    Request::get(format!("/?{}", encoded(params)))
        .body(Body::empty())
        .unwrap()
}

fn json_body(params: &Value) -> Request<Body> {
    let request = Request::post("/").header(header::CONTENT_TYPE, "application/json");
    request.body(Body::from(params.to_string())).unwrap()
}

/// `SendUSMSMessage` for one number.
fn single(phone: &str) -> Value {
    params(&[
        ("Action", "SendUSMSMessage"),
        ("ProjectId", "org-demo"),
        ("PhoneNumbers.0", phone),
        ("TemplateId", &ut_id(CODE)),
        ("SigContent", SIGNATURE.1),
        ("TemplateParams.0", "8341"),
    ])
}

fn batch(content: &Value) -> Value {
    let content = STANDARD.encode(content.to_string());
    params(&[
        ("Action", "SendBatchUSMSMessage"),
        ("ProjectId", "org-demo"),
        ("TaskContent", &content),
    ])
}

fn with(mut params: Value, name: &str, value: &str) -> Value {
    params[name] = json!(value);
    params
}

fn without(mut params: Value, name: &str) -> Value {
    params.as_object_mut().unwrap().remove(name);
    params
}

#[tokio::test]
async fn a_message_is_answered_as_documented_and_delivered() {
    let node = TestNode::start().await;
    let body = with(
        with(single(AT_ONCE), "UserId", "o-1"),
        "PhoneNumbers.1",
        "13812345678",
    );
    let answer = node.ask(form(&signed(&body))).await;
    assert_eq!(code_of(&answer), 0);
    let sent = answer.json();
    assert_eq!(
        names(&sent),
        ["Action", "Message", "ReqUuid", "RetCode", "SessionNo", "UserId"]
    );
    assert_eq!(
        (&sent["Action"], &sent["Message"]),
        (&json!("SendUSMSMessageResponse"), &json!("Send success"))
    );
    assert_eq!(sent["UserId"], "o-1");
    assert_uuid(&sent["SessionNo"]);
    assert_eq!(
        sent["ReqUuid"].as_str().unwrap(),
        answer.headers["x-ucloud-request-uuid"]
    );
    assert_eq!(
        node.received("+8613812345678").await.text,
        "【Example】Your code is 8341"
    );
    let session = sent["SessionNo"].as_str().unwrap();
    let query = params(&[
        ("Action", "GetUSMSSendReceipt"),
        ("SessionNoSet.0", session),
        ("SessionNoSet.1", "x"),
    ]);
    let delivered = |answer: &Answer| {
        answer.json()["Data"][0]["ReceiptSet"]
            .as_array()
            .unwrap()
            .iter()
            .all(|r| r["ReceiptResult"] == "Success")
    };
    let answer = node.ask_until(|| get(&signed(&query)), delivered).await.json();
    assert_eq!(answer["Action"], "GetUSMSSendReceiptResponse");
    let receipt = &answer["Data"][0]["ReceiptSet"][1];
    let all = [
        "CostCount",
        "Phone",
        "ReceiptCode",
        "ReceiptDesc",
        "ReceiptResult",
        "ReceiptTime",
        "UserId",
    ];
    assert_eq!(names(receipt), all, "no more than UCloud's own");
    assert_eq!(
        (&receipt["Phone"], &receipt["UserId"]),
        (&json!("13812345678"), &json!("o-1"))
    );
    assert_eq!(answer["Data"][1], json!({"SessionNo": "x", "ReceiptSet": []}));
}

#[tokio::test]
async fn a_batch_is_answered_as_documented() {
    let node = TestNode::start().await;
    let content = json!([
        {"TemplateId": ut_id(CODE), "SigContent": SIGNATURE.1, "Target": [
            {"Phone": AT_ONCE, "TemplateParams": ["1"]}, {"Phone": "(0086)12", "TemplateParams": ["2"], "UserId": "u"}]},
        {"TemplateId": ut_id(NOTICE), "SigContent": "Nobody's", "Target": [
            {"Phone": "13812345678", "TemplateParams": ["a", "b"]}]},
    ]);
    let sent = node.ask(form(&signed(&batch(&content)))).await.json();
    assert_eq!((&sent["RetCode"], &sent["SuccessCount"]), (&json!(0), &json!(1)));
    assert_eq!(sent["Message"], "submit success");
    assert_uuid(&sent["SessionNo"]);
    let expected = json!([
        {"TemplateId": ut_id(CODE), "SigContent": SIGNATURE.1, "FailureDetails": "", "Target": [
            {"Phone": "(0086)12", "TemplateParams": ["2"], "UserId": "u", "FailureDetails": "phone is invalid"}]},
        {"TemplateId": ut_id(NOTICE), "SigContent": "Nobody's",
         "FailureDetails": "signature not found or not approved", "Target": [
            {"Phone": "13812345678", "TemplateParams": ["a", "b"], "FailureDetails": ""}]},
    ]);
    assert_eq!(sent["FailContent"], expected);
}

/// Contract section 1.3: how the published clients of five languages put their parameters on the wire.
#[tokio::test]
async fn parameters_come_in_every_form_clients_use() {
    let node = TestNode::start().await;
    let content = |phone: &str| {
        json!([{"TemplateId": ut_id(CODE), "SigContent": SIGNATURE.1,
                "Target": [{"Phone": phone, "TemplateParams": ["1"]}]}])
    };
    let nested = |phone: &str| json!({"Action": "SendBatchUSMSMessage", "TaskContent": content(phone)});
    let dotted = |phone: &str| {
        params(&[
            ("Action", "SendBatchUSMSMessage"),
            ("TaskContent.0.TemplateId", &ut_id(CODE)),
            ("TaskContent.0.SigContent", SIGNATURE.1),
            ("TaskContent.0.Target.0.Phone", phone),
            ("TaskContent.0.Target.0.TemplateParams.0", "1"),
        ])
    };
    let mut split = form(&params(&[]));
    let all = signed(&batch(&content("+447700900006")));
    *split.uri_mut() = "/?Action=SendBatchUSMSMessage&ProjectId=org-demo"
        .parse()
        .unwrap();
    let rest = without(without(all, "Action"), "ProjectId");
    *split.body_mut() = Body::from(encoded(&rest));
    for request in [
        form(&signed(&batch(&content("+447700900000")))),
        get(&signed(&batch(&content("+447700900001")))),
        json_body(&signed(&batch(&content("+447700900002")))),
        form(&signed(&dotted("+447700900003"))),
        json_body(&signed(&dotted("+447700900004"))),
        json_body(&signed(&nested("+447700900005"))),
        split,
    ] {
        let uri = request.uri().clone();
        let answer = node.ask(request).await;
        assert_eq!(answer.json()["SuccessCount"], 1, "{uri} {}", answer.body);
    }
    for n in 0..7 {
        assert_eq!(
            node.received(&format!("+44770090000{n}")).await.text,
            "[Example]Your code is 1"
        );
    }
    // A copy of the action in the query beside a body that was signed alone.
    let mut copied = form(&signed(&single("+447700900007")));
    *copied.uri_mut() = "/?Action=SendUSMSMessage&trace=1".parse().unwrap();
    assert_eq!(code_of(&node.ask(copied).await), 0);
}

#[tokio::test]
async fn every_refusal_has_the_code_of_the_vendors_tables() {
    let node = TestNode::start().await;
    let good = single(AT_ONCE);
    let many: Value = (0..1001)
        .map(|n| (format!("PhoneNumbers.{n}"), json!(format!("+4477009{n:05}"))))
        .chain([
            ("Action".to_owned(), json!("SendUSMSMessage")),
            ("TemplateId".to_owned(), json!(ut_id(CODE))),
        ])
        .collect();
    for (params, code) in [
        (without(good.clone(), "TemplateId"), 18_001),
        (without(good.clone(), "PhoneNumbers.0"), 18_001),
        (with(good.clone(), "PhoneNumbers.0.x", "1"), 18_000),
        (
            with(without(good.clone(), "PhoneNumbers.0"), "PhoneNumbers.x", "1"),
            18_002,
        ),
        (with(good.clone(), "ExtendCode", "12a"), 18_003),
        (with(good.clone(), "AccountId", "x"), 18_003),
        (with(good.clone(), "PhoneNumbers.0", "12"), 18_014),
        (with(good.clone(), "PhoneNumbers.0", BLOCKED), 18_014),
        (with(good.clone(), "SigContent", "Nobody's"), 18_016),
        (with(good.clone(), "SigContent", SIGNATURE_PENDING.1), 18_016),
        (with(good.clone(), "TemplateId", "UTA0"), 18_017),
        (with(good.clone(), "TemplateId", &ut_id(PENDING)), 18_017),
        (without(good.clone(), "TemplateParams.0"), 18_018),
        (with(good.clone(), "TemplateParams.1", "2"), 18_018),
        (with(good.clone(), "TemplateId", &ut_id(PLAIN)), 18_018),
        (many, 18_019),
        (
            with(
                with(good.clone(), "TemplateId", &ut_id(LONG)),
                "TemplateParams.0",
                "12345678901",
            ),
            18_003,
        ),
        (with(good.clone(), "SenderId", "much too long"), 18_003),
        (params(&[("Action", "GetUSMSSendReceipt")]), 18_001),
        (batch(&json!({})), 18_002),
        (with(batch(&json!([])), "TaskContent", "?"), 18_002),
        (without(good.clone(), "Action"), 160),
        (with(good.clone(), "Action", "DescribeUSMSTemplate"), 161),
    ] {
        let answer = node.ask(form(&signed(&params))).await;
        assert_eq!(code_of(&answer), code, "{params} {}", answer.body);
    }
    let broke: Vec<_> = (0..3)
        .map(|n| json!({"Phone": format!("+44770090000{n}")}))
        .collect();
    let broke = batch(&json!([{"TemplateId": ut_id(BROKE_PLAIN), "Target": broke}]));
    assert_eq!(
        code_of(&node.ask(form(&signed_by(USER_BROKE, KEY, &broke))).await),
        18_013
    );
    let mute = batch(&json!([{"TemplateId": ut_id(PLAIN), "Target": [{"Phone": AT_ONCE}]}]));
    assert_eq!(
        code_of(&node.ask(form(&signed_by(USER_MUTE, KEY, &mute))).await),
        173
    );
    assert_eq!(node.inbox_count(AT_ONCE), 0);
}

#[tokio::test]
async fn signatures_are_refused_as_the_gateway_does() {
    let node = TestNode::start().await;
    let good = single(AT_ONCE);
    let wrong = (171, "Signature VerifyAC Error".to_owned());
    let unknown = (172, "User Not Exists".to_owned());
    for (params, expected) in [
        (signed_by(USER, "wrong", &good), wrong.clone()),
        (with(signed(&good), "Signature", "x"), wrong.clone()),
        (with(signed(&good), "UserId", "added later"), wrong.clone()),
        (without(signed(&good), "ProjectId"), wrong),
        (signed_by("nobody", KEY, &good), unknown.clone()),
        (signed_by(USER_OFF, KEY, &good), unknown.clone()),
        (without(signed(&good), "PublicKey"), unknown),
        (
            without(signed(&good), "Signature"),
            (170, "Missing Signature".to_owned()),
        ),
    ] {
        assert_eq!(
            code_and_message(&node.ask(form(&params)).await),
            expected,
            "{params}"
        );
    }
    assert_eq!(node.inbox_count(AT_ONCE), 0);
}

/// Public keys are Base64. A client that does not encode one sends a blank for each `+`, and gets the vendor's error.
#[tokio::test]
async fn a_public_key_with_a_plus_has_to_be_encoded() {
    let node = TestNode::start().await;
    let params = signed_by(USER_BASE64, KEY, &single(AT_ONCE));
    assert_eq!(code_of(&node.ask(get(&params)).await), 0);
    let unescaped = encoded(&params).replace("%2B", "+");
    let unescaped = Request::get(format!("/?{unescaped}")).body(Body::empty());
    assert_eq!(
        code_and_message(&node.ask(unescaped.unwrap()).await),
        (172, "User Not Exists".to_owned())
    );
}

#[tokio::test]
async fn a_query_has_at_most_a_hundred_sessions() {
    let node = TestNode::start().await;
    let ask = |count: usize| {
        let mut params = params(&[("Action", "GetUSMSSendReceipt"), ("ProjectId", "org-demo")]);
        for n in 0..count {
            params[format!("SessionNoSet.{n}")] = json!(format!("session-{n}"));
        }
        form(&signed(&params))
    };
    let answer = node.ask(ask(100)).await;
    assert_eq!(code_of(&answer), 0);
    assert_eq!(answer.json()["Data"].as_array().map(Vec::len), Some(100));
    let answer = node.ask(ask(101)).await;
    assert_eq!(code_of(&answer), 18_003, "{}", answer.body);
}

#[tokio::test]
async fn an_account_answers_for_its_own_projects_alone() {
    let node = TestNode::start().await;
    let account = node.engine.catalog().account(ACCOUNT).unwrap().as_ref().clone();
    let account = Account {
        project_ids: vec!["org-demo".into()],
        ..account
    };
    node.change(vec![CatalogChange::PutAccount(account)]).await;
    for (params, code) in [
        (single("+447700900000"), 0),
        (without(single("+447700900001"), "ProjectId"), 0),
        (with(single("+447700900002"), "ProjectId", ""), 0),
        (with(single("+447700900003"), "ProjectId", "org-other"), 292),
    ] {
        assert_eq!(code_of(&node.ask(form(&signed(&params))).await), code, "{params}");
    }
}

#[tokio::test]
async fn what_is_no_request_of_this_wire_gets_the_wires_error() {
    let node = TestNode::start().await;
    let ask = |method: Method, uri: &str, body: &str| {
        Request::builder()
            .method(method)
            .uri(uri)
            .body(Body::from(body.to_owned()))
            .unwrap()
    };
    for (request, code) in [
        (ask(Method::GET, "/", ""), 160),
        (ask(Method::GET, "/?Action=", ""), 160),
        (ask(Method::GET, "/?Action=DescribeUHostInstance", ""), 161),
        (ask(Method::GET, "/?Action=SendUSMSMessage", ""), 170),
        (ask(Method::GET, "/?Action=a&Action=b", ""), 18_000),
        (ask(Method::POST, "/", ""), 160),
        (ask(Method::POST, "/", "{"), 18_000),
        (ask(Method::POST, "/", "[]"), 18_000),
        (ask(Method::POST, "/", "plain"), 18_000),
        (ask(Method::PUT, "/", "Action=x"), 18_002),
    ] {
        let shown = format!("{request:?}");
        assert_eq!(code_of(&node.ask(request).await), code, "{shown}");
    }
}

/// Goal: every answer names its action, wherever the request ended.
#[tokio::test]
async fn every_answer_has_an_action_errors_too() {
    let node = TestNode::start().await;
    let ask = |uri: &str, body: &str| Request::post(uri).body(Body::from(body.to_owned())).unwrap();
    let good = single("+447700900123");
    let mut forged = signed(&good);
    forged["Signature"] = json!("0".repeat(40));
    for (what, request, code, action) in [
        ("accepted", form(&signed(&good)), 0, "SendUSMSMessageResponse"),
        ("wrong signature", form(&forged), 171, "SendUSMSMessageResponse"),
        (
            "wrong signature, JSON",
            json_body(&forged),
            171,
            "SendUSMSMessageResponse",
        ),
        (
            "unknown key",
            form(&signed_by("nobody", KEY, &good)),
            172,
            "SendUSMSMessageResponse",
        ),
        ("no signature", form(&good), 170, "SendUSMSMessageResponse"),
        (
            "unknown action",
            ask("/", "Action=DescribeUHostInstance"),
            161,
            "DescribeUHostInstanceResponse",
        ),
        ("no action", ask("/", "a=b"), 160, "Response"),
        (
            "unreadable",
            ask("/?Action=SendUSMSMessage", "{"),
            18_000,
            "SendUSMSMessageResponse",
        ),
        (
            "another method",
            Request::put("/?Action=SendUSMSMessage")
                .body(Body::empty())
                .unwrap(),
            18_002,
            "SendUSMSMessageResponse",
        ),
    ] {
        let answer = node.ask(request).await;
        assert_eq!(code_of(&answer), code, "{what}: {}", answer.body);
        assert_eq!(answer.json()["Action"], action, "{what}: {}", answer.body);
    }
}

/// Goal: a form says that there are no parameters with an empty one, which a text without variables takes.
#[tokio::test]
async fn an_empty_parameter_for_a_text_without_variables_is_none() {
    let node = TestNode::start().await;
    let plain = with(single("+447700900141"), "TemplateId", &ut_id(PLAIN));
    for (value, code) in [("", 0), ("x", 18_018)] {
        let request = form(&signed(&with(plain.clone(), "TemplateParams.0", value)));
        let answer = node.ask(request).await;
        assert_eq!(code_of(&answer), code, "{value:?}: {}", answer.body);
    }
    let target = json!({"Phone": "+447700900142", "TemplateParams": [""]});
    let content = json!([{"TemplateId": ut_id(PLAIN), "SigContent": SIGNATURE.1, "Target": [target]}]);
    let answer = node.ask(form(&signed(&batch(&content)))).await;
    assert_eq!(answer.json()["SuccessCount"], 1, "{}", answer.body);
    assert_eq!(node.received("+447700900142").await.text, "[Example]Hello");
}

/// Goal: session numbers in one text may be separated by whatever callers write between them.
#[tokio::test]
async fn session_numbers_may_be_listed_in_one_text() {
    let node = TestNode::start().await;
    let sent = node.ask(form(&signed(&single("+447700900151")))).await.json();
    let session = sent["SessionNo"].as_str().unwrap();
    for list in [
        format!("{session},x"),
        format!("{session};x"),
        format!("{session} x"),
        format!(" {session} ; x,"),
    ] {
        let query = params(&[("Action", "GetUSMSSendReceipt"), ("SessionNoSet", &list)]);
        let answer = node.ask(form(&signed(&query))).await.json();
        let sessions: Vec<_> = answer["Data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one["SessionNo"])
            .collect();
        assert_eq!(sessions, [session, "x"], "{list}");
        assert_eq!(answer["Data"][0]["ReceiptSet"][0]["Phone"], "+447700900151");
    }
}

/// Goal: when the body alone is signed, what only the query says is not there: nobody can add recipients, a sender or ids to
/// delete to a request that was seen.
#[tokio::test]
async fn parameters_outside_the_signature_are_not_acted_on() {
    let node = TestNode::start().await;
    let body = signed(&single("+447700900131"));
    let mut added = form(&body);
    *added.uri_mut() =
        "/?PhoneNumbers.1=%28%2B44%297700900132&PhoneNumbers.2=%2B447700900133&SenderId=EVIL&UserId=evil"
            .parse()
            .unwrap();
    let answer = node.ask(added).await;
    assert_eq!(code_of(&answer), 0, "{}", answer.body);
    assert_eq!(answer.json().get("UserId"), None, "{}", answer.body);
    let received = node.received("+447700900131").await;
    assert_ne!(&*received.from, "EVIL");
    assert_eq!(node.inbox_count("+447700900132"), 0);
    // An action that only the query names is not signed either.
    let unnamed = signed(&without(single("+447700900134"), "Action"));
    let mut named = form(&unnamed);
    *named.uri_mut() = "/?Action=SendUSMSMessage".parse().unwrap();
    assert_eq!(code_of(&node.ask(named).await), 160);
}

/// The signed text has no separators: whoever has seen a request may send the same text cut elsewhere, with its signature.
#[tokio::test]
async fn a_signed_text_that_is_cut_elsewhere_sends_nothing() {
    let node = TestNode::start().await;
    let sent = with(single("447700900141"), "UserId", "me");
    let seen = signed(&sent);
    for (taken, name, value, code, blamed) in [
        (
            "TemplateParams.0",
            "TemplateParams.08",
            "341",
            18_002,
            "TemplateParams",
        ),
        (
            "PhoneNumbers.0",
            "PhoneNumbers.04",
            "47700900141",
            18_002,
            "PhoneNumbers",
        ),
        (
            "PhoneNumbers.0",
            "PhoneNumbers.0447700",
            "900141",
            18_002,
            "PhoneNumbers",
        ),
        ("UserId", "UserIdm", "e", 18_002, "UserId"),
        (
            "TemplateParams.0",
            "TemplateParams",
            ".08341",
            18_002,
            "TemplateParams",
        ),
    ] {
        let cut = with(without(seen.clone(), taken), name, value);
        for request in [form(&cut), get(&cut), json_body(&cut)] {
            let answer = node.ask(request).await;
            let (found, message) = code_and_message(&answer);
            assert_eq!(found, code, "{name}: {message}");
            assert!(message.contains(blamed), "{name}: {message}");
        }
    }
    // Signed in this way by the client itself, it is refused as well.
    for index in ["1", "00", "+0", "4294967296"] {
        let counted = with(
            without(sent.clone(), "PhoneNumbers.0"),
            &format!("PhoneNumbers.{index}"),
            "447700900141",
        );
        assert_eq!(
            code_of(&node.ask(form(&signed(&counted))).await),
            18_002,
            "{index}"
        );
    }
    assert_eq!(node.inbox_count("+447700900141"), 0);
    assert_eq!(code_of(&node.ask(form(&seen)).await), 0);
}

#[tokio::test]
async fn an_invalid_user_id_is_not_returned() {
    let node = TestNode::start().await;
    let sent = node
        .ask(form(&signed(&with(single(AT_ONCE), "UserId", "it's"))))
        .await
        .json();
    assert_eq!((&sent["RetCode"], sent.get("UserId")), (&json!(0), None));
}

#[tokio::test]
async fn what_the_carrier_never_took_is_a_failure_in_this_wires_words() {
    let node = TestNode::start().await;
    let sent = node.ask(form(&signed(&single(REFUSED)))).await.json();
    let session = sent["SessionNo"].as_str().unwrap().to_owned();
    let query = params(&[("Action", "GetUSMSSendReceipt"), ("SessionNoSet.0", &session)]);
    let failed = |answer: &Answer| answer.json()["Data"][0]["ReceiptSet"][0]["ReceiptResult"] == "Fail";
    node.ask_until(|| form(&signed(&query)), failed).await;
}

#[tokio::test]
async fn success_is_never_reported_when_nothing_was_stored() {
    let node = TestNode::start().await;
    node.engine.store().close().await.unwrap();
    assert_eq!(code_of(&node.ask(form(&signed(&single(AT_ONCE)))).await), 18_007);
    let node = TestNode::start().await;
    node.engine.stop(std::time::Duration::from_secs(5)).await.unwrap();
    assert_eq!(code_of(&node.ask(form(&signed(&single(AT_ONCE)))).await), 150);
}
