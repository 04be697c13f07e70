//! UCloud's statistics and blacklist.

use super::{AT_ONCE, REFUSED, SILENT, UNDELIVERED, Wire, code_and_message, code_of, names, with};
use crate::testkit::{Answer, CODE, PLAIN, TestNode, USER_OTHER, ut_id};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use serde_json::{Value, json};

async fn ask(node: &TestNode, action: &str, params: &Value) -> Answer {
    Wire::Ucloud.ask(node, action, params).await
}

/// Today in China.
fn today(node: &TestNode) -> String {
    let now = Timestamp::from_millisecond(node.engine.now()).unwrap();
    now.to_zoned(TimeZone::fixed(Offset::constant(8)))
        .date()
        .to_string()
}

fn question(node: &TestNode, domestic: u8) -> Value {
    json!({"Page": 0, "NumPerPage": 10, "OrderBy": "BrevityCode", "OrderType": "asc", "StartDate": today(node),
        "EndDate": today(node), "Domestic": domestic})
}

/// Sends to each number over a wire of another family, and waits until the counters say so.
async fn sent_and_counted(node: &TestNode) {
    let targets = |numbers: &[&str]| -> Vec<Value> {
        numbers
            .iter()
            .map(|phone| json!({"Phone": phone, "TemplateParams": ["1"]}))
            .collect()
    };
    let body = json!({"TaskContent": [
        {"TemplateId": ut_id(CODE), "SenderId": "", "Target": targets(&[AT_ONCE, REFUSED, UNDELIVERED, SILENT])},
        {"TemplateId": ut_id(CODE), "SenderId": "", "Target": targets(&["13812345678"])},
        {"TemplateId": ut_id(PLAIN), "SenderId": "", "Target": [{"Phone": "447700900001"}, {"Phone": "447700900002"}]},
    ]});
    assert_eq!(code_of(&node.ask(super::rest::send(&body)).await), 0);
    let settled = |answer: &Answer| {
        let sums = &answer.json()["StatisticsData"];
        (&sums["SuccessCount"], &sums["UnknownCount"], &sums["SendCount"])
            == (&json!(3), &json!(1), &json!(6))
    };
    let requested = || Wire::Ucloud.request(node, super::USER, "GetUSMSSendStatistics", &question(node, 0));
    node.ask_until(requested, settled).await;
}

