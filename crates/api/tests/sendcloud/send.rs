//! What sends: answers, texts on the handset, doing things once.

use super::*;

#[tokio::test]
async fn a_message_is_sent_delivered_and_ends_as_200() {
    let node = TestNode::start().await;
    let answer = node.ask(signed("/smsapi/send", &send_fields())).await;
    assert_eq!(answer.status, StatusCode::OK);
    let envelope = answer.json();
    assert_eq!(
        (&envelope["result"], &envelope["statusCode"], &envelope["message"]),
        (&json!(true), &json!(200), &json!("请求成功"))
    );
    assert_eq!(envelope["info"]["successCount"], 1);
    assert_eq!(
        envelope["info"].as_object().unwrap().len(),
        2,
        "no failures, no items"
    );
    let sms_id = envelope["info"]["smsIds"][0].as_str().unwrap();
    let (prefix, phone) = sms_id.split_once('$').unwrap();
    assert_eq!(phone, "13800138000");
    let parts: Vec<_> = prefix.split('_').collect();
    assert_eq!(
        (parts.len(), parts[1], parts[3], parts[4].len()),
        (5, "1", "1001", 6)
    );
    assert_eq!(node.received("+8613800138000").await.text, "Your code is 8341");

    let info = status_until(&node, sms_id, 200).await;
    assert_eq!((&info["voListSize"], &info["total"]), (&json!(1), &json!("1")));
    let row = &info["voList"][0];
    for (name, expected) in [
        ("smsId", json!(sms_id)),
        ("msgType", json!("国内短信")),
        ("receiver", json!("13800138000")),
        ("sendLog", json!("发送成功")),
        ("smsUser", json!(USER)),
        ("status", json!("送达")),
        ("statusCode", json!(200)),
        ("templateId", json!("1001")),
        ("templateName", json!("code")),
    ] {
        assert_eq!(row[name], expected, "{name}");
    }
    for time in ["requestTime", "updateTime"] {
        assert_eq!(row[time].as_str().unwrap().len(), "2026-11-22 12:00:00".len());
    }
}

#[tokio::test]
async fn the_texts_are_the_vendors() {
    let node = TestNode::start().await;
    let good = send_fields();
    let old = (node.engine.now() - 3_600_000).to_string();
    for (name, value, message) in [
        ("phone", "13800138000", "请求成功"),
        ("phone", "1312222", "手机号格式错误"),
        ("phone", "", "手机号不能为空"),
        ("templateId", "999999", "模板不存在"),
        ("smsUser", "nobody", "smsUser不存在"),
        ("timestamp", &old, "时间戳无效，与服务器时间超过6000毫秒"),
    ] {
        let answer = node
            .ask(signed("/smsapi/send", &replaced(&good, name, value)))
            .await;
        assert_eq!(answer.json()["message"], message);
    }
    let bad = node
        .ask(signed("/smsapi/send", &replaced(&good, "phone", "1312222")))
        .await;
    assert_eq!(
        bad.body, r#"{"message":"手机号格式错误","info":{},"result":false,"statusCode":412}"#,
        "the SendCloud document's sample"
    );
}

#[tokio::test]
async fn some_bad_numbers_make_it_partial_and_all_bad_numbers_a_failure() {
    let node = TestNode::start().await;
    let some = node
        .ask(signed(
            "/smsapi/send",
            &replaced(&send_fields(), "phone", "13800138000,1312222"),
        ))
        .await;
    let envelope = some.json();
    assert_eq!(
        (code_of(&some), &envelope["result"], &envelope["message"]),
        (311, &json!(true), &json!("部分成功"))
    );
    assert_eq!(envelope["info"]["successCount"], 1);
    assert_eq!(envelope["info"]["failedCount"], 1);
    assert_eq!(
        envelope["info"]["items"],
        json!([{ "phone": "1312222", "vars": {}, "message": "手机号格式错误" }]),
        "the SendCloud document's sample"
    );
    assert_eq!(envelope["info"]["smsIds"].as_array().unwrap().len(), 1);

    let none = node
        .ask(signed(
            "/smsapi/send",
            &replaced(&send_fields(), "phone", "1,2;3"),
        ))
        .await;
    let envelope = none.json();
    assert_eq!(
        (code_of(&none), &envelope["result"], &envelope["message"]),
        (312, &json!(false), &json!("全部请求失败"))
    );
    assert_eq!(envelope["info"]["successCount"], 0);
    assert_eq!(envelope["info"]["failedCount"], 3);
    assert_eq!(envelope["info"]["items"].as_array().unwrap().len(), 3);
    assert_eq!(envelope["info"]["smsIds"], json!([]));
}

