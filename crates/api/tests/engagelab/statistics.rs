//! Statistics of generation A.

use super::*;

async fn rows(node: &TestNode, query: &str) -> Vec<Value> {
    let day = today(node);
    let uri = format!("/v1/stats_day?start_date={day}&end_date={day}&time_zone=0{query}");
    let reported = done(node, "GET", &uri, Value::Null).await;
    let rows = reported["result"].as_array().unwrap().clone();
    assert_eq!(
        (&reported["count"], &reported["total"]),
        (&json!(rows.len()), &json!(rows.len()))
    );
    rows
}

/// Sends, and waits until the status query has a final state for each.
async fn node_with_history() -> TestNode {
    let node = TestNode::start().await;
    let sends = [
        (TO, CODE, 9, 2),
        ("+12673800455", CODE, 9, 2),
        ("+10000000003", CODE, 0, 3),
        ("+10000000018", CODE, 0, 5),
        (BLOCKED, CODE, 0, 4),
        ("+12673800454", PLAIN, 0, 2),
    ];
    for (to, template, label, status) in sends {
        let body = json!({ "to": [format!("+{}", to.trim_start_matches('+'))],
            "body": { "template_id": template, "label_id": label, "vars": { "code": "8341" } } });
        let answer = node.ask(send(&body)).await;
        assert_eq!(reported(&answer), (200, 0), "{}", answer.body);
        let id = answer.json()["sms_ids"][0].as_str().unwrap().to_owned();
        status_until(&node, &id, status).await;
    }
    // Of the other generation: not counted here.
    assert_eq!(reported(&node.ask(messages(&plan())).await), (200, 0));
    node
}

#[tokio::test]
async fn what_was_sent_is_counted_by_day_user_template_and_label() {
    let node = node_with_history().await;
    let rows = rows(&node, "").await;
    let row = |template: i64, label: i64| {
        let found = rows
            .iter()
            .find(|row| row["template_id"] == template && row["label_id"] == label);
        found.unwrap_or_else(|| panic!("{rows:?}")).clone()
    };
    assert_eq!(rows.len(), 3);
    let plain = row(CODE, 0);
    assert_eq!(
        names(&plain),
        [
            "billing_count",
            "delivered",
            "delivered_percent",
            "label_id",
            "msg_type",
            "process_failed",
            "process_failed_percent",
            "send_date",
            "send_failed",
            "send_failed_percent",
            "sent",
            "sms_user",
            "targets",
            "template_id",
            "wait_result",
            "wait_result_percent"
        ]
    );
    for (name, expected) in [
        ("send_date", json!(today(&node))),
        ("msg_type", json!(2)),
        ("sms_user", json!(USER)),
        ("targets", json!(3)),
        ("sent", json!(2)),
        ("process_failed", json!(1)),
        ("delivered", json!(0)),
        ("send_failed", json!(1)),
        ("wait_result", json!(1)),
        ("billing_count", json!(2)),
    ] {
        assert_eq!(plain[name], expected, "{name}");
    }
    for (name, expected) in [
        ("process_failed_percent", 33.33),
        ("send_failed_percent", 33.33),
        ("wait_result_percent", 33.33),
        ("delivered_percent", 0.0),
    ] {
        assert_eq!(plain[name].as_f64(), Some(expected), "{name}");
    }
    assert_eq!(row(CODE, 9)["delivered_percent"].as_f64(), Some(100.0));
    assert_eq!(row(PLAIN, 0)["targets"], 1);
}

#[tokio::test]
async fn statistics_are_narrowed_down_and_added_up() {
    let node = node_with_history().await;
    for (query, targets) in [
        ("", 6),
        ("&template_ids=1001", 5),
        ("&template_ids=1001;1003", 6),
        ("&template_ids=1002", 0),
        ("&label_ids=9", 2),
        ("&label_ids=0;9", 6),
        (&format!("&sms_users={USER}"), 6),
        (&format!("&sms_users=nobody;{USER}"), 6),
        ("&sms_users=nobody", 0),
        ("&msg_type=2", 6),
        ("&msg_type=1", 0),
    ] {
        let sum: u64 = rows(&node, query)
            .await
            .iter()
            .map(|row| row["targets"].as_u64().unwrap())
            .sum();
        assert_eq!(sum, targets, "{query}");
    }
    for aggregate in ["&aggregate_by=1", "&aggregate=1"] {
        let added = rows(&node, aggregate).await;
        assert_eq!(added.len(), 1, "{added:?}");
        assert_eq!(
            (&added[0]["targets"], &added[0]["msg_type"]),
            (&json!(6), &json!(2))
        );
        assert!(added[0].get("sms_user").is_none() && added[0].get("template_id").is_none());
    }
    // The page's own example names another path.
    let day = today(&node);
    let query = format!("start_date={day}&end_date={day}&time_zone=0");
    let one = done(&node, "GET", &format!("/v1/stats_day?{query}"), Value::Null).await;
    let other = done(&node, "GET", &format!("/v1/data/stats_day?{query}"), Value::Null).await;
    assert_eq!(one, other);
    let others = node
        .ask(get(&format!("/v1/stats_day?{query}"), USER_OTHER))
        .await
        .json();
    assert_eq!(others, json!({ "result": [], "total": 0, "count": 0 }));
}

#[tokio::test]
async fn what_statistics_are_refused_for_is_reported() {
    let node = TestNode::start().await;
    for (query, code) in [
        ("", 30400),
        ("start_date=2026-11-01", 30400),
        ("start_date=2026-08-24&end_date=2026-11-22", 30400),
        ("start_date=2026-11-02&end_date=2026-11-01", 30400),
        ("start_date=2026-11-01&end_date=2026-11-01&label_ids=x", 34020),
        ("start_date=2026-11-01&end_date=2026-11-01&aggregate_by=2", 30400),
    ] {
        let (status, reported, message) =
            refused(&node, "GET", &format!("/v1/stats_day?{query}"), Value::Null).await;
        assert_eq!((status, reported), (400, code), "{query}: {message}");
    }
}