#[tokio::test]
async fn messages_are_counted_by_day_and_country_as_they_end() {
    let node = TestNode::start().await;
    sent_and_counted(&node).await;
    let answer = ask(&node, "GetUSMSSendStatistics", &question(&node, 0)).await;
    assert_eq!(code_and_message(&answer), (0, String::new()));
    let reported = answer.json();
    assert_eq!(
        names(&reported),
        ["Action", "Data", "Message", "RetCode", "StatisticsData", "Total"]
    );
    assert_eq!(reported["Total"], 2);
    let row = |country: &str, values: [u64; 5], rate: f64| {
        let [success, fail, unknown, submit_fail, all] = values;
        json!({"SendDate": today(&node), "BrevityCode": country, "Count": all, "CostCount": all,
            "SuccessCount": success, "SuccessCostCount": success, "FailedCount": fail, "FailedCostCount": fail,
            "UnknownCount": unknown, "UnknownCostCount": unknown, "SubmitFailedCount": submit_fail,
            "SubmitFailedCostCount": submit_fail, "SuccessRate": rate, "UserId": ""})
    };
    // Compared as texts: numbers keep their tokens.
    assert_eq!(
        reported["Data"][0].to_string(),
        row("1", [1, 1, 1, 1, 4], 0.25).to_string()
    );
    assert_eq!(
        reported["Data"][1].to_string(),
        row("GB", [2, 0, 0, 0, 2], 1.0).to_string()
    );
    assert_eq!(
        reported["StatisticsData"],
        json!({"SendCount": 6, "SendCostCount": 6, "SuccessCount": 3, "SuccessCostCount": 3, "FailCount": 1,
            "FailCostCount": 1, "UnknownCount": 1, "UnknownCostCount": 1, "SubmitFailCount": 1, "SubmitFailCostCount": 1})
    );
    let domestic = ask(&node, "GetUSMSSendStatistics", &question(&node, 1))
        .await
        .json();
    assert_eq!(
        (&domestic["Total"], &domestic["Data"][0]["BrevityCode"]),
        (&json!(1), &json!("CN"))
    );
    for (name, value, total) in [
        ("Purpose", json!(2), 1),
        ("Purpose", json!(3), 0),
        ("BrevityCode", json!("GB-FR"), 1),
        ("StartDate", json!("2026-01-01"), 2),
        ("EndDate", json!("2199-12-31"), 0),
    ] {
        let mut question = with(&question(&node, 0), name, value.clone());
        if name == "EndDate" {
            question["StartDate"] = value.clone();
        }
        if name == "StartDate" {
            question["StartDate"] = json!(format!("{}-01-01", &today(&node)[..4]));
        }
        assert_eq!(
            ask(&node, "GetUSMSSendStatistics", &question).await.json()["Total"],
            total,
            "{name} {value}"
        );
    }
    let paged = with(
        &with(&question(&node, 0), "NumPerPage", json!(1)),
        "Page",
        json!(1),
    );
    let paged = ask(&node, "GetUSMSSendStatistics", &paged).await.json();
    assert_eq!(
        (&paged["Total"], &paged["Data"][0]["BrevityCode"]),
        (&json!(2), &json!("GB"))
    );
    let theirs = Wire::Ucloud.request(&node, USER_OTHER, "GetUSMSSendStatistics", &question(&node, 0));
    assert_eq!(
        node.ask(theirs).await.json()["Total"],
        0,
        "another account's messages are its own"
    );
}