#[tokio::test]
async fn sendx_gives_each_number_its_own_variables() {
    let node = TestNode::start().await;
    let tos = r#"[{"phone":"13800138001","vars":{"%name%":"Lucy","place":"Bath"}},
                  {"phone":"13800138002","vars":{"name":"小明","%place%":"York"}},
                  {"phone":"13800138003","vars":{"name":"a name that is longer than 32 characters","place":"x"}}]"#;
    let request = fields(&[
        ("smsUser", USER),
        ("templateId", &NOTICE.to_string()),
        ("msgType", "0"),
        ("tos", tos),
    ]);
    for path in ["/smsapi/sendx", "/smsapi/sendn"] {
        let answer = node.ask(signed(path, &request)).await;
        assert_eq!(code_of(&answer), 311, "{path}: {}", answer.body);
        let item = &answer.json()["info"]["items"][0];
        assert_eq!(
            (&item["phone"], &item["vars"]["place"]),
            (&json!("13800138003"), &json!("x"))
        );
        assert_eq!(item["message"], "替换变量长度不能超过32个字符");
    }
    assert_eq!(
        node.received("+8613800138001").await.text,
        "Hello Lucy, welcome to Bath"
    );
    assert_eq!(
        node.received("+8613800138002").await.text,
        "Hello 小明, welcome to York"
    );
    for (tos, expected) in [("", 481), ("[]", 481), ("x", 482), (r#"[{"phone":"1"}]"#, 482)] {
        assert_eq!(
            code_of(
                &node
                    .ask(signed("/smsapi/sendx", &replaced(&request, "tos", tos)))
                    .await
            ),
            expected
        );
    }
}

#[tokio::test]
async fn codes_go_out_without_a_template_by_text_and_by_voice() {
    let node = TestNode::start().await;
    let code = fields(&[
        ("smsUser", USER),
        ("msgType", "0"),
        ("phone", "13800138000"),
        ("code", "4826"),
    ]);
    let named = replaced(&code, "signName", SIGNATURE.1);
    let answer = node.ask(signed("/smsapi/sendCode", &named)).await;
    assert_eq!(code_of(&answer), 200, "{}", answer.body);
    assert!(
        answer.json()["info"]["smsIds"][0]
            .as_str()
            .unwrap()
            .contains("_-3_"),
        "the built-in template's number"
    );
    assert_eq!(
        node.received("+8613800138000").await.text,
        "【Example】Your verification code is 4826."
    );

    let spoken = replaced(
        &replaced(&code, "phone", "13800138009"),
        "code",
        r#"{"code": "123456"}"#,
    );
    let answer = node.ask(signed("/smsapi/sendVoice", &spoken)).await;
    assert_eq!(
        (code_of(&answer), &answer.json()["info"]["successCount"]),
        (200, &json!(1))
    );
    let received = node.received("+8613800138009").await;
    assert_eq!(
        (received.text.as_str(), received.kind),
        (
            "Your verification code is 123456.",
            engine::sms::class::Kind::Voice
        )
    );
    let sms_id = answer.json()["info"]["smsIds"][0].as_str().unwrap().to_owned();
    assert_eq!(
        status_until(&node, &sms_id, 200).await["voList"][0]["msgType"],
        "语音"
    );

    let unrouted = format!("00{UNROUTED_PREFIX}55512345");
    for (what, request, expected) in [
        ("signId", replaced(&code, "signId", &SIGNATURE.0.to_string()), 200),
        (
            "signId wins",
            replaced(&replaced(&code, "signId", "7"), "signName", "nobody's"),
            200,
        ),
        ("no signature", code.clone(), 432),
        ("unknown signature", replaced(&code, "signName", "nobody's"), 432),
        (
            "signature under review",
            replaced(&code, "signId", &SIGNATURE_PENDING.0.to_string()),
            432,
        ),
        ("code too short", replaced(&named, "code", "123"), 441),
        ("no code", replaced(&named, "code", ""), 441),
        (
            "two numbers",
            replaced(&named, "phone", "13800138000,13900139000"),
            412,
        ),
        ("bad number", replaced(&named, "phone", "1312222"), 412),
        ("no carrier", replaced(&named, "phone", &unrouted), 601),
    ] {
        let answer = node.ask(signed("/smsapi/sendCode", &request)).await;
        assert_eq!(code_of(&answer), expected, "{what}: {}", answer.body);
    }
    let answer = node
        .ask(signed("/smsapi/sendVoice", &replaced(&code, "phone", &unrouted)))
        .await;
    assert_eq!(code_of(&answer), 601, "no carrier that speaks");
}

