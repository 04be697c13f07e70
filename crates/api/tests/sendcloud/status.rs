//! The status query, and the clock.

use super::*;

#[tokio::test]
async fn the_clock_is_shown_to_everybody() {
    let node = TestNode::start().await;
    let before = node.engine.now();
    let answer = node
        .ask(Request::get("/smsapi/timestamp/get").body(Body::empty()).unwrap())
        .await;
    assert_eq!(
        (code_of(&answer), &answer.json()["message"]),
        (200, &json!("请求成功"))
    );
    let reported = answer.json()["info"]["timestamp"].as_i64().unwrap();
    assert!((before..=node.engine.now()).contains(&reported));
}

#[tokio::test]
async fn what_fails_in_processing_is_accepted_and_reported_by_the_status_query() {
    let node = TestNode::start().await;
    let good = send_fields();
    let long = replaced(
        &replaced(&good, "templateId", &LONG.to_string()),
        "vars",
        r#"{"tail":"12345678901"}"#,
    );
    for (request, code, status, log) in [
        (
            replaced(&good, "phone", "13800000410"),
            410,
            "处理失败-全局拦截列表",
            "smsworker:address in global bounce list",
        ),
        (
            replaced(&good, "phone", "13800000420"),
            420,
            "处理失败-局部拦截列表",
            "smsworker:address in local bounce list",
        ),
        (
            replaced(&good, "phone", "13800000430"),
            430,
            "处理失败-取消订阅",
            "smsworker:address in unsubscribe list",
        ),
        (
            replaced(&good, "vars", r#"{"other":"1"}"#),
            450,
            "处理失败-替换变量错误",
            "smsworker:variable error",
        ),
        (
            long,
            460,
            "处理失败-短信内容超过500字",
            "smsworker:content over 500 characters",
        ),
    ] {
        let answer = node.ask(signed("/smsapi/send", &request)).await;
        assert_eq!(code_of(&answer), 200, "{code}: {}", answer.body);
        let sms_id = answer.json()["info"]["smsIds"][0].as_str().unwrap().to_owned();
        let row = status_until(&node, &sms_id, code).await["voList"][0].clone();
        assert_eq!(
            (row["status"].as_str().unwrap(), row["sendLog"].as_str().unwrap()),
            (status, log)
        );
    }
}

#[tokio::test]
async fn what_a_carrier_refuses_is_reported_by_the_status_query() {
    let node = TestNode::start().await;
    let abroad = replaced(&send_fields(), "msgType", "2");
    for (phone, code, status, log) in [
        (
            "+10000000001",
            500,
            "发送失败-空号",
            "REJECTD(空号) carrier_refused_number",
        ),
        (
            "+10000000011",
            590,
            "发送失败-其他",
            "REJECTD(其他) carrier_refused_blocked",
        ),
        (
            "+10000000012",
            590,
            "发送失败-其他",
            "REJECTD(其他) carrier_refused_unsubscribed",
        ),
        (
            "+10000000099",
            590,
            "发送失败-其他",
            "REJECTD(其他) carrier_refused_frequency",
        ),
        ("0010000000018", 580, "发送失败-关机", "UNDELIV(关机) phone_off"),
    ] {
        let answer = node
            .ask(signed("/smsapi/send", &replaced(&abroad, "phone", phone)))
            .await;
        assert_eq!(code_of(&answer), 200, "{}", answer.body);
        let sms_id = answer.json()["info"]["smsIds"][0].as_str().unwrap().to_owned();
        assert!(sms_id.ends_with(&format!("${phone}")), "the number as sent");
        let row = status_until(&node, &sms_id, code).await["voList"][0].clone();
        assert_eq!(
            (&row["status"], &row["msgType"], &row["sendLog"]),
            (&json!(status), &json!("国际短信"), &json!(log))
        );
    }
}

#[tokio::test]
async fn status_queries_find_by_days_numbers_templates_and_labels_within_their_rate() {
    let limits = Limits {
        sendcloud_status_per_minute_max: 10_000,
        ..crate::testkit::limits()
    };
    let node = TestNode::with(limits, Arc::new(SystemClock)).await;
    let batch = replaced(
        &replaced(&send_fields(), "phone", "13800138001,13800138002"),
        "labelId",
        "9",
    );
    assert_eq!(code_of(&node.ask(signed("/smsapi/send", &batch)).await), 200);
    let abroad = replaced(&replaced(&send_fields(), "phone", "+15550100"), "msgType", "2");
    assert_eq!(code_of(&node.ask(signed("/smsapi/send", &abroad)).await), 200);
    for (what, extra, total) in [
        ("today", vec![], "3"),
        ("one number", vec![("phones", "13800138001")], "1"),
        ("two numbers", vec![("phones", "13800138001;+15550100")], "2"),
        (
            "two numbers, a comma",
            vec![("phones", "13800138001,+15550100")],
            "2",
        ),
        (
            "two numbers, a blank",
            vec![("phones", "13800138001 +15550100")],
            "2",
        ),
        ("a number in groups", vec![("phones", "138 0013 8001")], "1"),
        ("a label", vec![("labelIdsStr", "9")], "2"),
        ("labels", vec![("labelIdsStr", "8, 9")], "2"),
        ("another label", vec![("labelIdsStr", "8")], "0"),
        ("a template", vec![("templateId", "1001")], "3"),
        ("another template", vec![("templateId", "1002")], "0"),
        ("a template's name", vec![("templateName", "code")], "3"),
        ("another template's name", vec![("templateName", "notice")], "0"),
        ("a name nobody has", vec![("templateName", "none")], "0"),
        (
            "a name and another number",
            vec![("templateName", "code"), ("templateId", "1002")],
            "0",
        ),
        (
            "a name and a type",
            vec![("templateName", "code"), ("msgTypeStr", "2")],
            "1",
        ),
        ("China", vec![("msgTypeStr", "0")], "2"),
        ("abroad", vec![("msgTypeStr", "2")], "1"),
        ("voice", vec![("msgTypeStr", "3")], "0"),
        ("MMS", vec![("msgTypeStr", "1")], "0"),
        (
            "ids nobody has",
            vec![("smsIds", "1_1_1_1_aaaaaa$13800138001")],
            "0",
        ),
    ] {
        let mut query = fields(&[("smsUser", USER), ("days", "1")]);
        query.extend(fields(&extra));
        let answer = node.ask(signed("/smsapi/status/query", &query)).await;
        assert_eq!(
            (code_of(&answer), &answer.json()["info"]["total"]),
            (200, &json!(total)),
            "{what}"
        );
    }
    let sent = node.ask(signed("/smsapi/send", &batch)).await.json();
    let ids: Vec<_> = sent["info"]["smsIds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap())
        .collect();
    for between in [";", ",", " ", " , "] {
        let query = fields(&[("smsUser", USER), ("smsIds", &ids.join(between))]);
        let answer = node.ask(signed("/smsapi/status/query", &query)).await;
        assert_eq!(answer.json()["info"]["total"], "2", "{between:?}");
    }
    let page = fields(&[("smsUser", USER), ("days", "1"), ("start", "3"), ("limit", "1")]);
    let info = node.ask(signed("/smsapi/status/query", &page)).await.json()["info"].clone();
    assert_eq!((&info["voListSize"], &info["total"]), (&json!(1), &json!("5")));
    let other = fields(&[("smsUser", testkit::USER_OTHER), ("days", "1")]);
    assert_eq!(
        node.ask(signed("/smsapi/status/query", &other)).await.json()["info"]["total"],
        "0"
    );
    for (extra, expected) in [
        (("days", "31"), 451),
        (("phones", "x"), 412),
        (("templateId", "code"), 441),
    ] {
        let query = replaced(&fields(&[("smsUser", USER), ("days", "1")]), extra.0, extra.1);
        assert_eq!(
            code_of(&node.ask(signed("/smsapi/status/query", &query)).await),
            expected
        );
    }
}

#[tokio::test]
async fn too_many_status_queries_a_minute_are_answered_50000() {
    let limits = Limits {
        sendcloud_status_per_minute_max: 2,
        ..crate::testkit::limits()
    };
    let clock = Arc::new(engine::clock::PausedClock::at(1_795_278_600_000));
    let node = TestNode::with(limits, Arc::clone(&clock) as Arc<dyn engine::clock::Clock>).await;
    let query = fields(&[("smsUser", USER), ("days", "1")]);
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(code_of(&node.ask(signed("/smsapi/status/query", &query)).await));
    }
    assert_eq!(codes, [200, 200, 50_000]);
    assert_eq!(node.over_rate("sendcloud"), 1);
    let limited = node.ask(signed("/smsapi/status/query", &query)).await;
    assert_eq!(
        limited.json(),
        json!({ "result": false, "statusCode": 50000, "message": "接口频率受限", "info": {} })
    );
    clock.advance(60_000);
    assert_eq!(
        code_of(&node.ask(signed("/smsapi/status/query", &query)).await),
        200
    );
}

/// Goal: a text with a word that may not be sent is accepted and fails with 440, whoever forbids the word, and however it is
/// written; other texts go out.
#[tokio::test]
async fn a_forbidden_word_fails_in_processing_with_440() {
    let node = TestNode::start().await;
    node.forbid(&["发票", "casino"], &["Lucy"]).await;
    let notice = |name: &str| {
        let vars = json!({ "name": name, "place": "Bath" }).to_string();
        replaced(
            &replaced(&send_fields(), "templateId", &NOTICE.to_string()),
            "vars",
            &vars,
        )
    };
    for (name, code) in [
        ("代开发票", 440),
        ("ＣＡＳＩＮＯ", 440),
        ("ca\u{200b}sino", 440),
        ("lucy", 440),
        ("casinos", 200),
        ("Lucyna", 200),
    ] {
        let answer = node.ask(signed("/smsapi/send", &notice(name))).await;
        assert_eq!(code_of(&answer), 200, "{name}: {}", answer.body);
        let id = answer.json()["info"]["smsIds"][0].as_str().unwrap().to_owned();
        let row = status_until(&node, &id, code).await["voList"][0].clone();
        if code == 440 {
            assert_eq!(
                (&row["status"], &row["sendLog"]),
                (
                    &json!("处理失败-关键词过滤"),
                    &json!("smsworker:content filtered by keyword")
                )
            );
        }
    }
    let own = fields(&[
        ("smsUser", USER),
        ("templateId", &NOTICE.to_string()),
        (
            "tos",
            r#"[{"phone":"13800138021","vars":{"name":"Ann","place":"Hull"}},{"phone":"13800138022","vars":{"name":"lucy!","place":"Hull"}}]"#,
        ),
    ]);
    let answer = node.ask(signed("/smsapi/sendx", &own)).await.json();
    for (at, code) in [(0, 200), (1, 440)] {
        status_until(&node, answer["info"]["smsIds"][at].as_str().unwrap(), code).await;
    }
    let days = fields(&[("smsUser", USER), ("days", "1")]);
    let failed = node.ask(signed("/smsapi/data/processFailed", &days)).await.json();
    let counted: i64 = failed["info"]["voList"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["keyWordFilterNum"].as_str().unwrap().parse::<i64>().unwrap())
        .sum();
    assert_eq!(counted, 5);
}

/// Goal: `msgType` is that of the request, whatever country the number is of.
#[tokio::test]
async fn the_message_type_is_the_requests() {
    let node = TestNode::start().await;
    for (phone, requested, reported) in [
        ("13800138031", "0", "国内短信"),
        ("13800138032", "2", "国际短信"),
        ("+15550131", "0", "国内短信"),
        ("+15550132", "2", "国际短信"),
    ] {
        let request = replaced(&replaced(&send_fields(), "phone", phone), "msgType", requested);
        let answer = node.ask(signed("/smsapi/send", &request)).await;
        assert_eq!(code_of(&answer), 200, "{}", answer.body);
        let id = answer.json()["info"]["smsIds"][0].as_str().unwrap().to_owned();
        let row = status_until(&node, &id, 200).await["voList"][0].clone();
        assert_eq!(row["msgType"], reported, "{phone} {requested}");
        for (wanted, total) in [(requested, "1"), (if requested == "0" { "2" } else { "0" }, "0")] {
            let query = fields(&[("smsUser", USER), ("smsIds", &id), ("msgTypeStr", wanted)]);
            let info = node.ask(signed("/smsapi/status/query", &query)).await.json()["info"].clone();
            assert_eq!(info["total"], total, "{phone} {requested} {wanted}");
        }
    }
}