#[tokio::test]
async fn messages_are_counted_by_template() {
    let node = TestNode::start().await;
    sent_and_counted(&node).await;
    let reported = ask(&node, "GetUSMSTemplateSendStatistics", &question(&node, 0))
        .await
        .json();
    let rows = reported["Data"].as_array().unwrap();
    assert_eq!((rows.len(), &reported["Total"]), (2, &json!(2)));
    assert_eq!(
        names(&rows[0]),
        [
            "BrevityCode",
            "CostCount",
            "Count",
            "FailedCostCount",
            "FailedCount",
            "SendDate",
            "SubmitFailedCostCount",
            "SubmitFailedCount",
            "SuccessCostCount",
            "SuccessCount",
            "TemplateId",
            "UnknownCostCount",
            "UnknownCount"
        ]
    );
    assert_eq!(
        (&rows[0]["TemplateId"], &rows[0]["Count"]),
        (&json!(ut_id(CODE)), &json!(4))
    );
    assert_eq!(
        (&rows[1]["TemplateId"], &rows[1]["Count"]),
        (&json!(ut_id(PLAIN)), &json!(2))
    );
    let of = async |id: &str| {
        let question = with(&question(&node, 0), "TemplateId", json!(id));
        ask(&node, "GetUSMSTemplateSendStatistics", &question).await
    };
    let one = of(&ut_id(PLAIN)).await.json();
    assert_eq!(
        (&one["Total"], &one["StatisticsData"]["SendCount"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(code_of(&of("UTA0").await), 18_017);
    node.engine
        .remove_templates(crate::testkit::ACCOUNT, &[PLAIN])
        .await
        .unwrap();
    let reported = ask(&node, "GetUSMSTemplateSendStatistics", &question(&node, 0))
        .await
        .json();
    assert_eq!(
        reported["Data"][1]["TemplateId"],
        PLAIN.to_string(),
        "its number, once it is gone"
    );
}

#[tokio::test]
async fn invalid_statistics_queries_are_refused() {
    let node = TestNode::start().await;
    for action in ["GetUSMSSendStatistics", "GetUSMSTemplateSendStatistics"] {
        for (name, value, code) in [
            ("Page", json!(null), 18_001),
            ("Page", json!("first"), 18_002),
            ("NumPerPage", json!(0), 18_003),
            ("OrderBy", json!("Count"), 18_003),
            ("OrderBy", json!(""), 18_001),
            ("OrderType", json!("up"), 18_003),
            ("StartDate", json!("22.11.2026"), 18_003),
            ("StartDate", json!("1999-12-31"), 18_003),
            ("EndDate", json!("2000-01-01"), 18_003),
            ("EndDate", json!(null), 18_001),
            ("Domestic", json!(2), 18_003),
            ("Domestic", json!(null), 18_001),
        ] {
            let answer = ask(&node, action, &with(&question(&node, 0), name, value.clone())).await;
            assert_eq!(code_of(&answer), code, "{action} {name} {value} {}", answer.body);
        }
    }
    let purpose = with(&question(&node, 0), "Purpose", json!(4));
    assert_eq!(
        code_of(&ask(&node, "GetUSMSSendStatistics", &purpose).await),
        18_003
    );
}

#[tokio::test]
async fn a_blacklisted_number_gets_nothing_more() {
    let node = TestNode::start().await;
    let list = json!([
        {"Phone": "13900000001", "Purpose": 0, "Remark": "测试数据001"},
        {"Phone": "+447700900001"},
        {"Phone": "12"},
        {"Phone": "(44)7700900002", "Purpose": 3},
    ]);
    let params = json!({"IsGlobal": "true", "BlackList": STANDARD.encode(list.to_string())});
    let answer = ask(&node, "BatchCreateUSMSBlacklistPhone", &params).await;
    assert_eq!(code_and_message(&answer), (0, "Success".into()));
    let reported = answer.json();
    assert_eq!(
        names(&reported),
        [
            "Action",
            "FailedList",
            "Message",
            "ReqUuid",
            "RetCode",
            "SuccessList"
        ]
    );
    assert_eq!(reported["SuccessList"], json!(["13900000001", "+447700900001"]));
    assert_eq!(reported["FailedList"], json!(["12", "(44)7700900002"]));
    super::assert_uuid(&reported["ReqUuid"]);
    for (phone, suppressed) in [
        ("(86)13900000001", true),
        ("447700900001", true),
        ("447700900002", false),
    ] {
        let answer = node.ask(super::rest::send(&super::code_for(phone))).await;
        let expected = if suppressed { 215_392 } else { 0 };
        assert_eq!(code_of(&answer), expected, "{phone} {}", answer.body);
    }
    let again = ask(&node, "BatchCreateUSMSBlacklistPhone", &params).await;
    assert_eq!(
        again.json()["SuccessList"],
        reported["SuccessList"],
        "a repeat is as good"
    );
    let theirs = super::batch(crate::testkit::FOREIGN, json!([{"Phone": "447700900001"}]));
    let theirs = super::post(super::rest::SEND, USER_OTHER, theirs.to_string());
    assert_eq!(code_of(&node.ask(theirs).await), 0, "another account still sends");
    for (params, code) in [
        (json!({"BlackList": "W10="}), 18_001),
        (json!({"IsGlobal": "true"}), 18_001),
        (json!({"IsGlobal": "true", "BlackList": "?"}), 18_002),
        (json!({"IsGlobal": "both", "BlackList": "W10="}), 18_002),
        (
            json!({"IsGlobal": "true", "BlackList": STANDARD.encode(json!(vec![json!({"Phone": "1"}); 1001]).to_string())}),
            18_019,
        ),
    ] {
        let answer = ask(&node, "BatchCreateUSMSBlacklistPhone", &params).await;
        assert_eq!(code_of(&answer), code, "{}", answer.body);
    }
}