#[tokio::test]
async fn a_send_request_id_counts_once_an_hour() {
    let node = TestNode::start().await;
    let first = replaced(&send_fields(), "sendRequestId", "req-0001");
    let refused = node
        .ask(signed("/smsapi/send", &replaced(&first, "phone", "1312222")))
        .await;
    assert_eq!(
        code_of(&refused),
        412,
        "refused as a whole: the id is not used up"
    );
    assert_eq!(code_of(&node.ask(signed("/smsapi/send", &first)).await), 200);
    let again = node.ask(signed("/smsapi/send", &first)).await;
    assert_eq!(
        (code_of(&again), &again.json()["info"], &again.json()["result"]),
        (400, &json!({}), &json!(false))
    );
    let other_body = node
        .ask(signed("/smsapi/send", &replaced(&first, "phone", "13900139000")))
        .await;
    assert_eq!(code_of(&other_body), 400, "also with another body");
    let voice = fields(&[
        ("smsUser", USER),
        ("phone", "13800138000"),
        ("code", "4826"),
        ("sendRequestId", "req-0001"),
    ]);
    assert_eq!(
        code_of(&node.ask(signed("/smsapi/sendVoice", &voice)).await),
        400,
        "one space for all interfaces"
    );
    node.received("+8613800138000").await;
    assert_eq!(node.inbox_count("+8613900139000"), 0);
}

#[tokio::test]
async fn an_idempotency_key_repeats_the_first_answer() {
    let node = TestNode::start().await;
    let keyed = |fields: &Fields<'_>, key: &str| {
        let mut request = signed("/smsapi/send", fields);
        request
            .headers_mut()
            .insert("idempotency-key", key.parse().unwrap());
        request
    };
    let first = node.ask(keyed(&send_fields(), "k1")).await;
    assert_eq!(code_of(&first), 200);
    let again = node.ask(keyed(&send_fields(), "k1")).await;
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    let other = node.ask(keyed(&send_fields(), "k2")).await;
    assert_ne!(other.body, first.body);
    let own = replaced(&send_fields(), "sendRequestId", "k1");
    assert_eq!(
        code_of(&node.ask(keyed(&own, "k1")).await),
        200,
        "the dialect's own id wins and has its own space"
    );
    assert_eq!(code_of(&node.ask(keyed(&own, "k3")).await), 400);
    assert_eq!(
        code_of(&node.ask(keyed(&send_fields(), &"k".repeat(256))).await),
        417
    );
}

#[tokio::test]
async fn success_is_never_reported_when_nothing_was_stored() {
    let node = TestNode::start().await;
    node.engine.store().close().await.unwrap();
    let answer = node.ask(signed("/smsapi/send", &send_fields())).await;
    assert_eq!((answer.status, code_of(&answer)), (StatusCode::OK, 501));
    let query = fields(&[("smsUser", USER), ("days", "1")]);
    let answer = node.ask(signed("/smsapi/status/query", &query)).await;
    assert_eq!((answer.status, code_of(&answer)), (StatusCode::OK, 501));
}
