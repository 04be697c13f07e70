//! Statistics: data/sendDay, processFailed, sendFailed (docs/dialects/sendcloud.md).

use super::*;

/// What was sent in these tests: (phone, parameters replaced).
async fn send(node: &TestNode, phone: &str, more: &[(&'static str, &str)]) -> String {
    let mut request = replaced(&send_fields(), "phone", phone);
    for (name, value) in more {
        request.insert(name, (*value).to_owned());
    }
    let answer = node.ask(signed("/smsapi/send", &request)).await;
    assert_eq!(code_of(&answer), 200, "{}", answer.body);
    answer.json()["info"]["smsIds"][0].as_str().unwrap().to_owned()
}

async fn data(node: &TestNode, name: &str, pairs: &[(&str, &str)]) -> Value {
    let reported = ask(node, &format!("/smsapi/data/{name}"), pairs).await;
    assert_eq!(
        (reported.code, &*reported.message),
        (200, "请求成功"),
        "{}",
        reported.info
    );
    reported.info
}

/// A node that has sent messages, all of them ended.
async fn node_with_history() -> TestNode {
    let node = TestNode::start().await;
    let mut ended = Vec::new();
    for n in 0..3 {
        let phone = format!("1380013800{n}");
        ended.push((send(&node, &phone, &[("labelId", "9")]).await, 200));
    }
    ended.push((send(&node, "13800000420", &[]).await, 420));
    ended.push((send(&node, "13800000410", &[]).await, 410));
    ended.push((send(&node, "+10000000001", &[("msgType", "2")]).await, 500));
    ended.push((send(&node, "0010000000018", &[("msgType", "2")]).await, 580));
    ended.push((send(&node, "13800138009", &[("templateId", "1003")]).await, 200));
    for (sms_id, code) in ended {
        status_until(&node, &sms_id, code).await;
    }
    node
}

#[tokio::test]
async fn what_was_sent_is_counted_by_day_template_and_type() {
    let node = node_with_history().await;
    let reported = data(&node, "sendDay", &[("days", "1")]).await;
    assert_eq!(names(&reported), ["dataList", "dataListSize"]);
    assert_eq!(reported["dataListSize"], 3);
    let row = |template: &str, message_type: &str| {
        reported["dataList"]
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["templateId"] == template && row["msgType"] == message_type)
            .unwrap()
            .clone()
    };
    let domestic = row("1001", "0");
    assert!(is_date(&domestic["sendDate"], false));
    for (name, expected) in [
        ("requestNum", "5"),
        ("sendNum", "3"),
        ("processFailedNum", "2"),
        ("sendFailedNum", "0"),
        ("billingNum", "3"),
        ("sendRatio", "60.00"),
        ("processFailedRatio", "40.00"),
        ("sendFailedRatio", "0.00"),
    ] {
        assert_eq!(domestic[name], expected, "{name}: every value is a text");
    }
    let abroad = row("1001", "2");
    assert_eq!(
        (
            &abroad["requestNum"],
            &abroad["sendFailedNum"],
            &abroad["sendFailedRatio"]
        ),
        (&json!("2"), &json!("2"), &json!("100.00"))
    );
    assert_eq!(row("1003", "0")["sendRatio"], "100.00");

    let total = data(&node, "sendDay", &[("days", "1"), ("aggregate", "1")]).await;
    let today = &domestic["sendDate"].as_str().unwrap();
    assert_eq!(
        total,
        json!({ "total": {
            "sendDate": format!("{today}到{today}"), "templateId": "None", "msgType": "None",
            "requestNum": "8", "sendNum": "4", "processFailedNum": "2", "sendFailedNum": "2", "billingNum": "6",
            "sendRatio": "50.00", "processFailedRatio": "25.00", "sendFailedRatio": "25.00"
        } })
    );
}

#[tokio::test]
async fn what_failed_is_counted_by_its_reason() {
    let node = node_with_history().await;
    let reported = data(&node, "processFailed", &[("days", "1")]).await;
    assert_eq!(names(&reported), ["count", "voList"]);
    assert_eq!(reported["count"], 3);
    let total = data(&node, "processFailed", &[("days", "1"), ("aggregate", "1")]).await;
    let total = &total["total"];
    assert_eq!(
        names(total),
        [
            "encodingExceptionNum",
            "errorVarsNum",
            "globalBlackListNum",
            "keyWordFilterNum",
            "msgType",
            "sendDate",
            "sendTypeUnsupportedNum",
            "templateId",
            "unsubscribleNum",
            "userBlackListNum",
            "varsContentTooLongNum"
        ]
    );
    assert_eq!(
        (
            &total["globalBlackListNum"],
            &total["userBlackListNum"],
            &total["unsubscribleNum"]
        ),
        (&json!("1"), &json!("1"), &json!("0"))
    );
    let total = data(&node, "sendFailed", &[("days", "1"), ("aggregate", "1")]).await;
    let total = &total["total"];
    assert_eq!(
        names(total),
        [
            "breakDownNum",
            "busyNum",
            "complaintsNum",
            "emptyPhoneNumberNum",
            "interceptNum",
            "msgType",
            "noAnswerNum",
            "notInServiceNum",
            "othersNum",
            "outOfServiceNum",
            "sendDate",
            "shutDownNum",
            "templateId"
        ]
    );
    let failed: u64 = ["emptyPhoneNumberNum", "shutDownNum", "othersNum"]
        .iter()
        .map(|name| total[name].as_str().unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!((failed, &total["shutDownNum"]), (2, &json!("1")), "{total}");
}

#[tokio::test]
async fn statistics_are_narrowed_down() {
    let node = node_with_history().await;
    let pairs = [("days", "100"), ("aggregate", "1")];
    for (what, more, requested) in [
        ("all", vec![], "8"),
        ("China", vec![("msgTypeStr", "0")], "6"),
        ("abroad", vec![("msgTypeStr", "2")], "2"),
        ("voice", vec![("msgTypeStr", "3")], "0"),
        ("MMS", vec![("msgTypeStr", "1")], "0"),
        ("a template", vec![("templateIdsStr", "1003")], "1"),
        ("two templates", vec![("templateIdsStr", "1001;1003")], "8"),
        ("another template", vec![("templateIdsStr", "1002")], "0"),
        ("a label", vec![("labelIdsStr", "9")], "3"),
        ("no label and one", vec![("labelIdsStr", "0;9")], "8"),
        (
            "another day",
            vec![
                ("days", ""),
                ("startDate", "2020-01-01"),
                ("endDate", "2020-01-02"),
            ],
            "0",
        ),
    ] {
        let mut query: Vec<_> = pairs.to_vec();
        query.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
        query.extend(more);
        let reported = data(&node, "sendDay", &query).await;
        assert_eq!(reported["total"]["requestNum"], requested, "{what}");
    }
    let others = ask_as(&node, testkit::USER_OTHER, "/smsapi/data/sendDay", &pairs).await;
    assert_eq!(others.info["total"]["requestNum"], "0");
    let none = data(
        &node,
        "sendFailed",
        &[("startDate", "2020-01-01"), ("endDate", "2020-01-02")],
    )
    .await;
    assert_eq!(none, json!({ "voList": [], "count": 0 }));
}

#[tokio::test]
async fn what_statistics_are_refused_for_is_reported() {
    let node = TestNode::start().await;
    let days = "日期参数错误, 请使用days或者startDate和endDate(yyyy-MM-dd), 最多100天";
    for path in [
        "/smsapi/data/sendDay",
        "/smsapi/data/processFailed",
        "/smsapi/data/sendFailed",
    ] {
        for (what, pairs, code, message) in [
            ("no days", vec![], 451, days),
            ("too many days", vec![("days", "101")], 451, days),
            ("half a span", vec![("startDate", "2026-01-01")], 451, days),
            (
                "a long span",
                vec![("startDate", "2026-01-01"), ("endDate", "2026-04-11")],
                451,
                days,
            ),
            (
                "a type there is not",
                vec![("days", "1"), ("msgTypeStr", "9")],
                441,
                "查询参数错误",
            ),
            (
                "templates that are none",
                vec![("days", "1"), ("templateIdsStr", "x")],
                441,
                "templateIdsStr格式错误",
            ),
            (
                "labels that are none",
                vec![("days", "1"), ("labelIdsStr", "x")],
                441,
                "labelIdsStr格式错误",
            ),
            (
                "half aggregated",
                vec![("days", "1"), ("aggregate", "0.5")],
                441,
                "查询参数错误",
            ),
        ] {
            let reported = ask(&node, path, &pairs).await;
            assert_eq!(reported.parts(), (code, message, &json!({})), "{path} {what}");
        }
        let longest = [("startDate", "2026-01-01"), ("endDate", "2026-04-10")];
        assert_eq!(ask(&node, path, &longest).await.code, 200);
    }
}
